//! One camera that takes the worker down, and the others: whose fault it was is known to the next worker, which leaves the
//! camera out when it happens again within a minute.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use common::clip::Clip;
use common::plane::Plane;
use common::{LONG, TOKEN, assignment, file_url, have_models, surroundings};
use gstvedette::owner::Owner;
use gstvedette::watched;
use nix::libc;
use nix::sys::signal::Signal;
use vedette_events::{CameraState, Heartbeat};
use vedette_pipelines::crashes::Crashes;
use vedette_pipelines::elements;
use vedette_pipelines::heartbeat::{End, Pulse};
use vedette_pipelines::journal::Journal;
use vedette_pipelines::signal::News;
use vedette_pipelines::worker::Worker;

/// A worker that is killed when it is dropped.
struct Running(Child);

impl Running {
    fn start(plane: &Plane, data_dir: &Path) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_vedette-worker"));
        command
            .args(["--url", &plane.url(), "--id", "local", "--data-dir"])
            .arg(data_dir)
            .env("VEDETTE_WORKER_TOKEN", TOKEN)
            .stdin(Stdio::null());
        Self(command.spawn().unwrap())
    }

    /// Waits for this worker's report that a camera is in that state; its last error.
    fn report(&self, plane: &Plane, camera: &str, state: CameraState) -> Option<String> {
        let is_it = |heartbeat: &Heartbeat| {
            let of_camera = heartbeat.cameras.iter().find(|report| report.camera_id == camera);
            heartbeat.pid == self.0.id() && of_camera.is_some_and(|report| report.state == state)
        };
        let heartbeat = plane.heartbeat(&format!("{camera} that is {state:?}"), is_it);
        heartbeat.cameras.into_iter().find(|report| report.camera_id == camera).unwrap().last_error
    }

    /// Has the newest thread whose name begins like that get a fault of its own; its name.
    fn crash(&self, begin: &str) -> String {
        let pid = self.0.id();
        let deadline = Instant::now() + LONG;
        loop {
            let threads = std::fs::read_dir(format!("/proc/{pid}/task")).unwrap().map(|entry| {
                let entry = entry.unwrap();
                let name = std::fs::read_to_string(entry.path().join("comm")).unwrap_or_default();
                (entry.file_name().to_str().unwrap().parse::<i32>().unwrap(), name)
            });
            let threads: Vec<_> = threads.collect();
            let newest = threads.iter().filter(|(_, name)| name.starts_with(begin)).max();
            if let Some((thread, name)) = newest {
                let signal = Signal::SIGSEGV as libc::c_int;
                #[allow(unsafe_code, reason = "no library wraps it")]
                // SAFETY: it takes three numbers.
                let sent = unsafe { libc::syscall(libc::SYS_tgkill, pid, *thread, signal) };
                assert_eq!(sent, 0, "{name}");
                return name.trim_end().to_owned();
            }
            assert!(Instant::now() < deadline, "no {begin} among {threads:?}");
            std::thread::yield_now();
        }
    }

    /// Waits until a fault has ended it.
    fn has_crashed(mut self) {
        let status = self.0.wait().unwrap();
        assert_eq!(status.signal(), Some(Signal::SIGSEGV as i32), "it dies of what it dies of: {status}");
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn a_camera_that_crashes_the_worker_twice_is_left_out_and_the_others_run_on() {
    if !have_models() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let clip = Clip::of_test_pictures(50).write(&folder.path().join("clip.mp4"));
    let bad_url = format!("{}?loop=true", file_url(&clip));
    let plane = Plane::open();
    plane.assign(vec![assignment("good", 1, "test://"), assignment("bad", 5, &bad_url)]);

    // Threads that belong to this camera alone, since the other decodes nothing: one that libav has started, which bears
    // the name of the streaming thread it did so in, and another streaming thread.
    for begin in ["qtdemux", "multiqueue"] {
        let worker = Running::start(&plane, folder.path());
        worker.report(&plane, "good", CameraState::Running);
        worker.report(&plane, "bad", CameraState::Running);
        eprintln!("crashed: {}", worker.crash(begin));
        worker.has_crashed();
    }

    let worker = Running::start(&plane, folder.path());
    let reason = worker.report(&plane, "bad", CameraState::Error).unwrap();
    assert!(reason.starts_with("quarantined: ") && reason.contains("SIGSEGV"), "{reason}");
    worker.report(&plane, "good", CameraState::Running);

    plane.assign(vec![assignment("good", 1, "test://"), assignment("bad", 6, &bad_url)]);
    assert_eq!(worker.report(&plane, "bad", CameraState::Running), None, "started again");
}

#[test]
fn a_crash_of_nobody_is_told_of_and_blamed_on_nobody() {
    if !have_models() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let plane = Plane::open();
    plane.assign(vec![assignment("good", 1, "test://")]);
    for _ in 0..2 {
        let worker = Running::start(&plane, folder.path());
        worker.report(&plane, "good", CameraState::Running);
        // The gallery is everybody's, though a camera's start began to watch it.
        worker.crash("vedette-gallery");
        worker.has_crashed();
    }
    let worker = Running::start(&plane, folder.path());
    let told = plane.heartbeat("line about the crash", |heartbeat| {
        heartbeat.log.iter().any(|line| line.message.contains("through no camera in particular"))
    });
    assert_eq!(told.pid, worker.0.id());
    worker.report(&plane, "good", CameraState::Running);
}

/// Runs a worker in this process for which work of its first camera hangs, until it gives up.
fn hang_once(plane: &Plane, data_dir: &Path) {
    let news = Arc::new(News::default());
    let surroundings = surroundings(&plane.url(), data_dir, &news);
    let pulse = Pulse::new(surroundings.control_plane.clone(), "test-worker").unwrap();
    let crashes = Crashes::open(data_dir).unwrap();
    let beating = std::thread::spawn(move || {
        let mut worker = Worker::new(surroundings, crashes);
        let end = pulse.keep_beating(&mut worker, &mut Journal::default(), &news);
        worker.shut_down(LONG);
        end
    });
    plane.heartbeat("camera", |heartbeat| !heartbeat.cameras.is_empty());
    let work = {
        let _duty = Owner::new(1).hire();
        watched::begin(&"running a model of this test".into(), Duration::from_millis(100))
    };
    let is_told = |heartbeat: &Heartbeat| {
        let error = heartbeat.cameras[0].last_error.as_deref();
        heartbeat.cameras[0].state == CameraState::Reconnecting
            && error.is_some_and(|error| error.contains("running a model of this test"))
    };
    plane.heartbeat("camera that hangs", is_told);
    let end = beating.join().unwrap().unwrap();
    assert!(matches!(&end, End::Hang(what) if what.contains("running a model of this test")), "{end:?}");
    drop(work);
}

#[test]
fn work_that_hangs_ends_the_worker_and_counts_like_a_crash() {
    elements::init().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let plane = Plane::open();
    plane.assign(vec![assignment("bad", 1, "file:///there/is/no/such/clip.mp4")]);
    hang_once(&plane, folder.path());
    hang_once(&plane, folder.path());

    let worker = Running::start(&plane, folder.path());
    let reason = worker.report(&plane, "bad", CameraState::Error).unwrap();
    assert!(reason.starts_with("quarantined: ") && reason.contains("running a model"), "{reason}");
}
