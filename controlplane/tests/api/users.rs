//! Accounts: made by their owners, and run by administrators.

use serde_json::{Value, json};

use crate::app::{Client, FIRST_PASSWORD, TestApp};

const PASSWORD: &str = "a password of the tests";

fn register(client: &Client, username: &str) -> crate::app::Answer {
    let email = format!("{username}@example.org");
    client.post("/api/auth/register", &json!({ "username": username, "email": email, "password": PASSWORD }))
}

fn create(admin: &Client, username: &str, role: &str) -> Value {
    let new = json!({ "username": username, "password": PASSWORD, "role": role });
    admin.post("/api/users", &new).expect(201)
}

fn path(user: &Value) -> String {
    format!("/api/users/{}", user["id"].as_str().unwrap())
}

#[test]
fn anybody_may_make_an_account_that_looks_and_no_more() {
    let app = TestApp::start();
    let anyone = app.anyone();
    let mut request = json!({ "username": " Ada ", "email": "Ada@Example.org", "password": PASSWORD });
    request["role"] = json!("admin");
    request["full_name"] = json!("Ada Lovelace");
    let ada = anyone.post("/api/auth/register", &request).expect(201);
    assert_eq!((&ada["username"], &ada["email"]), (&json!("ada"), &json!("ada@example.org")));
    assert_eq!((&ada["role"], &ada["is_superuser"]), (&json!("viewer"), &json!(false)), "{ada}");
    assert_eq!((&ada["is_active"], &ada["last_login"]), (&json!(true), &Value::Null));
    assert!(ada.get("password").is_none() && ada.get("password_hash").is_none());

    let client = anyone.clone().signed_in("ADA", PASSWORD);
    client.get("/api/persons").expect(200);
    client.get("/api/users").expect_error(403, "AuthorizationException");
    client.post("/api/cameras", &json!({})).expect_error(403, "AuthorizationException");

    for taken in ["ada", "Ada"] {
        register(&anyone, taken).expect_error(409, "DuplicateResourceException");
    }
    request["username"] = json!("other");
    anyone.post("/api/auth/register", &request).expect_error(409, "DuplicateResourceException");
}

