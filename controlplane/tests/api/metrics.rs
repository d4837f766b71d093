//! Figures for Prometheus, and who may read them.

use serde_json::json;

use crate::app::TestApp;
use crate::ingest::event;

const TOKEN: &str = "metrics token of the tests";

#[test]
fn what_happens_is_counted() {
    let app = TestApp::start();
    let admin = app.admin();
    admin.post("/api/cameras", &json!({ "id": "a", "url": "test://" })).expect(201);
    admin.get("/api/cameras/a").expect(200);
    admin.get("/api/cameras/b").expect(404);
    app.worker().post("/api/ingest", &json!([event(1, None), event(1, None)])).expect(200);
    let answer = app.anyone().get("/metrics");
    assert_eq!(answer.status, 200);
    assert!(answer.header("content-type").starts_with("text/plain; version=0.0.4"));
    for line in [
        "vedette_http_requests_total{route=\"cameras\",method=\"GET\",status=\"200\"} 1",
        "vedette_http_requests_total{route=\"cameras\",method=\"GET\",status=\"404\"} 1",
        "vedette_http_request_duration_seconds_count{route=\"cameras\",method=\"GET\"} 2",
        "vedette_ingest_events_total{outcome=\"accepted\"} 1",
        "vedette_ingest_events_total{outcome=\"duplicate\"} 1",
        "vedette_database_up 1",
        "vedette_workers 0",
        "vedette_cameras{status=\"stopped\"} 1",
        "vedette_cameras{status=\"running\"} 0",
    ] {
        assert!(answer.text.lines().any(|present| present == line), "no `{line}` in\n{}", answer.text);
    }
    assert!(!answer.text.contains("redis_up"), "there is no Redis");
}

#[test]
fn not_everybody_may_read_them() {
    let yaml = "server: {trusted_proxies: [127.0.0.1]}";
    let app = TestApp::with_variables(yaml, &[("METRICS_TOKEN", TOKEN)]);
    assert_eq!(app.anyone().get("/metrics").status, 200, "this host may");
    let elsewhere = app.anyone().with_header("X-Forwarded-For", "203.0.113.1");
    assert_eq!(elsewhere.get("/metrics").status, 401);
    let wrong = elsewhere.clone().with_header("Authorization", "Bearer wrong");
    assert_eq!(wrong.get("/metrics").status, 401);
    let right = elsewhere.with_header("Authorization", &format!("Bearer {TOKEN}"));
    assert_eq!(right.get("/metrics").status, 200);

    let unknown_proxy = TestApp::with("");
    let through_it = unknown_proxy.anyone().with_header("X-Forwarded-For", "127.0.0.1");
    assert_eq!(through_it.get("/metrics").status, 401, "a proxy on this host speaks for others");
    let public = TestApp::with("metrics: {public: true}");
    assert_eq!(public.anyone().with_header("X-Forwarded-For", "203.0.113.1").get("/metrics").status, 200);
}
