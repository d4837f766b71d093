//! The program `vedette-worker`: how it is told to end, and what it says when it cannot begin.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::io::Read;
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::time::{Duration, Instant};

use common::clip::Clip;
use common::plane::Plane;
use common::{TOKEN, assignment, file_url, have_models};
use vedette_events::{CameraState, EventKind, Severity};

fn worker(plane: &Plane, data: &tempfile::TempDir) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_vedette-worker"));
    command
        .args(["--url", &plane.url(), "--id", "local", "--data-dir"])
        .arg(data.path())
        .env("VEDETTE_WORKER_TOKEN", TOKEN)
        .stdin(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

fn end(child: &Child) {
    let status = Command::new("kill").args(["-TERM", &child.id().to_string()]).status().unwrap();
    assert!(status.success());
}

/// Waits for the end; the time it took, and what was logged.
fn ended(mut child: Child) -> (ExitStatus, Duration, String) {
    let asked = Instant::now();
    let mut log = String::new();
    // The log's end comes with the program's.
    child.stderr.take().unwrap().read_to_string(&mut log).unwrap();
    let status = child.wait().unwrap();
    (status, asked.elapsed(), log)
}

#[test]
fn asked_to_end_it_brings_its_events_to_safety_first() {
    if !have_models() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let clip = Clip::of_a_portrait(1500).write(&folder.path().join("clip.mp4"));
    let plane = Plane::open();
    plane.assign(vec![
        assignment("a", 1, &format!("{}?loop=true", file_url(&clip))),
        assignment("b", 1, "test://"),
    ]);
    let child = worker(&plane, &folder).spawn().unwrap();
    plane.report("b", CameraState::Running);
    plane.event("a stranger", |event| event.kind == EventKind::Unknown);

    end(&child);
    let (status, took, log) = ended(child);
    assert!(status.success(), "{status}: {log}");
    // 3 s is what is promised on a machine that does nothing else.
    assert!(took < Duration::from_secs(6), "{took:?}: {log}");
    let spool = folder.path().join("spool/a");
    let delivered = plane.events().iter().any(|event| event.kind == EventKind::Left);
    let spooled = || {
        let files =
            std::fs::read_dir(&spool).unwrap().map(|entry| std::fs::read(entry.unwrap().path()).unwrap());
        files.into_iter().any(|content| String::from_utf8_lossy(&content).contains(r#""kind":"left""#))
    };
    assert!(delivered || spooled(), "the face left when its camera was stopped: {log}");
    assert!(!log.contains(TOKEN), "{log}");
}

#[test]
fn it_ends_with_the_program_that_holds_its_standard_input() {
    if !have_models() {
        return;
    }
    let data = tempfile::tempdir().unwrap();
    let plane = Plane::open();
    let mut child = worker(&plane, &data).arg("--exit-with-stdin").spawn().unwrap();
    let first = plane.heartbeat("heartbeat", |_| true);
    assert_eq!(first.pid, child.id());
    assert_eq!(first.version, env!("CARGO_PKG_VERSION"));
    drop(child.stdin.take());
    let (status, _, log) = ended(child);
    assert!(status.success(), "{log}");
}

#[test]
fn what_it_warns_of_reaches_the_control_plane() {
    let data = tempfile::tempdir().unwrap();
    let plane = Plane::open();
    std::fs::create_dir_all(data.path().join("spool/gone")).unwrap();
    std::fs::write(data.path().join("spool/gone/1.json"), "{}").unwrap();
    plane.assign(vec![assignment("missing", 1, "file:///there/is/no/such/clip.mp4")]);
    let child = worker(&plane, &data).spawn().unwrap();
    let heartbeat = plane.heartbeat("heartbeat with a line", |heartbeat| !heartbeat.log.is_empty());
    let line = &heartbeat.log[0];
    assert_eq!((line.level, line.target.as_str()), (Severity::Error, "vedette_pipelines::camera"));
    assert_eq!(line.fields["camera"], "missing");
    assert!(line.message.contains("was not found"), "{line:?}");
    assert_eq!(heartbeat.spooled_events, 1);
    let next = plane.heartbeat("next heartbeat", |_| true);
    assert!(next.log.iter().all(|again| again.id != line.id), "what was answered is not sent again");
    end(&child);
    let (status, _, log) = ended(child);
    assert!(status.success(), "{log}");
}

fn refused(command: &mut Command) -> String {
    let Output { status, stderr, .. } = command.stdin(Stdio::null()).output().unwrap();
    let log = String::from_utf8(stderr).unwrap();
    assert!(!status.success(), "{log}");
    log
}

#[test]
fn a_wrong_start_is_explained() {
    let data = tempfile::tempdir().unwrap();
    let plane = Plane::open();
    let log = refused(worker(&plane, &data).env("VEDETTE_WORKER_TOKEN", "hunter2"));
    assert!(
        log.contains("refuses this worker's token (401") && log.contains("VEDETTE_WORKER_TOKEN"),
        "{log}"
    );
    assert!(!log.contains("hunter2"), "{log}");

    let log = refused(worker(&plane, &data).env_remove("VEDETTE_WORKER_TOKEN"));
    assert!(log.contains("--token"), "{log}");
    let log = refused(worker(&plane, &data).args(["--id", "a/b"]));
    assert!(log.contains("a/b") || log.contains("--id"), "{log}");

    let log = refused(worker(&plane, &data).env("VEDETTE_EVENTS_URI", "redis://:hunter2@redis.example/0"));
    assert!(log.contains("--events") && log.contains("stream=") && !log.contains("hunter2"), "{log}");

    let mut elsewhere = Command::new(env!("CARGO_BIN_EXE_vedette-worker"));
    elsewhere.args(["--url", "plane.example:8000", "--token", "hunter2", "--data-dir"]).arg(data.path());
    let log = refused(&mut elsewhere);
    assert!(log.contains("such as http://") && !log.contains("hunter2"), "{log}");
}

#[test]
fn help_names_everything_and_shows_no_token() {
    let mut command = Command::new(env!("CARGO_BIN_EXE_vedette-worker"));
    let output = command.arg("--help").env("VEDETTE_WORKER_TOKEN", "hunter2").output().unwrap();
    let help = String::from_utf8(output.stdout).unwrap();
    for flag in [
        "--url",
        "--token",
        "--events",
        "--id",
        "--data-dir",
        "--exit-with-stdin",
        "--version",
        "VEDETTE_WORKER_TOKEN",
        "VEDETTE_EVENTS_URI",
    ] {
        assert!(help.contains(flag), "{flag} in {help}");
    }
    assert!(!help.contains("hunter2"), "{help}");
}
