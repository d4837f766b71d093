//! What happens to an RTSP camera in the field, done to a real server of a real stream: it is always running again by
//! itself, and as long as it is not, its state and the reason say so.
//!
//! Every test prints how long that took (`--nocapture`); `VEDETTE_OUTAGE_S` makes outages longer than it takes to notice.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::process::Command;
use std::time::{Duration, Instant};

use common::plane::Plane;
use common::rtsp::{RtspCamera, have_server};
use common::station::Station;
use common::{assignment, have_models};
use vedette_events::{CameraReport, CameraState};

fn is_running(report: &CameraReport) -> bool {
    report.state == CameraState::Running && report.stats.fps > 0.0 && report.last_error.is_none()
}

/// A worker that plays `url` as the camera `door`.
fn playing(url: &str) -> (Plane, Station) {
    let plane = Plane::open();
    plane.assign(vec![assignment("door", 1, url)]);
    let station = Station::open(&plane);
    plane.report_of("door", "running", is_running);
    (plane, station)
}

/// Waits until the camera is known to be lost, and as long again as the run wants outages to last; the reason.
fn lost(plane: &Plane) -> String {
    let is_lost = |report: &CameraReport| report.state == CameraState::Reconnecting;
    let heartbeat = plane.heartbeat("lost camera", |heartbeat| heartbeat.cameras.iter().any(is_lost));
    assert!(heartbeat.cameras[0].stats.fps < 1.0, "no picture is called live: {heartbeat:?}");
    let outage_s = std::env::var("VEDETTE_OUTAGE_S").ok().and_then(|text| text.parse().ok()).unwrap_or(0);
    std::thread::sleep(Duration::from_secs(outage_s));
    heartbeat.cameras[0].last_error.clone().unwrap()
}

/// Waits until the camera is running again, after `fault` was mended at `mended`.
fn back(plane: &Plane, fault: &str, mended: Instant) -> CameraReport {
    let heartbeat =
        plane.heartbeat("camera that is back", |heartbeat| heartbeat.cameras.iter().any(is_running));
    eprintln!("recovery: {fault}: {:.2} s", mended.elapsed().as_secs_f64());
    heartbeat.cameras.into_iter().next().unwrap()
}

fn can_run() -> bool {
    have_models() && have_server()
}

#[test]
fn a_camera_without_power_comes_back() {
    if !can_run() {
        return;
    }
    let mut camera = RtspCamera::open(&[]);
    let (plane, _station) = playing(&camera.url());
    camera.kill();
    lost(&plane);
    let refusal = plane.report_of("door", "reason", |report| {
        report.last_error.as_ref().is_some_and(|error| error.contains("refuses the connection"))
    });
    assert_eq!(refusal.state, CameraState::Reconnecting);
    camera.start();
    let report = back(&plane, "server killed and started", Instant::now());
    assert_eq!((report.run, report.reconnects), (1, 1));
}

#[test]
fn a_stream_that_freezes_is_called_silent_and_comes_back() {
    if !can_run() {
        return;
    }
    let mut camera = RtspCamera::open(&[]);
    let (plane, _station) = playing(&camera.url());
    camera.tell("freeze");
    let reason = lost(&plane);
    assert!(reason.contains("has sent no picture for"), "{reason}");
    camera.tell("thaw");
    back(&plane, "stream frozen", Instant::now());
}

#[test]
fn a_camera_that_hangs_with_its_port_open_comes_back() {
    if !can_run() {
        return;
    }
    let mut camera = RtspCamera::open(&[]);
    let (plane, _station) = playing(&camera.url());
    camera.suspend(true);
    lost(&plane);
    camera.suspend(false);
    back(&plane, "server hung, port open", Instant::now());
}

#[test]
fn a_camera_that_hangs_up_is_connected_to_at_once() {
    if !can_run() {
        return;
    }
    let mut camera = RtspCamera::open(&[]);
    let (plane, _station) = playing(&camera.url());
    camera.tell("hang up");
    let report =
        plane.report_of("door", "second connection", |report| report.reconnects == 1 && is_running(report));
    assert_eq!(report.run, 1);
}

#[test]
fn a_corrected_password_is_tried_at_once() {
    if !can_run() {
        return;
    }
    let camera = RtspCamera::open(&["--user", "viewer", "--password", "right"]);
    let plane = Plane::open();
    plane.assign(vec![assignment("door", 1, &camera.url_for("viewer:hunter2"))]);
    let _station = Station::open(&plane);
    let reason = lost(&plane);
    assert!(reason.contains("refuses the user name or password") && !reason.contains("hunter2"), "{reason}");
    plane.assign(vec![assignment("door", 2, &camera.url_for("viewer:right"))]);
    back(&plane, "password corrected", Instant::now());
}

