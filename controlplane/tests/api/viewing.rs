//! Live pictures: from a worker that is asked for them to who looks, and no further.

use std::io::{BufRead as _, BufReader, Write as _};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::{Value, json};

use crate::app::{Client, FIRST_PASSWORD, TestApp, eventually};
use crate::live::{tcp, token};
use crate::media::jpeg;
use crate::redis_server;
use crate::workers::report;

/// A server with the camera `cam`, which the worker `local` runs.
fn app_with_running_camera() -> TestApp {
    let app = TestApp::start();
    run_camera(&app);
    app
}

fn run_camera(app: &TestApp) {
    let admin = app.admin();
    admin.post("/api/cameras", &json!({ "id": "cam", "url": "test://" })).expect(201);
    admin.post("/api/cameras/cam/start", &json!({})).expect(200);
    let run = beat(app, &[])["cameras"][0]["run"].clone();
    beat(app, &[report(&run, "running")]);
}

fn beat(app: &TestApp, cameras: &[Value]) -> Value {
    let body = json!({ "host": "edge", "version": "0.1.0", "pid": 7, "cameras": cameras });
    app.worker().post("/api/workers/local/heartbeat", &body).expect(200)
}

/// A picture that is like no other.
fn picture(shade: u8) -> Vec<u8> {
    jpeg(&image::RgbImage::from_pixel(64, 36, image::Rgb([shade, 90, 200])).into())
}

/// Hands a picture of `cam` in and answers which sizes are asked for then.
fn hand_in(worker: &Client, side: u32, picture: &[u8]) -> Value {
    let body =
        json!({ "side": side, "timestamp": "2026-01-01T12:00:00.123Z", "jpeg": STANDARD.encode(picture) });
    worker.post("/api/workers/local/cameras/cam/live", &body).expect(200)["sides"].clone()
}

fn figure(app: &TestApp, name: &str) -> u64 {
    let text = app.anyone().get("/metrics").text;
    let value = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    value.unwrap_or_else(|| panic!("no {name} in {text}")).parse().unwrap()
}

/// Somebody who looks.
struct Viewer(Box<dyn std::io::BufRead>);

impl Viewer {
    fn at(app: &TestApp, path: &str, token: Option<&str>) -> Result<Self, u16> {
        let config = ureq::Agent::config_builder().http_status_as_error(false).build();
        let mut request = ureq::Agent::from(config).get(format!("http://{}{path}", app.address));
        if let Some(token) = token {
            request = request.header("Authorization", format!("Bearer {token}"));
        }
        let answer = request.call().unwrap();
        if answer.status() != 200 {
            return Err(answer.status().as_u16());
        }
        let media_type = answer.headers()["content-type"].to_str().unwrap();
        assert_eq!(media_type, "multipart/x-mixed-replace; boundary=vedette-picture");
        assert_eq!(answer.headers()["cache-control"], "no-store");
        let mut reader = BufReader::new(answer.into_body().into_reader());
        let mut boundary = String::new();
        reader.read_line(&mut boundary).unwrap();
        assert_eq!(boundary, "--vedette-picture\r\n");
        Ok(Self(Box::new(reader)))
    }

    fn of(app: &TestApp) -> Self {
        Self::at(app, "/api/cameras/cam/live", Some(&token(app))).unwrap()
    }

    /// The next picture and the time it is of; nothing at the end.
    fn next(&mut self) -> Option<(Vec<u8>, String)> {
        next_part(&mut self.0)
    }
}

fn next_part(reader: &mut impl std::io::BufRead) -> Option<(Vec<u8>, String)> {
    let (mut length, mut timestamp) = (0, String::new());
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).ok()? == 0 {
            return None;
        }
        match line.trim_end().split_once(": ") {
            Some(("Content-Length", value)) => length = value.parse().unwrap(),
            Some(("X-Timestamp", value)) => value.clone_into(&mut timestamp),
            Some((name, value)) => assert_eq!((name, value), ("Content-Type", "image/jpeg")),
            None => break,
        }
    }
    let end = "\r\n--vedette-picture\r\n";
    let mut picture = vec![0; length + end.len()];
    reader.read_exact(&mut picture).ok()?;
    assert_eq!(picture.split_off(length), end.as_bytes());
    Some((picture, timestamp))
}

