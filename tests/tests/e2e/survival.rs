//! What happens when a process is killed, and that nothing stays behind.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use nix::sys::signal::Signal;
use vedette_tests::{
    api::wait_for,
    clip::{Clip, KNOWN},
    processes,
};

use crate::scene::{PASSWORD, PATIENCE, Scene};

/// How long cameras may be away when the worker dies.
const RECOVERY_TIME: Duration = Duration::from_secs(3);

impl Scene {
    /// A looped camera that always sees the enrolled person.
    fn with_live_camera() -> Result<Self> {
        let scene = Self::set()?;
        let (video, truth) = scene.clip("standing", &Clip::one_long_track(8.0))?;
        scene.enrol(&truth)?;
        scene.start_camera("desk", &video, true)?;
        scene.await_status("desk", "running")?;
        scene.await_detection("a recognition", "desk", |seen| seen["person_name"] == KNOWN)?;
        Ok(scene)
    }

    fn worker(&self) -> Result<u32> {
        wait_for("the worker", PATIENCE, || Ok(self.server.workers().first().copied()))
    }

    /// Processes that name this scene's folder in their command line.
    fn processes(&self) -> Vec<u32> {
        processes::with_argument(&self.folder().to_string_lossy())
    }
}

#[test]
fn cameras_come_back_when_the_worker_is_killed() -> Result<()> {
    let scene = Scene::with_live_camera()?;
    let killed = scene.worker()?;
    let seen_before = scene.api.detections("desk", None)?.len();

    processes::signal(killed, Signal::SIGKILL);
    let killed_at = Instant::now();
    wait_for("the camera to run in another worker", PATIENCE, || {
        let is_new_worker = scene.server.workers().iter().any(|pid| *pid != killed);
        let camera = scene.camera("desk")?;
        let has_frames = camera["stats"]["fps"].as_f64() > Some(0.0);
        Ok((is_new_worker && camera["status"] == "running" && has_frames).then_some(()))
    })?;
    let away = killed_at.elapsed();
    ensure!(away <= RECOVERY_TIME, "the camera was away for {} ms", away.as_millis());

    wait_for("someone to be seen again", PATIENCE, || {
        let detections = scene.api.detections("desk", None)?;
        Ok(detections[seen_before..].iter().any(|seen| seen["person_name"] == KNOWN).then_some(()))
    })
}

#[test]
fn a_worker_that_stands_still_is_replaced() -> Result<()> {
    let scene = Scene::with_live_camera()?;
    let stopped = scene.worker()?;
    processes::signal(stopped, Signal::SIGSTOP);
    wait_for("the camera to run in another worker", PATIENCE, || {
        let is_new_worker = scene.server.workers().iter().any(|pid| *pid != stopped);
        let camera = scene.camera("desk")?;
        let has_frames = camera["stats"]["fps"].as_f64() > Some(0.0);
        Ok((is_new_worker && camera["status"] == "running" && has_frames).then_some(()))
    })?;
    ensure!(!processes::is_running(stopped), "the one that stood still is still there");
    Ok(())
}

#[test]
fn the_worker_does_not_outlive_a_killed_server() -> Result<()> {
    let mut scene = Scene::with_live_camera()?;
    let worker = scene.worker()?;
    scene.server.kill();
    wait_for("the worker to end", PATIENCE, || Ok((!processes::is_running(worker)).then_some(())))?;
    ensure!(scene.processes().is_empty(), "left behind: {:?}", scene.processes());
    Ok(())
}

#[test]
fn a_server_asked_to_stop_leaves_nothing_behind_and_goes_on_where_it_was() -> Result<()> {
    let mut scene = Scene::with_live_camera()?;
    let worker = scene.worker()?;
    scene.server.stop().context("asked to stop")?;
    ensure!(!processes::is_running(worker), "the worker still runs");
    ensure!(scene.processes().is_empty(), "left behind: {:?}", scene.processes());

    scene.server = scene.server.plan().clone().start()?;
    scene.api.log_in("admin", PASSWORD)?;
    let seen_before = scene.api.detections("desk", None)?.len();
    ensure!(seen_before > 0, "earlier detections are gone");
    scene.await_status("desk", "running")?;
    wait_for("the person to be recognised again", PATIENCE, || {
        let detections = scene.api.detections("desk", None)?;
        Ok(detections[seen_before..].iter().any(|seen| seen["person_name"] == KNOWN).then_some(()))
    })
}