#[test]
fn another_size_in_mid_stream_is_no_interruption() {
    if !can_run() {
        return;
    }
    let mut camera = RtspCamera::open(&[]);
    let (plane, _station) = playing(&camera.url());
    camera.tell("size 640x480");
    let changed = Instant::now();
    let report =
        plane.report_of("door", "new size", |report| report.stats.width == 640 && is_running(report));
    eprintln!("recovery: size changed in mid-stream: {:.2} s", changed.elapsed().as_secs_f64());
    assert_eq!((report.stats.height, report.reconnects), (480, 0));
}

#[test]
fn another_codec_is_taken_up() {
    if !can_run() {
        return;
    }
    let mut camera = RtspCamera::open(&[]);
    let (plane, _station) = playing(&camera.url());
    for (reconnects, codec) in [(1, "h265"), (2, "mjpeg"), (3, "h264")] {
        camera.tell(&format!("codec {codec}"));
        let changed = Instant::now();
        plane.report_of("door", codec, |report| report.reconnects == reconnects && is_running(report));
        eprintln!("recovery: codec changed to {codec}: {:.2} s", changed.elapsed().as_secs_f64());
    }
}

#[test]
fn timestamps_that_jump_do_not_stop_the_pictures() {
    if !can_run() {
        return;
    }
    let mut camera = RtspCamera::open(&[]);
    let (plane, _station) = playing(&camera.url());
    for jump in ["-20", "40", "-10"] {
        camera.tell(&format!("jump {jump}"));
        let jumped = Instant::now();
        let before = plane.heartbeat("heartbeat", |_| true).cameras[0].stats.frames;
        // Whether the pictures go on or the camera is connected to anew, which begins counting again.
        plane.heartbeat("pictures after the jump", |heartbeat| {
            let report = &heartbeat.cameras[0];
            is_running(report) && (report.stats.frames > before + 15 || report.reconnects > 0)
        });
        eprintln!("recovery: timestamps jumped by {jump} s: {:.2} s", jumped.elapsed().as_secs_f64());
    }
}

#[test]
fn a_camera_whose_network_is_cut_comes_back() {
    if !can_run() {
        return;
    }
    let Some(network) = Network::make() else {
        eprintln!("skipped: networks of their own are not to be had here");
        return;
    };
    let camera = RtspCamera::open_in(&["ip", "netns", "exec", &network.name], &network.camera, 8554, &[]);
    let (plane, _station) = playing(&camera.url());
    network.cut(true);
    let reason = lost(&plane);
    assert!(reason.contains("has sent no picture for"), "{reason}");
    plane.report_of("door", "reason", |report| {
        report.last_error.as_ref().is_some_and(|error| error.contains("does not answer"))
    });
    network.cut(false);
    back(&plane, "network cut", Instant::now());
}

/// A network of the camera's own: a cable to this machine, and packets that can be made to vanish.
struct Network {
    name: String,
    /// The camera's address in it.
    camera: String,
    /// This machine's.
    here: String,
}

fn ip(arguments: &str) -> bool {
    Command::new("ip").args(arguments.split(' ')).output().is_ok_and(|output| output.status.success())
}

impl Network {
    fn make() -> Option<Self> {
        let id = std::process::id();
        let subnet = format!("10.213.{}", id % 251);
        let name = format!("vedette-{id}");
        let network = Self { camera: format!("{subnet}.2"), here: format!("{subnet}.1"), name };
        let Self { name, camera, here } = &network;
        let cable = format!("vd{id}");
        let made = ip(&format!("netns add {name}"))
            && ip(&format!("link add {cable} type veth peer name camera netns {name}"))
            && ip(&format!("addr add {here}/24 dev {cable}"))
            && ip(&format!("link set {cable} up"))
            && ip(&format!("-n {name} addr add {camera}/24 dev camera"))
            && ip(&format!("-n {name} link set camera up"))
            && ip(&format!("-n {name} link set lo up"));
        made.then_some(network)
    }

    /// What the camera sends goes nowhere, or arrives again.
    fn cut(&self, cut: bool) {
        let Self { name, here, .. } = self;
        let verb = if cut { "add" } else { "del" };
        assert!(ip(&format!("-n {name} route {verb} blackhole {here}/32")));
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        // The cable goes with it, once the camera is gone.
        ip(&format!("netns del {}", self.name));
    }
}