#[test]
fn pictures_are_asked_for_while_somebody_looks() {
    let app = app_with_running_camera();
    let worker = app.worker();
    assert_eq!(beat(&app, &[]).get("live"), None);
    assert_eq!(hand_in(&worker, 1280, &picture(1)), json!([]));

    let mut viewer = Viewer::of(&app);
    assert_eq!(beat(&app, &[])["live"], json!([{ "camera_id": "cam", "sides": [1280] }]));
    assert_eq!(figure(&app, "vedette_live_viewers"), 1);
    for shade in [2, 3] {
        assert_eq!(hand_in(&worker, 1280, &picture(shade)), json!([1280]));
        assert_eq!(viewer.next(), Some((picture(shade), "2026-01-01T12:00:00.123Z".to_owned())));
    }
    let small = Viewer::at(&app, "/api/cameras/cam/live?max_side=700", Some(&token(&app))).unwrap();
    assert_eq!(hand_in(&worker, 1280, &picture(4)), json!([640, 1280]));
    let broken =
        json!({ "side": 640, "timestamp": "2026-01-01T12:00:00Z", "jpeg": STANDARD.encode("no picture") });
    let path = "/api/workers/local/cameras/cam/live";
    worker.post(path, &broken).expect_error(422, "ValidationException");
    app.admin().post(path, &broken).expect_error(401, "AuthenticationException");

    drop((viewer, small));
    eventually("nothing is asked for any more", || {
        (hand_in(&worker, 1280, &picture(5)) == json!([])).then_some(())
    });
    assert_eq!(figure(&app, "vedette_live_viewers"), 0);
    let taken = figure(&app, "vedette_live_pictures_total");
    hand_in(&worker, 1280, &picture(6));
    assert_eq!(figure(&app, "vedette_live_pictures_total"), taken);
    assert_eq!(beat(&app, &[]).get("live"), None);
}

#[test]
fn what_is_not_live_does_not_look_live() {
    let app = app_with_running_camera();
    let mut viewer = Viewer::of(&app);
    hand_in(&app.worker(), 1280, &picture(1));
    assert_eq!(viewer.next().unwrap().0, picture(1));
    let (no_signal, timestamp) = viewer.next().unwrap();
    assert_ne!(no_signal, picture(1));
    assert!(timestamp.is_empty() && image::load_from_memory(&no_signal).is_ok());
    hand_in(&app.worker(), 1280, &picture(2));
    assert_eq!(viewer.next().unwrap().0, picture(2), "it goes on when the camera does");

    app.admin().post("/api/cameras/cam/stop", &json!({})).expect(200);
    assert_eq!(viewer.next().unwrap().0, no_signal);
    assert_eq!(viewer.next(), None, "a camera that was stopped shows no more");
    let look = |path| Viewer::at(&app, path, Some(&token(&app))).err();
    assert_eq!(look("/api/cameras/cam/live"), Some(404));
    assert_eq!(look("/api/cameras/other/live"), Some(404));
    assert_eq!(look("/api/cameras/cam/live?max_side=7"), Some(422));
}

#[test]
fn who_is_slow_gets_fewer_pictures_then_smaller_ones_and_always_the_newest() {
    let app = app_with_running_camera();
    let worker = app.worker();
    let mut stream = tcp(app.address);
    let head = format!(
        "GET /api/cameras/cam/live HTTP/1.0\r\nHost: {}\r\nAuthorization: Bearer {}\r\n\r\n",
        app.address,
        token(&app)
    );
    stream.write_all(head.as_bytes()).unwrap();
    eventually("somebody looks", || (figure(&app, "vedette_live_viewers") == 1).then_some(()));
    // Noise, which no encoder makes small; the last is like no other.
    let noise = image::RgbImage::from_fn(320, 320, |x, y| {
        let value = (x * 7919 + y * 104_729 + x * y * 31) % 251;
        image::Rgb([value as u8, (value * 3 % 256) as u8, (value * 7 % 256) as u8])
    });
    let large = jpeg(&noise.into());
    assert!(large.len() > 50_000, "{}", large.len());
    for _ in 0..200 {
        hand_in(&worker, 1280, &large);
    }
    hand_in(&worker, 1280, &picture(1));

    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    while line != "--vedette-picture\r\n" {
        line.clear();
        assert!(reader.read_line(&mut line).unwrap() > 0);
    }
    let mut shown = 0;
    while next_part(&mut reader).unwrap().0 != picture(1) {
        shown += 1;
    }
    assert!(shown < 100, "{shown} of 200 pictures waited for who was slow");

    // Reading at a tenth of the pace at which pictures come.
    eventually("smaller pictures are asked for", || {
        for _ in 0..40 {
            hand_in(&worker, 1280, &large);
        }
        next_part(&mut reader).unwrap();
        (hand_in(&worker, 1280, &large).as_array().unwrap()[0] == 640).then_some(())
    });
    eventually("they are what is shown", || {
        hand_in(&worker, 640, &picture(2));
        (next_part(&mut reader).unwrap().0 == picture(2)).then_some(())
    });
    eventually("the larger ones are not asked for any more", || {
        (hand_in(&worker, 640, &picture(2)) == json!([640])).then_some(())
    });
}

