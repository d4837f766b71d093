//! Pictures in S3: served and erased like files, and what happens while S3 is away.

use std::io::{self, Read as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use serde_json::{Value, json};
use vedette::storage::Storage;

use crate::app::{TestApp, database_in, eventually};
use crate::ingest::{bare_event, event};
use crate::media::{Form, THREE_OF_ONE, jpeg, photo};
use crate::s3_server::S3;

const SETTINGS: &str = "security: {force_password_change: false}\n";

/// What becomes of connections to S3.
#[derive(Clone, Copy)]
#[repr(u8)]
enum Way {
    Open,
    /// They are closed at once.
    Closed,
    /// They are taken, and nothing answers.
    Silent,
}

/// The way to the S3 server, which can be blocked.
struct Gate {
    address: String,
    way: Arc<AtomicU8>,
}

impl Gate {
    fn new(way: Way) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let target = S3::shared().url().trim_start_matches("http://").to_owned();
        let gate = Self { address, way: Arc::new(AtomicU8::new(way as u8)) };
        let way = Arc::clone(&gate.way);
        std::thread::spawn(move || {
            for client in listener.incoming() {
                let client = client.unwrap();
                match way.load(Ordering::SeqCst) {
                    way if way == Way::Open as u8 => join(client, TcpStream::connect(&target).unwrap()),
                    way if way == Way::Silent as u8 => {
                        std::thread::spawn(move || (&client).read_to_end(&mut Vec::new()));
                    }
                    _ => drop(client),
                }
            }
        });
        gate
    }

    fn set(&self, way: Way) {
        self.way.store(way as u8, Ordering::SeqCst);
    }

    /// A server whose pictures are behind it.
    fn app(&self, prefix: &str) -> TestApp {
        with_s3(&format!("http://{}", self.address), prefix)
    }
}

/// Has two talk to each other.
fn join(client: TcpStream, server: TcpStream) {
    for (from, to) in [(&client, &server), (&server, &client)] {
        let (mut from, mut to) = (from.try_clone().unwrap(), to.try_clone().unwrap());
        std::thread::spawn(move || {
            // However it ends, it has ended.
            let _ = io::copy(&mut from, &mut to);
            let _ = to.shutdown(Shutdown::Write);
        });
    }
}

fn with_s3(url: &str, prefix: &str) -> TestApp {
    let variables = S3::shared().variables(url, prefix);
    let variables: Vec<_> = variables.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    TestApp::with_variables(SETTINGS, &variables)
}

/// Whether the bucket's part of this server holds any of these.
fn holds_any(app: &TestApp, keys: &[&str]) -> bool {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let storage = Storage::open(&app.environment).await.unwrap();
        let mut found = false;
        for key in keys {
            match storage.read(&vedette::storage::ObjectKey::parse(key).unwrap()).await {
                Ok(_) => found = true,
                Err(error) => assert!(error.is_not_found(), "{error}"),
            }
        }
        found
    })
}

fn keys(app: &TestApp) -> Vec<String> {
    let keys = "SELECT photo_path FROM face_templates UNION \
                SELECT snapshot_path FROM detections WHERE snapshot_path IS NOT NULL";
    app.query(keys).concat()
}

fn register(app: &TestApp) -> Value {
    let form = Form::default().text("name", "Barack").photos(THREE_OF_ONE);
    form.send(&app.admin(), "/api/persons/register").expect(201)
}

fn path_of(person: &Value) -> String {
    format!("/api/persons/{}", person["id"].as_str().unwrap())
}

fn storage_health(app: &TestApp) -> String {
    app.anyone().get("/api/health").expect(200)["storage"].as_str().unwrap().to_owned()
}

#[test]
fn pictures_are_served_from_s3_as_from_a_folder() {
    let app = with_s3(S3::shared().url(), "served");
    let admin = app.admin();
    assert_eq!(storage_health(&app), "connected");
    let person = register(&app);
    app.worker().post("/api/ingest", &json!([event(1, Some(&person))])).expect(200);

    let list = admin.get("/api/detections").expect(200);
    let snapshot = admin.get(list["items"][0]["snapshot_url"].as_str().unwrap());
    let sent = jpeg(&image::RgbImage::from_pixel(32, 32, image::Rgb([200, 150, 120])).into());
    assert_eq!((snapshot.status, &snapshot.bytes), (200, &sent));
    let details = admin.get(&path_of(&person)).expect(200);
    let face = admin.get(details["faces"][0]["url"].as_str().unwrap());
    assert!(image::load_from_memory(&face.bytes).is_ok());
    for picture in [&snapshot, &face] {
        assert_eq!(picture.header("content-type"), "image/jpeg");
        assert_eq!(picture.header("cache-control"), "private, max-age=300");
    }
    let data = app.folder.path().join("data");
    assert!(!data.join("photos").exists() && !data.join("snapshots").exists(), "nothing on this disk");

    let keys = keys(&app);
    assert_eq!(keys.len(), 4);
    let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
    assert!(keys.iter().all(|key| holds_any(&app, &[key])));
    admin.delete(&format!("{}?erase=true", path_of(&person))).expect(204);
    assert!(!holds_any(&app, &keys));
    assert!(app.query("SELECT \"key\" FROM discarded_pictures").is_empty());
}

