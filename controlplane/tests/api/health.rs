//! Whether the instance says how it is.

use serde_json::json;

use crate::app::TestApp;

#[test]
fn a_fresh_server_is_healthy() {
    let app = TestApp::start();
    let health = app.anyone().get("/api/health").expect(200);
    assert_eq!(health["status"], "healthy");
    assert_eq!((&health["database"], &health["storage"]), (&json!("connected"), &json!("connected")));
    assert_eq!(health["api"], "running");
    assert_eq!(health["workers"]["local"], "off");
    assert_eq!(health["version"], env!("CARGO_PKG_VERSION"));
    let date = health["build_date"].as_str().unwrap();
    assert!(
        !health["commit"].as_str().unwrap().is_empty() && date.parse::<chrono::NaiveDate>().is_ok(),
        "{health}"
    );
    assert_eq!(app.anyone().send("HEAD", "/api/health", None, Vec::new()).status, 200);
}

#[test]
fn without_its_database_it_is_not() {
    let app = TestApp::start();
    app.remove_database();
    let health = app.anyone().get("/api/health").expect(503);
    assert_eq!(health["status"], "unhealthy");
    assert_eq!(health["database"], "unavailable");
}
