//! Recorded material: played once, every frame; what is told about files that cannot be played, or not to their end.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::path::Path;
use std::time::{Duration, Instant};

use common::clip::{Clip, cut_off};
use common::plane::Plane;
use common::station::Station;
use common::{LONG, TOKEN, assignment, file_url, have_models};
use vedette_events::{CameraAssignment, CameraReport, CameraState, EventKind};
use vedette_pipelines::elements;
use vedette_pipelines::launch::ControlPlane;
use vedette_pipelines::pipeline::{Happening, Pipeline};
use vedette_pipelines::source::Source;

/// Plays one file as a camera, to its end or its error.
fn play(path: &Path) -> CameraReport {
    let plane = Plane::open();
    plane.assign(vec![assignment("cam_01", 1, &file_url(path))]);
    let _station = Station::open(&plane);
    let over = |report: &CameraReport| matches!(report.state, CameraState::Stopped | CameraState::Error);
    plane.report_of("cam_01", "end", over)
}

#[test]
fn pictures_too_large_for_the_host_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let clip = Clip::of_test_pictures(2).of_size(8448, 4800).write(&folder.path().join("vast.mp4"));
    let error = error_of(&clip);
    assert!(error.contains("vast.mp4 has pictures of 8448x4800, more than the 40 megapixels"), "{error}");
}

fn error_of(path: &Path) -> String {
    let report = play(path);
    assert_eq!(report.state, CameraState::Error, "{report:?}");
    report.last_error.unwrap()
}

#[test]
fn a_file_is_analysed_once_and_stays_finished_until_another_run() {
    if !have_models() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let clip = Clip::of_a_portrait(50).write(&folder.path().join("clip.mp4"));
    let plane = Plane::open();
    plane.assign(vec![assignment("cam_01", 1, &file_url(&clip))]);
    let _station = Station::open(&plane);

    let report = plane.report("cam_01", CameraState::Stopped);
    assert_eq!((report.run, report.last_error), (1, None));
    assert_eq!((report.stats.width, report.stats.height, report.stats.dropped), (640, 480, 0));
    let (detection, embedding) = (report.stats.detection, report.stats.embedding);
    assert_eq!((report.stats.frames, report.reconnects), (50, 0));
    assert!((1..=50).contains(&detection.count) && detection.total_s > 0.0, "{detection:?}");
    assert!(embedding.count > 0 && embedding.total_s > 0.0, "{embedding:?}");
    let left = plane.event("a face that left", |event| event.kind == EventKind::Left);
    assert_eq!(left.camera_id, "cam_01");
    plane.event("a stranger", |event| event.kind == EventKind::Unknown && event.person.is_none());

    for _ in 0..3 {
        let later = plane.heartbeat("heartbeat", |_| true);
        assert_eq!(later.cameras[0].state, CameraState::Stopped, "the same run is not played again");
    }
    plane.assign(vec![assignment("cam_01", 2, &file_url(&clip))]);
    plane.report_of("cam_01", "second run", |report| report.run == 2 && report.state == CameraState::Stopped);
}

#[test]
fn files_that_cannot_be_played_say_why() {
    if !have_models() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, content: &[u8]| {
        let path = folder.path().join(name);
        std::fs::write(&path, content).unwrap();
        path
    };
    let missing = error_of(&folder.path().join("missing.mp4"));
    assert!(missing.contains("missing.mp4 was not found"), "{missing}");
    let text = error_of(&file("notes.mp4", b"this is no video at all, only a line of text"));
    assert!(text.contains("must be a video"), "{text}");
    let empty = error_of(&file("empty.mp4", b""));
    assert!(empty.contains("is empty"), "{empty}");
    let directory = error_of(folder.path());
    assert!(directory.contains("is a folder"), "{directory}");
}

#[test]
fn a_recording_without_its_index_is_called_incomplete() {
    if !have_models() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let clip = Clip::of_test_pictures(50).write(&folder.path().join("clip.mp4"));
    // The index comes first in these clips: not even that is whole.
    cut_off(&clip, 0.01);
    let error = error_of(&clip);
    assert!(error.contains("bytes are missing at the end of the file"), "{error}");
}

#[test]
fn a_recording_that_breaks_off_is_analysed_up_to_there() {
    if !have_models() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let clip = Clip::of_a_portrait(100).write(&folder.path().join("clip.mp4"));
    cut_off(&clip, 0.6);
    let report = play(&clip);
    assert_eq!(report.state, CameraState::Stopped, "{report:?}");
    let error = report.last_error.unwrap();
    assert!(error.contains("breaks off after") && error.contains("bytes are missing"), "{error}");
    assert_eq!(report.stats.width, 640, "what was there was analysed");
}

#[test]
fn a_looped_file_goes_on_at_its_own_speed() {
    if !have_models() {
        return;
    }
    elements::init().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let clip = Clip::of_test_pictures(25).write(&folder.path().join("clip.mp4"));
    let url = file_url(&clip);
    let camera = CameraAssignment { looped: true, ..assignment("cam_01", 1, &url) };
    let plane = ControlPlane { url: "http://127.0.0.1:9".into(), token: TOKEN.into(), events_uri: None };
    let pipeline = Pipeline::build(&Source::parse(&url).unwrap(), &camera, &plane, folder.path()).unwrap();
    pipeline.start().unwrap();
    let begun = Instant::now();
    let mut frames = 0;
    for pass in 1..=3 {
        loop {
            match pipeline.next(Instant::now() + LONG) {
                Happening::FirstFrame => (),
                Happening::Ended => break,
                other => panic!("pass {pass}: {other:?}"),
            }
        }
        let played = pipeline.figures().frames();
        assert!(played > frames && played <= 25 * pass, "{played} frames after pass {pass}");
        frames = played;
        let least = Duration::from_millis(900) * u32::try_from(pass).unwrap();
        assert!(begun.elapsed() >= least, "pass {pass} ended after {:?}", begun.elapsed());
        assert!(pipeline.figures().position().unwrap() <= gst::ClockTime::from_mseconds(1100));
        assert!(pipeline.play_again());
    }
}

#[test]
fn a_looped_camera_keeps_running() {
    if !have_models() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let clip = Clip::of_a_portrait(15).write(&folder.path().join("clip.mp4"));
    let plane = Plane::open();
    plane.assign(vec![assignment("cam_01", 1, &format!("{}?loop=true", file_url(&clip)))]);
    let _station = Station::open(&plane);
    plane.report("cam_01", CameraState::Running);
    let mut tracks_ended = std::collections::BTreeSet::new();
    while tracks_ended.len() < 3 {
        let seen = tracks_ended.clone();
        let left = plane.event("a face that left", |event| {
            event.kind == EventKind::Left && !seen.contains(&event.track_id)
        });
        assert!(left.stream_time_ms <= 700, "{left:?}");
        tracks_ended.insert(left.track_id);
    }
    let states = plane.heartbeats().into_iter().flat_map(|heartbeat| heartbeat.cameras);
    let strayed =
        states.filter(|report| !matches!(report.state, CameraState::Starting | CameraState::Running));
    assert_eq!(strayed.collect::<Vec<_>>(), Vec::new());
}
