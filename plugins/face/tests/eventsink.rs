//! `eventsink` in pipelines: which events come, and that they arrive.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::io::BufRead as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use base64::Engine as _;
use common::feed::{Feed, SIZE, Seen, until};
use common::server::{Answer, Server, free_address};
use common::{error_of, events, failure};
use gst::prelude::*;
use vedette_events::{EventKind, FaceEvent};

/// A sink that sends nowhere.
const NOWHERE: &str = "eventsink name=sink uri=file:///dev/null sync=false";

fn spooled(dir: &Path) -> usize {
    let entries = std::fs::read_dir(dir).unwrap().map_while(Result::ok);
    entries.filter(|entry| entry.path().extension().is_some_and(|extension| extension == "json")).count()
}

#[test]
fn a_visit_is_told_from_the_name_to_the_end() {
    let feed = Feed::start(&format!("{NOWHERE} camera-id=door"));
    feed.push(0, &[Seen::new(1, None)], &[]);
    feed.push(400, &[Seen::new(1, Some("Ada"))], &[]);
    feed.push(2400, &[Seen { quality: 0.95, ..Seen::new(1, Some("Ada")) }], &[]);
    feed.push(3000, &[Seen::new(2, Some("unknown"))], &[1]);
    let told = events(&feed.end());
    let kinds: Vec<(EventKind, u64)> = told.iter().map(|event| (event.kind, event.track_id)).collect();
    let expected = [
        (EventKind::Recognized, 1),
        (EventKind::Updated, 1),
        (EventKind::Unknown, 2),
        (EventKind::Left, 1),
        (EventKind::Left, 2),
    ];
    assert_eq!(kinds, expected);
    let first = &told[0];
    assert_eq!((first.camera_id.as_str(), first.stream_time_ms), ("door", 400));
    assert_eq!((first.frame.width, first.frame.height), SIZE);
    assert_eq!((first.bounding_box.x, first.bounding_box.height), (100, 100));
    assert_eq!((first.confidence, first.quality), (0.9, 0.8));
    let person = first.person.as_ref().unwrap();
    assert_eq!((person.id.as_str(), person.name.as_str()), ("id-Ada", "Ada"));
    assert_eq!(first.event_id.get_version_num(), 7);
    assert_eq!(first.snapshot, None, "pictures are sent only if asked for");
    let left = &told[3];
    assert!(left.first_seen.unwrap() <= left.last_seen.unwrap());
    assert_eq!(left.stream_time_ms, 2400);
    let ids: std::collections::BTreeSet<_> = told.iter().map(|event| event.event_id).collect();
    assert_eq!(ids.len(), told.len());
}

#[test]
fn a_person_is_told_once_within_the_window() {
    for (window, recognized) in [(30, 1), (0, 2), (1, 2)] {
        let feed = Feed::start(&format!("{NOWHERE} dedup-window={window}"));
        feed.push(0, &[Seen::new(1, Some("Ada"))], &[]);
        feed.push(5000, &[Seen::new(2, Some("Ada"))], &[1]);
        let told = events(&feed.end());
        let count = told.iter().filter(|event| event.kind == EventKind::Recognized).count();
        assert_eq!(count, recognized, "dedup-window={window}");
    }
}

#[test]
fn a_stop_in_mid_stream_ends_visits() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("events.jsonl");
    let feed = Feed::start(&format!("eventsink name=sink uri=file://{} sync=false", path.display()));
    feed.push(0, &[Seen::new(1, Some("Ada"))], &[]);
    let lines = || std::fs::read_to_string(&path).unwrap_or_default().lines().count();
    until("the event", || lines() == 1);
    feed.running.pipeline.set_state(gst::State::Null).unwrap();
    let text = std::fs::read_to_string(&path).unwrap();
    let kinds: Vec<EventKind> =
        text.lines().map(|line| serde_json::from_str::<FaceEvent>(line).unwrap().kind).collect();
    assert_eq!(kinds, [EventKind::Recognized, EventKind::Left]);
}

