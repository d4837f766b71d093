//! `facetrack` in pipelines.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::sync::atomic::{AtomicUsize, Ordering};

use common::{Running, frames, photo, samples, still};
use gst::prelude::*;
use gstvedette::meta::{self, Face, FrameInfo};

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
fn a_face_the_detector_is_unsure_of_keeps_its_number() {
    let running = Running::start(&format!(
        "{} ! facedetect name=detect ! facetrack ! appsink name=out sync=false",
        still("astronaut.jpg", "I420", 8)
    ));
    let detect = running.element("detect");
    let seen = AtomicUsize::new(0);
    // From the fifth frame on, no face is sure enough.
    detect.static_pad("sink").unwrap().add_probe(gst::PadProbeType::BUFFER, move |pad, _| {
        if seen.fetch_add(1, Ordering::Relaxed) == 4 {
            pad.parent_element().unwrap().set_property("threshold", 1.0_f32);
        }
        gst::PadProbeReturn::Ok
    });
    let sink = running.element("out").downcast::<gst_app::AppSink>().unwrap();
    let samples: Vec<gst::Sample> = std::iter::from_fn(|| sink.pull_sample().ok()).collect();
    assert_eq!(common::error_of(&running.finish()), None);
    assert_eq!(samples.len(), 8);
    let first = meta::faces(samples[1].buffer().unwrap()).remove(0);
    for (index, sample) in samples.iter().enumerate().skip(1) {
        let buffer = sample.buffer().unwrap();
        let faces = meta::faces(buffer);
        assert_eq!(faces.len(), 1, "frame {index}");
        assert_eq!(faces[0].track_id, Some(1), "frame {index}");
        assert_eq!(faces[0].detection.is_some(), index < 4, "frame {index}");
        assert!(faces[0].rect.iou(&first.rect) > 0.6, "frame {index}");
        assert!(FrameInfo::read(buffer).unwrap().unsure.is_empty(), "frame {index}: used up");
    }
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

/// Size of the frames in which two people pass each other, and the height of a lane.
const LANES: (usize, usize) = (640, 400);
const LANE_HEIGHT: usize = 200;

/// A photo's RGB pixels at the given size.
fn portrait(name: &str, width: usize) -> Vec<u8> {
    let path = photo(name);
    let launch = format!(
        "filesrc location={} ! jpegdec ! videoconvert ! videoscale add-borders=false \
         ! video/x-raw,format=RGB,width={width},height={LANE_HEIGHT},pixel-aspect-ratio=1/1",
        path.display()
    );
    let picture = samples(&launch).remove(0);
    picture.buffer().unwrap().map_readable().unwrap().to_vec()
}

/// What `facetrack` says of each frame while one face walks to the right in the upper lane and another to the left
/// in the lower one, at 200 pixels a second.
fn two_lanes(frames: usize, interval: u32) -> Vec<Vec<Face>> {
    let (width, height) = LANES;
    let people = [(portrait("astronaut.jpg", 200), 200), (portrait("obama.jpg", 160), 160)];
    let running = Running::start(&format!(
        "appsrc name=in format=time caps=video/x-raw,format=RGB,width={width},height={height},framerate=25/1 \
         ! facedetect min-face-size=40 inference-interval={interval} ! facetrack ! appsink name=out sync=false"
    ));
    let source = running.element("in").downcast::<gst_app::AppSrc>().unwrap();
    let sink = running.element("out").downcast::<gst_app::AppSink>().unwrap();
    let mut seen = Vec::new();
    for frame in 0..frames {
        let mut pixels = vec![128_u8; width * height * 3];
        let lefts = [8 * frame, width - 160 - 8 * frame];
        for (lane, ((portrait, columns), left)) in people.iter().zip(lefts).enumerate() {
            for (row, line) in portrait.chunks(columns * 3).enumerate() {
                let at = ((lane * LANE_HEIGHT + row) * width + left) * 3;
                pixels[at..at + line.len()].copy_from_slice(line);
            }
        }
        let mut buffer = gst::Buffer::from_mut_slice(pixels);
        buffer.get_mut().unwrap().set_pts(gst::ClockTime::from_mseconds(40 * frame as u64));
        source.push_buffer(buffer).unwrap();
    }
    source.end_of_stream().unwrap();
    while let Ok(sample) = sink.pull_sample() {
        seen.push(meta::faces(sample.buffer().unwrap()));
    }
    assert_eq!(common::error_of(&running.finish()), None);
    seen
}

#[test]
fn two_people_in_two_lanes_keep_their_numbers_at_every_interval() {
    let frames = 55;
    for interval in [1, 2, 5, 10] {
        let seen = two_lanes(frames, interval);
        assert_eq!(seen.len(), frames);
        let mut lanes = [None, None];
        // The first two looks make a track.
        for (index, faces) in seen.iter().enumerate().skip(interval as usize) {
            assert_eq!(faces.len(), 2, "interval {interval}, frame {index}");
            for face in faces {
                let lane = usize::from(face.rect.centre().y > LANE_HEIGHT as f32);
                let id = face.track_id.expect("no number");
                assert_eq!(*lanes[lane].get_or_insert(id), id, "interval {interval}, frame {index}");
            }
        }
        assert!(lanes[0].is_some() && lanes[1].is_some() && lanes[0] != lanes[1], "{interval}: {lanes:?}");
    }
}
