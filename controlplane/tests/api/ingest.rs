//! Events from workers, and what is made of them.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::{Value, json};

use crate::app::{API_KEY, TestApp};
use crate::media::{Form, THREE_OF_ONE, jpeg};

/// An event with a picture; of `person`, as the API answers one, or of a stranger.
pub(crate) fn event(number: u128, person: Option<&Value>) -> Value {
    let picture = jpeg(&image::RgbImage::from_pixel(32, 32, image::Rgb([200, 150, 120])).into());
    let mut event = bare_event(number, person);
    event["snapshot"] = json!(STANDARD.encode(picture));
    event
}

/// The same without a picture.
pub(crate) fn bare_event(number: u128, person: Option<&Value>) -> Value {
    json!({
        "event_id": format!("01920000-0000-7000-8000-{number:012}"),
        "kind": if person.is_some() { "recognized" } else { "unknown" },
        "camera_id": "cam_01", "track_id": number as u64,
        "timestamp": format!("2026-01-01T12:{:02}:00Z", number % 60), "stream_time_ms": 41200,
        "bounding_box": { "x": 312, "y": 96, "width": 128, "height": 156 },
        "frame": { "width": 1280, "height": 720 }, "confidence": 0.93, "quality": 0.81,
        "person": person.map(|person| json!({
            "id": person["id"], "name": person["name"], "similarity": 0.71, "margin": 0.2
        })),
    })
}

fn lines(events: &[Value]) -> Vec<u8> {
    events.iter().map(|event| format!("{event}\n")).collect::<String>().into_bytes()
}

#[test]
fn an_event_counts_once_however_often_it_is_sent() {
    let app = TestApp::start();
    let (admin, worker) = (app.admin(), app.worker());
    let send = |events: &[Value]| {
        worker.send("POST", "/api/ingest", Some("application/x-ndjson"), lines(events)).expect(200)
    };
    let (one, two, three) = (event(1, None), event(2, None), event(3, None));
    assert_eq!(send(&[one.clone(), two.clone()]), json!({ "accepted": 2, "duplicates": 0 }));
    assert_eq!(send(&[one.clone(), two.clone()]), json!({ "accepted": 0, "duplicates": 2 }));
    assert_eq!(send(&[two, three.clone(), three]), json!({ "accepted": 1, "duplicates": 2 }));
    assert_eq!(send(&[]), json!({ "accepted": 0, "duplicates": 0 }));
    assert_eq!(admin.get("/api/detections").expect(200)["total"], 3);

    let program = app.anyone().with_header("X-API-Key", API_KEY);
    assert_eq!(program.post("/api/ingest", &json!([one])).expect(200)["duplicates"], 1);
    let nobody = app.anyone().post("/api/ingest", &json!([]));
    nobody.expect_error(401, "AuthenticationException");
    admin.post("/api/ingest", &json!([])).expect_error(401, "AuthenticationException");
}

#[test]
fn the_same_batch_at_the_same_moment_is_stored_once() {
    let app = TestApp::start();
    let worker = app.worker();
    let events: Vec<Value> = (0..200).map(|number| event(number, None)).collect();
    let send = || {
        let (worker, body) = (worker.clone(), lines(&events));
        std::thread::spawn(move || worker.send("POST", "/api/ingest", None, body).expect(200))
    };
    let receipts = [send(), send(), send()].map(|sent| sent.join().unwrap());
    let sum = |name: &str| receipts.iter().map(|receipt| receipt[name].as_u64().unwrap()).sum::<u64>();
    assert_eq!((sum("accepted"), sum("duplicates")), (200, 400));
    assert_eq!(app.admin().get("/api/detections").expect(200)["total"], 200);
}

#[test]
fn a_bad_event_is_named_and_nothing_of_the_batch_is_stored() {
    let app = TestApp::start();
    let (admin, worker) = (app.admin(), app.worker());
    let mut bad = event(2, None);
    bad["snapshot"] = json!(STANDARD.encode("<html>"));
    let body = lines(&[event(1, None), bad, event(3, None)]);
    let answer = worker.send("POST", "/api/ingest", None, body);
    assert_eq!(answer.json()["details"][0]["field"], "line 2");
    let message = answer.expect_error(422, "ValidationException");
    assert!(message.contains("line 2") && message.contains("JPEG"), "{message}");
    assert_eq!(admin.get("/api/detections").expect(200)["total"], 0);
    let snapshots = app.folder.path().join("data/snapshots");
    assert_eq!(std::fs::read_dir(snapshots).unwrap().count(), 0);

    let endless = vec![b' '; 65 * 1024 * 1024];
    worker.send("POST", "/api/ingest", None, endless).expect_error(413, "FileProcessingException");
}

