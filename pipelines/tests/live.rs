//! Live cameras: run, are lost, come back, and do not disturb each other.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::time::Duration;

use common::mjpeg::{MjpegCamera, Mood};
use common::plane::Plane;
use common::station::Station;
use common::{assignment, have_models};
use vedette_events::{CameraReport, CameraState};
use vedette_pipelines::camera::Patience;

const SMALL: &str = "test://?pattern=ball&width=320&height=240&fps=10";

fn is_running(report: &CameraReport) -> bool {
    report.state == CameraState::Running && report.stats.fps > 0.0
}

#[test]
fn cameras_start_stop_and_restart_as_assigned() {
    if !have_models() {
        return;
    }
    let plane = Plane::open();
    let _station = Station::open(&plane);
    plane.heartbeat("heartbeat without cameras", |heartbeat| heartbeat.cameras.is_empty());

    plane.assign(vec![assignment("a", 1, SMALL), assignment("b", 1, SMALL)]);
    let report = plane.report_of("a", "running", is_running);
    assert_eq!((report.run, report.stats.width, report.stats.height), (1, 320, 240));
    assert_eq!(report.last_error, None);
    plane.report_of("b", "running", is_running);

    plane.assign(vec![assignment("a", 2, SMALL), assignment("b", 1, SMALL)]);
    plane.report_of("a", "second run", |report| report.run == 2 && is_running(report));
    let b_strayed = |report: &CameraReport| report.camera_id == "b" && report.state == CameraState::Stopped;
    assert!(!plane.heartbeats().iter().any(|heartbeat| heartbeat.cameras.iter().any(b_strayed)));

    plane.assign(vec![assignment("b", 1, SMALL)]);
    let heartbeat = plane.heartbeat("one camera less", |heartbeat| heartbeat.cameras.len() == 1);
    assert_eq!(heartbeat.cameras[0].camera_id, "b");
}

#[test]
fn a_camera_that_cannot_be_played_leaves_the_others_alone() {
    if !have_models() {
        return;
    }
    let plane = Plane::open();
    let mut missing_pack = assignment("no-pack", 1, SMALL);
    missing_pack.settings.pack = "missing".into();
    plane.assign(vec![
        assignment("good", 1, SMALL),
        assignment("scheme", 1, "gopher://admin:hunter2@10.0.0.7/"),
        assignment("../../etc", 1, SMALL),
        missing_pack,
    ]);
    let _station = Station::open(&plane);
    let error = |camera| plane.report(camera, CameraState::Error).last_error.unwrap();
    let scheme = error("scheme");
    assert!(scheme.contains("use rtsp://") && !scheme.contains("hunter2"), "{scheme}");
    assert!(error("../../etc").contains("is no camera id"));
    let pack = error("no-pack");
    assert!(pack.contains("missing"), "{pack}");
    plane.report_of("good", "running", is_running);
}

#[test]
fn a_lost_camera_comes_back_by_itself() {
    if !have_models() {
        return;
    }
    let camera = MjpegCamera::open();
    let plane = Plane::open();
    plane.assign(vec![assignment("door", 1, &camera.url())]);
    let _station = Station::open(&plane);
    let report = plane.report_of("door", "running", is_running);
    assert_eq!((report.stats.width, report.stats.height), (320, 240));

    camera.become_(Mood::Unplugged);
    let report = plane.report("door", CameraState::Reconnecting);
    let error = report.last_error.unwrap();
    assert!(
        error.contains("http://127.0.0.1") && !error.contains("p@ss") && !error.contains("p%40ss"),
        "{error}"
    );

    camera.become_(Mood::Willing);
    let back = plane.heartbeat("camera that is back", |heartbeat| heartbeat.cameras.iter().any(is_running));
    assert_eq!((back.cameras[0].run, back.cameras[0].last_error.as_ref()), (1, None));
}

/// Long enough for a camera that works, shorter than decodebin waits for further streams of one.
fn impatient() -> Patience {
    Patience { first_frame: Duration::from_secs(5), ..Patience::default() }
}

#[test]
fn a_camera_that_hangs_is_called_silent() {
    if !have_models() {
        return;
    }
    let camera = MjpegCamera::open();
    camera.become_(Mood::Hung);
    let plane = Plane::open();
    plane.assign(vec![assignment("door", 1, &camera.url())]);
    let _station = Station::open_with(&plane, impatient());
    let error = plane.report("door", CameraState::Reconnecting).last_error.unwrap();
    assert!(error.contains("sends no picture"), "{error}");
}

#[test]
fn a_camera_that_hung_comes_back() {
    if !have_models() {
        return;
    }
    let camera = MjpegCamera::open();
    camera.become_(Mood::Hung);
    let plane = Plane::open();
    plane.assign(vec![assignment("door", 1, &camera.url())]);
    let _station = Station::open_with(&plane, impatient());
    plane.report("door", CameraState::Reconnecting);
    camera.become_(Mood::Willing);
    plane.report_of("door", "running", is_running);
}

#[test]
fn a_wrong_password_is_told_and_not_repeated() {
    if !have_models() {
        return;
    }
    let camera = MjpegCamera::open();
    let plane = Plane::open();
    plane.assign(vec![assignment("door", 1, &camera.url_with_wrong_password())]);
    let _station = Station::open(&plane);
    let error = plane.report("door", CameraState::Reconnecting).last_error.unwrap();
    assert!(error.contains("refuses the user name or password"), "{error}");
    for _ in 0..3 {
        plane.heartbeat("heartbeat", |_| true);
    }
    assert!(camera.attempts() <= 2, "a camera that is asked too often locks the account");
}

#[test]
fn cameras_run_on_while_the_control_plane_is_away() {
    if !have_models() {
        return;
    }
    let plane = Plane::open();
    let address = plane.address();
    plane.assign(vec![assignment("a", 1, SMALL)]);
    let _station = Station::open(&plane);
    plane.report_of("a", "running", is_running);
    drop(plane);

    let plane = Plane::open_at(address);
    plane.assign(vec![assignment("a", 1, SMALL)]);
    let first = plane.heartbeat("heartbeat", |_| true);
    assert!(first.cameras.iter().all(is_running) && first.cameras.len() == 1, "{first:?}");
}
