//! What a stolen database, or a stolen data folder without its key, tells: no face template, no password of a
//! camera, no secret of a webhook.

use std::fs;
use std::path::Path;
use std::process::Command;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use sea_orm::{ConnectionTrait as _, Statement};
use serde_json::json;
use vedette::startup::App;

use crate::app::{TestApp, config_in, database_in};
use crate::ingest::bare_event;
use crate::media::{Form, THREE_OF_ONE};
use crate::workers::beat;

const PASSWORD: &str = "s3cret-of-the-camera";

/// A person, a stranger and a camera with a password; and what must be found nowhere.
struct Secrets {
    templates: Vec<Vec<u8>>,
    stranger: Vec<u8>,
}

impl Secrets {
    fn store(app: &TestApp) -> Self {
        let admin = app.admin();
        let form = Form::default().text("name", "Barack").photos(THREE_OF_ONE);
        form.send(&admin, "/api/persons/register").expect(201);
        let url = format!("rtsp://user:{PASSWORD}@10.0.0.7/stream1");
        admin.post("/api/cameras", &json!({ "id": "door", "url": url })).expect(201);
        admin.post("/api/cameras/door/start", &json!({})).expect(200);
        let rule = json!({
            "name": "Strangers", "kind": "unknown_person", "enabled": false,
            "webhook_url": format!("http://10.0.0.8/{PASSWORD}"), "webhook_secret": format!("webhook-{PASSWORD}")
        });
        admin.post("/api/alerts/rules", &rule).expect(201);
        let numbers = (0..128_u16).flat_map(|number| (f32::from(number) / 1000.0).to_le_bytes());
        let stranger: Vec<u8> = numbers.collect();
        let mut event = bare_event(1, None);
        event["embedding"] = json!(STANDARD.encode(&stranger));
        app.worker().post("/api/ingest", &json!([event])).expect(200);
        Self { templates: templates(app), stranger }
    }

    fn needles(&self) -> Vec<&[u8]> {
        let vectors = self.templates.iter().chain([&self.stranger]).map(Vec::as_slice);
        vectors.chain([PASSWORD.as_bytes()]).collect()
    }
}

fn templates(app: &TestApp) -> Vec<Vec<u8>> {
    let gallery = app.worker().get("/api/gallery").expect(200);
    let templates = gallery["persons"][0]["templates"].as_array().unwrap();
    templates.iter().map(|template| STANDARD.decode(template.as_str().unwrap()).unwrap()).collect()
}

/// What a worker is told of the camera.
fn told_url(app: &TestApp) -> String {
    beat(&app.worker(), "host-1", &[])[0]["url"].as_str().unwrap().to_owned()
}

fn holds(haystack: &[u8], needle: &[u8]) -> bool {
    haystack.windows(needle.len()).any(|window| window == needle)
}

/// Every file below `folder`.
fn read_all(folder: &Path, found: &mut Vec<(String, Vec<u8>)>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            read_all(&path, found);
        } else {
            found.push((path.display().to_string(), fs::read(&path).unwrap()));
        }
    }
}

/// The bytes of every row, whichever the database.
fn dump(app: &TestApp) -> Vec<u8> {
    let columns = [
        ("face_templates", "template"),
        ("detections", "embedding"),
        ("cameras", "stored_url"),
        ("alert_rules", "webhook"),
    ];
    app.with_database(async |db| {
        let mut bytes = Vec::new();
        for (table, column) in columns {
            let sql = format!("SELECT {column} FROM {table}");
            let rows =
                db.query_all_raw(Statement::from_string(db.get_database_backend(), sql)).await.unwrap();
            assert!(!rows.is_empty(), "{table}");
            for row in rows {
                let as_text = || row.try_get_by_index::<String>(0).map(String::into_bytes);
                bytes.extend(row.try_get_by_index::<Vec<u8>>(0).or_else(|_| as_text()).unwrap());
            }
        }
        bytes
    })
}

fn vedette(app: &TestApp, arguments: &[&str]) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_vedette"))
        .args(arguments)
        .arg("--config")
        .arg(app.folder.path().join("config"))
        .env("VEDETTE_DATA_DIR", app.folder.path().join("data"))
        .envs(database_in(app.folder.path()))
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn neither_database_nor_files_tell_anything() {
    let app = TestApp::start();
    let secrets = Secrets::store(&app);
    assert!(told_url(&app).contains(PASSWORD), "the worker needs it");
    let rows = dump(&app);
    let mut files = Vec::new();
    read_all(&app.folder.path().join("data"), &mut files);
    assert!(files.iter().any(|(name, _)| name.ends_with(".jpg")));
    for needle in secrets.needles() {
        assert!(!holds(&rows, needle));
        for (name, bytes) in &files {
            assert!(!holds(bytes, needle), "{name}");
        }
    }
}

#[test]
fn a_rotation_seals_everything_anew_while_the_server_runs() {
    let app = TestApp::start();
    let secrets = Secrets::store(&app);
    let before = dump(&app);
    let told = vedette(&app, &["keys", "status"]);
    let first_key = told.trim().strip_prefix("key ").unwrap().to_owned();

    let told = vedette(&app, &["keys", "rotate"]);
    assert!(told.contains("3 templates, 1 embeddings of strangers, 1 cameras, 1 webhooks"), "{told}");
    let id = hex::decode(&first_key).unwrap();
    assert!(holds(&before, &id) && !holds(&dump(&app), &id), "nothing is sealed with {first_key} any more");
    assert_eq!(templates(&app), secrets.templates);
    assert!(told_url(&app).contains(PASSWORD));
    // What is written from now on is sealed with the new key: one more rotation forgets the first.
    let form = Form::default().text("name", "Barack").text("force", "true").photos(THREE_OF_ONE);
    form.send(&app.admin(), "/api/persons/register").expect(201);
    let told = vedette(&app, &["keys", "rotate"]);
    assert!(told.contains("6 templates") && !told.contains(&first_key), "{told}");

    let again = TestApp::restart_in(app.stop(), "");
    assert_eq!(templates(&again), secrets.templates);
}

