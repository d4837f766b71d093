//! The log: what was done and what went wrong in one list, on several servers; and its files.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Child;

use nix::sys::signal::Signal;
use sea_orm::ConnectionTrait as _;
use serde_json::{Value, json};
use vedette::config::{Config, EnvironmentSettings};
use vedette::database;

use crate::app::{Client, FIRST_PASSWORD, TestApp, WORKER_TOKEN, database_in, eventually};
use crate::command_line::{Installation, stops_cleanly};
use crate::media::{Form, THREE_OF_ONE};

const PASSWORD: &str = "a password of the tests";

fn line(number: u32, message: &str) -> Value {
    json!({
        "id": format!("01920000-0000-7000-8000-{number:012}"), "timestamp": "2026-01-01T12:00:00Z",
        "level": "warning", "target": "vedette_pipelines::camera", "message": message, "fields": { "camera": "door" }
    })
}

fn beat(app: &TestApp, lines: &[Value]) {
    let heartbeat = json!({ "host": "edge", "version": "0.1.0", "pid": 7, "cameras": [], "log": lines });
    app.worker().post("/api/workers/host-2/heartbeat", &heartbeat).expect(200);
}

/// Total and entries of what `query` finds.
fn found(client: &Client, query: &str) -> (u64, Vec<Value>) {
    let page = client.get(&format!("/api/logs?{query}")).expect(200);
    (page["total"].as_u64().unwrap(), page["items"].as_array().unwrap().clone())
}

/// `key` of every entry `query` finds, latest first.
fn list(client: &Client, query: &str, key: &str) -> Vec<String> {
    let (_, entries) = found(client, query);
    entries.iter().map(|entry| entry[key].as_str().unwrap_or("-").to_owned()).collect()
}

#[test]
fn deeds_are_listed_and_searched() {
    let app = TestApp::start();
    let admin = app.admin();
    admin.post("/api/cameras", &json!({ "id": "door", "url": "test://" })).expect(201);
    admin.post("/api/cameras/door/start", &json!({})).expect(200);
    let user = admin.post("/api/users", &json!({ "username": "grace", "password": PASSWORD })).expect(201);
    app.anyone().signed_in("grace", PASSWORD);
    app.anyone().log_in("grace", "wrong").expect(401);

    let all = ["auth.login_failed", "auth.login", "users.created", "cameras.started", "cameras.created"];
    let actions = list(&admin, "", "action");
    assert_eq!(actions[..5], all, "the latest first");
    assert_eq!(list(&admin, "action=cameras.started", "subject"), ["camera:door"]);
    assert_eq!(list(&admin, "action=cameras", "action"), ["cameras.started", "cameras.created"]);
    assert_eq!(list(&admin, "action=login&user=Grace", "action"), ["auth.login"]);
    assert_eq!(list(&admin, "user=grace", "action"), ["auth.login_failed", "auth.login"]);
    let id = user["id"].as_str().unwrap();
    assert_eq!(list(&admin, &format!("user={id}"), "user"), ["grace", "grace"]);
    assert_eq!(list(&admin, "level=warning", "action"), ["auth.login_failed"]);
    assert_eq!(list(&admin, "level=error", "action"), [""; 0]);
    assert_eq!(list(&admin, "search=CAMERA:DOOR", "action"), ["cameras.started", "cameras.created"]);
    assert_eq!(list(&admin, "search=auth_login", "action"), [""; 0], "no wildcards");
    assert_eq!(list(&admin, "search=auth.login_", "action"), ["auth.login_failed"]);
    assert_eq!(list(&admin, "search=viewer", "action"), ["users.created"], "in what else is said, too");
    assert_eq!(list(&admin, "source=system", "action"), [""; 0]);

    let (total, entries) = found(&admin, "source=audit");
    let times: Vec<&str> = entries.iter().map(|entry| entry["timestamp"].as_str().unwrap()).collect();
    let started = &entries[3];
    assert_eq!((&started["user"], &started["address"]), (&json!("admin"), &json!("127.0.0.1")));
    assert_eq!((&started["message"], &started["origin"]), (&Value::Null, &Value::Null));
    let between = format!("from={}&to={}", times[3], times[1]);
    assert_eq!(list(&admin, &between, "action"), ["users.created", "cameras.started"]);
    let second = admin.get("/api/logs?page=2&page_size=2").expect(200);
    assert_eq!(
        (second["total"].as_u64(), second["items"][0]["action"].as_str()),
        (Some(total), Some(all[2]))
    );

    for wrong in ["source=both", "level=fatal", "from=yesterday", "page_size=0", "search=%00", "user=%00"] {
        admin.get(&format!("/api/logs?{wrong}")).expect_error(422, "ValidationException");
    }
    let backwards = "from=2026-01-02T00:00:00Z&to=2026-01-01T00:00:00Z";
    admin.get(&format!("/api/logs?{backwards}")).expect_error(422, "ValidationException");
    let operator = admin.post("/api/api-keys", &json!({ "name": "p", "scopes": ["operate"] })).expect(201);
    let program = app.anyone().with_header("X-API-Key", operator["key"].as_str().unwrap());
    program.get("/api/logs").expect_error(403, "AuthorizationException");
}

