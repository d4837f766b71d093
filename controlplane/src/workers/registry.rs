//! What workers reported last, and who holds which camera. In memory: after a restart it fills within a second.
//!
//! A report is news for [`FRESH_FOR`] only. A camera whose worker fell silent is never shown as running: it is
//! `starting` if no frame of its run came yet, `reconnecting` otherwise.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use vedette_events::{CameraAssignment, CameraReport, CameraState, CameraStats};

use crate::entity::cameras;

/// How long a report counts; workers report every second.
const FRESH_FOR: Duration = Duration::from_secs(5);
/// How often a worker's row in the database is brought up to date.
const WRITE_EVERY: Duration = Duration::from_secs(10);
/// Said of cameras that are to run while no worker reports.
const NO_WORKER: &str = "no worker reports; see that vedette-worker runs and that its token is right";

/// How a camera is doing.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct LiveStatus {
    /// State.
    pub state: CameraState,
    /// Figures; all zero unless the camera is running.
    pub stats: CameraStats,
    /// What went wrong last in this run.
    pub last_error: Option<String>,
    /// The worker that holds the camera.
    pub worker: Option<String>,
}

/// Reports by worker, and leases by camera.
#[derive(Debug)]
pub struct WorkerRegistry {
    created_at: Instant,
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    workers: HashMap<String, Worker>,
    /// Camera → worker.
    holders: HashMap<String, String>,
    /// Camera → its last run that delivered frames.
    ran: HashMap<String, u64>,
}

#[derive(Debug)]
struct Worker {
    seen_at: Instant,
    written_at: Option<Instant>,
    reports: HashMap<String, CameraReport>,
}

impl Worker {
    fn is_fresh(&self, now: Instant) -> bool {
        now.saturating_duration_since(self.seen_at) <= FRESH_FOR
    }
}

impl Default for WorkerRegistry {
    fn default() -> Self {
        Self { created_at: Instant::now(), inner: Mutex::default() }
    }
}

impl WorkerRegistry {
    /// Nothing under this lock panics or waits, so a poisoned one is as good as any.
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a worker's report; returns those of its cameras that played to their end.
    pub(super) fn report(
        &self,
        worker_id: &str,
        reports: Vec<CameraReport>,
        now: Instant,
    ) -> Vec<CameraReport> {
        let mut inner = self.lock();
        for report in reports.iter().filter(|report| report.state == CameraState::Running) {
            inner.ran.insert(report.camera_id.clone(), report.run);
        }
        let ended = reports.iter().filter(|report| report.state == CameraState::Stopped).cloned().collect();
        let reports = reports.into_iter().map(|report| (report.camera_id.clone(), report)).collect();
        let written_at = inner.workers.get(worker_id).and_then(|worker| worker.written_at);
        inner.workers.insert(worker_id.to_owned(), Worker { seen_at: now, written_at, reports });
        ended
    }

    /// Whether the worker's row in the database should be brought up to date; true at most every [`WRITE_EVERY`].
    pub(super) fn is_write_due(&self, worker_id: &str, now: Instant) -> bool {
        let mut inner = self.lock();
        let Some(worker) = inner.workers.get_mut(worker_id) else { return false };
        let is_recent = |at: Instant| now.saturating_duration_since(at) < WRITE_EVERY;
        if worker.written_at.is_some_and(is_recent) {
            return false;
        }
        worker.written_at = Some(now);
        true
    }

    /// Those of the `wanted` cameras that `worker_id` is to run: the ones it holds, and the ones nobody does.
    pub(super) fn assign(
        &self,
        worker_id: &str,
        wanted: Vec<CameraAssignment>,
        now: Instant,
    ) -> Vec<CameraAssignment> {
        let mut inner = self.lock();
        let Inner { workers, holders, ran } = &mut *inner;
        let is_wanted = |id: &str| wanted.iter().any(|camera| camera.camera_id == id);
        holders.retain(|camera_id, holder| {
            is_wanted(camera_id) && workers.get(holder).is_some_and(|worker| worker.is_fresh(now))
        });
        ran.retain(|camera_id, _| is_wanted(camera_id));
        let mut is_mine = |camera: &CameraAssignment| {
            holders.entry(camera.camera_id.clone()).or_insert_with(|| worker_id.to_owned()) == worker_id
        };
        wanted.into_iter().filter(|camera| is_mine(camera)).collect()
    }

    /// How `camera` is doing now.
    pub fn status(&self, camera: &cameras::Model) -> LiveStatus {
        self.status_at(camera, Instant::now())
    }

    /// A worker that reports, if there is one.
    pub fn any_fresh(&self) -> Option<String> {
        let now = Instant::now();
        self.lock().workers.iter().find(|(_, worker)| worker.is_fresh(now)).map(|(id, _)| id.clone())
    }

    /// Workers that report.
    pub fn fresh_workers(&self) -> usize {
        let now = Instant::now();
        self.lock().workers.values().filter(|worker| worker.is_fresh(now)).count()
    }

