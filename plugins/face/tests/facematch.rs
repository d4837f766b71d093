//! `facematch` in pipelines, up to the events it leads to.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::path::Path;
use std::sync::{Arc, Mutex};

use common::server::{Answer, Server};
use common::{Running, events, failure, frames, gallery, gallery_of, run, still, warnings, write_gallery};
use vedette_events::{EventKind, GalleryPerson, GallerySnapshot, encode_vector};

const OBAMA: (&str, &[&str]) = ("obama", &["obama.jpg", "obama2.jpg"]);
const CHAIN: &str = "facedetect ! facetrack ! faceembed";

fn names(photo: &str, gallery: &str) -> Vec<(EventKind, Option<String>)> {
    let launch = format!(
        "{} ! {CHAIN} ! facematch gallery={gallery} ! eventsink uri=file:///dev/null sync=false",
        still(photo, "I420", 30)
    );
    let told = events(&run(&launch));
    told.into_iter().map(|event| (event.kind, event.person.map(|person| person.name))).collect()
}

#[test]
fn known_people_are_named_and_strangers_are_not() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("people.json");
    gallery(&path, &[OBAMA, ("eileen", &["astronaut.jpg"])]);
    let path = path.to_str().unwrap();
    let obama = Some("obama".to_owned());
    assert_eq!(names("obama3.jpg", path), [(EventKind::Recognized, obama.clone()), (EventKind::Left, obama)]);
    let by_uri = names("biden.jpg", &format!("file://{path}"));
    assert_eq!(by_uri, [(EventKind::Unknown, None), (EventKind::Left, None)]);
}

/// A pack with a network of ArcFace's form, 512 numbers and random weights. To it faces are alike by their light alone:
/// it tells photos apart rather than people.
const OWN_PACK: &str = "\
about: a network with random weights
licence: MIT
commercial_use: true
embedder:
  architecture: arcface
  input_size: 112
  dimension: 512
  file:
    name: arcface_512.onnx
    licence: MIT
    commercial_use: true
";

#[test]
fn people_are_named_with_a_pack_of_512_numbers() {
    let dir = tempfile::tempdir().unwrap();
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../models/tests/golden/arcface_512.onnx");
    std::fs::copy(golden, dir.path().join("arcface_512.onnx")).unwrap();
    std::fs::write(dir.path().join("pack.yaml"), OWN_PACK).unwrap();
    let pack = dir.path().to_str().unwrap();
    let path = dir.path().join("people.json");
    write_gallery(
        &path,
        &gallery_of(pack, 512, &[("obama", &["obama.jpg"]), ("eileen", &["astronaut.jpg"])]),
    );
    let told = |photo: &str| {
        events(&run(&format!(
            "{} ! facedetect ! facetrack ! faceembed pack={pack} ! facematch gallery={} threshold=0.02 margin=0 \
             ! eventsink uri=file:///dev/null sync=false",
            still(photo, "I420", 30),
            path.display()
        )))
    };
    for (photo, name) in
        [("obama.jpg", Some("obama")), ("astronaut.jpg", Some("eileen")), ("biden.jpg", None)]
    {
        let events = told(photo);
        let person = events[0].person.as_ref();
        assert_eq!(person.map(|person| person.name.as_str()), name, "{photo}");
        assert_eq!(events[0].kind, if name.is_some() { EventKind::Recognized } else { EventKind::Unknown });
    }
}

#[test]
fn every_region_of_a_decided_track_carries_the_identity() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("people.json");
    gallery(&path, &[OBAMA]);
    let launch = format!(
        "{} ! facedetect inference-interval=2 ! facetrack ! faceembed ! facematch gallery={}",
        still("obama3.jpg", "I420", 20),
        path.display()
    );
    let frames = frames(&launch);
    let first = frames.iter().position(|faces| faces.iter().any(|face| face.identity.is_some())).unwrap();
    assert!(first < 10, "decided within a second, not at frame {first}");
    for faces in &frames[first..] {
        let identity = faces[0].identity.as_ref().unwrap();
        assert_eq!((identity.label.as_str(), identity.label_id), ("obama", 0));
        assert_eq!(identity.person_id.as_deref(), Some("id-obama"));
        assert!(identity.confidence > 0.4 && identity.margin > 0.1, "{identity:?}");
        assert!(identity.model_name.contains("sface"));
    }
}

#[test]
fn no_more_crops_are_embedded_of_somebody_who_is_clearly_known() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("people.json");
    gallery(&path, &[OBAMA]);
    let embedded = |photo: &str, attributes: bool| {
        let launch = format!(
            "{} ! facedetect ! facetrack min-hits=1 ! faceembed name=embed refresh-interval=0 attributes={attributes} \
             ! facematch gallery={} ! fakesink",
            still(photo, "I420", 30),
            path.display()
        );
        let running = Running::start(&launch);
        assert_eq!(common::error_of(&running.finish()), None);
        running.stats("embed").get::<u64>("embedded").unwrap()
    };
    assert_eq!(embedded("obama3.jpg", false), 2, "as many as naming somebody takes");
    assert_eq!(embedded("biden.jpg", false), 4, "as many as calling somebody a stranger takes");
    assert_eq!(embedded("obama3.jpg", true), 5, "age and gender gain by every crop");
}