#[test]
fn snapshots_do_not_show_what_is_masked() {
    let still = common::still("astronaut.jpg", "NV12", 40);
    let elements = "facetrack ! faceembed ! facematch";
    let told = events(&common::run(&format!(
        "{still} ! facedetect mask=0%,0%,30%,100% ! {elements} ! {NOWHERE} snapshots=true"
    )));
    let event = told.iter().find(|event| event.kind == EventKind::Unknown).expect("a stranger");
    let jpeg = base64::engine::general_purpose::STANDARD.decode(event.snapshot.as_ref().unwrap()).unwrap();
    let picture = vedette_models::Photo::decode(&jpeg).unwrap();
    let picture = picture.view().crop_rgb(picture.view().bounds(), picture.width(), picture.height());
    // The photo is 512 pixels wide. Its snapshot is a square around the face, which no edge cuts.
    let face = &event.bounding_box;
    let side = 1.8 * face.width.max(face.height) as f32;
    let left = face.x as f32 + face.width as f32 / 2.0 - side / 2.0;
    let edge = (0.3 * 512.0 - left) / side * picture.width() as f32;
    assert!(left > 0.0 && edge > 10.0, "the mask reaches into the picture: {left} {edge}");
    let brightness = |x: u32| {
        let sum = |y| picture.pixel(x, y).unwrap().iter().map(|value| u32::from(*value)).sum::<u32>();
        (0..picture.height()).map(sum).sum::<u32>() / (3 * picture.height())
    };
    // JPEG smears an edge by some pixels.
    assert!((0..edge as u32 - 8).all(|x| brightness(x) < 4), "{edge}");
    assert!((edge as u32 + 8..picture.width()).all(|x| brightness(x) > 30), "{edge}");
}

#[test]
fn snapshots_show_the_face_with_its_surroundings() {
    let dir = tempfile::tempdir().unwrap();
    let pictures = dir.path().join("pictures");
    let feed = Feed::start(&format!("{NOWHERE} snapshots=true snapshot-dir={}", pictures.display()));
    feed.push(0, &[Seen::new(1, Some("Ada"))], &[]);
    let told = events(&feed.end());
    let jpeg = base64::engine::general_purpose::STANDARD.decode(told[0].snapshot.as_ref().unwrap()).unwrap();
    assert_eq!(&jpeg[..2], [0xff, 0xd8]);
    let photo = vedette_models::photo::Photo::decode(&jpeg).unwrap();
    assert_eq!((photo.view().width(), photo.view().height()), (180, 180));
    let stored = pictures.join(format!("{}.jpg", told[0].event_id));
    assert_eq!(std::fs::read(stored).unwrap(), jpeg);
    assert_eq!(told[1].kind, EventKind::Left);
    assert_eq!(told[1].snapshot, None);
}

#[test]
fn the_signal_carries_the_event() {
    let feed = Feed::start(NOWHERE);
    let heard = Arc::new(Mutex::new(Vec::<String>::new()));
    let ear = heard.clone();
    feed.running.element("sink").connect("face-event", false, move |values| {
        ear.lock().unwrap().push(values[1].get().unwrap());
        None
    });
    feed.push(0, &[Seen::new(1, Some("Ada"))], &[]);
    let told = events(&feed.end());
    let heard = heard.lock().unwrap();
    assert_eq!(heard.len(), 2);
    assert_eq!(serde_json::from_str::<FaceEvent>(&heard[0]).unwrap(), told[0]);
}

#[test]
fn a_frame_is_one_line_in_the_other_format() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("frames.jsonl");
    let uri = format!("file://{}", path.display());
    let feed = Feed::start(&format!("eventsink uri={uri} format=frame camera-id=door sync=false"));
    feed.push(0, &[Seen::new(7, Some("Ada"))], &[]);
    feed.push(40, &[], &[]);
    assert_eq!(error_of(&feed.end()), None);
    let text = std::fs::read_to_string(path).unwrap();
    let frames: Vec<serde_json::Value> =
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(frames.len(), 2);
    assert_eq!(frames[0]["source"], "door");
    assert_eq!(frames[0]["objects"][0]["id"], 7);
    assert_eq!(frames[0]["objects"][0]["identity"]["label"], "Ada");
    assert_eq!(frames[1]["timestamp"], 40_000_000);
    assert_eq!(frames[1]["objects"].as_array().unwrap().len(), 0);
}

#[test]
fn faces_without_tracks_are_warned_about() {
    let launch = format!("{} ! facedetect ! {NOWHERE}", common::still("obama.jpg", "RGB", 2));
    let messages = common::run(&launch);
    let warnings = common::warnings(&messages);
    assert_eq!(warnings.len(), 1, "{warnings:?}");
    assert!(warnings[0].contains("facetrack"), "{warnings:?}");
}

#[test]
fn events_are_posted_with_the_token() {
    let server = Server::start(|_| Answer::status(200));
    let uri = format!("http://{}/api/ingest", server.address);
    let feed = Feed::start(&format!("eventsink name=sink uri={uri} token=secret sync=false"));
    feed.push(0, &[Seen::new(1, Some("Ada"))], &[]);
    assert_eq!(error_of(&feed.end()), None);
    let request = server.next();
    assert!(request.line.starts_with("POST /api/ingest "), "{}", request.line);
    assert!(request.headers.contains(&"authorization: Bearer secret".to_owned()), "{request:?}");
    assert!(request.headers.contains(&"content-type: application/x-ndjson".to_owned()), "{request:?}");
    let first: FaceEvent = serde_json::from_str(request.body.lines().next().unwrap()).unwrap();
    assert_eq!(first.kind, EventKind::Recognized);
    assert_eq!(feed.running.stats("sink").get::<u64>("delivered").unwrap(), 2, "the end waits for delivery");
}

