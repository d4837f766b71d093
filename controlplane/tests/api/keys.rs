//! API keys: what they open, and what they do not.

use serde_json::{Value, json};

use crate::app::{API_KEY, Client, TestApp};

fn create(admin: &Client, name: &str, scopes: &[&str]) -> Value {
    admin.post("/api/api-keys", &json!({ "name": name, "scopes": scopes })).expect(201)
}

fn with_key(app: &TestApp, key: &Value) -> Client {
    app.anyone().with_header("X-API-Key", key["key"].as_str().unwrap())
}

fn refused(answer: crate::app::Answer) -> bool {
    let status = answer.status;
    if status == 403 {
        answer.expect_error(403, "AuthorizationException");
    }
    status == 403
}

#[test]
fn a_key_is_shown_once_and_kept_as_a_hash() {
    let app = TestApp::start();
    let admin = app.admin();
    let created = create(&admin, " door ", &["read"]);
    let key = created["key"].as_str().unwrap();
    let prefix = created["prefix"].as_str().unwrap();
    assert!(key.starts_with(prefix) && key.len() > prefix.len() + 43, "256 bits: {}", key.len());
    assert_eq!((&created["name"], &created["scopes"]), (&json!("door"), &json!(["read"])));
    assert_ne!(create(&admin, "door", &["read"])["key"], created["key"]);

    let list = admin.get("/api/api-keys").expect(200);
    assert_eq!(list["total"], 2);
    let listed = &list["items"][1];
    assert_eq!((&listed["id"], &listed["prefix"]), (&created["id"], &created["prefix"]));
    assert_eq!((&listed["last_used"], &listed["expires_at"]), (&Value::Null, &Value::Null));
    assert_eq!(listed["created_by"], admin.get("/api/auth/me").expect(200)["id"]);
    assert!(listed.get("key").is_none() && listed.get("key_hash").is_none());
    let kept = app.query("SELECT name, prefix, key_hash, scopes FROM api_keys");
    let secret = &key[prefix.len() + 1..];
    assert!(kept.iter().flatten().all(|column| !column.contains(secret)), "{kept:?}");
}

#[test]
fn scopes_open_what_they_say() {
    let app = TestApp::start();
    let admin = app.admin();
    let [read, ingest, operate] =
        ["read", "ingest", "operate"].map(|scope| with_key(&app, &create(&admin, scope, &[scope])));
    let camera = json!({ "id": "cam_01", "url": "test://" });
    let nobody = json!([]);

    read.get("/api/persons").expect(200);
    read.get("/api/detections").expect(200);
    assert!(refused(read.post("/api/cameras", &camera)));
    assert!(refused(read.post("/api/ingest", &nobody)));
    assert!(refused(read.get("/api/gallery")));

    ingest.post("/api/ingest", &nobody).expect(200);
    ingest.get("/api/gallery").expect(200);
    assert!(refused(ingest.get("/api/persons")));

    operate.post("/api/cameras", &camera).expect(201);
    operate.get("/api/persons").expect(200);
    assert!(refused(operate.get("/api/gallery")));

    for client in [&read, &ingest, &operate] {
        assert!(refused(client.get("/api/users")));
        assert!(refused(client.post("/api/api-keys", &json!({ "name": "more", "scopes": ["operate"] }))));
        assert!(refused(client.delete("/api/persons/00000000-0000-4000-8000-000000000000?erase=true")));
        // Nobody is signed in by a key.
        client.get("/api/auth/me").expect_error(401, "AuthenticationException");
        client.post("/api/auth/logout", &json!({})).expect_error(401, "AuthenticationException");
    }
    let several = with_key(&app, &create(&admin, "all", &["ingest", "operate"]));
    several.get("/api/gallery").expect(200);
    several.get("/api/cameras").expect(200);
}

