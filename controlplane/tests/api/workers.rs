//! Heartbeats: status up, assignments down.

use serde_json::{Value, json};

use crate::app::{Client, TestApp};

pub(crate) fn beat(worker: &Client, id: &str, cameras: &[Value]) -> Value {
    let body = json!({ "host": "edge", "version": "0.1.0", "pid": 7, "cameras": cameras });
    worker.post(&format!("/api/workers/{id}/heartbeat"), &body).expect(200)["cameras"].clone()
}

pub(crate) fn report(run: &Value, state: &str) -> Value {
    let stats =
        json!({ "fps": 24.5, "latency_ms": 12.0, "dropped": 3, "faces": 2, "width": 1280, "height": 720 });
    json!({ "camera_id": "cam", "run": run, "state": state, "stats": stats })
}

fn app_with_started_camera(url: &str) -> (TestApp, Client) {
    let app = TestApp::start();
    let admin = app.admin();
    admin.post("/api/cameras", &json!({ "id": "cam", "url": url })).expect(201);
    admin.post("/api/cameras/cam/start", &json!({})).expect(200);
    (app, admin)
}

#[test]
fn only_workers_may_report() {
    let app = TestApp::start();
    let body = json!({ "host": "h", "version": "v", "pid": 1, "cameras": [] });
    for client in [app.anyone(), app.admin(), app.anyone().with_header("Authorization", "Bearer wrong")] {
        client.post("/api/workers/local/heartbeat", &body).expect_error(401, "AuthenticationException");
    }
    app.worker()
        .post("/api/workers/bad id/heartbeat".replace(' ', "%20").as_str(), &body)
        .expect_error(422, "ValidationException");
    app.worker().post("/api/workers/local/heartbeat", &json!({})).expect_error(422, "ValidationException");
    app.worker().get("/api/cameras").expect_error(401, "AuthenticationException");
}

#[test]
fn a_started_camera_is_assigned_with_credentials_and_its_report_is_shown() {
    let (app, admin) = app_with_started_camera("rtsp://viewer:secret@10.0.0.7/stream1");
    let worker = app.worker();
    let assigned = beat(&worker, "local", &[]);
    assert_eq!(assigned[0]["url"], "rtsp://viewer:secret@10.0.0.7/stream1");
    assert_eq!(assigned[0]["camera_id"], "cam");
    let settings = json!({
        "pack": "opencv", "inference_interval": 2, "detection_threshold": null, "recognition_threshold": null,
        "dedup_window_s": 30, "snapshots": true, "attributes": false, "use_gpu": false, "min_face_size": null,
        "motion_gate": false, "regions": [], "masks": []
    });
    assert_eq!(assigned[0]["settings"], settings);

    beat(&worker, "local", &[report(&assigned[0]["run"], "running")]);
    let camera = admin.get("/api/cameras/cam").expect(200);
    assert_eq!((&camera["status"], &camera["worker"]), (&json!("running"), &json!("local")));
    let stats = json!({ "fps": 24.5, "latency_ms": 12.0, "dropped": 3, "faces": 2, "inference_interval": 0 });
    assert_eq!(camera["stats"], stats);
    assert_eq!(camera["resolution"], "1280x720");

    admin.post("/api/cameras/cam/stop", &json!({})).expect(200);
    assert_eq!(beat(&worker, "local", &[report(&assigned[0]["run"], "running")]), json!([]));
    assert_eq!(admin.get("/api/cameras/cam").expect(200)["status"], "stopped");
}

#[test]
fn recorded_material_that_ended_is_stopped_once() {
    let (app, admin) = app_with_started_camera("file:///srv/clip.mp4");
    let worker = app.worker();
    let run = beat(&worker, "local", &[])[0]["run"].clone();
    assert_eq!(beat(&worker, "local", &[report(&run, "stopped")]), json!([]));
    assert_eq!(admin.get("/api/cameras/cam").expect(200)["status"], "stopped");

    admin.post("/api/cameras/cam/start", &json!({})).expect(200);
    let again = beat(&worker, "local", &[report(&run, "stopped")]);
    assert_eq!(again[0]["run"], json!(run.as_u64().unwrap() + 1), "an old report stops no new run");
    assert_eq!(admin.get("/api/cameras/cam").expect(200)["status"], "starting");
}

