//! HLS cameras: their playlists are played, but may name nothing but the web.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::path::Path;
use std::time::Duration;

use gst::prelude::*;
use vedette_events::CameraPicture;
use vedette_pipelines::{elements, errand};

/// A second and a half of pictures, as HLS carries them.
fn write_segment(file: &Path) {
    let description = "videotestsrc num-buffers=38 ! video/x-raw,format=I420,width=320,height=240,framerate=25/1 \
                       ! x264enc key-int-max=10 ! mpegtsmux ! filesink name=out";
    let pipeline = gst::parse::launch(description).unwrap().downcast::<gst::Pipeline>().unwrap();
    pipeline.by_name("out").unwrap().set_property("location", file.display().to_string());
    pipeline.set_state(gst::State::Playing).unwrap();
    let bus = pipeline.bus().unwrap();
    let end = bus.timed_pop_filtered(gst::ClockTime::from_seconds(60), &[gst::MessageType::Eos]);
    assert!(end.is_some());
    pipeline.set_state(gst::State::Null).unwrap();
}

fn playlist(segment: &str) -> Vec<u8> {
    let lines =
        ["#EXTM3U", "#EXT-X-VERSION:3", "#EXT-X-TARGETDURATION:2", "#EXT-X-MEDIA-SEQUENCE:0", "#EXTINF:1.5,"];
    [&lines[..], &[segment, "#EXT-X-ENDLIST", ""]].concat().join("\n").into()
}

fn probe(url: &str) -> Result<CameraPicture, String> {
    errand::probe(url, Duration::from_secs(10))
}

#[test]
fn a_playlist_may_name_the_web_and_no_file_of_this_machine() {
    elements::init().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("segment.ts");
    write_segment(&file);
    let server = common::web::serve([
        ("/camera.m3u8", playlist("segment.ts")),
        ("/segment.ts", std::fs::read(&file).unwrap()),
        ("/thief.m3u8", playlist(&common::file_url(&file))),
        ("/cloud.m3u8", playlist("http://169.254.169.254/latest/segment.ts")),
    ]);
    let picture = probe(&format!("http://{server}/camera.m3u8")).unwrap();
    assert_eq!((picture.width, picture.height), (320, 240));
    for name in ["thief", "cloud"] {
        let reason = probe(&format!("http://{server}/{name}.m3u8")).unwrap_err();
        assert!(reason.contains("names what no camera may open"), "{name}: {reason}");
    }
    // Nor may a recording that is none.
    let recording = folder.path().join("recording.m3u8");
    std::fs::write(&recording, playlist(&common::file_url(&file))).unwrap();
    assert!(probe(&common::file_url(&recording)).is_err());
}
