//! Another model pack: everybody is embedded anew from the stored photos while the former pack goes on.

use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::{Value, json};
use tempfile::TempDir;
use vedette_models::files::ModelStore;
use vedette_models::pack::{Packs, Role};

use crate::app::{TestApp, database_in, eventually};
use crate::media::{Form, THREE_OF_ONE, photo};

const BASE: &str = "security: {force_password_change: false}\n";

/// A pack of one's own: YuNet, and SFace fed as an ArcFace is, which makes other templates of the same photos.
struct OwnPack(TempDir);

impl OwnPack {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (detector, embedder) = (Self::file(Role::Detector), Self::file(Role::Embedder));
        for file in [&detector, &embedder] {
            std::fs::copy(file, folder.path().join(file.file_name().unwrap())).unwrap();
        }
        let name = |path: &Path| path.file_name().unwrap().to_str().unwrap().to_owned();
        let description = format!(
            "about: SFace fed as ArcFace\nlicence: of the default pack\ncommercial_use: true\n\
             detector:\n  architecture: yunet\n  file: {{name: {}, licence: test, commercial_use: true}}\n  input_size: 640\n  threshold: 0.6\n  \
             nms_threshold: 0.3\n  basis: of the default pack\n\
             embedder:\n  architecture: arcface\n  file: {{name: {}, licence: test, commercial_use: true}}\n  input_size: 112\n  dimension: 128\n\
             recognition: {{similarity_threshold: 0.2, margin: 0.02, basis: none}}\n",
            name(&detector),
            name(&embedder),
        );
        std::fs::write(folder.path().join("pack.yaml"), description).unwrap();
        Self(folder)
    }

    /// Where a file of the default pack lies.
    fn file(role: Role) -> std::path::PathBuf {
        let pack = Packs::get("opencv").unwrap();
        ModelStore::locate().require(&pack, pack.require(role).unwrap()).unwrap()
    }

    fn name(&self) -> &str {
        self.0.path().to_str().unwrap()
    }

    fn settings(&self) -> String {
        format!("{BASE}face_recognition: {{detection_model: {}}}\n", self.name())
    }

    fn embedder(&self) -> std::path::PathBuf {
        self.0.path().join(Self::file(Role::Embedder).file_name().unwrap())
    }
}

fn gallery(app: &TestApp) -> Value {
    app.worker().get("/api/gallery").expect(200)
}

fn templates(gallery: &Value) -> Vec<Value> {
    gallery["persons"][0]["templates"].as_array().unwrap().clone()
}

fn enrol(app: &TestApp) -> Value {
    let form = Form::default().text("name", "Barack").photos(THREE_OF_ONE);
    form.send(&app.admin(), "/api/persons/register").expect(201)
}

#[test]
fn the_former_pack_serves_until_everybody_is_embedded_anew() {
    let app = TestApp::with(BASE);
    let id = enrol(&app)["id"].as_str().unwrap().to_owned();
    let before = gallery(&app);
    let pack = OwnPack::new();
    let embedder = std::fs::read(pack.embedder()).unwrap();
    std::fs::remove_file(pack.embedder()).unwrap();

    let mut app = TestApp::restart_in(app.stop(), &pack.settings());
    assert_eq!(gallery(&app), before, "nothing else can be served yet");
    let health = eventually("the server says that it tries", || {
        let health = app.anyone().get("/api/health").expect(200);
        health.get("reembedding").is_some().then_some(health)
    });
    let nothing_done = json!({"pack": pack.name(), "done": 0, "refused": 0, "total": 3});
    assert_eq!(health["reembedding"], nothing_done);
    let found = Form::default().file("image", "new.jpg", &photo("obama2.jpg"));
    let found = found.send(&app.admin(), "/api/detect").expect(200);
    assert_eq!(found["faces"][0]["person"]["name"], "Barack", "{found}");

    std::fs::write(pack.embedder(), embedder).unwrap();
    app.await_end();
    let app = TestApp::restart_in(app.stop(), &pack.settings());
    let after = gallery(&app);
    assert_eq!((after["pack"].as_str(), after["persons"][0]["id"].as_str()), (Some(pack.name()), Some(&*id)));
    assert_eq!(templates(&after).len(), 3);
    assert!(templates(&after).iter().all(|template| !templates(&before).contains(template)));
    let health = app.anyone().get("/api/health").expect(200);
    assert!(health.get("reembedding").is_none(), "{health}");

    // A photo is one photo, whatever was made of it, and goes with all of that.
    let admin = app.admin();
    let person = format!("/api/persons/{id}");
    assert_eq!(admin.get("/api/persons").expect(200)["items"][0]["face_count"], 3);
    let faces = admin.get(&person).expect(200)["faces"].as_array().unwrap().clone();
    assert_eq!(faces.len(), 3);
    admin.delete(&format!("{person}/faces/{}", faces[0]["id"].as_str().unwrap())).expect(204);
    assert_eq!(templates(&gallery(&app)).len(), 2);
    let rows = app.query("SELECT CAST(COUNT(*) AS TEXT) FROM face_templates");
    assert_eq!(rows, [["4"]], "two photos, two packs");
}

/// Runs `vedette gallery reembed`: what it says on standard output and standard error.
fn reembed(folder: &Path, pack: &OwnPack) -> (String, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_vedette"));
    command
        .args(["gallery", "reembed", "--pack", pack.name(), "--config"])
        .arg(folder.join("config"))
        .current_dir(folder)
        .env_clear()
        .env("VEDETTE_DATA_DIR", folder.join("data"))
        .envs(database_in(folder))
        .stdin(Stdio::null());
    let output = command.output().unwrap();
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{told}");
    (String::from_utf8(output.stdout).unwrap(), told)
}

#[test]
fn photos_the_new_model_makes_no_sense_of_hold_nobody_up() {
    let app = TestApp::with(BASE);
    enrol(&app);
    let pack = OwnPack::new();
    // A network that makes 128 zeros of everything: a convolution of the picture's mean with weights of zero.
    std::fs::write(pack.embedder(), include_bytes!("mute_embedder.onnx")).unwrap();
    let folder = app.stop();
    let (done, told) = reembed(folder.path(), &pack);
    assert_eq!(done, format!("{}: 0 photos embedded, 3 without a usable face\n", pack.name()));
    assert!(told.contains("3 of 3 photos"), "{told}");
}

#[test]
fn a_photo_of_no_use_to_the_new_pack_holds_nobody_up() {
    let app = TestApp::with(BASE);
    enrol(&app);
    let lost = app.query("SELECT photo_path FROM face_templates ORDER BY photo_path")[0][0].clone();
    std::fs::remove_file(app.folder.path().join("data").join(lost)).unwrap();
    let pack = OwnPack::new();
    let folder = app.stop();
    let (done, told) = reembed(folder.path(), &pack);
    assert_eq!(done, format!("{}: 2 photos embedded, 1 without a usable face\n", pack.name()));
    assert!(told.contains("3 of 3 photos"), "{told}");
    let (done, _) = reembed(folder.path(), &pack);
    assert_eq!(done, format!("{}: 0 photos embedded, 0 without a usable face\n", pack.name()));

    let app = TestApp::restart_in(folder, &pack.settings());
    assert_eq!(templates(&gallery(&app)).len(), 2, "in use from the start");
}