#[test]
fn a_camera_that_plays_something_else_is_begun_afresh() {
    let (app, admin) = app_with_started_camera("rtsp://viewer:secret@host/one");
    let worker = app.worker();
    let run = beat(&worker, "local", &[])[0]["run"].as_u64().unwrap();
    admin.put("/api/cameras/cam", &json!({ "name": "Door" })).expect(200);
    assert_eq!(beat(&worker, "local", &[])[0]["run"], run);
    admin.put("/api/cameras/cam", &json!({ "url": "rtsp://***@host/two" })).expect(200);
    let assigned = beat(&worker, "local", &[]);
    assert_eq!(assigned[0]["run"], run + 1);
    assert_eq!(assigned[0]["url"], "rtsp://viewer:secret@host/two");
}

#[test]
fn a_camera_that_was_given_up_can_be_started_again() {
    let (app, admin) = app_with_started_camera("rtsp://host/one");
    let worker = app.worker();
    let run = beat(&worker, "local", &[])[0]["run"].clone();
    let mut failed = report(&run, "error");
    failed["last_error"] = json!("the camera refuses the password");
    beat(&worker, "local", &[failed]);
    let camera = admin.get("/api/cameras/cam").expect(200);
    assert_eq!(camera["status"], "error");
    assert_eq!(camera["last_error"], "the camera refuses the password");
    let camera = admin.post("/api/cameras/cam/start", &json!({})).expect(200);
    assert_eq!((&camera["status"], &camera["last_error"]), (&json!("starting"), &Value::Null));
}

#[test]
fn two_workers_never_run_the_same_camera() {
    let (app, _admin) = app_with_started_camera("test://");
    let worker = app.worker();
    assert_eq!(beat(&worker, "one", &[]).as_array().unwrap().len(), 1);
    assert_eq!(beat(&worker, "two", &[]), json!([]));
    assert_eq!(beat(&worker, "one", &[]).as_array().unwrap().len(), 1);
}

#[test]
fn an_errand_goes_out_with_a_heartbeat_and_its_outcome_comes_back() {
    let app = TestApp::start();
    let (admin, worker) = (app.admin(), app.worker());
    let nobody = admin.post("/api/cameras/probe", &json!({ "url": "test://" })).expect(200);
    assert_eq!(nobody["reachable"], false);
    assert!(nobody["reason"].as_str().unwrap().contains("no worker reports"), "{nobody}");

    let heartbeat = json!({ "host": "edge", "version": "0.1.0", "pid": 7, "cameras": [] });
    let beat = || worker.post("/api/workers/local/heartbeat", &heartbeat).expect(200);
    beat();
    let asking = {
        let admin = admin.clone();
        std::thread::spawn(move || {
            admin.post("/api/cameras/probe", &json!({ "url": "rtsp://u:p@10.0.0.7/" })).expect(200)
        })
    };
    let errand = loop {
        if let Some(errand) = beat()["errands"].get(0) {
            break errand.clone();
        }
        std::thread::yield_now();
    };
    assert_eq!((&errand["task"], &errand["url"]), (&json!("probe"), &json!("rtsp://u:p@10.0.0.7/")));
    let path = format!("/api/workers/local/errands/{}", errand["id"].as_str().unwrap());
    admin.post(&path, &json!({ "failed": "x" })).expect_error(401, "AuthenticationException");
    worker.post(&path, &json!({ "failed": "the camera refuses the password" })).expect(204);
    let answer = asking.join().unwrap();
    assert_eq!(answer["reason"], "the camera refuses the password");
    // Nobody waits for it any more, which is no fault of the worker's.
    worker.post(&path, &json!({ "failed": "late" })).expect(204);
}