#[test]
fn what_workers_warn_of_is_kept_once() {
    let app = TestApp::start();
    let admin = app.admin();
    let mut large = line(3, &"x".repeat(50_000));
    large["timestamp"] = json!("9999-01-01T00:00:00Z");
    large["fields"]["text"] = json!("\0".repeat(1000));
    large["level"] = json!("error");
    for _ in 0..2 {
        beat(&app, &[line(1, "no frames for 10 s"), line(2, "no route to host"), large.clone()]);
    }
    let (total, entries) = found(&admin, "source=system");
    assert_eq!(total, 3, "{entries:?}");
    let expected = json!({
        "id": "01920000-0000-7000-8000-000000000001", "timestamp": "2026-01-01T12:00:00Z", "source": "system",
        "level": "warning", "category": "vedette_pipelines::camera", "action": null,
        "message": "no frames for 10 s", "user": null, "user_id": null, "subject": null, "address": null,
        "origin": "worker:host-2", "details": { "camera": "door" }
    });
    assert_eq!(entries[2], expected);
    assert!(entries[0]["timestamp"].as_str().unwrap() < "9999", "no clock that is ahead keeps it on top");
    assert!(entries[0].to_string().len() < 4000, "{}", entries[0].to_string().len());
    assert_eq!(list(&admin, "search=NO+ROUTE", "message"), ["no route to host"]);
    assert_eq!(list(&admin, "search=worker:host-2&level=error", "level"), ["error"]);
    assert_eq!(list(&admin, "action=vedette_pipelines::camera", "message"), [""; 0], "that is no deed");
}

#[test]
fn who_is_erased_is_named_in_no_line() {
    let app = TestApp::start();
    let admin = app.admin();
    let form = Form::default().text("name", "Barack").photos(THREE_OF_ONE);
    let person = form.send(&admin, "/api/persons/register").expect(201);
    let id = person["id"].as_str().unwrap();
    let mut by_field = line(1, "a template is damaged");
    by_field["fields"] = json!({ "person_id": id });
    beat(&app, &[by_field, line(2, &format!("person {id} is left out")), line(3, "about nobody")]);
    assert_eq!(found(&admin, &format!("search={id}&source=system")).0, 2);
    admin.delete(&format!("/api/persons/{id}?erase=true")).expect(204);
    assert_eq!(found(&admin, &format!("search={id}")).0, 0);
    assert_eq!(list(&admin, "source=system", "message"), ["about nobody"]);
}

