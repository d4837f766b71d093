//! HTTPS, and certificates that change.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use rcgen::{CertifiedKey, generate_simple_self_signed};
use serde_json::json;
use tokio_rustls::rustls::pki_types::{CertificateDer, pem::PemObject as _};
use tokio_rustls::rustls::{self, ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use vedette::startup::App;

use crate::app::{FIRST_PASSWORD, TestApp, WORKER_TOKEN, config_in, eventually};
use crate::ingest::event;
use crate::live::{Watcher, tcp};

/// Writes a fresh certificate for `localhost` with its key; answers the certificate.
fn write_identity(folder: &Path) -> String {
    let CertifiedKey { cert, signing_key } = generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    std::fs::write(folder.join("tls.key"), signing_key.serialize_pem()).unwrap();
    std::fs::write(folder.join("tls.crt"), cert.pem()).unwrap();
    cert.pem()
}

fn settings(folder: &Path) -> String {
    let [certificate, key]: [PathBuf; 2] = ["tls.crt", "tls.key"].map(|name| folder.join(name));
    format!("server:\n  tls: {{certificate: '{}', key: '{}'}}\n", certificate.display(), key.display())
}

#[test]
fn the_server_speaks_https_and_changes_its_certificate() {
    let folder = tempfile::tempdir().unwrap();
    let first = write_identity(folder.path());
    let app = TestApp::with(&settings(folder.path()));
    let client = app.anyone_over_tls(&first);
    assert_eq!(client.get("/api/health").expect(200)["status"], "healthy");
    client.log_in("admin", FIRST_PASSWORD).expect(200);
    assert!(app.anyone().try_send("GET", "/api/health", None, Vec::new()).is_err(), "HTTP is not answered");

    let second = write_identity(folder.path());
    kill(Pid::this(), Signal::SIGHUP).unwrap();
    eventually("the new certificate is shown", || {
        app.anyone_over_tls(&second).try_send("GET", "/api/health", None, Vec::new()).ok()
    });

    std::fs::write(folder.path().join("tls.crt"), "no certificate").unwrap();
    kill(Pid::this(), Signal::SIGHUP).unwrap();
    app.anyone_over_tls(&second).get("/api/health").expect(200);
}

#[test]
fn news_come_over_https_too() {
    let folder = tempfile::tempdir().unwrap();
    let certificate = write_identity(folder.path());
    let app = TestApp::with(&(settings(folder.path()) + "security: {force_password_change: false}\n"));
    let admin = app.anyone_over_tls(&certificate);
    let login = admin.log_in("admin", FIRST_PASSWORD).expect(200);
    let bearer = format!("Bearer {}", login["access_token"].as_str().unwrap());

    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(certificate.as_bytes()).unwrap()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let config = Arc::new(config.with_root_certificates(roots).with_no_client_auth());
    let connection = ClientConnection::new(config, "localhost".try_into().unwrap()).unwrap();
    let stream = StreamOwned::new(connection, tcp(app.address));
    let mut watcher = Watcher::over(stream, "localhost", &[("authorization", &bearer)]).unwrap();
    let worker =
        app.anyone_over_tls(&certificate).with_header("Authorization", &format!("Bearer {WORKER_TOKEN}"));
    let event = event(1, None);
    worker.post("/api/ingest", &json!([event])).expect(200);
    assert_eq!(watcher.next()["data"]["event_id"], event["event_id"]);
}

#[test]
fn files_that_do_not_hold_stop_the_start_and_are_named() {
    let refusal = |folder: &Path| {
        let config = config_in(folder, &settings(folder), &[]);
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let error = runtime.block_on(App::start(config)).map(|_| ()).unwrap_err();
        format!("{error:#}")
    };
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let missing = refusal(folder);
    assert!(missing.contains("server.tls.certificate") && missing.contains("tls.crt"), "{missing}");

    write_identity(folder);
    let key = std::fs::read(folder.join("tls.key")).unwrap();
    write_identity(folder);
    std::fs::write(folder.join("tls.key"), key).unwrap();
    let mixed_up = refusal(folder);
    assert!(mixed_up.contains("is not that of the certificate"), "{mixed_up}");

    std::fs::write(folder.join("tls.key"), "nothing").unwrap();
    assert!(refusal(folder).contains("server.tls.key"));
    std::fs::write(folder.join("tls.crt"), "nothing").unwrap();
    assert!(refusal(folder).contains("holds no certificate"));
}