    fn status_at(&self, camera: &cameras::Model, now: Instant) -> LiveStatus {
        if !camera.should_run {
            return LiveStatus::default();
        }
        let inner = self.lock();
        let run = u64::try_from(camera.run).unwrap_or_default();
        let holder = inner.holders.get(&camera.id);
        let holder = holder.and_then(|id| Some((id, inner.workers.get(id)?)));
        let holder = holder.filter(|(_, worker)| worker.is_fresh(now));
        let report = holder.and_then(|(_, worker)| worker.reports.get(&camera.id));
        let worker = holder.map(|(id, _)| id.clone());
        if let Some(report) = report.filter(|report| report.run == run) {
            let is_running = report.state == CameraState::Running;
            return LiveStatus {
                state: report.state,
                stats: if is_running { report.stats } else { CameraStats::default() },
                last_error: report.last_error.clone(),
                worker,
            };
        }
        let had_frames = inner.ran.get(&camera.id) == Some(&run);
        let is_overdue = now.saturating_duration_since(self.created_at) > FRESH_FOR;
        let is_anyone_there = inner.workers.values().any(|worker| worker.is_fresh(now));
        LiveStatus {
            state: if had_frames { CameraState::Reconnecting } else { CameraState::Starting },
            stats: CameraStats::default(),
            last_error: (is_overdue && !is_anyone_there).then(|| NO_WORKER.to_owned()),
            worker,
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;
    use vedette_events::PipelineSettings;

    fn camera(run: i64) -> cameras::Model {
        cameras::Model {
            id: "cam_01".to_owned(),
            name: "Door".to_owned(),
            stored_url: "test://".to_owned(),
            enabled: true,
            looped: false,
            resolution: None,
            fps: None,
            should_run: true,
            run,
            last_error: None,
            created_at: chrono::Utc::now(),
            updated_at: chrono::Utc::now(),
        }
    }

    fn assignment() -> CameraAssignment {
        let settings = PipelineSettings {
            pack: "opencv".to_owned(),
            inference_interval: 1,
            detection_threshold: None,
            recognition_threshold: None,
            dedup_window_s: 0,
            snapshots: false,
            attributes: false,
        };
        CameraAssignment {
            camera_id: "cam_01".to_owned(),
            run: 1,
            url: "test://".to_owned(),
            looped: false,
            settings,
        }
    }

    fn report(run: u64, state: CameraState) -> CameraReport {
        let stats = CameraStats { fps: 25.0, ..CameraStats::default() };
        CameraReport { camera_id: "cam_01".to_owned(), run, state, stats, last_error: None }
    }

    fn beat(registry: &WorkerRegistry, id: &str, reports: Vec<CameraReport>, now: Instant) -> usize {
        registry.report(id, reports, now);
        registry.assign(id, vec![assignment()], now).len()
    }

    #[test]
    fn a_silent_worker_is_never_running() {
        let (registry, start) = (WorkerRegistry::default(), Instant::now());
        assert_eq!(registry.status_at(&camera(1), start).state, CameraState::Starting);
        beat(&registry, "local", vec![], start);
        let before_frames = start + FRESH_FOR * 2;
        assert_eq!(registry.status_at(&camera(1), before_frames).state, CameraState::Starting);
        assert!(registry.status_at(&camera(1), before_frames).last_error.is_some());

        beat(&registry, "local", vec![report(1, CameraState::Running)], start);
        let fresh = registry.status_at(&camera(1), start + Duration::from_secs(1));
        assert_eq!((fresh.state, fresh.stats.fps), (CameraState::Running, 25.0));
        assert_eq!(fresh.worker.as_deref(), Some("local"));
        let silent = registry.status_at(&camera(1), start + FRESH_FOR + Duration::from_millis(1));
        assert_eq!((silent.state, silent.stats.fps), (CameraState::Reconnecting, 0.0));
        assert_eq!(silent.worker, None);
    }

    #[test]
    fn a_report_about_an_earlier_run_is_no_news() {
        let (registry, now) = (WorkerRegistry::default(), Instant::now());
        beat(&registry, "local", vec![report(1, CameraState::Running)], now);
        assert_eq!(registry.status_at(&camera(2), now).state, CameraState::Starting);
        let stopped = cameras::Model { should_run: false, ..camera(1) };
        assert_eq!(registry.status_at(&stopped, now).state, CameraState::Stopped);
    }

    #[test]
    fn a_camera_has_one_worker_until_that_falls_silent() {
        let (registry, now) = (WorkerRegistry::default(), Instant::now());
        assert_eq!(beat(&registry, "one", vec![], now), 1);
        assert_eq!(beat(&registry, "two", vec![], now), 0);
        let later = now + FRESH_FOR + Duration::from_secs(1);
        assert_eq!(beat(&registry, "two", vec![], later), 1);
        assert_eq!(beat(&registry, "one", vec![], later), 0, "the lease has passed on");
    }

    #[test]
    fn only_ended_cameras_are_handed_back() {
        let (registry, now) = (WorkerRegistry::default(), Instant::now());
        assert!(registry.report("local", vec![report(1, CameraState::Error)], now).is_empty());
        assert_eq!(registry.report("local", vec![report(1, CameraState::Stopped)], now).len(), 1);
        assert!(registry.is_write_due("local", now));
        assert!(!registry.is_write_due("local", now + Duration::from_secs(1)));
    }
}
