//! `facetrack` in pipelines.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use common::{Running, frames, still};
use gst::prelude::*;
use gstvedette::meta::{self, FrameInfo};

#[test]
fn a_face_keeps_its_number_and_is_predicted_where_nobody_looked() {
    let chain = "facedetect inference-interval=2 ! facetrack";
    let frames = frames(&format!("{} ! {chain}", still("astronaut.jpg", "I420", 8)));
    assert_eq!(frames.len(), 8);
    assert_eq!(frames[0].len(), 1, "found");
    assert_eq!(frames[0][0].track_id, None, "too new to have a number");
    assert_eq!(frames[1].len(), 0, "too new to be predicted");
    for (index, faces) in frames.iter().enumerate().skip(2) {
        assert_eq!(faces.len(), 1, "frame {index}");
        assert_eq!(faces[0].track_id, Some(1), "frame {index}");
        let is_predicted = index % 2 == 1;
        assert_eq!(faces[0].landmarks.is_none(), is_predicted, "frame {index}");
        assert!(faces[0].rect.iou(&frames[0][0].rect) > 0.8, "frame {index}");
    }
}

#[test]
fn min_hits_decides_when_a_face_has_a_number() {
    let launch = still("astronaut.jpg", "I420", 4);
    let numbers = |hits: u32| -> Vec<Option<u64>> {
        let frames = frames(&format!("{launch} ! facedetect ! facetrack min-hits={hits}"));
        frames.iter().map(|faces| faces[0].track_id).collect()
    };
    assert_eq!(numbers(1), [Some(1); 4]);
    assert_eq!(numbers(3), [None, None, Some(1), Some(1)]);
}

#[test]
fn a_flush_ends_tracks_and_numbers_are_not_used_again() {
    common::init();
    let launch = format!(
        "{} ! facedetect ! facetrack name=track min-hits=1 ! appsink name=out sync=false max-buffers=1",
        still("astronaut.jpg", "I420", 100_000)
    );
    let running = Running::start(&launch);
    let sink = running.element("out").downcast::<gst_app::AppSink>().unwrap();
    let first = sink.pull_sample().unwrap();
    assert_eq!(meta::faces(first.buffer().unwrap())[0].track_id, Some(1));
    // After a flush, appsink 1.22 writes on the sample it gave away last.
    drop(first);
    running.pipeline.seek_simple(gst::SeekFlags::FLUSH, gst::ClockTime::ZERO).unwrap();
    // Frames from before the flush may still come; then one tells that the track ended.
    let mut samples = std::iter::from_fn(|| sink.pull_sample().ok());
    let after = samples
        .find(|sample| !FrameInfo::read(sample.buffer().unwrap()).unwrap().ended.is_empty())
        .expect("no track ends");
    let buffer = after.buffer().unwrap();
    assert_eq!(FrameInfo::read(buffer).unwrap().ended, [1]);
    assert_eq!(meta::faces(buffer)[0].track_id, Some(2));
}