#[test]
fn a_photo_that_is_refused_stays_nowhere() {
    let app = with_s3(S3::shared().url(), "refused");
    register(&app);
    let again = Form::default().text("name", "Barry").photos(THREE_OF_ONE);
    again.send(&app.admin(), "/api/persons/register").expect_error(409, "DuplicateResourceException");
    let strange = Form::default().file("images", "biden.jpg", &photo("biden.jpg"));
    let person = app.admin().get("/api/persons").expect(200)["items"][0].clone();
    strange.send(&app.admin(), &format!("{}/faces", path_of(&person))).expect(422);
    assert_eq!(keys(&app).len(), 3);
    assert!(app.query("SELECT \"key\" FROM discarded_pictures").is_empty());
}

#[test]
fn without_s3_events_with_pictures_are_refused_and_come_later() {
    let gate = Gate::new(Way::Closed);
    let app = gate.app("away");
    assert_eq!(storage_health(&app), "unavailable");
    assert!(app.anyone().get("/metrics").text.contains("vedette_storage_up 0"));
    let total = || app.admin().get("/api/detections").expect(200)["total"].clone();
    let events = json!([event(1, None), event(2, None)]);
    app.worker().post("/api/ingest", &events).expect_error(503, "StorageException");
    assert_eq!(total(), 0);
    // What needs no picture goes on.
    app.worker().post("/api/ingest", &json!([bare_event(3, None)])).expect(200);
    let form = Form::default().text("name", "Barack").photos(THREE_OF_ONE);
    form.send(&app.admin(), "/api/persons/register").expect_error(503, "StorageException");
    assert_eq!(app.admin().get("/api/persons").expect(200)["total"], 0);

    gate.set(Way::Open);
    assert_eq!(app.worker().post("/api/ingest", &events).expect(200)["accepted"], 2);
    assert_eq!(total(), 3);
    eventually("health tells it", || (storage_health(&app) == "connected").then_some(()));
}

#[test]
fn s3_that_does_not_answer_holds_nobody_up_for_ever() {
    let gate = Gate::new(Way::Open);
    let app = gate.app("silent");
    app.worker().post("/api/ingest", &json!([event(1, None)])).expect(200);
    gate.set(Way::Silent);
    let url = app.admin().get("/api/detections").expect(200)["items"][0]["snapshot_url"].clone();
    let worker = app.worker();
    // The client gives up after half a minute, and a worker after twenty seconds.
    let sent = std::thread::spawn(move || worker.post("/api/ingest", &json!([event(2, None)])));
    app.admin().get(url.as_str().unwrap()).expect_error(503, "StorageException");
    sent.join().unwrap().expect_error(503, "StorageException");
    assert_eq!(app.admin().get("/api/detections").expect(200)["total"], 1, "all else goes on");
}

#[test]
fn who_is_erased_while_s3_is_away_is_erased() {
    let gate = Gate::new(Way::Open);
    let app = gate.app("erased");
    let person = register(&app);
    app.worker().post("/api/ingest", &json!([event(1, Some(&person))])).expect(200);
    let keys = keys(&app);
    let keys: Vec<&str> = keys.iter().map(String::as_str).collect();

    gate.set(Way::Closed);
    let erased = app.admin().delete(&format!("{}?erase=true", path_of(&person)));
    let message = erased.expect_error(503, "StorageException");
    assert!(message.contains("is erased"), "{message}");
    app.admin().get(&path_of(&person)).expect_error(404, "NotFoundException");
    assert_eq!(app.admin().get("/api/detections").expect(200)["total"], 0);

    gate.set(Way::Open);
    assert!(holds_any(&app, &keys));
    eventually("retention removes what is listed", || {
        vedette(&app, &[], &["retention", "run"]).then_some(())
    });
    assert!(!holds_any(&app, &keys));
}

/// Runs a command on the database and the storage of a server; says whether it succeeded.
fn vedette(app: &TestApp, more: &[(String, String)], arguments: &[&str]) -> bool {
    let bucket = app.environment.bucket.as_ref().unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_vedette"))
        .args(arguments)
        .arg("--config")
        .arg(app.folder.path().join("config"))
        .env("VEDETTE_DATA_DIR", app.folder.path().join("data"))
        .envs(database_in(app.folder.path()))
        .env("STORAGE_URL", format!("s3://{}/{}", bucket.bucket, bucket.prefix))
        .envs(bucket.aws.iter().map(|(name, value)| (name, secrecy::ExposeSecret::expose_secret(value))))
        .envs(more.iter().map(|(name, value)| (name, value)))
        .output()
        .unwrap();
    println!("{}", String::from_utf8_lossy(&output.stderr));
    output.status.success()
}

#[test]
fn s3_over_tls_is_believed_only_with_a_certificate_that_is_trusted() {
    let folder = tempfile::tempdir().unwrap();
    let identity = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let [certificate, key] = ["certificate.pem", "key.pem"].map(|name| folder.path().join(name));
    std::fs::write(&certificate, identity.cert.pem()).unwrap();
    std::fs::write(&key, identity.signing_key.serialize_pem()).unwrap();
    let server = S3::start(&["--certificate".as_ref(), &certificate, "--key".as_ref(), &key]);
    assert!(server.url().starts_with("https://"));

    let app = with_s3(S3::shared().url(), "tls");
    let mut variables = server.variables(server.url(), "tls");
    // So that pictures are looked for.
    std::fs::write(app.folder.path().join("config/config.dev.yaml"), "retention: {snapshots: 1}").unwrap();
    let run = |variables: &[(String, String)]| vedette(&app, variables, &["retention", "run"]);
    assert!(!run(&variables), "nobody vouches for this certificate");
    variables.push(("SSL_CERT_FILE".to_owned(), certificate.display().to_string()));
    eventually("it is trusted", || run(&variables).then_some(()));
}