#[test]
fn old_entries_are_deleted_at_the_start() {
    let app = TestApp::start();
    let lines: Vec<Value> = (1..=50).map(|number| line(number, "old")).collect();
    beat(&app, &lines);
    beat(&app, &[line(51, "new")]);
    // More than one statement takes.
    let copy = |offset: u32| {
        let lines: Vec<Value> = (1..=50).map(|number| line(offset + number, "old")).collect();
        beat(&app, &lines);
    };
    (1..=12).for_each(|round| copy(round * 100));
    let admin = app.admin();
    let ago =
        |days: i64| (chrono::Utc::now() - chrono::TimeDelta::days(days)).format("%Y-%m-%dT%H:%M:%S+00:00");
    app.execute(&format!("UPDATE system_logs SET timestamp = '{}' WHERE message = 'old'", ago(8)));
    app.execute(&format!("UPDATE system_logs SET timestamp = '{}' WHERE message = 'new'", ago(6)));
    app.execute(&format!("UPDATE system_logs SET timestamp = '{}' WHERE source = 'audit'", ago(8)));
    assert_eq!(found(&admin, "source=system").0, 651);
    let deeds = found(&admin, "source=audit").0;
    let yaml = "security: {force_password_change: false}\nretention: {system_log: 7, audit_log: 0}\n";
    let app = TestApp::restart_in(app.stop(), yaml);
    let admin = app.admin();
    eventually("old lines are gone", || (found(&admin, "source=system").0 == 1).then_some(()));
    assert_eq!(list(&admin, "source=system", "message"), ["new"]);
    assert!(found(&admin, "source=audit").0 > deeds, "0 keeps them for good");
}

/// `vedette serve` as a process, whose terminal is a file.
pub(crate) struct Server {
    child: Child,
    terminal: PathBuf,
    address: String,
}

impl Server {
    fn start(installation: &Installation, name: &str) -> Self {
        Self::start_with(installation, name, &[])
    }

    /// One that is told these variables, too.
    pub(crate) fn start_with(installation: &Installation, name: &str, variables: &[(&str, &str)]) -> Self {
        let terminal = installation.0.path().join(format!("{name}.terminal"));
        let child = installation
            .command(&["serve"])
            .env("VEDETTE_WORKER_TOKEN", WORKER_TOKEN)
            .envs(database_in(installation.0.path()))
            .envs(variables.iter().copied())
            .stderr(File::create(&terminal).unwrap())
            .spawn()
            .unwrap();
        let address = eventually("the server listens", || {
            let told = fs::read_to_string(&terminal).unwrap();
            let (_, rest) = told.split_once("listening on http://")?;
            Some(rest.split(|end: char| end.is_whitespace() || end == '"').next()?.to_owned())
        });
        Self { child, terminal, address }
    }

    pub(crate) fn anyone(&self) -> Client {
        Client::to(&self.address)
    }

    pub(crate) fn admin(&self) -> Client {
        self.anyone().signed_in("admin", FIRST_PASSWORD)
    }

    fn told(&self) -> String {
        fs::read_to_string(&self.terminal).unwrap()
    }

    /// Ends it; answers all it told.
    pub(crate) fn stop(self) -> String {
        stops_cleanly(self.child, Signal::SIGTERM);
        fs::read_to_string(self.terminal).unwrap()
    }
}

/// An installation on which the first password may stand, with these settings of `logging`.
pub(crate) fn installed(logging: &str) -> Installation {
    let installation = Installation::new();
    let yaml = format!("security: {{force_password_change: false}}\nlogging: {{{logging}}}\n");
    fs::write(installation.0.path().join("config.dev.yaml"), yaml).unwrap();
    installation
}

fn log_text(data_dir: &Path) -> String {
    let files = fs::read_dir(data_dir.join("logs")).unwrap().map(|entry| entry.unwrap().path());
    files.map(|file| fs::read_to_string(file).unwrap()).collect()
}