#[test]
fn detections_are_listed_filtered_and_shown() {
    let app = TestApp::start();
    let (admin, worker) = (app.admin(), app.worker());
    let person = Form::default()
        .text("name", "Barack")
        .photos(THREE_OF_ONE)
        .send(&admin, "/api/persons/register")
        .expect(201);
    let mut elsewhere = event(3, None);
    elsewhere["camera_id"] = json!("cam_02");
    elsewhere["confidence"] = json!(0.5);
    elsewhere.as_object_mut().unwrap().remove("snapshot");
    let mut left = event(4, Some(&person));
    left["kind"] = json!("left");
    left["first_seen"] = json!("2026-01-01T11:59:00Z");
    let events = [event(1, Some(&person)), event(2, None), elsewhere, left];
    assert_eq!(worker.post("/api/ingest", &json!(events)).expect(200)["accepted"], 4);

    let list = admin.get("/api/detections?page_size=2").expect(200);
    assert_eq!((&list["total"], &list["page"], &list["page_size"]), (&json!(4), &json!(1), &json!(2)));
    let newest = &list["items"][0];
    assert_eq!((&newest["kind"], &newest["first_seen"]), (&json!("left"), &json!("2026-01-01T11:59:00Z")));
    assert_eq!((&newest["person_id"], &newest["person_name"]), (&person["id"], &json!("Barack")));
    assert_eq!(newest["bounding_box"], json!({ "x": 312, "y": 96, "width": 128, "height": 156 }));

    let total =
        |query: &str| admin.get(&format!("/api/detections?{query}")).expect(200)["total"].as_u64().unwrap();
    assert_eq!(total(&format!("person_id={}", person["id"].as_str().unwrap())), 2);
    assert_eq!((total("known=true"), total("known=false")), (2, 2));
    assert_eq!((total("camera_id=cam_02"), total("min_confidence=0.9"), total("kind=left")), (1, 3, 1));
    assert_eq!(total("from=2026-01-01T12:02:00Z&to=2026-01-01T12:04:00Z"), 2);
    for query in ["sort=shoe_size", "from=yesterday", "min_confidence=2", "kind=seen", "known=perhaps"] {
        let answer = admin.get(&format!("/api/detections?{query}"));
        answer.expect_error(422, "ValidationException");
    }
    let oldest = &admin.get("/api/detections?sort=timestamp").expect(200)["items"][0];
    assert_eq!(oldest["person_id"], person["id"]);
    let last = &admin.get("/api/detections?sort=-similarity").expect(200)["items"][3];
    assert_eq!(last["similarity"], Value::Null, "strangers come last");

    let one = admin.get(&format!("/api/detections/{}", newest["id"].as_str().unwrap())).expect(200);
    assert_eq!(&one, newest);
    let snapshot = admin.get(newest["snapshot_url"].as_str().unwrap());
    assert_eq!((snapshot.status, snapshot.header("content-type")), (200, "image/jpeg"));
    assert!(snapshot.header("cache-control").starts_with("private"));
    assert!(image::load_from_memory(&snapshot.bytes).is_ok());
    let without = &admin.get("/api/detections?camera_id=cam_02").expect(200)["items"][0];
    assert_eq!(without["snapshot_url"], Value::Null);
    let path = format!("/api/detections/{}/snapshot", without["id"].as_str().unwrap());
    admin.get(&path).expect_error(404, "NotFoundException");
    app.anyone().get("/api/detections").expect_error(401, "AuthenticationException");
}

#[test]
fn all_detections_are_exported_as_csv() {
    let app = TestApp::start();
    let events: Vec<Value> = (0..2500)
        .map(|number| {
            let mut event = event(number, None);
            event.as_object_mut().unwrap().remove("snapshot");
            event
        })
        .collect();
    app.worker().post("/api/ingest", &json!(events)).expect(200);
    let export = app.admin().get("/api/detections?format=csv&sort=timestamp");
    assert_eq!((export.status, export.header("content-type")), (200, "text/csv; charset=utf-8"));
    let mut rows = export.text.lines();
    assert!(rows.next().unwrap().starts_with("id,event_id,kind,timestamp,"));
    let mut keys: Vec<(String, String)> = rows
        .map(|row| {
            let fields: Vec<&str> = row.split(',').collect();
            (fields[3].to_owned(), fields[0].to_owned())
        })
        .collect();
    assert_eq!(keys.len(), 2500);
    assert!(keys.is_sorted());
    keys.dedup();
    assert_eq!(keys.len(), 2500, "none twice");
}
