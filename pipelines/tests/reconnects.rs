//! What a worker keeps of cameras that are lost again and again, and what those cost it that are never there: nothing.
//!
//! `VEDETTE_RECONNECTS=1000 VEDETTE_CAMERAS=10` makes the long run; both are small otherwise.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use common::plane::Plane;
use common::rtsp::{RtspCamera, have_server};
use common::{TOKEN, assignment, have_models};
use vedette_events::{CameraState, Heartbeat};

/// What a process holds.
#[derive(Clone, Copy, Debug)]
struct Holdings {
    memory_kib: u64,
    threads: u64,
    files: usize,
}

impl Holdings {
    fn of(pid: u32) -> Self {
        let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
        let number = |key: &str| {
            let line = status.lines().find(|line| line.starts_with(key)).unwrap();
            line.split_whitespace().nth(1).unwrap().parse().unwrap()
        };
        let files = std::fs::read_dir(format!("/proc/{pid}/fd")).unwrap().count();
        Self { memory_kib: number("VmRSS:"), threads: number("Threads:"), files }
    }
}

fn number(variable: &str, otherwise: u64) -> u64 {
    std::env::var(variable).ok().and_then(|text| text.parse().ok()).unwrap_or(otherwise)
}

/// A worker in a process of its own; ends whatever happens to the test.
struct Worker(Child);

impl Worker {
    fn start(plane: &Plane, data: &Path) -> Self {
        let worker = Command::new(env!("CARGO_BIN_EXE_vedette-worker"))
            .args(["--url", &plane.url(), "--id", "local", "--data-dir"])
            .arg(data)
            .env("VEDETTE_WORKER_TOKEN", TOKEN)
            .env("RUST_LOG", "error")
            .stdin(Stdio::null())
            .spawn();
        Self(worker.unwrap())
    }

    /// Processor time so far, of all its threads.
    fn processor_time(&self) -> Duration {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.0.id())).unwrap();
        let fields: Vec<&str> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
        // Fields 14 and 15 of proc(5), in hundredths of a second.
        let ticks: u64 = fields[11..=12].iter().map(|field| field.parse::<u64>().unwrap()).sum();
        Duration::from_millis(ticks * 10)
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn a_thousand_reconnects_leave_nothing_behind() {
    if !have_models() || !have_server() {
        return;
    }
    let (wanted, cameras) = (number("VEDETTE_RECONNECTS", 30), number("VEDETTE_CAMERAS", 3));
    let mut camera = RtspCamera::open(&["--fps", "5"]);
    let plane = Plane::open();
    plane.assign((0..cameras).map(|index| assignment(&format!("cam-{index}"), 1, &camera.url())).collect());
    let data = tempfile::tempdir().unwrap();
    let worker = Worker::start(&plane, data.path());
    let rounds = wanted.div_ceil(cameras);
    // Caches, pools of threads and the allocator fill in the first rounds.
    let warm_up = (rounds / 4).clamp(2, 10);
    let mut at_first = None;
    for round in 0..=warm_up + rounds {
        let all_back = |heartbeat: &Heartbeat| {
            heartbeat.cameras.len() as u64 == cameras
                && heartbeat.cameras.iter().all(|camera| {
                    camera.state == CameraState::Running
                        && camera.reconnects >= round
                        && camera.stats.frames > 2
                })
        };
        plane.heartbeat(&format!("all cameras back from round {round}"), all_back);
        if round == warm_up {
            at_first = Some(Holdings::of(worker.0.id()));
        }
        if round % 10 == 0 {
            eprintln!("reconnects: {}: {:?}", round * cameras, Holdings::of(worker.0.id()));
        }
        if round < warm_up + rounds {
            camera.tell("hang up");
        }
    }
    let (before, after) = (at_first.unwrap(), Holdings::of(worker.0.id()));
    eprintln!("reconnects: {} of {cameras} cameras: {before:?} before, {after:?} after", rounds * cameras);
    assert!(after.memory_kib <= before.memory_kib + 10 * 1024, "{before:?}, {after:?}");
    // A request may be under way at one moment and not at the other; what is left behind is left by each of ten rounds.
    let (threads, files) = (before.threads + 3, before.files + 3);
    assert!(after.threads <= threads && after.files <= files, "{before:?}, {after:?}");
}

#[test]
fn fifty_cameras_that_are_not_there_cost_next_to_nothing() {
    let plane = Plane::open();
    // Nobody listens on port 1.
    let cameras = (0..50).map(|number| assignment(&format!("cam-{number}"), 1, "rtsp://127.0.0.1:1/live"));
    plane.assign(cameras.collect());
    let data = tempfile::tempdir().unwrap();
    let worker = Worker::start(&plane, data.path());
    let all_lost = |heartbeat: &Heartbeat| {
        heartbeat.cameras.len() == 50
            && heartbeat.cameras.iter().all(|camera| camera.state == CameraState::Reconnecting)
    };
    plane.heartbeat("all cameras lost", all_lost);
    let (before, since) = (worker.processor_time(), Instant::now());
    for _ in 0..10 {
        plane.heartbeat("heartbeat", all_lost);
    }
    let share = (worker.processor_time() - before).as_secs_f64() / since.elapsed().as_secs_f64();
    eprintln!("dead cameras: 50 take {:.1} % of a core", 100.0 * share);
    assert!(share < 0.25, "{share}");
}
