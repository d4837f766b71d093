//! The API and its description against each other. The description has to be valid OpenAPI; then schemathesis sends
//! what it allows and what it forbids, and sees whether the answers are as described.
//!
//! `tests/schemathesis` says how. `SCHEMATHESIS_EXAMPLES` sets how many requests are made up for each operation,
//! `SCHEMATHESIS_SEED` which; with more examples it looks longer.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use image::imageops::FilterType;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::app::{Client, FIRST_PASSWORD, TestApp, WORKER_TOKEN, config_in, database_in, eventually};
use crate::ingest::event;
use crate::media::{Form, THREE_OF_ONE, jpeg, photo};

const SETTINGS: &str = "security: {force_password_change: false, rate_limit: 0}\n\
                        server: {trusted_proxies: [127.0.0.1]}\n\
                        face_recognition: {registration: {min_samples: 1}}\n";
const EXAMPLES: &str = "15";
const SEED: &str = "1";
/// Of accounts that are made to be signed out of.
const PASSWORD: &str = "correct horse battery 9";

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/schemathesis")
}

/// The Python that has schemathesis.
fn python() -> PathBuf {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/python.sh");
    let made = Command::new(script).arg(folder().join("requirements.txt")).output().unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    PathBuf::from(String::from_utf8(made.stdout).unwrap().trim())
}

fn expect_success(output: &Output) {
    let [told, complained] = [&output.stdout, &output.stderr].map(|text| String::from_utf8_lossy(text));
    assert!(output.status.success(), "{}\n{told}\n{complained}", output.status);
}

#[test]
fn the_description_is_valid_openapi() {
    let app = TestApp::start();
    let file = app.folder.path().join("openapi.json");
    std::fs::write(&file, app.anyone().get("/api/openapi.json").text).unwrap();
    let mut validator = Command::new(python());
    validator.args(["-m", "openapi_spec_validator", "--schema", "3.1", "--errors", "all"]).arg(&file);
    expect_success(&validator.output().unwrap());
}

#[test]
fn the_server_keeps_to_its_description() {
    let server = Server::start();
    let admin = server.client().signed_in("admin", FIRST_PASSWORD);
    let photos = server.folder.path().join("photos");
    furnish(&admin, &server.worker(), &photos);
    let worker = Worker::start(server.worker());

    let variable = |name: &str, default: &str| std::env::var(name).unwrap_or_else(|_| default.to_owned());
    let url = format!("http://{}", server.address);
    let token = admin.log_in("admin", FIRST_PASSWORD).expect(200);
    let run = Command::new(python().with_file_name("schemathesis"))
        .arg("--config-file")
        .arg(folder().join("schemathesis.toml"))
        .args(["run", &format!("{url}/api/openapi.json"), "--no-color"])
        .args(["--max-examples", &variable("SCHEMATHESIS_EXAMPLES", EXAMPLES)])
        .args(["--seed", &variable("SCHEMATHESIS_SEED", SEED)])
        // What it leaves behind goes with the server's folder.
        .current_dir(server.folder.path())
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .env("VEDETTE_HOOKS", folder().join("hooks.py"))
        .env("VEDETTE_URL", &url)
        .env("VEDETTE_PHOTOS", &photos)
        .env("VEDETTE_TOKEN", token["access_token"].as_str().unwrap())
        .env("VEDETTE_WORKER_TOKEN", WORKER_TOKEN)
        .env("VEDETTE_PASSWORD", PASSWORD)
        .output()
        .unwrap();
    drop(worker);
    println!("{}", String::from_utf8_lossy(&run.stdout));
    let faults: Vec<String> = server.log().lines().filter(|line| is_fault(line)).map(str::to_owned).collect();
    assert!(faults.is_empty(), "{}", faults.join("\n"));
    expect_success(&run);
}

/// Whether a line of the log tells of a fault of the server's own.
fn is_fault(line: &str) -> bool {
    line.contains(" ERROR ") || line.contains("panicked at")
}

/// `vedette serve` as a process, on a fresh database; dropped, it is killed.
struct Server {
    folder: TempDir,
    address: String,
    process: Child,
}

