//! Whom a proxy speaks for, and how requests are told apart in logs.

use crate::app::{FIRST_PASSWORD, TestApp};

const ONE_SIGN_IN: &str = "security: {rate_limit: {login: 1}}\n";

fn sign_in(app: &TestApp, forwarded_for: &str) -> u16 {
    app.anyone().with_header("X-Forwarded-For", forwarded_for).log_in("admin", FIRST_PASSWORD).status
}

#[test]
fn a_trusted_proxy_says_who_asks() {
    let yaml = format!("server: {{trusted_proxies: [127.0.0.0/8, 10.0.0.0/8]}}\n{ONE_SIGN_IN}");
    let app = TestApp::with(&yaml);
    assert_eq!(sign_in(&app, "203.0.113.1"), 200);
    assert_eq!(sign_in(&app, "203.0.113.1"), 429);
    assert_eq!(sign_in(&app, "203.0.113.2, 10.0.0.7"), 200);
    assert_eq!(sign_in(&app, "6.6.6.6, 203.0.113.2"), 429, "what the client wrote itself does not count");
}

#[test]
fn everybody_else_speaks_for_oneself() {
    let app = TestApp::with(ONE_SIGN_IN);
    assert_eq!(sign_in(&app, "203.0.113.1"), 200);
    assert_eq!(sign_in(&app, "203.0.113.2"), 429);
}

#[test]
fn request_ids_of_trusted_proxies_are_taken_over() {
    let id_of = |app: &TestApp, id: &str| {
        app.anyone().with_header("X-Request-Id", id).get("/api/health").header("x-request-id").to_owned()
    };
    let app = TestApp::with("server: {trusted_proxies: ['127.0.0.1']}");
    assert_eq!(id_of(&app, "edge-7.A_b"), "edge-7.A_b");
    assert_eq!(id_of(&app, "two words").len(), 32);
    assert_eq!(id_of(&app, &"x".repeat(65)).len(), 32);
    assert_eq!(id_of(&TestApp::with(""), "edge-7").len(), 32);
}
