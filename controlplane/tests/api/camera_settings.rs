//! What is set for one camera alone: hours, masks, regions, thresholds.

use chrono::{Duration, Timelike as _, Utc};
use serde_json::{Value, json};

use crate::app::TestApp;
use crate::workers::{beat, report};

fn fields(answer: &Value) -> Vec<&str> {
    answer["details"].as_array().unwrap().iter().map(|detail| detail["field"].as_str().unwrap()).collect()
}

/// Hours of every day that begin `from` minutes from now, and end `to` minutes from now.
fn hours(from: i64, to: i64) -> Value {
    let time = |minutes| {
        let time = Utc::now() + Duration::minutes(minutes);
        format!("{:02}:{:02}", time.hour(), time.minute())
    };
    let days = ["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"];
    json!({ "timezone": "UTC", "hours": [{ "days": days, "from": time(from), "to": time(to) }] })
}

#[test]
fn settings_are_kept_and_reach_the_worker_within_the_same_run() {
    let app = TestApp::with(
        "security: {force_password_change: false}\nperformance: {frame_skip: 4, motion_gate: true}\n\
         detection: {confidence_threshold: 0.7}\n",
    );
    let (admin, worker) = (app.admin(), app.worker());
    let triangle = json!([[0.1, 0.2], [0.9, 0.2], [0.5, 1]]);
    let settings = json!({ "masks": [triangle], "min_face_size": 40, "recognition_threshold": 0.55 });
    let body = json!({ "id": "cam", "url": "test://", "settings": settings });
    let made = admin.post("/api/cameras", &body).expect(201);
    let expected = json!({
        "active_hours": null, "masks": [[[0.1, 0.2], [0.9, 0.2], [0.5, 1.0]]], "regions": [], "min_face_size": 40,
        "frame_skip": null, "detection_threshold": null, "recognition_threshold": 0.55, "motion_gate": null
    });
    assert_eq!(made["settings"], expected);
    assert_eq!(admin.get("/api/cameras/cam").expect(200)["settings"], expected);

    admin.post("/api/cameras/cam/start", &json!({})).expect(200);
    let assigned = beat(&worker, "local", &[])[0].clone();
    let set = &assigned["settings"];
    assert_eq!(set["masks"], expected["masks"]);
    assert_eq!((&set["min_face_size"], &set["recognition_threshold"]), (&json!(40), &json!(0.55)));
    let of_all = (&set["inference_interval"], &set["detection_threshold"], &set["motion_gate"]);
    assert_eq!(of_all, (&json!(4), &json!(0.7), &json!(true)), "what is not given is as for all");

    let other = json!({ "settings": {
        "regions": [triangle], "frame_skip": 1, "detection_threshold": 0, "motion_gate": false
    } });
    let changed = admin.put("/api/cameras/cam", &other).expect(200);
    assert_eq!(changed["settings"]["masks"], json!([]), "they are replaced as a whole");
    let again = beat(&worker, "local", &[])[0].clone();
    assert_eq!(again["run"], assigned["run"], "the stream goes on");
    let set = &again["settings"];
    assert_eq!((&set["masks"], &set["regions"]), (&json!([]), &expected["masks"]));
    let own = (&set["inference_interval"], &set["detection_threshold"], &set["motion_gate"]);
    assert_eq!(own, (&json!(1), &json!(0.0), &json!(false)));

    let kept = admin.put("/api/cameras/cam", &json!({ "name": "Door" })).expect(200);
    assert_eq!(kept["settings"], changed["settings"]);
    let log = admin.get("/api/logs").expect(200);
    let told = log["items"].as_array().unwrap().iter().any(|entry| entry.to_string().contains("frame_skip"));
    assert!(told, "the audit log tells what was set: {log}");
    let cleared = admin.put("/api/cameras/cam", &json!({ "settings": null })).expect(200);
    assert_eq!(cleared["settings"]["regions"], json!([]));
    assert_eq!(beat(&worker, "local", &[])[0]["settings"]["inference_interval"], 4);
}