#[test]
fn what_is_wrong_with_a_registration_is_said() {
    let app = TestApp::start();
    let anyone = app.anyone();
    let fields = |request: Value| {
        let answer = anyone.post("/api/auth/register", &request);
        let details = answer.json()["details"].clone();
        answer.expect_error(422, "ValidationException");
        let fields = details.as_array().unwrap().iter();
        fields.map(|detail| detail["field"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    let wrong = json!({ "username": "a b", "email": "nobody", "full_name": "x\ny", "password": PASSWORD });
    assert_eq!(fields(wrong), ["username", "email", "full_name"]);
    for password in ["short", "password", "12345678", "adalovelace", "ada@example.org", "qwertyuiop"] {
        let request = json!({ "username": "adalovelace", "email": "ada@example.org", "password": password });
        assert_eq!(fields(request), ["password"], "{password}");
    }
    let no_email = json!({ "username": "ada", "password": PASSWORD });
    anyone.post("/api/auth/register", &no_email).expect_error(422, "ValidationException");
}

#[test]
fn registration_can_be_closed_and_is_in_production() {
    let app = TestApp::with("security: {registration: closed}\n");
    let message = register(&app.anyone(), "ada").expect_error(403, "AuthorizationException");
    assert!(message.contains("administrator"), "{message}");

    let production = [("CONFIG_ENV", "production"), ("JWT_SECRET", "0123456789abcdef0123456789abcdef")];
    let app = TestApp::start_in(tempfile::tempdir().unwrap(), "", &production);
    register(&app.anyone(), "ada").expect_error(403, "AuthorizationException");
}

#[test]
fn users_change_what_is_theirs() {
    let app = TestApp::start();
    register(&app.anyone(), "ada").expect(201);
    let ada = app.anyone().signed_in("ada", PASSWORD);
    let change = json!({ "email": "Countess@Example.org", "full_name": " Ada Lovelace " });
    let changed = ada.put("/api/auth/me", &change).expect(200);
    assert_eq!(
        (&changed["email"], &changed["full_name"]),
        (&json!("countess@example.org"), &json!("Ada Lovelace"))
    );
    let changed = ada.put("/api/auth/me", &json!({ "email": null })).expect(200);
    assert_eq!((&changed["email"], &changed["full_name"]), (&Value::Null, &json!("Ada Lovelace")));
    for forbidden in [json!({ "role": "admin" }), json!({ "is_active": false }), json!({ "email": "ada@" })] {
        ada.put("/api/auth/me", &forbidden).expect_error(422, "ValidationException");
    }
    register(&app.anyone(), "grace").expect(201);
    let taken = ada.put("/api/auth/me", &json!({ "email": "grace@example.org" }));
    taken.expect_error(409, "DuplicateResourceException");
    assert_eq!(ada.get("/api/auth/me").expect(200)["role"], "viewer");
    app.anyone().put("/api/auth/me", &change).expect_error(401, "AuthenticationException");
}

#[test]
fn administrators_list_find_make_and_change_users() {
    let app = TestApp::start();
    let admin = app.admin();
    let ada = create(&admin, "ada_1", "operator");
    create(&admin, "grace", "viewer");
    let names = |query: &str| {
        let list = admin.get(&format!("/api/users{query}")).expect(200);
        let items = list["items"].as_array().unwrap().clone();
        (items.iter().map(|user| user["username"].as_str().unwrap().to_owned()).collect::<Vec<_>>(), list)
    };
    let (all, list) = names("");
    assert_eq!(all, ["ada_1", "admin", "grace"]);
    assert_eq!((&list["total"], &list["page"], &list["page_size"]), (&json!(3), &json!(1), &json!(50)));
    assert_eq!(names("?page=2&page_size=2").0, ["grace"]);
    assert_eq!(names("?search=DA_").0, ["ada_1"]);
    assert_eq!(names("?search=%25").0, Vec::<String>::new());
    assert_eq!(names("?role=viewer").0, ["grace"]);
    assert_eq!(names("?is_active=false").0, Vec::<String>::new());
    admin.get("/api/users?role=king").expect_error(422, "ValidationException");

    let changed = admin.put(&path(&ada), &json!({ "role": "viewer", "email": "a@example.org" })).expect(200);
    assert_eq!((&changed["role"], &changed["email"]), (&json!("viewer"), &json!("a@example.org")));
    let signed_in = app.anyone().signed_in("ada_1", PASSWORD);
    admin.put(&path(&ada), &json!({ "is_active": false })).expect(200);
    signed_in.get("/api/auth/me").expect_error(401, "AuthenticationException");
    app.anyone().log_in("ada_1", PASSWORD).expect_error(401, "AuthenticationException");
    admin.put(&path(&ada), &json!({ "is_active": true })).expect(200);
    signed_in.get("/api/auth/me").expect_error(401, "AuthenticationException");
    app.anyone().log_in("ada_1", PASSWORD).expect(200);

    admin.put(&path(&ada), &json!({ "username": "x" })).expect_error(422, "ValidationException");
    admin
        .post("/api/users", &json!({ "username": "x", "password": "short" }))
        .expect_error(422, "ValidationException");
    let taken = json!({ "username": "grace", "password": PASSWORD });
    admin.post("/api/users", &taken).expect_error(409, "DuplicateResourceException");

    admin.delete(&path(&ada)).expect(204);
    admin.delete(&path(&ada)).expect_error(404, "NotFoundException");
    admin.put(&path(&ada), &json!({})).expect_error(404, "NotFoundException");
    admin.delete("/api/users/7").expect_error(422, "ValidationException");
}

#[test]
fn a_password_that_was_reset_has_to_be_changed() {
    let app = TestApp::with("");
    let first = app.admin();
    let new = json!({ "old_password": FIRST_PASSWORD, "new_password": PASSWORD });
    first.post("/api/auth/change-password", &new).expect(200);
    let admin = app.anyone().signed_in("admin", PASSWORD);
    let ada = create(&admin, "ada", "viewer");
    let before = app.anyone().signed_in("ada", PASSWORD);
    before.get("/api/persons").expect(200);

    let weak = admin.put(&path(&ada), &json!({ "password": "iloveyou" }));
    weak.expect_error(422, "ValidationException");
    let reset = admin.put(&path(&ada), &json!({ "password": "what the admin made up" })).expect(200);
    assert_eq!(reset["must_change_password"], true);
    before.get("/api/auth/me").expect_error(401, "AuthenticationException");
    let after = app.anyone().signed_in("ada", "what the admin made up");
    after.get("/api/persons").expect_error(403, "AuthorizationException");
    after.get("/api/auth/me").expect(200);

    let mine = format!("/api/users/{}", admin.get("/api/auth/me").expect(200)["id"].as_str().unwrap());
    let message = admin.put(&mine, &json!({ "password": "yet another one" }));
    assert!(message.expect_error(403, "AuthorizationException").contains("change-password"));
}

#[test]
fn nobody_gives_oneself_up() {
    let app = TestApp::start();
    let admin = app.admin();
    let other = create(&admin, "grace", "admin");
    let me = json!({ "id": admin.get("/api/auth/me").expect(200)["id"] });
    for change in [json!({ "role": "operator" }), json!({ "is_active": false })] {
        admin.put(&path(&me), &change).expect_error(403, "AuthorizationException");
    }
    admin.delete(&path(&me)).expect_error(403, "AuthorizationException");
    admin.put(&path(&me), &json!({ "role": "admin", "full_name": "Root" })).expect(200);
    admin.delete(&path(&other)).expect(204);
}

#[test]
fn of_two_administrators_who_remove_each_other_one_stays() {
    let app = TestApp::start();
    two_remove_each_other(&app, &app);
}

/// Administrators remove each other at the same moment, each at a server of its own on one database.
pub(crate) fn two_remove_each_other(one: &TestApp, other: &TestApp) {
    let root = one.admin();
    for way in ["delete", "demote", "deactivate"] {
        let names = [format!("ada-{way}"), format!("grace-{way}")];
        let users = names.each_ref().map(|name| create(&root, name, "admin"));
        let ada = one.anyone().signed_in(&names[0], PASSWORD);
        let grace = other.anyone().signed_in(&names[1], PASSWORD);
        // These two are the last ones.
        let first = json!({ "id": root.get("/api/auth/me").expect(200)["id"] });
        ada.put(&path(&first), &json!({ "role": "viewer" })).expect(200);

        let remove = |client: &Client, user: &Value| {
            let (client, path) = (client.clone(), path(user));
            std::thread::spawn(move || match way {
                "delete" => client.delete(&path).status,
                "demote" => client.put(&path, &json!({ "role": "viewer" })).status,
                _ => client.put(&path, &json!({ "is_active": false })).status,
            })
        };
        let attempts = [remove(&ada, &users[1]), remove(&grace, &users[0])];
        let statuses = attempts.map(|attempt| attempt.join().unwrap());
        let succeeded = statuses.map(|status| matches!(status, 200 | 204));
        assert_eq!(succeeded.iter().filter(|succeeded| **succeeded).count(), 1, "{way}: {statuses:?}");
        let left = if succeeded[0] { ada } else { grace };
        left.put(&path(&first), &json!({ "role": "admin" })).expect(200);
        let own = json!({ "id": left.get("/api/auth/me").expect(200)["id"] });
        root.delete(&path(&own)).expect(204);
    }
}
