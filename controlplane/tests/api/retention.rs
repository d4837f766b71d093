//! What was kept long enough goes, and nothing else; whatever happens meanwhile.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, SystemTime};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use chrono::{TimeDelta, Utc};
use serde_json::{Value, json};

use crate::app::{TestApp, database_in, eventually, on_postgres};
use crate::ingest::event;
use crate::media::{ONE_PHOTO_IS_ENOUGH, with_people};

const KEPT: &str = "retention: {detections: 90, snapshots: 30, unknowns: 7}\n";
const FOR_GOOD: &str = "retention: {detections: 0, snapshots: 0, unknowns: 0}\n";

/// An event of so many days ago, with a picture; a stranger's has an embedding, too.
fn event_of(number: u128, days_ago: i64, person: Option<&Value>) -> Value {
    let mut event = event(number, person);
    event["timestamp"] = json!(Utc::now() - TimeDelta::days(days_ago));
    if person.is_none() {
        event["embedding"] = json!(STANDARD.encode([7_u8; 512]));
    }
    event
}

fn command(app: &TestApp, settings: &str, arguments: &[&str]) -> Command {
    fs::write(app.folder.path().join("config/config.dev.yaml"), settings).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_vedette"));
    command
        .args(["retention", "run"])
        .args(arguments)
        .arg("--config")
        .arg(app.folder.path().join("config"))
        .env("VEDETTE_DATA_DIR", app.folder.path().join("data"))
        .envs(database_in(app.folder.path()));
    command
}

fn run(app: &TestApp, settings: &str, arguments: &[&str]) -> Output {
    command(app, settings, arguments).output().unwrap()
}

/// What the command tells, as soon as no server is at it.
fn told(app: &TestApp, settings: &str, arguments: &[&str]) -> String {
    eventually("nobody else is at it", || {
        let output = run(app, settings, arguments);
        output.status.success().then(|| String::from_utf8(output.stdout).unwrap())
    })
}

fn snapshots(app: &TestApp) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for day in fs::read_dir(app.folder.path().join("data/snapshots")).unwrap() {
        found.extend(fs::read_dir(day.unwrap().path()).unwrap().map(|file| file.unwrap().path()));
    }
    found.sort_unstable();
    found
}

/// Pictures rows name.
fn named(app: &TestApp) -> Vec<PathBuf> {
    let data = app.folder.path().join("data");
    let keys = app.query("SELECT snapshot_path FROM detections WHERE snapshot_path IS NOT NULL").concat();
    let mut named: Vec<PathBuf> = keys.iter().map(|key| data.join(key)).collect();
    named.sort_unstable();
    named
}

fn total(app: &TestApp, query: &str) -> Value {
    app.admin().get(&format!("/api/detections?{query}")).expect(200)["total"].clone()
}

#[test]
fn everything_goes_when_its_time_has_come() {
    let (app, people) = with_people(&["Zoe"]);
    let zoe = Some(&people[0]);
    let events = [
        event_of(1, 100, zoe),
        event_of(2, 100, None),
        event_of(3, 40, zoe),
        event_of(4, 40, None),
        event_of(5, 20, zoe),
        event_of(6, 20, None),
        event_of(7, 1, zoe),
        event_of(8, 1, None),
    ];
    app.worker().post("/api/ingest", &json!(events)).expect(200);
    let admin = app.admin();
    assert_eq!(admin.get("/api/sessions").expect(200)["total"], 4);

    let report = "2 detections, the faces of 2 strangers' detections, the snapshots of 1 others, 1 visits, 0 alerts, \
                  0 entries of the log; 5 pictures, of which 0 belonged to nothing\n";
    assert_eq!(told(&app, KEPT, &["--dry-run"]), format!("would be removed: {report}"));
    assert_eq!((total(&app, ""), snapshots(&app).len()), (json!(8), 8), "nothing has happened yet");
    assert_eq!(told(&app, KEPT, &[]), format!("removed: {report}"));

    assert_eq!((total(&app, ""), total(&app, "known=true")), (json!(6), json!(3)));
    let long_ago = (Utc::now() - TimeDelta::days(95)).format("%Y-%m-%dT%H:%M:%SZ");
    assert_eq!(total(&app, &format!("to={long_ago}")), 0);
    assert_eq!(total(&app, "min_confidence=0.5"), 6, "every count knows it");
    let summary = admin.get("/api/analytics/summary?days=120").expect(200);
    assert_eq!((&summary["total_detections"], &summary["known_detections"]), (&json!(6), &json!(3)));
    assert_eq!(admin.get("/api/sessions").expect(200)["total"], 3);
    let with_picture =
        "SELECT CAST(track_id AS TEXT) FROM detections WHERE snapshot_path IS NOT NULL ORDER BY 1";
    assert_eq!(app.query(with_picture).concat(), ["5", "7", "8"]);
    let with_embedding = "SELECT CAST(track_id AS TEXT) FROM detections WHERE embedding IS NOT NULL";
    assert_eq!(app.query(with_embedding).concat(), ["8"]);
    assert_eq!(snapshots(&app), named(&app));
    assert!(app.query("SELECT \"key\" FROM discarded_pictures").is_empty());

    let audited =
        app.query("SELECT actor, CAST(details AS TEXT) FROM system_logs WHERE category = 'retention'");
    let details: Value = serde_json::from_str(&audited[0][1]).unwrap();
    assert_eq!((audited.len(), audited[0][0].as_str()), (1, "command line"));
    assert_eq!((&details["detections"], &details["pictures"]), (&json!(2), &json!(5)));

    assert!(told(&app, KEPT, &[]).starts_with("removed: 0 detections"));
    assert_eq!(
        app.query("SELECT actor FROM system_logs WHERE category = 'retention'").len(),
        1,
        "nothing to tell"
    );
}

