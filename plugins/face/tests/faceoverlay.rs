//! `faceoverlay` in pipelines.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use common::feed::{Feed, SIZE, Seen};
use gst::prelude::*;

/// What comes of a grey frame with one face on it.
fn drawn(properties: &str, face: Seen) -> Vec<u8> {
    let feed = Feed::start(&format!("faceoverlay {properties} ! appsink name=out sync=false"));
    feed.push(0, &[face], &[]);
    let sink = feed.running.element("out").downcast::<gst_app::AppSink>().unwrap();
    let sample = sink.pull_sample().unwrap();
    assert_eq!(common::error_of(&feed.end()), None);
    sample.buffer().unwrap().map_readable().unwrap().to_vec()
}

fn pixel(picture: &[u8], x: u32, y: u32) -> [u8; 3] {
    let at = ((y * SIZE.0 + x) * 3) as usize;
    picture[at..at + 3].try_into().unwrap()
}

const GREY: [u8; 3] = [128; 3];

#[test]
fn boxes_have_the_colour_of_the_decision() {
    let colour = |who| pixel(&drawn("labels=false", Seen::new(1, who)), 100, 110);
    let colours = [colour(Some("Ada")), colour(Some("unknown")), colour(None)];
    assert!(colours.iter().all(|colour| *colour != GREY));
    assert!(colours[0] != colours[1] && colours[1] != colours[2]);
    let picture = drawn("labels=false", Seen::new(1, Some("Ada")));
    for (x, y) in [(140, 110), (90, 110), (140, 40), (190, 170)] {
        assert_eq!(pixel(&picture, x, y), GREY, "{x},{y}");
    }
}

#[test]
fn names_are_written_above_the_box_or_inside_at_the_edge() {
    let has_ink = |picture: &[u8], rows: std::ops::Range<u32>| {
        rows.flat_map(|y| (100..180).map(move |x| (x, y))).any(|(x, y)| pixel(picture, x, y) == [16; 3])
    };
    let above = drawn("font-size=20", Seen::new(1, Some("Ada")));
    assert!(has_ink(&above, 34..60) && !has_ink(&above, 62..160));
    let mut at_edge = Seen::new(1, Some("Ada"));
    at_edge.rect.y = 0.0;
    assert!(has_ink(&drawn("font-size=20", at_edge), 0..26));
    assert!(!has_ink(&drawn("labels=false", Seen::new(1, Some("Ada"))), 0..240));
}

#[test]
fn frames_without_faces_pass_untouched() {
    let feed = Feed::start("faceoverlay blur=all ! appsink name=out sync=false");
    feed.push(0, &[], &[]);
    let sink = feed.running.element("out").downcast::<gst_app::AppSink>().unwrap();
    let sample = sink.pull_sample().unwrap();
    assert!(sample.buffer().unwrap().map_readable().unwrap().iter().all(|byte| *byte == 128));
}

#[test]
fn blurred_faces_are_found_no_more_and_known_ones_may_stay() {
    let launch = |rest: &str| format!("{} ! {rest}", common::still("obama.jpg", "I420", 1));
    for (blur, found) in [("none", 1), ("unknown", 0), ("all", 0)] {
        let chain = format!(
            "facedetect ! vedettefaceoverlay labels=false blur={blur} ! tee name=t t. ! queue ! videoconvert \
             ! video/x-raw,format=RGB ! identity"
        );
        let samples = common::samples(&launch(&chain));
        let buffer = samples[0].buffer().unwrap();
        let info = gst_video::VideoInfo::from_caps(samples[0].caps().unwrap()).unwrap();
        // A new buffer without the old metadata: is there still a face to be seen?
        let bytes = buffer.map_readable().unwrap().to_vec();
        let again = format!(
            "appsrc name=in format=time caps=video/x-raw,format=RGB,width={},height={},framerate=1/1 ! facedetect \
             threshold=0.8 ! appsink name=out sync=false",
            info.width(),
            info.height()
        );
        let running = common::Running::start(&again);
        let source = running.element("in").downcast::<gst_app::AppSrc>().unwrap();
        source.push_buffer(gst::Buffer::from_mut_slice(bytes)).unwrap();
        source.end_of_stream().unwrap();
        let sink = running.element("out").downcast::<gst_app::AppSink>().unwrap();
        let faces = gstvedette::meta::faces(sink.pull_sample().unwrap().buffer().unwrap());
        assert_eq!(faces.len(), found, "blur={blur}");
    }
}

#[test]
fn every_format_is_drawn_on() {
    for format in ["I420", "NV12", "RGB", "BGR", "RGBA", "BGRA", "RGBx", "BGRx", "GRAY8"] {
        let chain = "facedetect ! facetrack ! faceoverlay landmarks=true blur=all";
        common::run(&format!("{} ! {chain} ! fakesink", common::still("biden.jpg", format, 3)));
    }
}