#[test]
fn the_token_cannot_be_read_back() {
    common::init();
    let sink = gst::ElementFactory::make("eventsink").property("token", "secret").build().unwrap();
    let token = sink.find_property("token").unwrap();
    assert!(!token.flags().contains(gst::glib::ParamFlags::READABLE));
}

#[test]
fn events_outlive_a_server_that_is_down() {
    let dir = tempfile::tempdir().unwrap();
    let address = free_address();
    let sink = format!("eventsink uri=http://{address}/ingest spool-dir={} sync=false", dir.path().display());
    let feed = Feed::start(&sink);
    feed.push(0, &[Seen::new(1, Some("Ada"))], &[]);
    feed.await_warning("kept on disk");
    let told = events(&feed.end());
    assert_eq!(told.last().unwrap().kind, EventKind::Left);
    drop(feed);
    assert_eq!(spooled(dir.path()), 2);

    // The next process finds them.
    let server = Server::start_at(address, |_| Answer::status(200));
    let feed = Feed::start(&sink);
    let request = server.next();
    let kinds: Vec<EventKind> =
        request.body.lines().map(|line| serde_json::from_str::<FaceEvent>(line).unwrap().kind).collect();
    assert_eq!(kinds, [EventKind::Recognized, EventKind::Left]);
    until("an empty spool", || spooled(dir.path()) == 0);
    feed.end();
}

#[test]
fn a_server_that_comes_back_gets_the_events_of_the_running_stream() {
    let dir = tempfile::tempdir().unwrap();
    let address = free_address();
    let sink = format!("eventsink uri=http://{address}/ingest spool-dir={} sync=false", dir.path().display());
    let feed = Feed::start(&sink);
    feed.push(0, &[Seen::new(1, Some("Ada"))], &[]);
    feed.await_warning("kept on disk");
    let server = Server::start_at(address, |_| Answer::status(200));
    assert!(server.next().body.contains("\"recognized\""));
    feed.push(40, &[Seen::new(2, Some("Ben"))], &[]);
    assert!(server.next().body.contains("\"Ben\""));
    assert_eq!(error_of(&feed.end()), None);
    assert_eq!(spooled(dir.path()), 0);
}

#[test]
fn an_event_the_server_refuses_is_set_aside_and_the_others_go_on() {
    let dir = tempfile::tempdir().unwrap();
    let accepted = Arc::new(AtomicU64::new(0));
    let count = accepted.clone();
    let server = Server::start(move |request| {
        if request.body.contains("\"Ada\"") {
            return Answer::status(422);
        }
        count.fetch_add(request.body.lines().count() as u64, Ordering::Relaxed);
        Answer::status(200)
    });
    let sink = format!(
        "eventsink uri=http://{}/ingest spool-dir={} sync=false",
        server.address,
        dir.path().display()
    );
    let feed = Feed::start(&sink);
    feed.push(0, &[Seen::new(1, Some("Ada")), Seen::new(2, Some("Ben"))], &[]);
    let messages = feed.end();
    assert_eq!(error_of(&messages), None);
    assert_eq!(accepted.load(Ordering::Relaxed), 2, "both of Ben's");
    assert_eq!(spooled(dir.path()), 0);
    assert_eq!(spooled(&dir.path().join("rejected")), 2, "both of Ada's");
    assert!(common::warnings(&messages).iter().any(|text| text.contains("rejected")));
}

#[test]
fn a_proxy_without_its_control_plane_costs_no_event() {
    let dir = tempfile::tempdir().unwrap();
    let asked = AtomicU64::new(0);
    // What proxies say while what is behind them is replaced.
    let server = Server::start(move |_| match asked.fetch_add(1, Ordering::Relaxed) {
        0 => Answer::status(404),
        1 => Answer::status(405),
        2 => Answer::status(502),
        _ => Answer::status(200),
    });
    let uri = format!("http://{}/ingest", server.address);
    let feed = Feed::start(&format!("eventsink uri={uri} spool-dir={} sync=false", dir.path().display()));
    feed.push(0, &[Seen::new(1, Some("Ada"))], &[]);
    let bodies: Vec<String> = (0..4).map(|_| server.next().body).collect();
    assert!(bodies.iter().all(|body| *body == bodies[0]), "{bodies:?}");
    let messages = feed.end();
    assert!(common::warnings(&messages).iter().any(|text| text.contains("404")), "it is told");
    until("an empty spool", || spooled(dir.path()) == 0);
    assert!(!dir.path().join("rejected").exists());
}