#[test]
fn zero_keeps_for_good() {
    let (app, people) = with_people(&["Zoe"]);
    let events = [event_of(1, 4000, people.first()), event_of(2, 4000, None)];
    app.worker().post("/api/ingest", &json!(events)).expect(200);
    assert!(told(&app, FOR_GOOD, &[]).starts_with("removed: 0 detections"));
    assert_eq!((total(&app, ""), snapshots(&app).len()), (json!(2), 2));
    let embedding = "SELECT CAST(track_id AS TEXT) FROM detections WHERE embedding IS NOT NULL";
    assert_eq!(app.query(embedding).concat(), ["2"]);
}

#[test]
fn a_server_removes_by_itself_and_tells_its_figures() {
    let (app, people) = with_people(&["Zoe"]);
    let events: Vec<Value> = (0..300).map(|number| event_of(number, 100, people.first())).collect();
    app.worker().post("/api/ingest", &json!(events)).expect(200);
    let app = TestApp::restart_in(app.stop(), &format!("{ONE_PHOTO_IS_ENOUGH}{KEPT}"));
    let figures = eventually("everything was gone through", || {
        let text = app.anyone().get("/metrics").text;
        let passed =
            text.lines().find(|line| line.starts_with("vedette_retention_last_pass_timestamp_seconds "))?;
        (!passed.ends_with(" 0.0")).then_some(text)
    });
    assert_eq!((total(&app, ""), snapshots(&app).len()), (json!(0), 0));
    for line in [
        "vedette_retention_removed_total{what=\"detections\"} 300",
        "vedette_retention_removed_total{what=\"pictures\"} 300",
        "vedette_retention_removed_total{what=\"visits\"} 1",
        "vedette_retention_removed_total{what=\"strangers\"} 0",
        "vedette_retention_waiting_pictures 0",
        "vedette_storage_up 1",
    ] {
        assert!(figures.lines().any(|present| present == line), "no `{line}` in\n{figures}");
    }
    let actors = app.query("SELECT actor FROM system_logs WHERE category = 'retention'");
    assert_eq!(actors, [["server"]]);
}

#[test]
fn one_at_a_time_and_the_next_goes_on_when_the_lease_is_over() {
    let app = TestApp::start();
    app.worker().post("/api/ingest", &json!([event_of(1, 100, None)])).expect(200);
    told(&app, FOR_GOOD, &[]);
    let until = |time: &str| {
        let holder = if on_postgres() { "gen_random_uuid()" } else { "randomblob(16)" };
        app.execute(&format!("UPDATE task_leases SET holder = {holder}, expires_at = '{time}'"));
    };
    until("2999-01-01T00:00:00+00:00");
    let refused = run(&app, KEPT, &[]);
    let said = String::from_utf8_lossy(&refused.stderr);
    assert!(!refused.status.success() && said.contains("a server is at it"), "{said}");
    assert_eq!(total(&app, ""), 1);
    until("2001-01-01T00:00:00+00:00");
    told(&app, KEPT, &[]);
    assert_eq!(total(&app, ""), 0);
}

