//! How often one may ask, and how often one may be wrong.

use serde_json::json;

use crate::app::{API_KEY, Answer, Client, FIRST_PASSWORD, TestApp, eventually};

const BEHIND_A_PROXY: &str = "server: {trusted_proxies: [127.0.0.1]}\nsecurity: {rate_limit: 0}\n";

fn wait_s(answer: Answer) -> u32 {
    let wait_s = answer.header("retry-after").parse().expect("no Retry-After");
    answer.expect_error(429, "RateLimitException");
    wait_s
}

fn from(app: &TestApp, address: &str) -> Client {
    app.anyone().with_header("X-Forwarded-For", address)
}

#[test]
fn the_thirty_first_sign_in_of_a_minute_is_refused() {
    let app = TestApp::with("");
    for _ in 0..30 {
        app.anyone().log_in("admin", FIRST_PASSWORD).expect(200);
    }
    assert!((1..=60).contains(&wait_s(app.anyone().log_in("admin", FIRST_PASSWORD))));
    app.anyone().get("/api/cameras").expect_error(401, "AuthenticationException");
}

#[test]
fn other_requests_have_a_limit_of_their_own() {
    let app = TestApp::with("security: {rate_limit: 5}");
    for _ in 0..5 {
        app.anyone().get("/api/cameras").expect(401);
    }
    wait_s(app.anyone().get("/api/nothing"));
    let upload = |_| app.anyone().send("POST", "/api/detect", None, Vec::new()).status;
    assert_eq!((0..6).map(upload).collect::<Vec<_>>(), [401, 401, 401, 401, 401, 429]);
    for _ in 0..10 {
        app.anyone().get("/api/health").expect(200);
        assert_eq!(app.anyone().get("/").status, 200);
    }
}

#[test]
fn workers_have_no_limit_but_those_who_pretend_do() {
    let app = TestApp::with("security: {rate_limit: 3}");
    let program = app.anyone().with_header("X-API-Key", API_KEY);
    let impostor = app.anyone().with_header("Authorization", "Bearer guessed");
    let statuses: Vec<u16> = (0..5).map(|_| impostor.post("/api/ingest", &json!([])).status).collect();
    assert_eq!(statuses, [401, 401, 401, 429, 429]);
    for _ in 0..10 {
        app.worker().post("/api/ingest", &json!([])).expect(200);
        program.post("/api/ingest", &json!([])).expect(200);
    }
}

#[test]
fn wrong_passwords_make_wait_but_not_for_good() {
    let app = TestApp::with("security: {rate_limit: 0}");
    for _ in 0..5 {
        app.anyone().log_in("admin", "wrong").expect_error(401, "AuthenticationException");
    }
    assert_eq!(wait_s(app.anyone().log_in("admin", FIRST_PASSWORD)), 1);
    assert_eq!(wait_s(app.anyone().log_in("ADMIN", FIRST_PASSWORD)), 1);
    app.anyone().log_in("someone", "else").expect(401);
    eventually("the owner signs in", || {
        let answer = app.anyone().log_in("admin", FIRST_PASSWORD);
        (answer.status == 200).then_some(())
    });
    for _ in 0..3 {
        app.anyone().log_in("admin", "wrong").expect(401);
    }
    app.anyone().log_in("admin", FIRST_PASSWORD).expect(200);
}

#[test]
fn strangers_cannot_lock_the_owner_out() {
    let app = TestApp::with(BEHIND_A_PROXY);
    from(&app, "198.51.100.1").log_in("admin", FIRST_PASSWORD).expect(200);
    let mut refused = 0;
    for number in 0..12 {
        let answer = from(&app, &format!("203.0.113.{number}")).log_in("admin", "wrong");
        refused += u32::from(answer.status == 429);
    }
    assert!(refused > 0, "a name is guarded though every attempt comes from another address");
    from(&app, "198.51.100.1").log_in("admin", FIRST_PASSWORD).expect(200);
}

#[test]
fn one_address_cannot_try_many_names() {
    let app = TestApp::with(BEHIND_A_PROXY);
    for number in 0..10 {
        from(&app, "2001:db8::1").log_in(&format!("user{number}"), "wrong").expect(401);
    }
    wait_s(from(&app, "2001:db8::2").log_in("admin", FIRST_PASSWORD));
    from(&app, "2001:db8:0:1::1").log_in("admin", FIRST_PASSWORD).expect(200);
}
