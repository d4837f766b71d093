//! Events that lie in a spool no camera of this worker attends to.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::path::{Path, PathBuf};

use common::plane::Plane;
use common::station::Station;
use common::{LONG, assignment};
use vedette_events::CameraState;

const ID: &str = "01920000-0000-7000-8000-00000000000";

/// An event as an earlier worker left it; answers its file.
fn leave_event(spool: &Path, number: u32) -> PathBuf {
    std::fs::create_dir_all(spool).unwrap();
    let event = format!(
        r#"{{"event_id":"{ID}{number}","kind":"unknown","camera_id":"gone","track_id":{number},
        "timestamp":"2026-01-01T12:00:00.000Z","stream_time_ms":0,"confidence":0.9,"quality":0.8,
        "bounding_box":{{"x":1,"y":2,"width":3,"height":4}},"frame":{{"width":64,"height":64}}}}"#
    );
    let file = spool.join(format!("{ID}{number}.json"));
    // Whole or not there, as the sink writes it: the worker looks at any time.
    let unfinished = spool.join("unfinished");
    std::fs::write(&unfinished, event.replace('\n', "")).unwrap();
    std::fs::rename(unfinished, &file).unwrap();
    file
}

fn await_sent(plane: &Plane, file: &Path) {
    plane.event("the event that was left", |event| file.ends_with(format!("{}.json", event.event_id)));
    let deadline = std::time::Instant::now() + LONG;
    while file.exists() {
        assert!(std::time::Instant::now() < deadline, "{} stays", file.display());
        std::thread::park_timeout(std::time::Duration::from_millis(20));
    }
}

#[test]
fn events_of_a_camera_that_runs_here_no_more_are_sent_once() {
    let plane = Plane::open();
    let station = Station::open(&plane);
    let files = [1, 2].map(|number| leave_event(&station.data_dir().join("spool/gone"), number));
    files.iter().for_each(|file| await_sent(&plane, file));
    assert_eq!(plane.events().len(), 2);
}

#[test]
fn events_of_a_camera_that_cannot_run_are_sent() {
    let plane = Plane::open();
    let station = Station::open(&plane);
    plane.assign(vec![assignment("gone", 1, "file:///there/is/no/such/clip.mp4")]);
    plane.report("gone", CameraState::Error);
    let file = leave_event(&station.data_dir().join("spool/gone"), 3);
    await_sent(&plane, &file);
}

#[test]
fn events_wait_while_the_control_plane_is_away() {
    let plane = Plane::open();
    let station = Station::open(&plane);
    plane.heartbeat("heartbeat", |_| true);
    let address = plane.address();
    drop(plane);
    let file = leave_event(&station.data_dir().join("spool/gone"), 4);
    let plane = Plane::open_at(address);
    await_sent(&plane, &file);
}
