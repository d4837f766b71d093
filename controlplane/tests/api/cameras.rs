//! Making, changing, starting and stopping cameras.

use serde_json::{Value, json};

use crate::app::TestApp;

const PASSWORD: &str = "a password of the tests";
const SOURCE: &str = "rtsp://viewer:secret@10.0.0.7/stream1";

fn camera(id: &str) -> Value {
    json!({ "id": id, "url": SOURCE })
}

#[test]
fn a_new_camera_is_stopped_and_keeps_its_credentials_to_itself() {
    let app = TestApp::start();
    let admin = app.admin();
    let body = json!({
        "id": "cam_01", "url": SOURCE, "name": "Entrance", "resolution": "1280x720", "fps": 25, "loop": false
    });
    let made = admin.post("/api/cameras", &body).expect(201);
    let expected = json!({
        "id": "cam_01", "name": "Entrance", "url": "rtsp://***@10.0.0.7/stream1", "enabled": true,
        "resolution": "1280x720", "fps": 25, "loop": false, "status": "stopped",
        "stats": {"fps": 0.0, "latency_ms": 0.0, "dropped": 0, "faces": 0, "inference_interval": 0},
        "last_error": null, "worker": null, "inactive_reason": null, "settings": {
            "active_hours": null, "masks": [], "regions": [], "min_face_size": null, "frame_skip": null,
            "detection_threshold": null, "recognition_threshold": null, "motion_gate": null
        }
    });
    assert_eq!(made, expected);
    assert_eq!(admin.get("/api/cameras/cam_01").expect(200), expected);
    admin.post("/api/cameras", &camera("cam_01")).expect_error(409, "DuplicateResourceException");
    let defaults = admin.post("/api/cameras", &json!({"id": "webcam", "url": 0})).expect(201);
    assert_eq!((&defaults["name"], &defaults["url"]), (&json!("webcam"), &json!("0")));
}

#[test]
fn cameras_are_listed_by_page() {
    let app = TestApp::start();
    let admin = app.admin();
    for id in ["c", "a", "b"] {
        admin.post("/api/cameras", &camera(id)).expect(201);
    }
    let list = admin.get("/api/cameras?page=2&page_size=2").expect(200);
    assert_eq!((&list["total"], &list["page"], &list["page_size"]), (&json!(3), &json!(2), &json!(2)));
    assert_eq!(list["items"].as_array().unwrap().len(), 1);
    assert_eq!(list["items"][0]["id"], "c");
    assert_eq!(admin.get("/api/cameras").expect(200)["page_size"], 50);
    for query in ["page=0", "page_size=0", "page_size=501", "page=x", "page=99999999999999999999"] {
        admin.get(&format!("/api/cameras?{query}")).expect_error(422, "ValidationException");
    }
}

#[test]
fn wrong_fields_are_named_together() {
    let app = TestApp::start();
    let admin = app.admin();
    let body =
        json!({ "id": "a b", "url": "ftp://u:secret@host/", "fps": 0, "resolution": "big", "name": " " });
    let answer = admin.post("/api/cameras", &body).expect(422);
    let fields: Vec<&str> = answer["details"]
        .as_array()
        .unwrap()
        .iter()
        .map(|detail| detail["field"].as_str().unwrap())
        .collect();
    assert_eq!(fields, ["id", "url", "name", "resolution", "fps"]);
    assert!(!answer.to_string().contains("secret"), "{answer}");
    for body in [json!({}), json!({"id": "a"}), json!([]), json!({"id": "a", "url": "test://", "colour": 1})]
    {
        admin.post("/api/cameras", &body).expect_error(422, "ValidationException");
    }
}

#[test]
fn a_change_touches_only_what_is_sent() {
    let app = TestApp::start();
    let admin = app.admin();
    let body = json!({"id": "cam", "url": SOURCE, "fps": 25, "resolution": "640x480"});
    admin.post("/api/cameras", &body).expect(201);
    let changed = admin.put("/api/cameras/cam", &json!({"name": "Gate", "fps": null})).expect(200);
    let fields = (&changed["name"], &changed["fps"], &changed["resolution"]);
    assert_eq!(fields, (&json!("Gate"), &Value::Null, &json!("640x480")));
    admin.put("/api/cameras/nowhere", &json!({"name": "x"})).expect_error(404, "NotFoundException");
    admin.put("/api/cameras/cam", &json!({"url": "nonsense"})).expect_error(422, "ValidationException");
}

#[test]
fn starting_and_stopping_may_be_repeated() {
    let app = TestApp::start();
    let admin = app.admin();
    admin.post("/api/cameras", &camera("cam")).expect(201);
    for _ in 0..2 {
        assert_eq!(admin.post("/api/cameras/cam/start", &json!({})).expect(200)["status"], "starting");
    }
    for _ in 0..2 {
        assert_eq!(admin.post("/api/cameras/cam/stop", &json!({})).expect(200)["status"], "stopped");
    }
    for path in ["/api/cameras/none/start", "/api/cameras/none/stop"] {
        admin.post(path, &json!({})).expect_error(404, "NotFoundException");
    }
}

