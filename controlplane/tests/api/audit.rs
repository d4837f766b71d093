//! The audit log: what is written into it, and what is not.

use serde_json::{Value, json};

use crate::app::{FIRST_PASSWORD, TestApp, on_postgres};
use crate::media::{Form, THREE_OF_ONE};

const PASSWORD: &str = "a password of the tests";

/// Category and action of every entry, oldest first, with actor and subject.
fn entries(app: &TestApp) -> Vec<[String; 4]> {
    let columns =
        "category || '.' || action, coalesce(actor, '-'), coalesce(subject, '-'), coalesce(address, '-')";
    let rows = app.query(&format!("SELECT {columns} FROM system_logs ORDER BY id"));
    rows.into_iter().map(|row| row.try_into().unwrap()).collect()
}

fn actions(app: &TestApp) -> Vec<String> {
    entries(app).into_iter().map(|[action, ..]| action).collect()
}

/// What was written since the last time.
fn news(app: &TestApp) -> Vec<String> {
    let actions = actions(app);
    app.execute("DELETE FROM system_logs");
    actions
}

/// Everything the table holds, as text.
fn all_text(app: &TestApp) -> String {
    let actor_id =
        if on_postgres() { "upper(replace(CAST(actor_id AS TEXT), '-', ''))" } else { "hex(actor_id)" };
    let columns = ["level", "category", "action", actor_id, "actor", "subject", "address", "details"];
    let columns = columns.map(|column| format!("coalesce(CAST({column} AS TEXT), '')")).join(" || ' ' || ");
    app.query(&format!("SELECT {columns} FROM system_logs")).concat().join("\n")
}

#[test]
fn signing_in_and_out_is_written_down() {
    let app = TestApp::with("");
    assert_eq!(news(&app), ["users.created"]);
    app.anyone().log_in("admin", "my secret mistake").expect(401);
    app.anyone().log_in("hunter2 typed into the wrong field", "x").expect(401);
    let admin = app.admin();
    let change = json!({ "old_password": FIRST_PASSWORD, "new_password": PASSWORD });
    admin.post("/api/auth/change-password", &change).expect(200);
    let admin = app.anyone().signed_in("admin", PASSWORD);
    let change = json!({ "old_password": PASSWORD, "new_password": "another of the tests" });
    admin.post("/api/auth/change-password", &change).expect(200);
    let admin = app.anyone().signed_in("admin", "another of the tests");
    admin.post("/api/auth/logout", &json!({})).expect(204);

    let entries = entries(&app);
    let who: Vec<(&str, &str)> =
        entries.iter().map(|[action, actor, ..]| (action.as_str(), actor.as_str())).collect();
    let expected = [
        ("auth.login_failed", "admin"),
        ("auth.login_failed", "-"),
        ("auth.login", "admin"),
        ("auth.first_password_changed", "admin"),
        ("auth.login", "admin"),
        ("auth.password_changed", "admin"),
        ("auth.login", "admin"),
        ("auth.logout", "admin"),
    ];
    assert_eq!(who, expected);
    assert!(entries.iter().all(|[.., address]| address == "127.0.0.1"), "{entries:?}");
    let text = all_text(&app);
    for secret in ["mistake", "hunter2", "password of the tests", "another of", FIRST_PASSWORD, "argon2"] {
        assert!(!text.contains(secret), "{text}");
    }
    assert!(text.contains("warning") && text.contains("info"));
}

#[test]
fn changes_of_accounts_and_keys_are_written_down() {
    let app = TestApp::start();
    let admin = app.admin();
    news(&app);
    let new = json!({ "username": "grace", "email": "grace@example.org", "password": PASSWORD });
    let grace = app.anyone().post("/api/auth/register", &new).expect(201);
    let path = format!("/api/users/{}", grace["id"].as_str().unwrap());
    admin.put(&path, &json!({ "role": "operator" })).expect(200);
    admin.put(&path, &json!({ "password": "made up by the admin" })).expect(200);
    let subject = format!("user:{}", grace["id"].as_str().unwrap());
    let about: Vec<[String; 4]> =
        entries(&app).into_iter().filter(|[.., about, _]| *about == subject).collect();
    assert_eq!(about[0][..2], ["users.registered", "-"]);
    assert_eq!(about[1][..2], ["users.changed", "admin"]);
    admin.delete(&path).expect(204);
    assert_eq!(news(&app), ["users.registered", "users.changed", "users.password_reset", "users.deleted"]);

    let key = admin.post("/api/api-keys", &json!({ "name": "door", "scopes": ["ingest"] })).expect(201);
    let program = app.anyone().with_header("X-API-Key", key["key"].as_str().unwrap());
    program.get("/api/persons").expect(403);
    program.get("/api/persons").expect(403);
    app.anyone().with_header("X-API-Key", "unknown").get("/api/persons").expect(401);
    assert_eq!(entries(&app)[1][..2], ["api_keys.refused", "key:door"]);
    admin.delete(&format!("/api/api-keys/{}", key["id"].as_str().unwrap())).expect(204);
    assert!(!all_text(&app).contains(key["key"].as_str().unwrap()));
    assert_eq!(
        news(&app),
        ["api_keys.created", "api_keys.refused", "api_keys.deleted"],
        "a refusal once a minute"
    );
}