#[test]
fn what_is_too_large_for_the_receiver_arrives_in_parts_and_without_pictures() {
    let dir = tempfile::tempdir().unwrap();
    let taken = Arc::new(Mutex::new(Vec::<FaceEvent>::new()));
    let took = taken.clone();
    let server = Server::start(move |request| {
        if request.body.len() > 1500 {
            return Answer::status(413);
        }
        let lines = request.body.lines().map(|line| serde_json::from_str::<FaceEvent>(line).unwrap());
        took.lock().unwrap().extend(lines);
        Answer::status(200)
    });
    let uri = format!("http://{}/ingest", server.address);
    let feed = Feed::start(&format!(
        "eventsink name=sink uri={uri} spool-dir={} snapshots=true sync=false",
        dir.path().display()
    ));
    let faces: Vec<Seen> = (1..6).map(|track| Seen::new(track, Some("unknown"))).collect();
    feed.push(0, &faces, &[]);
    assert_eq!(error_of(&feed.end()), None);
    let taken = taken.lock().unwrap();
    let ids: std::collections::BTreeSet<_> = taken.iter().map(|event| event.event_id).collect();
    assert_eq!((ids.len(), taken.len()), (10, 10), "each once");
    assert!(taken.iter().all(|event| event.snapshot.is_none()));
    assert_eq!(spooled(dir.path()), 0);
    let stats = |name| feed.running.stats("sink").get::<u64>(name).unwrap();
    assert_eq!((stats("delivered"), stats("pictures-lost"), stats("rejected")), (10, 5, 0));
}

#[test]
fn a_full_spool_keeps_events_and_lets_pictures_go() {
    let dir = tempfile::tempdir().unwrap();
    let uri = format!("http://{}/ingest", free_address());
    let feed = Feed::start(&format!(
        "eventsink name=sink uri={uri} spool-dir={} spool-max-bytes=24000 snapshots=true sync=false",
        dir.path().display()
    ));
    let faces: Vec<Seen> = (1..8).map(|track| Seen::new(track, Some("unknown"))).collect();
    feed.push(0, &faces, &[]);
    feed.await_warning("spool-max-bytes");
    let stats = |name| feed.running.stats("sink").get::<u64>(name).unwrap();
    until("every event", || stats("events") == 7);
    assert!(stats("pictures-lost") > 0);
    assert!(stats("spool-bytes") <= 24_000);
    assert_eq!((spooled(dir.path()), stats("lost")), (5, 0), "two more wait in memory");
}

#[test]
fn targets_that_cannot_be_are_refused_at_the_start() {
    for (uri, says) in [
        ("nonsense", "stdout:"),
        ("ftp://host/x", "ftp:"),
        ("file:///no/such/folder/events", "/no/such/folder/events"),
        ("redis://host/0", "stream=name"),
    ] {
        let error = failure(&format!("videotestsrc ! eventsink uri={uri}"));
        assert!(error.contains(says), "{uri}: {error}");
    }
    let error = failure("videotestsrc ! eventsink uri=http://127.0.0.1:1/x spool-dir=/proc/none");
    assert!(error.contains("spool-dir"), "{error}");
}

/// Not a test of its own: the process whose standard output the next two look at.
#[test]
#[ignore = "run by the tests of standard output"]
fn child_with_events_on_standard_output() {
    let feed = Feed::start("eventsink uri=stdout: sync=false");
    for index in 0..500 {
        feed.push(index * 40, &[Seen::new(index + 1, Some("unknown"))], &[]);
    }
    match error_of(&feed.end()) {
        Some(error) => eprintln!("refused: {error}"),
        None => eprintln!("finished"),
    }
}

fn child() -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--ignored", "--exact", "--nocapture", "child_with_events_on_standard_output"]);
    command
}

#[test]
fn standard_output_gets_a_line_for_each_event() {
    let output = child().output().unwrap();
    assert!(String::from_utf8_lossy(&output.stderr).contains("finished"));
    let text = String::from_utf8(output.stdout).unwrap();
    // The test program's own words share the stream.
    let lines: Vec<&str> = text.lines().filter_map(|line| line.find('{').map(|at| &line[at..])).collect();
    let told: Vec<FaceEvent> = lines.iter().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(told.len(), 1000);
}

#[test]
fn a_reader_that_goes_away_is_an_error_not_a_crash() {
    let mut child = child().stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    // The first event is there: the element, not the test program, finds the pipe closed. It holds less than
    // all events.
    let lines = std::io::BufReader::new(child.stdout.take().unwrap()).lines();
    assert!(lines.map_while(Result::ok).any(|line| line.contains('{')));
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("refused: cannot write events to standard output"), "{said}");
}
