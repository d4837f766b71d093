//! What RTSP cameras differ in: codecs, transports, certificates; and what an installer is told of those that cannot be
//! opened. All against a real server.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use common::plane::Plane;
use common::rtsp::{RtspCamera, have_server};
use common::station::Station;
use common::{assignment, have_models};
use vedette_events::{CameraPicture, CameraState};
use vedette_pipelines::{elements, errand};

fn probe(url: &str) -> Result<CameraPicture, String> {
    elements::init().unwrap();
    errand::probe(url, Duration::from_secs(20))
}

#[test]
fn every_codec_of_cameras_is_told() {
    if !have_server() {
        return;
    }
    for (option, name) in [("h264", "H.264"), ("h265", "H.265"), ("mjpeg", "Motion JPEG")] {
        let camera = RtspCamera::open(&["--codec", option, "--size", "352x288", "--fps", "10"]);
        let picture = probe(&camera.url()).unwrap();
        assert_eq!((picture.width, picture.height), (352, 288), "{option}");
        assert_eq!(picture.codec.as_deref(), Some(name));
        let fps = picture.fps.unwrap();
        assert!((8.0..=12.0).contains(&fps), "{option}: {fps}");
        assert!(!picture.jpeg.is_empty());
    }
}

#[test]
fn udp_is_taken_where_it_is_asked_for_or_tcp_is_refused() {
    if !have_server() {
        return;
    }
    let picky = RtspCamera::open(&["--only", "udp"]);
    probe(&picky.url()).unwrap();
    probe(&picky.url_as("rtspu")).unwrap();
    let other = RtspCamera::open(&["--only", "tcp"]);
    assert!(probe(&other.url()).is_ok());
    let reason = probe(&other.url_as("rtspu")).unwrap_err();
    assert!(reason.contains("UDP"), "{reason}");
}

#[test]
fn a_camera_that_refuses_tcp_runs_by_udp() {
    if !have_models() || !have_server() {
        return;
    }
    let camera = RtspCamera::open(&["--only", "udp"]);
    let plane = Plane::open();
    plane.assign(vec![assignment("door", 1, &camera.url())]);
    let _station = Station::open(&plane);
    plane.report("door", CameraState::Running);
}

#[test]
fn reasons_are_an_installers() {
    if !have_server() {
        return;
    }
    let mut camera = RtspCamera::open(&["--user", "viewer", "--password", "right"]);
    assert!(probe(&camera.url_for("viewer:right")).is_ok());
    let reason = |url: &str| {
        let reason = probe(url).unwrap_err();
        assert!(!reason.contains("hunter2"), "{reason}");
        reason
    };
    let unauthorised = reason(&camera.url_for("viewer:hunter2"));
    assert!(unauthorised.contains("refuses the user name or password"), "{unauthorised}");
    let wrong_path = reason(&camera.url_for("viewer:right").replace("/live", "/other"));
    assert!(wrong_path.contains("was not found") && wrong_path.contains("path"), "{wrong_path}");
    camera.kill();
    let refused = reason(&camera.url_for("viewer:hunter2"));
    assert!(refused.contains("refuses the connection"), "{refused}");
    let sound = RtspCamera::open(&["--codec", "none"]);
    let no_video = reason(&sound.url());
    assert!(no_video.contains("has no video"), "{no_video}");
    let unknown = reason("rtsp://viewer:hunter2@no-such-camera.invalid/live");
    assert!(unknown.contains("is not known here"), "{unknown}");
}

#[test]
fn a_certificate_is_taken_only_if_it_is_the_one_that_was_named() {
    if !have_server() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let [certificate, key] = ["certificate.pem", "key.pem"].map(|name| folder.path().join(name));
    if !make_certificate(&certificate, &key) {
        eprintln!("skipped: openssl makes no certificate here");
        return;
    }
    let [certificate, key] = [&certificate, &key].map(|path| path.to_str().unwrap());
    let camera = RtspCamera::open(&["--certificate", certificate, "--key", key]);
    let url = camera.url_as("rtsps");
    let reason = probe(&url).unwrap_err();
    let (_, named) = reason.split_once("#cert-sha256=").expect(&reason);
    let fingerprint = &named[..64];
    probe(&format!("{url}#cert-sha256={fingerprint}")).unwrap();
    let other = probe(&format!("{url}#cert-sha256={}", "0".repeat(64))).unwrap_err();
    assert!(other.contains("another certificate") && other.contains(fingerprint), "{other}");
}

fn make_certificate(certificate: &Path, key: &Path) -> bool {
    let made = Command::new("openssl")
        .args([
            "req",
            "-x509",
            "-newkey",
            "rsa:2048",
            "-nodes",
            "-days",
            "30",
            "-subj",
            "/CN=camera",
            "-keyout",
        ])
        .arg(key)
        .arg("-out")
        .arg(certificate)
        .output();
    made.is_ok_and(|output| output.status.success())
}