impl Server {
    fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        config_in(folder.path(), SETTINGS, &[]);
        let log = File::create(folder.path().join("log")).unwrap();
        let process = Command::new(env!("CARGO_BIN_EXE_vedette"))
            .args(["serve", "--config", "config"])
            .current_dir(folder.path())
            .envs(database_in(folder.path()))
            .env("VEDETTE_DATA_DIR", "data")
            .env("VEDETTE_WORKER_TOKEN", WORKER_TOKEN)
            .stdin(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap();
        let mut server = Self { folder, address: String::new(), process };
        server.address = eventually("the server listens", || {
            let log = server.log();
            let after = log.split_once("listening on http://")?.1;
            after.split_once('\n').map(|(address, _)| address.trim().to_owned())
        });
        server
    }

    fn log(&self) -> String {
        String::from_utf8_lossy(&std::fs::read(self.folder.path().join("log")).unwrap()).into_owned()
    }

    fn client(&self) -> Client {
        Client::to(&self.address)
    }

    fn worker(&self) -> Client {
        self.client().with_header("Authorization", &format!("Bearer {WORKER_TOKEN}"))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }
}

/// Puts in something of everything there is to ask for, and small photos of people into `photos`.
fn furnish(admin: &Client, worker: &Client, photos: &Path) {
    let form = Form::default().text("name", "Ada").photos(THREE_OF_ONE);
    let ada = form.send(admin, "/api/persons/register").expect(201);
    admin.post("/api/cameras", &json!({ "id": "door", "url": "test://" })).expect(201);
    admin.post("/api/cameras/door/start", &json!({})).expect(200);
    admin.post("/api/alerts/rules", &json!({ "name": "Strangers", "kind": "unknown_person" })).expect(201);
    let events: Vec<Value> = (1..20).map(|number| event(number, (number % 3 > 0).then_some(&ada))).collect();
    worker.post("/api/ingest", &json!(events)).expect(200);
    admin.post("/api/users", &json!({ "username": "grace", "password": PASSWORD })).expect(201);
    admin.post("/api/api-keys", &json!({ "name": "door controller" })).expect(201);

    std::fs::create_dir(photos).unwrap();
    for name in ["biden.jpg", "astronaut.jpg", "obama2.jpg"] {
        let small = image::load_from_memory(&photo(name)).unwrap().resize(480, 480, FilterType::Triangle);
        std::fs::write(photos.join(name), jpeg(&small)).unwrap();
    }
}

/// A worker that runs every camera and has a picture of each; dropped, it is gone.
struct Worker {
    is_over: Arc<AtomicBool>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Worker {
    fn start(worker: Client) -> Self {
        let is_over = Arc::new(AtomicBool::new(false));
        let over = Arc::clone(&is_over);
        let picture = jpeg(&image::RgbImage::from_pixel(64, 36, image::Rgb([200, 150, 120])).into());
        let outcome = json!({ "picture": { "width": 64, "height": 36, "jpeg": STANDARD.encode(picture) } });
        let work = move || {
            let mut reports: Vec<Value> = Vec::new();
            while !over.load(Ordering::Relaxed) {
                let body = json!({ "host": "edge", "version": "0.1.0", "pid": 7, "cameras": reports });
                let told = worker.post("/api/workers/local/heartbeat", &body).expect(200);
                reports = told["cameras"].as_array().unwrap().iter().map(running).collect();
                for errand in told["errands"].as_array().into_iter().flatten() {
                    let path = format!("/api/workers/local/errands/{}", errand["id"].as_str().unwrap());
                    worker.post(&path, &outcome).expect(204);
                }
                std::thread::sleep(Duration::from_millis(200));
            }
        };
        Self { is_over, thread: Some(std::thread::spawn(work)) }
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            thread.join().unwrap();
        }
    }
}

/// The report of a camera that runs as assigned.
fn running(assigned: &Value) -> Value {
    let stats =
        json!({ "fps": 25.0, "latency_ms": 9.0, "dropped": 0, "faces": 1, "width": 64, "height": 36 });
    json!({ "camera_id": assigned["camera_id"], "run": assigned["run"], "state": "running", "stats": stats })
}
