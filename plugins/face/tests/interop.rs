//! Faces on buffers that pass through other people's elements, and what other people's programs read of them.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use common::feed::{Feed, SIZE, Seen};
use common::{Running, error_of, frames, still};
use gst::prelude::*;
use gstvedette::meta::{self, Face, FrameInfo};
use serde_json::Value;

/// What `rest` leaves of a frame with Ada's face and a track that ended: the faces, and what is true of the frame.
fn through(rest: &str) -> Vec<(Vec<Face>, FrameInfo)> {
    let feed = Feed::start(&format!("{rest} ! appsink name=out sync=false wait-on-eos=false"));
    for ms in [0, 40, 80] {
        feed.push(ms, &[Seen::new(7, Some("Ada"))], &[3]);
    }
    assert_eq!(error_of(&feed.end()), None);
    let sink = feed.running.element("out").downcast::<gst_app::AppSink>().unwrap();
    std::iter::from_fn(|| sink.pull_sample().ok())
        .map(|sample| {
            let buffer = sample.buffer().unwrap();
            (meta::faces(buffer), FrameInfo::read(buffer).expect("the frame says nothing of itself"))
        })
        .collect()
}

#[test]
fn faces_pass_through_tee_rate_and_format_unchanged() {
    let plain = through("identity");
    assert_eq!(plain.len(), 3);
    assert_eq!((plain[0].0.len(), plain[0].0[0].track_id), (1, Some(7)));
    for rest in [
        "tee name=t t. ! queue ! fakesink t. ! queue",
        "videoconvert ! video/x-raw,format=I420",
        "videoconvert ! video/x-raw,format=NV12 ! videoconvert ! video/x-raw,format=BGRA",
        "videorate ! video/x-raw,framerate=25/1",
    ] {
        assert_eq!(through(rest), plain, "{rest}");
    }
}

#[test]
fn frames_that_videorate_repeats_keep_their_faces() {
    let plain = through("identity");
    let repeated = through("videorate ! video/x-raw,framerate=50/1");
    assert!(repeated.len() >= 2 * plain.len() - 1, "{}", repeated.len());
    assert!(repeated.iter().all(|frame| *frame == plain[0]));
}

#[test]
fn faces_follow_the_scale() {
    let (_, plain) = (SIZE, through("identity").remove(0));
    for (width, height) in [(640, 480), (160, 120), (640, 240)] {
        let (x, y) = (width as f32 / SIZE.0 as f32, height as f32 / SIZE.1 as f32);
        let rest = format!(
            "videoscale add-borders=false ! video/x-raw,width={width},height={height},pixel-aspect-ratio=1/1"
        );
        for (faces, info) in through(&rest) {
            let [face] = &faces[..] else { panic!("{width}×{height}: {} faces", faces.len()) };
            assert_eq!(face.rect, plain.0[0].rect.scaled(x, y), "{width}×{height}");
            // All else is a share of the frame or of the box, or no place at all.
            assert_eq!(Face { rect: plain.0[0].rect, ..face.clone() }, plain.0[0], "{width}×{height}");
            assert_eq!(info, plain.1);
        }
    }
}

#[test]
fn tracks_and_names_are_found_behind_a_scaler() {
    let chain = "facedetect ! videoscale ! video/x-raw,width=256,height=256 ! facetrack min-hits=1";
    let small = frames(&format!("{} ! {chain}", still("astronaut.jpg", "I420", 3)));
    let large = frames(&format!("{} ! facedetect ! facetrack min-hits=1", still("astronaut.jpg", "I420", 3)));
    for (small, large) in small.iter().zip(&large) {
        assert_eq!((small.len(), small[0].track_id), (1, Some(1)));
        assert!(small[0].rect.scaled(2.0, 2.0).iou(&large[0].rect) > 0.9);
        let (small, large) = (small[0].landmarks.unwrap(), large[0].landmarks.unwrap());
        assert!(small.iter().zip(large).all(|(a, b)| (2.0 * a.x - b.x).hypot(2.0 * a.y - b.y) < 3.0));
    }
}

#[test]
fn faces_of_a_foreign_detector_are_followed() {
    common::init();
    let running = Running::start(
        "videotestsrc num-buffers=4 ! video/x-raw,format=I420,width=320,height=240,framerate=25/1 ! identity name=other \
         ! facetrack min-hits=1 ! appsink name=out sync=false",
    );
    let other = running.element("other").static_pad("src").unwrap();
    other.add_probe(gst::PadProbeType::BUFFER, |_, info| {
        if let Some(buffer) = info.buffer_mut() {
            // No structure, no frame info: a bare region, as any detector leaves it.
            let buffer = buffer.make_mut();
            gst_video::VideoRegionOfInterestMeta::add(buffer, "face", (100, 60, 80, 100));
            gst_video::VideoRegionOfInterestMeta::add(buffer, "car", (0, 0, 50, 50));
        }
        gst::PadProbeReturn::Ok
    });
    let sink = running.element("out").downcast::<gst_app::AppSink>().unwrap();
    let mut frames = 0;
    while let Ok(sample) = sink.pull_sample() {
        let faces = meta::faces(sample.buffer().unwrap());
        assert_eq!((faces.len(), faces[0].track_id), (1, Some(1)));
        frames += 1;
    }
    assert_eq!(frames, 4);
}

#[test]
fn frame_lines_are_of_the_layout_they_promise() {
    let schema: Value = serde_json::from_str(include_str!("../src/eventsink/frame.schema.json")).unwrap();
    let (mut schemas, mut compiler) = (boon::Schemas::new(), boon::Compiler::new());
    compiler.add_resource("file:///frame.schema.json", schema).unwrap();
    let schema = compiler.compile("file:///frame.schema.json", &mut schemas).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let gallery = folder.path().join("gallery.json");
    common::gallery(&gallery, &[("Obama", &["obama.jpg"])]);
    let lines = folder.path().join("lines.jsonl");
    let chain = "facedetect inference-interval=2 ! facetrack ! faceembed quality-threshold=0.3";
    common::run(&format!(
        "{} ! {chain} ! facematch gallery=file://{} ! eventsink format=frame uri=file://{} sync=false",
        still("obama.jpg", "I420", 20),
        gallery.display(),
        lines.display()
    ));
    let lines: Vec<Value> = std::fs::read_to_string(&lines)
        .unwrap()
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(lines.len(), 20);
    for line in &lines {
        if let Err(error) = schemas.validate(line, schema) {
            panic!("{line}: {error:#}");
        }
    }
    let face = &lines[18]["objects"][0];
    assert_eq!(face["identity"]["label"], "Obama", "{face}");
    assert!(face["detection"].is_object() && lines[19]["objects"][0].get("detection").is_none());
    let mut odd = lines[18].clone();
    odd["objects"][0]["x"] = serde_json::json!(-1);
    assert!(schemas.validate(&odd, schema).is_err());
}