#[test]
fn a_strict_threshold_names_nobody() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("people.json");
    gallery(&path, &[OBAMA]);
    let named = names("obama3.jpg", &format!("{} threshold=0.05", path.display()));
    assert!(named.iter().all(|(_, name)| name.is_none()), "{named:?}");
}

#[test]
fn without_a_gallery_everybody_is_a_stranger() {
    let launch = format!(
        "{} ! {CHAIN} ! facematch ! eventsink uri=file:///dev/null sync=false",
        still("obama.jpg", "RGB", 20)
    );
    let told = events(&run(&launch));
    assert_eq!(told[0].kind, EventKind::Unknown);
    let vector = vedette_events::decode_vector(told[0].embedding.as_ref().unwrap()).unwrap();
    assert_eq!(vector.len(), 128);
}

#[test]
fn a_missing_gallery_says_how_to_make_one() {
    let error = failure("videotestsrc ! facematch gallery=/no/such/people.json ! fakesink");
    assert!(error.contains("vedette gallery build DIR --out /no/such/people.json"), "{error}");
}

#[test]
fn a_gallery_of_another_model_is_an_error() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("people.json");
    let person =
        GalleryPerson { id: "1".into(), name: "Ada".into(), templates: vec![encode_vector(&[1.0; 512])] };
    let snapshot = GallerySnapshot { pack: "buffalo_l".into(), dimension: 512, persons: vec![person] };
    write_gallery(&path, &snapshot);
    let launch = format!(
        "{} ! {CHAIN} ! facematch gallery={} ! fakesink",
        still("obama.jpg", "RGB", 20),
        path.display()
    );
    let error = failure(&launch);
    assert!(error.contains("512") && error.contains("pack=buffalo_l"), "{error}");
}

/// Serves what is in the box, with a tag that changes with it.
fn serve(content: Arc<Mutex<Vec<u8>>>) -> Server {
    Server::start(move |request| {
        let body = content.lock().unwrap().clone();
        let etag = format!("\"{}\"", body.len());
        if !request.headers.contains(&"authorization: Bearer secret".to_owned()) {
            return Answer::status(401);
        }
        if body.is_empty() {
            return Answer::status(503);
        }
        if request.headers.iter().any(|header| header.ends_with(&etag)) {
            return Answer::status(304);
        }
        Answer { status: 200, headers: format!("ETag: {etag}\r\n"), body }
    })
}

fn bytes(path: &Path) -> Vec<u8> {
    std::fs::read(path).unwrap()
}

#[test]
fn a_gallery_is_had_from_a_server_with_a_token() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("people.json");
    gallery(&path, &[OBAMA]);
    let server = serve(Arc::new(Mutex::new(bytes(&path))));
    let uri = format!("http://{}/api/gallery token=secret", server.address);
    assert_eq!(names("obama3.jpg", &uri)[0], (EventKind::Recognized, Some("obama".to_owned())));
    assert!(server.next().line.starts_with("GET /api/gallery "));
    let polled = server.next();
    assert!(polled.line.contains("wait_s=30"), "{}", polled.line);
    assert!(polled.headers.iter().any(|header| header.starts_with("if-none-match:")), "{polled:?}");
}

#[test]
fn a_server_that_is_not_ready_is_asked_again_and_nobody_is_named_until_then() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("people.json");
    gallery(&path, &[OBAMA]);
    let content = Arc::new(Mutex::new(Vec::new()));
    let server = serve(content.clone());
    let photo = common::photo("obama3.jpg");
    let launch = format!(
        "filesrc location={} ! jpegdec ! videoconvert ! imagefreeze is-live=true ! video/x-raw,framerate=10/1 \
         ! {CHAIN} ! facematch gallery=http://{}/gallery token=secret ! eventsink uri=file:///dev/null",
        photo.display(),
        server.address
    );
    let running = Running::start(&launch);
    let mut messages = Vec::new();
    let mut wait_for = |is_it: &dyn Fn(&[gst::Message]) -> bool| {
        messages.clear();
        while !is_it(&messages) {
            messages.push(running.bus.timed_pop(common::PATIENCE).expect("it does not come"));
        }
        assert_eq!(common::error_of(&messages), None);
        events(&messages)
    };
    let before = wait_for(&|messages| warnings(messages).iter().any(|text| text.contains("503")));
    assert_eq!(before, [], "nobody is a stranger before the gallery is there");
    *content.lock().unwrap() = bytes(&path);
    let after = wait_for(&|messages| !events(messages).is_empty());
    assert_eq!(after[0].kind, EventKind::Recognized);
}
