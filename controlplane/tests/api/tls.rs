//! HTTPS, and certificates that change.

use std::path::{Path, PathBuf};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use rcgen::{CertifiedKey, generate_simple_self_signed};
use vedette::startup::App;

use crate::app::{TestApp, config_in, eventually};

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
    client.log_in("admin", crate::app::FIRST_PASSWORD).expect(200);
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