#[test]
fn a_disabled_camera_stops_and_cannot_be_started() {
    let app = TestApp::start();
    let admin = app.admin();
    admin.post("/api/cameras", &camera("cam")).expect(201);
    admin.send("POST", "/api/cameras/cam/start", None, Vec::new()).expect(200);
    assert_eq!(admin.put("/api/cameras/cam", &json!({"enabled": false})).expect(200)["status"], "stopped");
    admin.post("/api/cameras/cam/start", &json!({})).expect_error(422, "ValidationException");
    assert_eq!(admin.put("/api/cameras/cam", &json!({"enabled": true})).expect(200)["status"], "stopped");
}

#[test]
fn a_deleted_camera_is_gone() {
    let app = TestApp::start();
    let admin = app.admin();
    admin.post("/api/cameras", &camera("cam")).expect(201);
    admin.delete("/api/cameras/cam").expect(204);
    admin.delete("/api/cameras/cam").expect_error(404, "NotFoundException");
    admin.get("/api/cameras/cam").expect_error(404, "NotFoundException");
}

#[test]
fn cameras_of_the_configuration_are_there_and_running_ones_resume() {
    let yaml = "security: {force_password_change: false}\ncameras:\n  sources:\n  \
                - {id: door, url: 'rtsp://u:secret@10.0.0.8/', name: Door}\n  - {id: webcam, url: 0, enabled: false}\n";
    let app = TestApp::with(yaml);
    let admin = app.admin();
    assert_eq!(admin.get("/api/cameras/door").expect(200)["status"], "starting");
    assert_eq!(admin.get("/api/cameras/webcam").expect(200)["status"], "stopped");
    admin.post("/api/cameras", &camera("own")).expect(201);
    admin.post("/api/cameras/own/start", &json!({})).expect(200);

    let app = TestApp::restart_in(app.stop(), &yaml.replace("name: Door", "name: Back door"));
    let admin = app.admin();
    assert_eq!(admin.get("/api/cameras/door").expect(200)["name"], "Back door");
    assert_eq!(admin.get("/api/cameras/own").expect(200)["status"], "starting");
    assert_eq!(admin.get("/api/cameras").expect(200)["total"], 3);
}

#[test]
fn operators_play_files_of_their_folders_only() {
    let yaml = "security: {force_password_change: false}\ncameras: {file_folders: [/srv/videos]}\n";
    let app = TestApp::with(yaml);
    let admin = app.admin();
    admin
        .post("/api/users", &json!({ "username": "operator", "password": PASSWORD, "role": "operator" }))
        .expect(201);
    let operator = app.anyone().signed_in("operator", PASSWORD);

    let recording = json!({ "id": "recording", "url": "file:///srv/videos/door.mp4" });
    operator.post("/api/cameras", &recording).expect(201);
    for path in ["/etc/passwd", "/srv/videos/../secret.mp4", "/srv/videos/..%2fsecret.mp4", "/srv/videos"] {
        let url = format!("file://{path}");
        for answer in [
            operator.post("/api/cameras", &json!({ "id": "other", "url": url })),
            operator.post("/api/cameras/probe", &json!({ "url": url })),
            operator.put("/api/cameras/recording", &json!({ "url": url })),
        ] {
            let body = answer.expect(422);
            assert_eq!(body["details"][0]["field"], "url", "{url}: {body}");
            assert!(body["details"][0]["message"].as_str().unwrap().contains("/srv/videos"), "{body}");
        }
    }

    let elsewhere = json!({ "id": "archive", "url": "file:///archive/door.mp4" });
    admin.post("/api/cameras", &elsewhere).expect(201);
    // Sent back as it was shown, it is not the operator's choice.
    let renamed = json!({ "url": "file:///archive/door.mp4", "name": "Archive" });
    assert_eq!(operator.put("/api/cameras/archive", &renamed).expect(200)["name"], "Archive");
}

#[test]
fn nothing_but_a_camera_is_a_camera() {
    let app = TestApp::start();
    let admin = app.admin();
    for url in [
        "http://169.254.169.254/latest/meta-data",
        "rtsp://viewer:secret@2852039166/stream",
        "rtsps://[fe80::1]/stream",
        "--url=http://door/",
        "videotestsrc ! filesink location=/tmp/x",
        "file://host/etc/passwd",
    ] {
        for answer in [
            admin.post("/api/cameras", &json!({ "id": "cam", "url": url })),
            admin.post("/api/cameras/probe", &json!({ "url": url })),
        ] {
            let body = answer.expect(422).to_string();
            assert!(!body.contains("secret"), "{body}");
        }
    }
}