#[test]
fn a_ticket_opens_one_camera_to_a_page() {
    let app = app_with_running_camera();
    let admin = app.admin();
    admin.post("/api/cameras", &json!({ "id": "other", "url": "test://" })).expect(201);
    let ticket_for = |client: &Client, camera: &str| {
        let answer = client.post(&format!("/api/cameras/{camera}/live/ticket"), &json!({})).expect(200);
        assert_eq!(answer["expires_in"], 60);
        answer["ticket"].as_str().unwrap().to_owned()
    };
    let look = |ticket: &str| Viewer::at(&app, &format!("/api/cameras/cam/live?ticket={ticket}"), None);
    assert_eq!(Viewer::at(&app, "/api/cameras/cam/live", None).err(), Some(401));
    assert_eq!(look("nonsense").err(), Some(401));
    assert_eq!(look(&ticket_for(&admin, "other")).err(), Some(401));
    app.anyone()
        .post("/api/cameras/cam/live/ticket", &json!({}))
        .expect_error(401, "AuthenticationException");
    admin.post("/api/cameras/nowhere/live/ticket", &json!({})).expect_error(404, "NotFoundException");

    let key = admin.post("/api/api-keys", &json!({ "name": "wall", "scopes": ["read"] })).expect(201);
    let program = app.anyone().with_header("X-API-Key", key["key"].as_str().unwrap());
    let owner = app.anyone().signed_in("admin", FIRST_PASSWORD);
    let mut viewers =
        [look(&ticket_for(&owner, "cam")).unwrap(), look(&ticket_for(&program, "cam")).unwrap()];
    hand_in(&app.worker(), 1280, &picture(1));
    for viewer in &mut viewers {
        assert_eq!(viewer.next().unwrap().0, picture(1));
    }
    let late = ticket_for(&owner, "cam");
    owner.post("/api/auth/logout", &json!({})).expect(204);
    admin.delete(&format!("/api/api-keys/{}", key["id"].as_str().unwrap())).expect(204);
    for viewer in &mut viewers {
        while viewer.next().is_some() {}
    }
    assert_eq!(look(&late).err(), Some(401), "a ticket is worth no more than what it was given for");
    let stored = app
        .query("SELECT CAST(count(*) AS text) FROM system_logs WHERE CAST(details AS text) LIKE '%ticket%'");
    assert_eq!(stored, [["0"]]);
}

#[test]
fn pictures_reach_who_looks_at_another_instance() {
    let Some(redis) = redis_server::borrow() else { return };
    let one = redis.app("security: {force_password_change: false}\n");
    let two = redis.app_beside(&one, "security: {force_password_change: false}\n");
    run_camera(&one);
    let mut viewer = eventually("the other instance knows that the camera runs", || {
        Viewer::at(&two, "/api/cameras/cam/live", Some(&token(&two))).ok()
    });
    eventually("the worker is asked at the first one", || {
        (beat(&one, &[])["live"] == json!([{ "camera_id": "cam", "sides": [1280] }])).then_some(())
    });
    let worker = one.worker();
    eventually("the picture is shown at the other", || {
        assert_eq!(hand_in(&worker, 1280, &picture(1)), json!([1280]));
        (viewer.next().unwrap().0 == picture(1)).then_some(())
    });
    drop(viewer);
    eventually("nothing is asked for any more", || {
        (hand_in(&worker, 1280, &picture(2)) == json!([])).then_some(())
    });
}