#[test]
fn the_key_of_the_environment_does_the_work_of_workers() {
    let app = TestApp::start();
    let program = app.anyone().with_header("X-API-Key", API_KEY);
    program.post("/api/ingest", &json!([])).expect(200);
    program.get("/api/gallery").expect(200);
    assert!(refused(program.get("/api/persons")));
    for wrong in ["", "x", "vedette_aaaaaa_aaaaaaaa"] {
        let client = app.anyone().with_header("X-API-Key", wrong);
        client.get("/api/gallery").expect_error(401, "AuthenticationException");
        client.get("/api/persons").expect_error(401, "AuthenticationException");
    }
}

#[test]
fn a_key_that_has_ended_or_was_removed_opens_nothing() {
    let app = TestApp::start();
    let admin = app.admin();
    let past = json!({ "name": "door", "expires_at": "2020-01-01T00:00:00Z" });
    admin.post("/api/api-keys", &past).expect_error(422, "ValidationException");
    let future = json!({ "name": "door", "expires_at": "2999-01-01T00:00:00Z" });
    let ending = admin.post("/api/api-keys", &future).expect(201);
    assert_eq!(ending["scopes"], json!(["read", "ingest"]));
    let client = with_key(&app, &ending);
    client.get("/api/persons").expect(200);
    app.execute("UPDATE api_keys SET expires_at = '2020-01-01 00:00:00+00:00'");
    client.get("/api/persons").expect_error(401, "AuthenticationException");
    client.get("/api/gallery").expect_error(401, "AuthenticationException");

    let removed = create(&admin, "door", &["read"]);
    let client = with_key(&app, &removed);
    client.get("/api/persons").expect(200);
    let path = format!("/api/api-keys/{}", removed["id"].as_str().unwrap());
    admin.delete(&path).expect(204);
    admin.delete(&path).expect_error(404, "NotFoundException");
    client.get("/api/persons").expect_error(401, "AuthenticationException");
}

#[test]
fn uses_are_written_down() {
    let app = TestApp::start();
    let admin = app.admin();
    let created = create(&admin, "door", &["read"]);
    let client = with_key(&app, &created);
    let last_used = || admin.get("/api/api-keys").expect(200)["items"][0]["last_used"].clone();
    client.get("/api/persons").expect(200);
    let first = last_used();
    assert!(first.is_string(), "{first}");
    client.get("/api/persons").expect(200);
    assert_eq!(last_used(), first, "once a minute");
    app.execute("UPDATE api_keys SET last_used = '2020-01-01 00:00:00+00:00'");
    client.get("/api/persons").expect(200);
    assert!(last_used().as_str().unwrap() >= first.as_str().unwrap());
}

#[test]
fn keys_are_for_administrators_to_make() {
    let app = TestApp::start();
    let admin = app.admin();
    for wrong in [
        json!({ "name": " ", "scopes": ["read"] }),
        json!({ "name": "x", "scopes": [] }),
        json!({ "name": "x", "scopes": ["admin"] }),
        json!({ "name": "x", "scope": "read" }),
    ] {
        admin.post("/api/api-keys", &wrong).expect_error(422, "ValidationException");
    }
    let operator = json!({ "username": "ada", "password": "a password of the tests", "role": "operator" });
    admin.post("/api/users", &operator).expect(201);
    let operator = app.anyone().signed_in("ada", "a password of the tests");
    operator.get("/api/api-keys").expect_error(403, "AuthorizationException");
    operator.post("/api/api-keys", &json!({ "name": "x" })).expect_error(403, "AuthorizationException");
    // Whoever made a key may go; the key is the installation's.
    let second = json!({ "username": "grace", "password": "a password of the tests", "role": "admin" });
    let second = admin.post("/api/users", &second).expect(201);
    let key = create(&app.anyone().signed_in("grace", "a password of the tests"), "door", &["read"]);
    admin.delete(&format!("/api/users/{}", second["id"].as_str().unwrap())).expect(204);
    with_key(&app, &key).get("/api/persons").expect(200);
    assert_eq!(admin.get("/api/api-keys").expect(200)["items"][0]["created_by"], Value::Null);
}