#[test]
fn what_happens_to_cameras_is_written_down_without_credentials() {
    let app = TestApp::start();
    let admin = app.admin();
    news(&app);
    let camera = json!({ "id": "cam_01", "url": "rtsp://root:hunter2@10.0.0.7/stream" });
    admin.post("/api/cameras", &camera).expect(201);
    admin.put("/api/cameras/cam_01", &json!({ "name": "Door" })).expect(200);
    for verb in ["start", "start", "stop", "stop"] {
        admin.post(&format!("/api/cameras/cam_01/{verb}"), &json!({})).expect(200);
    }
    admin.delete("/api/cameras/cam_01").expect(204);
    admin.delete("/api/cameras/cam_01").expect(404);
    admin.post("/api/cameras", &json!({ "id": "a b", "url": "test://" })).expect(422);
    let text = all_text(&app);
    assert!(
        text.contains("camera:cam_01") && text.contains("10.0.0.7") && !text.contains("hunter2"),
        "{text}"
    );
    let expected =
        ["cameras.created", "cameras.changed", "cameras.started", "cameras.stopped", "cameras.deleted"];
    assert_eq!(news(&app), expected);
}

#[test]
fn what_happens_to_people_is_written_down_and_forgotten_with_them() {
    let app = TestApp::start();
    let admin = app.admin();
    news(&app);
    let register = || {
        let form = Form::default().text("name", "Barack").text("email", "b@example.org").photos(THREE_OF_ONE);
        form.send(&admin, "/api/persons/register")
    };
    let person = register().expect(201);
    register().expect(409);
    let id = person["id"].as_str().unwrap();
    let path = format!("/api/persons/{id}");
    admin.put(&path, &json!({ "department": "Zoo" })).expect(200);
    admin.put(&path, &json!({ "name": "" })).expect(422);
    let face = Form::default().photos(["obama.jpg"]).send(&admin, &format!("{path}/faces")).expect(201);
    admin.delete(face["faces"][0]["url"].as_str().unwrap()).expect(204);
    admin.delete(&path).expect(204);
    let text = all_text(&app);
    assert!(text.contains(id) && text.contains("department"), "{text}");
    for personal in ["Barack", "b@example.org", "Zoo", "obama"] {
        assert!(!text.contains(personal), "{text}");
    }
    admin.delete(&format!("{path}?erase=true")).expect(204);
    assert!(!all_text(&app).contains(id), "not even by id");
    let expected = [
        "persons.registered",
        "persons.changed",
        "persons.face_added",
        "persons.face_deleted",
        "persons.deactivated",
        "persons.erased",
    ];
    assert_eq!(news(&app), expected);
}

#[test]
fn nothing_is_changed_that_cannot_be_written_down() {
    let app = TestApp::start();
    let admin = app.admin();
    let user = json!({ "username": "ada", "password": PASSWORD });
    app.execute("ALTER TABLE system_logs RENAME TO elsewhere");
    admin.post("/api/users", &user).expect_error(503, "DatabaseException");
    admin
        .post("/api/cameras", &json!({ "id": "cam_01", "url": "test://" }))
        .expect_error(503, "DatabaseException");
    app.anyone().log_in("admin", FIRST_PASSWORD).expect_error(503, "DatabaseException");
    // Nothing is changed by refusing someone, so that goes on.
    app.anyone().log_in("admin", "wrong").expect_error(401, "AuthenticationException");
    app.execute("ALTER TABLE elsewhere RENAME TO system_logs");
    assert_eq!(admin.get("/api/users").expect(200)["total"], 1);
    assert_eq!(admin.get("/api/cameras").expect(200)["total"], 0);
    admin.post("/api/users", &user).expect(201);
    let me: Value = admin.get("/api/auth/me").expect(200);
    assert_eq!(me["username"], "admin");
}
