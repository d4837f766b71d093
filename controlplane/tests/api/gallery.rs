//! The gallery for workers: validators, and waiting for changes.

use std::sync::mpsc;
use std::time::{Duration, Instant};

use crate::app::{API_KEY, Answer, TestApp};
use crate::media::{Form, THREE_OF_ONE};

#[test]
fn an_unchanged_gallery_is_not_sent_again() {
    let app = TestApp::start();
    let worker = app.worker();
    let gallery = worker.get("/api/gallery");
    let etag = gallery.header("etag").to_owned();
    assert!(etag.starts_with('"'), "a strong validator: {etag}");
    let gallery = gallery.expect(200);
    assert_eq!((&gallery["pack"], &gallery["dimension"]), (&"opencv".into(), &128.into()));

    let again = worker.clone().with_header("If-None-Match", &etag).get("/api/gallery");
    assert_eq!((again.status, again.text.as_str(), again.header("etag")), (304, "", etag.as_str()));
    assert_eq!(worker.clone().with_header("If-None-Match", "\"other\"").get("/api/gallery").status, 200);
    app.anyone().with_header("X-API-Key", API_KEY).get("/api/gallery").expect(200);
    app.anyone().get("/api/gallery").expect_error(401, "AuthenticationException");
    worker.get("/api/gallery?wait_s=61").expect_error(422, "ValidationException");
}

/// Asks for another gallery than `etag` names, waiting up to 60 s; the answer comes through the channel.
fn wait_for_other(app: &TestApp, etag: &str) -> mpsc::Receiver<Answer> {
    let (sender, receiver) = mpsc::channel();
    let worker = app.worker().with_header("If-None-Match", etag);
    std::thread::spawn(move || {
        // A test that no longer waits has failed already.
        let _ = sender.send(worker.get("/api/gallery?wait_s=25"));
    });
    receiver
}

#[test]
fn whoever_waits_hears_of_a_change_at_once() {
    let app = TestApp::start();
    let admin = app.admin();
    let etag = app.worker().get("/api/gallery").header("etag").to_owned();
    let waiting = wait_for_other(&app, &etag);
    let person = Form::default()
        .text("name", "Barack")
        .photos(THREE_OF_ONE)
        .send(&admin, "/api/persons/register")
        .expect(201);
    let soon = Duration::from_secs(2);
    let answer = waiting.recv_timeout(soon).expect("a new person must reach workers within two seconds");
    let etag = answer.header("etag").to_owned();
    assert_eq!(answer.expect(200)["persons"][0]["name"], "Barack");

    let waiting = wait_for_other(&app, &etag);
    admin.delete(&format!("/api/persons/{}", person["id"].as_str().unwrap())).expect(204);
    let answer = waiting.recv_timeout(soon).expect("so must one that is removed");
    assert_eq!(answer.expect(200)["persons"], serde_json::json!([]));
}

#[test]
fn waiting_ends_when_nothing_changes() {
    let app = TestApp::start();
    let etag = app.worker().get("/api/gallery").header("etag").to_owned();
    let started = Instant::now();
    let answer = app.worker().with_header("If-None-Match", &etag).get("/api/gallery?wait_s=1");
    assert_eq!(answer.status, 304);
    assert!(started.elapsed() >= Duration::from_secs(1), "it has to wait, or workers ask without pause");
}
