//! Two servers on one database behave as one.

use serde_json::{Value, json};

use crate::app::{Client, TestApp, eventually};

fn beat(worker: &Client, id: &str, cameras: &[Value]) -> Value {
    let body = json!({ "host": "edge", "version": "0.1.0", "pid": 7, "cameras": cameras });
    worker.post(&format!("/api/workers/{id}/heartbeat"), &body).expect(200)
}

#[test]
fn a_camera_has_one_worker_whichever_server_is_asked() {
    let one = TestApp::start();
    let two = one.another();
    let admin = one.admin();
    admin.post("/api/cameras", &json!({ "id": "cam", "url": "test://" })).expect(201);
    admin.post("/api/cameras/cam/start", &json!({})).expect(200);

    let assigned = beat(&two.worker(), "far", &[]);
    assert_eq!(assigned["cameras"][0]["camera_id"], "cam");
    assert_eq!(beat(&one.worker(), "near", &[])["cameras"], json!([]), "the other server has given it away");

    let stats =
        json!({ "fps": 20.0, "latency_ms": 1.0, "dropped": 0, "faces": 0, "width": 64, "height": 48 });
    let run = &assigned["cameras"][0]["run"];
    let report = json!({ "camera_id": "cam", "run": run, "state": "running", "stats": stats });
    let seen = |app: &TestApp| {
        let (asked, worker) = (app.admin(), two.worker());
        eventually("the camera runs", || {
            beat(&worker, "far", std::slice::from_ref(&report));
            Some(asked.get("/api/cameras/cam").expect(200)).filter(|camera| camera["status"] == "running")
        })
    };
    assert_eq!(seen(&two)["worker"], "far");
    assert_eq!(seen(&one)["worker"], "far", "known at the server it never talked to");
}

#[test]
fn an_errand_reaches_a_worker_of_the_other_server() {
    let one = TestApp::start();
    let two = one.another();
    let worker = two.worker();
    beat(&worker, "far", &[]);
    let admin = one.admin();
    eventually("the other server knows the worker", || {
        beat(&worker, "far", &[]);
        let health = admin.get("/api/health").expect(200);
        (health["workers"]["connected"] == 1).then_some(())
    });
    let asking = std::thread::spawn(move || {
        admin.post("/api/cameras/probe", &json!({ "url": "rtsp://10.0.0.7/" })).expect(200)
    });
    let reply = eventually("the errand", || {
        Some(beat(&worker, "far", &[])).filter(|reply| reply["errands"][0]["task"] == "probe")
    });
    let id = reply["errands"][0]["id"].as_str().unwrap();
    worker.post(&format!("/api/workers/far/errands/{id}"), &json!({ "failed": "no route" })).expect(204);
    assert_eq!(asking.join().unwrap()["reason"], "no route");
}

#[test]
fn signing_out_at_one_server_is_signing_out() {
    let one = TestApp::start();
    let two = one.another();
    let login = one.anyone().log_in("admin", crate::app::FIRST_PASSWORD).expect(200);
    let bearer = format!("Bearer {}", login["access_token"].as_str().unwrap());
    let at_one = one.anyone().with_header("Authorization", &bearer);
    let at_two = two.anyone().with_header("Authorization", &bearer);
    at_two.get("/api/auth/me").expect(200);
    at_one.post("/api/auth/logout", &json!({})).expect(204);
    eventually("the other server refuses the token", || {
        (at_two.get("/api/auth/me").status == 401).then_some(())
    });
}