#[test]
fn what_was_kept_unsealed_is_sealed_at_the_start() {
    let app = TestApp::start();
    let secrets = Secrets::store(&app);
    let hexadecimal = hex::encode(&secrets.templates[0]);
    let literal =
        if crate::app::on_postgres() { format!("'\\x{hexadecimal}'") } else { format!("x'{hexadecimal}'") };
    app.execute(&format!("UPDATE face_templates SET template = {literal}"));
    app.execute(&format!("UPDATE cameras SET stored_url = 'rtsp://user:{PASSWORD}@10.0.0.7/stream1'"));
    let app = TestApp::restart_in(app.stop(), "security: {force_password_change: false}");
    assert!(secrets.needles().iter().all(|needle| !holds(&dump(&app), needle)));
    assert_eq!(templates(&app), vec![secrets.templates[0].clone(); 3]);
    assert!(told_url(&app).contains(PASSWORD));
}

#[test]
fn without_its_key_the_server_does_not_start() {
    let app = TestApp::start();
    Secrets::store(&app);
    let folder = app.stop();
    fs::remove_file(folder.path().join("data/vedette.key")).unwrap();
    let config = config_in(folder.path(), "", &[]);
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let error = runtime.block_on(App::start(config)).err().map(|error| format!("{error:#}")).unwrap();
    assert!(error.contains("key") && !error.contains(PASSWORD), "{error}");
}

#[test]
fn a_template_in_another_row_does_not_open() {
    let app = TestApp::start();
    Secrets::store(&app);
    app.execute(
        "UPDATE face_templates SET template = (SELECT template FROM face_templates ORDER BY id LIMIT 1)",
    );
    let app = TestApp::restart_in(app.stop(), "");
    assert_eq!(templates(&app).len(), 1, "the others are not theirs");
}

#[test]
fn an_erased_person_is_in_no_file_and_no_row() {
    let app = TestApp::start();
    let admin = app.admin();
    let form = Form::default()
        .text("name", "Zaphod Beeblebrox")
        .text("email", "zaphod@heartofgold.example")
        .text("employee_id", "Z-4242")
        .text("phone", "+44 42 4242")
        .text("department", "Presidium")
        .photos(THREE_OF_ONE);
    let person = form.send(&admin, "/api/persons/register").expect(201);
    let sent = [crate::ingest::event(1, Some(&person)), crate::ingest::event(2, Some(&person))];
    app.worker().post("/api/ingest", &json!([sent[0]])).expect(200);
    let path = format!("/api/persons/{}", person["id"].as_str().unwrap());
    admin.put(&path, &json!({ "designation": "Galactic President" })).expect(200);

    admin.delete(&format!("{path}?erase=true")).expect(204);
    // Handed in late, out of a worker's spool.
    app.worker().post("/api/ingest", &json!([sent[1]])).expect(200);
    let id = person["id"].as_str().unwrap();
    let bytes = uuid::Uuid::parse_str(id).unwrap().into_bytes();
    let texts = ["Zaphod", "heartofgold", "Z-4242", "+44 42 4242", "Presidium", "Galactic President", id];
    let needles = texts.iter().map(|text| text.as_bytes()).chain([&bytes[..]]);
    let rows = every_row(&app);
    let folder = app.stop();
    let mut files = Vec::new();
    read_all(&folder.path().join("data"), &mut files);
    assert!(files.iter().all(|(name, _)| !name.ends_with(".jpg")), "{files:?}");
    for needle in needles {
        let needle_text = String::from_utf8_lossy(needle);
        assert!(!holds(rows.as_bytes(), needle), "{needle_text}");
        for (name, bytes) in &files {
            assert!(!holds(bytes, needle), "{needle_text} in {name}");
        }
    }
}

/// Every row of every table as text.
pub(crate) fn every_row(app: &TestApp) -> String {
    let tables = if crate::app::on_postgres() {
        "SELECT CAST(tablename AS text) FROM pg_tables WHERE schemaname = 'public'"
    } else {
        "SELECT name FROM sqlite_master WHERE type = 'table'"
    };
    let tables = app.query(tables);
    assert!(tables.len() > 10);
    app.with_database(async |db| {
        let mut text = String::new();
        for table in tables.concat() {
            let sql = if crate::app::on_postgres() {
                format!("SELECT CAST(row_to_json(t) AS text) FROM \"{table}\" t")
            } else {
                let columns = format!("SELECT name FROM pragma_table_info('{table}')");
                let statement = Statement::from_string(db.get_database_backend(), columns);
                let columns: Vec<String> = (db.query_all_raw(statement).await.unwrap().iter())
                    .map(|row| format!("quote(\"{}\")", row.try_get_by_index::<String>(0).unwrap()))
                    .collect();
                format!("SELECT {} FROM \"{table}\"", columns.join(" || ' ' || "))
            };
            let statement = Statement::from_string(db.get_database_backend(), sql);
            for row in db.query_all_raw(statement).await.unwrap() {
                text.push_str(&row.try_get_by_index::<String>(0).unwrap());
                text.push('\n');
            }
        }
        text
    })
}