#[test]
fn what_goes_wrong_on_one_server_is_found_at_another() {
    let installation = installed("rotation: never");
    let (one, two) = (Server::start(&installation, "one"), Server::start(&installation, "two"));
    let admin = two.admin();
    let at_start = eventually("the warning of the start is there", || {
        found(&admin, "search=well-known+password&source=system").1.pop()
    });
    assert_eq!((&at_start["level"], &at_start["category"]), (&json!("warning"), &json!("vedette::startup")));
    assert!(at_start["origin"].as_str().unwrap().starts_with("server:"), "{at_start}");

    // Behind the servers' backs the table of keys goes, and comes back.
    let breaking = Database::of(&installation);
    breaking.execute("ALTER TABLE api_keys RENAME TO elsewhere");
    let answer = one.admin().get("/api/api-keys");
    assert_eq!(answer.status, 503);
    let request_id = answer.header("x-request-id").to_owned();
    let fault = eventually("the failed request is there", || {
        found(&admin, &format!("search={request_id}&level=error")).1.pop()
    });
    assert_eq!(fault["details"]["path"], "/api/api-keys", "{fault}");
    assert_eq!(fault["details"]["request.id"], request_id.as_str(), "{fault}");
    assert!(fault["details"]["cause"].as_str().unwrap().contains("api_keys"), "{fault}");
    breaking.execute("ALTER TABLE elsewhere RENAME TO api_keys");

    // While lines cannot be written they wait, and that is told once and to the terminal alone.
    breaking.execute("ALTER TABLE system_logs RENAME TO elsewhere");
    for _ in 0..3 {
        admin.get("/api/logs").expect(503);
    }
    let cannot = "cannot be written into the database";
    eventually("it is told", || two.told().contains(cannot).then_some(()));
    breaking.execute("ALTER TABLE elsewhere RENAME TO system_logs");
    eventually("what waited is there", || {
        (found(&admin, "search=/api/logs&level=error").0 == 3).then_some(())
    });
    assert_eq!(found(&admin, "search=cannot+be+written+into").0, 0);
    one.stop();
    let told = two.stop();
    assert_eq!(told.matches(cannot).count(), 1, "{told}");
    assert!(!told.contains(FIRST_PASSWORD), "{told}");
}

/// The database of an installation.
struct Database(EnvironmentSettings);

impl Database {
    fn of(installation: &Installation) -> Self {
        let folder = installation.0.path();
        let data_dir = ("VEDETTE_DATA_DIR".to_owned(), installation.data_dir().display().to_string());
        let environment = database_in(folder).into_iter().chain([data_dir]).collect();
        Self(Config::load(Some(folder), &environment).unwrap().environment)
    }

    fn execute(&self, sql: &str) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let db = database::connect(&self.0).await.unwrap();
            db.execute_unprepared(sql).await.unwrap();
            db.close().await.unwrap();
        });
    }
}

#[test]
fn files_and_terminal_hold_every_line_to_the_last() {
    let installation = installed("rotation: daily, format: json");
    let server = Server::start(&installation, "one");
    server.admin().get("/api/users").expect(200);
    let told = server.stop();
    let file = log_text(&installation.data_dir());
    assert_eq!(told.lines().count(), file.lines().count());
    for text in [told, file] {
        let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let messages: Vec<&str> =
            lines.iter().map(|line| line["fields"]["message"].as_str().unwrap()).collect();
        assert_eq!(messages.first(), Some(&"starting"));
        assert_eq!(messages.last(), Some(&"ended"), "{messages:?}");
        let request = lines.iter().find(|line| line["fields"]["path"] == "/api/users").unwrap();
        assert_eq!((&request["level"], &request["fields"]["status"]), (&json!("INFO"), &json!(200)));
        assert!(request["span"]["id"].is_string(), "{request}");
    }
}

#[test]
fn a_full_disk_stops_nobody_and_is_told_once() {
    let installation = installed("rotation: daily");
    let logs = installation.data_dir().join("logs");
    fs::create_dir_all(&logs).unwrap();
    // Takes nothing, as a full disk does; tomorrow's as well, lest it be midnight.
    for days in [0, 1] {
        let day = chrono::Utc::now() + chrono::TimeDelta::days(days);
        std::os::unix::fs::symlink("/dev/full", logs.join(day.format("vedette.%Y-%m-%d.log").to_string()))
            .unwrap();
    }
    let server = Server::start(&installation, "one");
    let admin = server.admin();
    (0..5).for_each(|_| drop(admin.get("/api/users").expect(200)));
    let told = server.stop();
    assert_eq!(told.matches("cannot be written").count(), 1, "{told}");
    assert!(told.contains("ended"), "{told}");
}