/// Killed at whatever moment, it leaves no picture without a row or an entry of the list, and no row without its picture.
#[test]
fn a_run_that_was_killed_is_taken_up_again() {
    let app = TestApp::start();
    let worker = app.worker();
    for portion in 0..5_u128 {
        let events: Vec<Value> =
            (0..1000).map(|number| event_of(portion * 1000 + number, 100, None)).collect();
        worker.post("/api/ingest", &json!(events)).expect(200);
    }
    told(&app, FOR_GOOD, &[]);
    let rows = || app.query("SELECT CAST(count(*) AS TEXT) FROM detections")[0][0].parse::<u64>().unwrap();
    assert_eq!((rows(), snapshots(&app).len()), (5000, 5000));

    let running = command(&app, KEPT, &[]).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let mut running = Killed(running);
    eventually("it has begun", || (rows() < 5000).then_some(()));
    running.end();
    let left = rows();
    assert!(left > 0, "it was killed half-way");
    let (present, named) = (snapshots(&app), named(&app));
    assert!(named.iter().all(|picture| present.contains(picture)), "what rows name is there");
    let data = app.folder.path().join("data");
    let listed = app.query("SELECT \"key\" FROM discarded_pictures").concat();
    let listed: Vec<PathBuf> = listed.iter().map(|key| data.join(key)).collect();
    assert!(present.iter().all(|picture| named.contains(picture) || listed.contains(picture)));

    // Instead of waiting for a minute.
    app.execute("UPDATE task_leases SET expires_at = '2001-01-01T00:00:00+00:00'");
    told(&app, KEPT, &[]);
    assert_eq!((rows(), snapshots(&app).len(), total(&app, "")), (0, 0, json!(0)));
    assert!(app.query("SELECT \"key\" FROM discarded_pictures").is_empty());
}

/// Killed when it is dropped.
struct Killed(Child);

impl Killed {
    fn end(&mut self) {
        // It may have ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Drop for Killed {
    fn drop(&mut self) {
        self.end();
    }
}

#[test]
fn pictures_whose_rows_never_came_go_with_their_day() {
    let app = TestApp::start();
    app.worker().post("/api/ingest", &json!([event_of(1, 60, None)])).expect(200);
    let with_row = snapshots(&app).remove(0);
    let [orphan, young] =
        [2_u128, 3].map(|number| with_row.with_file_name(format!("{}.jpg", uuid::Uuid::from_u128(number))));
    let of_today = app.folder.path().join("data/snapshots").join(Utc::now().format("%Y-%m-%d").to_string());
    fs::create_dir(&of_today).unwrap();
    let of_today = of_today.join("01920000-0000-7000-8000-000000000009.jpg");
    for path in [&orphan, &young, &of_today, &with_row] {
        File::options().create(true).append(true).open(path).unwrap();
    }
    for path in [&orphan, &of_today, &with_row] {
        age(path);
    }
    // Its picture lies among those of its old day, and the row has come just now.
    app.execute("UPDATE detections SET timestamp = '2999-01-01T00:00:00+00:00'");
    let told = told(&app, KEPT, &[]);
    assert!(
        told.contains("0 detections") && told.contains("1 pictures, of which 1 belonged to nothing"),
        "{told}"
    );
    let left = snapshots(&app);
    assert_eq!(left.len(), 3);
    assert!(!left.contains(&orphan) && left.contains(&with_row));
}

/// Makes a file look as if it had been written hours ago.
fn age(path: &Path) {
    let hours_ago = SystemTime::now() - Duration::from_secs(3 * 3600);
    File::options().append(true).open(path).unwrap().set_modified(hours_ago).unwrap();
}

#[test]
fn an_event_sent_again_while_its_picture_is_removed_comes_without_it() {
    let app = TestApp::start();
    let old = event_of(1, 10, None);
    app.worker().post("/api/ingest", &json!([old])).expect(200);
    let key = &app.query("SELECT snapshot_path FROM detections")[0][0];
    // As retention leaves it between its commit and the removal of the file.
    app.execute(&format!(
        "INSERT INTO discarded_pictures (\"key\", due_at) VALUES ('{key}', '2999-01-01T00:00:00+00:00')"
    ));
    app.execute("DELETE FROM detections");
    app.worker().post("/api/ingest", &json!([old])).expect(200);
    assert!(named(&app).is_empty());
    app.execute("UPDATE discarded_pictures SET due_at = '2001-01-01T00:00:00+00:00'");
    told(&app, FOR_GOOD, &[]);
    assert!(snapshots(&app).is_empty());
}

#[test]
fn photos_of_a_registration_that_never_ended_are_removed() {
    let app = TestApp::start();
    let photos = app.folder.path().join("data/photos");
    let folder = photos.join(uuid::Uuid::nil().to_string());
    fs::create_dir(&folder).unwrap();
    fs::write(folder.join("face.jpg"), "of somebody").unwrap();
    let due_at = (Utc::now() + TimeDelta::hours(1)).format("%Y-%m-%dT%H:%M:%S+00:00");
    let key = format!("photos/{}/", uuid::Uuid::nil());
    app.execute(&format!("INSERT INTO discarded_pictures (\"key\", due_at) VALUES ('{key}', '{due_at}')"));
    told(&app, FOR_GOOD, &[]);
    assert!(folder.exists(), "its rows may be on the way");
    app.execute("UPDATE discarded_pictures SET due_at = '2001-01-01T00:00:00+00:00'");
    told(&app, FOR_GOOD, &[]);
    assert_eq!(fs::read_dir(photos).unwrap().count(), 0);
}
