//! What web pages of other origins may do.

use crate::app::{Answer, Client, TestApp};

const ALLOWED: &str = "https://door.example";
const SETTINGS: &str = "security: {cors_origins: ['https://door.example', 'http://10.0.0.7:8080']}";

fn preflight(app: &TestApp, origin: &str) -> Answer {
    app.anyone()
        .with_header("Origin", origin)
        .with_header("Access-Control-Request-Method", "PUT")
        .with_header("Access-Control-Request-Headers", "authorization,content-type")
        .send("OPTIONS", "/api/persons/1", None, Vec::new())
}

fn page(app: &TestApp, origin: &str) -> Client {
    app.anyone().with_header("Origin", origin)
}

#[test]
fn listed_origins_may_ask() {
    let app = TestApp::with(SETTINGS);
    for origin in [ALLOWED, "http://10.0.0.7:8080"] {
        let answer = preflight(&app, origin);
        assert_eq!((answer.status, answer.header("access-control-allow-origin")), (200, origin));
        assert!(answer.header("access-control-allow-methods").contains("PUT"));
        assert!(answer.header("access-control-allow-headers").contains("authorization"));
        assert_eq!(answer.header("access-control-allow-credentials"), "");
    }
    let answer = page(&app, ALLOWED).get("/api/health");
    assert_eq!(answer.header("access-control-allow-origin"), ALLOWED);
    assert!(answer.header("vary").to_lowercase().contains("origin"));
    assert!(answer.header("access-control-expose-headers").contains("retry-after"));
    let error = page(&app, ALLOWED).get("/api/cameras");
    assert_eq!(error.header("access-control-allow-origin"), ALLOWED, "errors can be read as well");
    error.expect_error(401, "AuthenticationException");
}

#[test]
fn others_may_not() {
    let app = TestApp::with(SETTINGS);
    for origin in ["https://evil.example", "https://door.example.evil.example", "http://door.example", "null"]
    {
        assert_eq!(preflight(&app, origin).header("access-control-allow-origin"), "", "{origin}");
        assert_eq!(
            page(&app, origin).get("/api/health").header("access-control-allow-origin"),
            "",
            "{origin}"
        );
    }
    let closed = TestApp::with("");
    assert_eq!(preflight(&closed, ALLOWED).header("access-control-allow-origin"), "");
}
