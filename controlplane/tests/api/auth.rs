//! Signing in and out.

use serde_json::json;

use crate::app::{FIRST_PASSWORD, TestApp};

const NEW_PASSWORD: &str = "a longer password";

fn change(old: &str, new: &str) -> serde_json::Value {
    json!({ "old_password": old, "new_password": new })
}

#[test]
fn the_first_password_allows_nothing_but_to_change_it() {
    let app = TestApp::with("");
    let login = app.anyone().log_in("admin", FIRST_PASSWORD).expect(200);
    assert_eq!(login["must_change_password"], true);
    assert_eq!(login["token_type"], "bearer");
    assert_eq!(login["expires_in"], 8 * 3600);

    let admin = app.admin();
    let message = admin.get("/api/cameras").expect_error(403, "AuthorizationException");
    assert!(message.contains("change-password"), "{message}");
    let me = admin.get("/api/auth/me").expect(200);
    assert_eq!(
        (&me["username"], &me["role"], &me["is_superuser"]),
        (&json!("admin"), &json!("admin"), &json!(true))
    );
    assert!(me.get("password_hash").is_none());

    admin.post("/api/auth/change-password", &change(FIRST_PASSWORD, NEW_PASSWORD)).expect(200);
    let admin = app.anyone().signed_in("admin", NEW_PASSWORD);
    admin.get("/api/cameras").expect(200);
    assert_eq!(admin.get("/api/auth/me").expect(200)["must_change_password"], false);
}

#[test]
fn while_developing_the_first_password_may_stand() {
    let app = TestApp::start();
    let login = app.anyone().log_in("ADMIN", FIRST_PASSWORD).expect(200);
    assert_eq!(login["must_change_password"], false);
    app.admin().get("/api/cameras").expect(200);
}

#[test]
fn a_form_signs_in_as_well() {
    let app = TestApp::start();
    let body = format!("username=admin&password={FIRST_PASSWORD}&grant_type=password").into_bytes();
    let kind = Some("application/x-www-form-urlencoded; charset=utf-8");
    app.anyone().send("POST", "/api/auth/login", kind, body).expect(200);
}

#[test]
fn a_wrong_name_and_a_wrong_password_are_told_alike() {
    let app = TestApp::start();
    let message = |name: &str, password: &str| {
        app.anyone().log_in(name, password).expect_error(401, "AuthenticationException")
    };
    assert_eq!(message("admin", "wrong"), message("nobody", "wrong"));
    message("", "");
    message("admin", &"x".repeat(10_000));
}

#[test]
fn signing_out_voids_this_token_only() {
    let app = TestApp::start();
    let (one, other) = (app.admin(), app.admin());
    one.post("/api/auth/logout", &json!({})).expect(204);
    one.get("/api/auth/me").expect_error(401, "AuthenticationException");
    one.post("/api/auth/logout", &json!({})).expect_error(401, "AuthenticationException");
    other.get("/api/auth/me").expect(200);
}

#[test]
fn a_new_password_voids_every_earlier_token() {
    let app = TestApp::start();
    let (one, other) = (app.admin(), app.admin());
    one.post("/api/auth/change-password", &change(FIRST_PASSWORD, NEW_PASSWORD)).expect(200);
    for client in [one, other] {
        client.get("/api/auth/me").expect_error(401, "AuthenticationException");
    }
    app.anyone().log_in("admin", FIRST_PASSWORD).expect(401);
    app.anyone().log_in("admin", NEW_PASSWORD).expect(200);
}

#[test]
fn bad_new_passwords_are_refused() {
    let app = TestApp::start();
    let admin = app.admin();
    let refuse = |old: &str, new: &str, field: &str| {
        let answer = admin.post("/api/auth/change-password", &change(old, new)).expect(422);
        assert_eq!(answer["details"][0]["field"], field, "{answer}");
    };
    refuse("wrong", NEW_PASSWORD, "old_password");
    refuse(FIRST_PASSWORD, "short", "new_password");
    refuse(FIRST_PASSWORD, FIRST_PASSWORD, "new_password");
    admin.get("/api/auth/me").expect(200);
}

#[test]
fn whatever_is_no_token_of_ours_is_refused() {
    let app = TestApp::start();
    let long = "x".repeat(8000);
    for header in ["", "Bearer", "Bearer ", "Bearer x.y.z", "Basic YWRtaW46YWRtaW4=", long.as_str()] {
        let client = app.anyone().with_header("Authorization", header);
        let answer = client.get("/api/auth/me");
        assert_eq!(answer.header("www-authenticate"), "Bearer");
        answer.expect_error(401, "AuthenticationException");
    }
}

#[test]
fn tokens_survive_a_restart() {
    let app = TestApp::start();
    let login = app.anyone().log_in("admin", FIRST_PASSWORD).expect(200);
    let token = format!("Bearer {}", login["access_token"].as_str().unwrap());
    let app = TestApp::restart_in(app.stop(), "");
    app.anyone().with_header("Authorization", &token).get("/api/auth/me").expect(200);
}