#[test]
fn wrong_settings_are_named_by_field() {
    let app = TestApp::start();
    let admin = app.admin();
    admin.post("/api/cameras", &json!({ "id": "cam", "url": "test://" })).expect(201);
    let square = json!([[0, 0], [1, 0], [1, 1], [0, 1]]);
    let settings = json!({
        "masks": [square, [[0, 0], [1, 1]], vec![json!([0.5, 0.5]); 33], [[0, 0], [1.5, 0], [1, 1]]],
        "regions": [[[0.2, 0.2], [0.2, 0.5], [0.2, 0.9]]],
        "active_hours": { "timezone": "Mars/Olympus", "hours": [] },
        "min_face_size": 0, "frame_skip": 61, "detection_threshold": 1.01, "recognition_threshold": -0.1
    });
    let expected = [
        "settings.active_hours",
        "settings.masks[1]",
        "settings.masks[2]",
        "settings.masks[3]",
        "settings.regions[0]",
        "settings.min_face_size",
        "settings.frame_skip",
        "settings.detection_threshold",
        "settings.recognition_threshold",
    ];
    let change = json!({ "settings": settings });
    assert_eq!(fields(&admin.put("/api/cameras/cam", &change).expect(422)), expected);
    let new = json!({ "id": "new", "url": "test://", "settings": settings });
    assert_eq!(fields(&admin.post("/api/cameras", &new).expect(422)), expected);
    let many = json!({ "settings": { "masks": vec![&square; 17] } });
    assert_eq!(fields(&admin.put("/api/cameras/cam", &many).expect(422)), ["settings.masks"]);
    let crossing =
        json!({ "settings": { "masks": [[[0, 0], [1, 1], [1, 0], [0, 1]]], "regions": vec![&square; 16] } });
    admin.put("/api/cameras/cam", &crossing).expect(200);
    for wrong in [
        json!({ "colour": 1 }),
        json!({ "masks": [[[0, 0, 0]]] }),
        json!({ "masks": [[[0, null]]] }),
        json!({ "frame_skip": "2" }),
        json!("none"),
    ] {
        admin.put("/api/cameras/cam", &json!({ "settings": wrong })).expect_error(422, "ValidationException");
    }
}

#[test]
fn outside_of_its_hours_a_camera_is_nobodys() {
    let app = TestApp::start();
    let (admin, worker) = (app.admin(), app.worker());
    let set = |hours: Value| {
        admin.put("/api/cameras/cam", &json!({ "settings": { "active_hours": hours } })).expect(200)
    };
    admin.post("/api/cameras", &json!({ "id": "cam", "url": "test://" })).expect(201);
    admin.post("/api/cameras/cam/start", &json!({})).expect(200);
    let run = beat(&worker, "local", &[])[0]["run"].clone();
    beat(&worker, "local", &[report(&run, "running")]);

    let resting = set(hours(60, 120));
    assert_eq!((&resting["status"], &resting["worker"]), (&json!("stopped"), &Value::Null));
    let reason = resting["inactive_reason"].as_str().unwrap();
    assert!(reason.starts_with("outside its active hours until 20") && reason.ends_with("(UTC)"), "{reason}");
    assert_eq!(beat(&worker, "local", &[report(&run, "running")]), json!([]), "no stream is opened");
    assert_eq!(admin.get("/api/cameras/cam").expect(200)["status"], "stopped");

    let active = set(hours(-60, 60));
    assert_eq!(active["inactive_reason"], Value::Null);
    assert_eq!(beat(&worker, "local", &[])[0]["run"], run);
    set(json!({ "timezone": "UTC", "hours": [] }));
    assert_eq!(beat(&worker, "local", &[]), json!([]));
    let stopped = admin.post("/api/cameras/cam/stop", &json!({})).expect(200);
    assert_eq!((&stopped["status"], &stopped["inactive_reason"]), (&json!("stopped"), &Value::Null));
}

#[test]
fn settings_outlive_a_restart_also_of_a_camera_of_the_configuration() {
    let yaml =
        "security: {force_password_change: false}\ncameras:\n  sources:\n  - {id: door, url: 'test://'}\n";
    let app = TestApp::with(yaml);
    app.admin().put("/api/cameras/door", &json!({ "settings": { "frame_skip": 7 } })).expect(200);
    let app = TestApp::restart_in(app.stop(), yaml);
    assert_eq!(app.admin().get("/api/cameras/door").expect(200)["settings"]["frame_skip"], 7);
}

#[test]
fn a_worker_may_ask_how_a_camera_would_be_run_without_taking_it() {
    let app = TestApp::start();
    let (admin, worker) = (app.admin(), app.worker());
    let body = json!({ "id": "cam", "url": "rtsp://u:secret@host/", "settings": { "frame_skip": 9 } });
    admin.post("/api/cameras", &body).expect(201);
    let told = worker.get("/api/workers/cameras/cam").expect(200);
    assert_eq!((&told["camera_id"], &told["url"]), (&json!("cam"), &json!("rtsp://u:secret@host/")));
    assert_eq!(told["settings"]["inference_interval"], 9);
    assert_eq!(admin.get("/api/cameras/cam").expect(200)["status"], "stopped");
    worker.get("/api/workers/cameras/nowhere").expect_error(404, "NotFoundException");
    admin.get("/api/workers/cameras/cam").expect_error(401, "AuthenticationException");
}
