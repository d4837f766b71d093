//! Figures for Prometheus, and who may read them.

use serde_json::json;

use crate::app::{TestApp, eventually};
use crate::ingest::event;
use crate::media::{Form, photo};

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

/// The value of a figure, if it is there.
fn value(text: &str, figure: &str) -> Option<f64> {
    text.lines().find_map(|line| line.strip_prefix(figure)?.strip_prefix(' ')?.parse().ok())
}

#[test]
fn the_database_requests_and_inference_are_measured() {
    let app = TestApp::start();
    let admin = app.admin();
    app.worker().post("/api/ingest", &json!([event(1, None), event(2, None)])).expect(200);
    let metrics = || app.anyone().get("/metrics").text;
    let before = metrics();
    for kind in ["select", "insert", "update"] {
        let count = format!("vedette_database_query_duration_seconds_count{{kind=\"{kind}\"}}");
        assert!(value(&before, &count) > Some(0.0), "{count}\n{before}");
    }
    assert!(value(&before, "vedette_database_write_wait_seconds_count") > Some(0.0));
    assert_eq!(value(&before, "vedette_database_query_failures_total"), Some(0.0));
    let connections = ["idle", "in_use"]
        .map(|state| value(&before, &format!("vedette_database_connections{{state=\"{state}\"}}")).unwrap());
    let max = value(&before, "vedette_database_connections_max").unwrap();
    assert!((1.0..=max).contains(&connections.iter().sum::<f64>()), "{connections:?} of {max}");
    assert_eq!(value(&before, "vedette_http_requests_in_flight"), Some(1.0), "the one that asks");
    assert_eq!(value(&before, "vedette_ingest_batch_duration_seconds_count"), Some(1.0));
    assert_eq!(value(&before, "vedette_ingest_delay_seconds_count"), Some(2.0));
    assert_eq!(value(&before, "vedette_inference_duration_seconds_count"), Some(0.0));
    assert_eq!(value(&before, "vedette_log_lines_dropped_total"), Some(0.0));

    Form::default().file("image", "x.jpg", &photo("obama.jpg")).send(&admin, "/api/detect").expect(200);
    app.execute("ALTER TABLE api_keys RENAME TO elsewhere");
    admin.get("/api/api-keys").expect(503);
    let after = metrics();
    assert_eq!(value(&after, "vedette_inference_duration_seconds_count"), Some(1.0));
    assert_eq!(value(&after, "vedette_inference_wait_seconds_count"), Some(1.0));
    assert_eq!(value(&after, "vedette_inference_waiting"), Some(0.0));
    assert_eq!(value(&after, "vedette_database_query_failures_total"), Some(1.0));
}

#[test]
fn cameras_and_workers_are_measured_at_every_server() {
    let app = TestApp::start();
    let other = app.another();
    let admin = app.admin();
    for camera in ["door", "yard"] {
        admin.post("/api/cameras", &json!({ "id": camera, "url": "test://" })).expect(201);
        admin.post(&format!("/api/cameras/{camera}/start"), &json!({})).expect(200);
    }
    let stats = json!({
        "fps": 12.5, "latency_ms": 40.0, "dropped": 3, "faces": 2, "width": 640, "height": 480, "frames": 1000,
        "inference_interval": 4,
        "detection": { "count": 500, "total_s": 2.5 }, "embedding": { "count": 20, "total_s": 0.25 },
        "events": { "delivered": 9, "rejected": 1, "lost": 0 }
    });
    let beat = |cameras: &[&serde_json::Value]| {
        let heartbeat = json!({
            "host": "edge", "version": "0.1.0", "pid": 7, "cameras": cameras, "spooled_events": 17
        });
        app.worker().post("/api/workers/host-1/heartbeat", &heartbeat).expect(200)
    };
    let run = beat(&[])["cameras"][0]["run"].clone();
    let report = json!({
        "camera_id": "door", "run": run, "state": "running", "stats": stats, "reconnects": 4
    });
    for server in [&app, &other] {
        let text = eventually("the camera is seen to run", || {
            beat(&[&report]);
            let text = server.anyone().get("/metrics").text;
            (value(&text, "vedette_camera_fps{camera=\"door\"}") == Some(12.5)).then_some(text)
        });
        for line in [
            "vedette_camera_status{camera=\"door\",status=\"running\"} 1",
            "vedette_camera_status{camera=\"door\",status=\"error\"} 0",
            "vedette_camera_status{camera=\"yard\",status=\"starting\"} 1",
            "vedette_camera_latency_seconds{camera=\"door\"} 0.04",
            "vedette_camera_inference_interval{camera=\"door\"} 4.0",
            "vedette_camera_faces{camera=\"door\"} 2.0",
            "vedette_camera_frames_total{camera=\"door\"} 1000",
            "vedette_camera_frames_dropped_total{camera=\"door\"} 3",
            "vedette_camera_reconnects_total{camera=\"door\"} 4",
            "vedette_camera_inferences_total{camera=\"door\",model=\"detection\"} 500",
            "vedette_camera_inference_seconds_total{camera=\"door\",model=\"embedding\"} 0.25",
            "vedette_camera_events_total{camera=\"door\",outcome=\"rejected\"} 1",
            "vedette_worker_spooled_events{worker=\"host-1\"} 17.0",
        ] {
            assert!(text.lines().any(|present| present == line), "no `{line}` in\n{text}");
        }
        assert_eq!(value(&text, "vedette_camera_fps{camera=\"yard\"}"), None, "it does not run");
    }
    admin.post("/api/cameras/door/stop", &json!({})).expect(200);
    admin.delete("/api/cameras/door").expect(204);
    assert!(!app.anyone().get("/metrics").text.contains("door"), "nothing is left of a camera that is gone");
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
