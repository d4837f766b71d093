//! What workers reported last, and who holds which camera: a picture of the database, refreshed every second and by
//! every heartbeat this server answers itself. Requests read it without asking anybody.
//!
//! A report is news for [`FRESH_FOR`] only. A camera whose worker fell silent is never shown as running: it is
//! `starting` if no frame of its run came yet, `reconnecting` otherwise.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use chrono::Utc;
use vedette_events::{CameraReport, CameraState, CameraStats};

use crate::cameras::inactive_reason;
use crate::entity::cameras;

/// How long a report counts; workers report every second.
pub(super) const FRESH_FOR: Duration = Duration::from_secs(5);
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
    /// How often the source was lost in this run.
    pub reconnects: u64,
    /// The worker that holds the camera.
    pub worker: Option<String>,
    /// Why a camera that was started does not run now, if its hours are the reason.
    pub inactive_reason: Option<String>,
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
    reports: HashMap<String, CameraReport>,
    spooled_events: u64,
}

/// A worker's whole report as the database has it: its id, how old the report is, its cameras, and how many events wait on
/// its disk.
pub(super) type StoredReport = (String, Duration, Vec<CameraReport>, u64);

impl Worker {
    fn is_fresh(&self, now: Instant) -> bool {
        now.saturating_duration_since(self.seen_at) <= FRESH_FOR
    }
}

impl Inner {
    /// Takes a worker's report, unless a later one is there.
    fn take(&mut self, worker_id: String, seen_at: Instant, reports: Vec<CameraReport>, spooled_events: u64) {
        if self.workers.get(&worker_id).is_some_and(|worker| worker.seen_at > seen_at) {
            return;
        }
        for report in reports.iter().filter(|report| report.state == CameraState::Running) {
            self.ran.insert(report.camera_id.clone(), report.run);
        }
        let reports = reports.into_iter().map(|report| (report.camera_id.clone(), report)).collect();
        self.workers.insert(worker_id, Worker { seen_at, reports, spooled_events });
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

    /// Takes the report of a worker that talks to this server, and the cameras it holds now.
    pub(super) fn report(
        &self,
        worker_id: &str,
        reports: Vec<CameraReport>,
        spooled_events: u64,
        held: impl IntoIterator<Item = String>,
        now: Instant,
    ) {
        let mut inner = self.lock();
        inner.take(worker_id.to_owned(), now, reports, spooled_events);
        inner.holders.retain(|_, holder| holder != worker_id);
        inner.holders.extend(held.into_iter().map(|camera_id| (camera_id, worker_id.to_owned())));
    }

    /// Takes over what the database says: every worker with the age of its report, every lease, every camera that is to
    /// run.
    pub(super) fn refresh(
        &self,
        workers: Vec<StoredReport>,
        holders: HashMap<String, String>,
        is_wanted: impl Fn(&str) -> bool,
        now: Instant,
    ) {
        let mut inner = self.lock();
        for (id, age, reports, spooled_events) in workers {
            inner.take(id, now.checked_sub(age).unwrap_or(now), reports, spooled_events);
        }
        inner.workers.retain(|_, worker| worker.is_fresh(now));
        inner.holders = holders;
        inner.ran.retain(|camera_id, _| is_wanted(camera_id));
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

    /// Events that wait on the disks of workers that report, by worker.
    pub fn spooled_events(&self) -> Vec<(String, u64)> {
        let now = Instant::now();
        let inner = self.lock();
        let fresh = inner.workers.iter().filter(|(_, worker)| worker.is_fresh(now));
        fresh.map(|(id, worker)| (id.clone(), worker.spooled_events)).collect()
    }

    fn status_at(&self, camera: &cameras::Model, now: Instant) -> LiveStatus {
        if !camera.should_run {
            return LiveStatus::default();
        }
        let inactive_reason = inactive_reason(camera, Utc::now());
        if inactive_reason.is_some() {
            return LiveStatus { inactive_reason, ..LiveStatus::default() };
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
                reconnects: report.reconnects,
                worker,
                inactive_reason: None,
            };
        }
        let had_frames = inner.ran.get(&camera.id) == Some(&run);
        let is_overdue = now.saturating_duration_since(self.created_at) > FRESH_FOR;
        let is_anyone_there = inner.workers.values().any(|worker| worker.is_fresh(now));
        LiveStatus {
            state: if had_frames { CameraState::Reconnecting } else { CameraState::Starting },
            stats: CameraStats::default(),
            last_error: (is_overdue && !is_anyone_there).then(|| NO_WORKER.to_owned()),
            reconnects: 0,
            worker,
            inactive_reason: None,
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

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
            settings: None,
            created_at: chrono::Utc::now(),
            updated_at: chrono::Utc::now(),
        }
    }

    fn report(run: u64, state: CameraState) -> CameraReport {
        let stats = CameraStats { fps: 25.0, ..CameraStats::default() };
        CameraReport { camera_id: "cam_01".to_owned(), run, state, stats, last_error: None, reconnects: 0 }
    }

    fn beat(registry: &WorkerRegistry, id: &str, reports: Vec<CameraReport>, now: Instant) {
        registry.report(id, reports, 0, ["cam_01".to_owned()], now);
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
    fn what_another_server_was_told_counts_by_its_age() {
        let (registry, now) = (WorkerRegistry::default(), Instant::now());
        let holders = || HashMap::from([("cam_01".to_owned(), "far".to_owned())]);
        let reports = || vec![report(1, CameraState::Running)];
        let old = FRESH_FOR + Duration::from_secs(1);
        registry.refresh(
            vec![("far".to_owned(), Duration::from_secs(1), reports(), 0)],
            holders(),
            |_| true,
            now,
        );
        assert_eq!(registry.status_at(&camera(1), now).worker.as_deref(), Some("far"));
        assert_eq!(registry.status_at(&camera(1), now).state, CameraState::Running);
        registry.refresh(vec![("far".to_owned(), old, reports(), 0)], holders(), |_| true, now + old);
        assert_eq!(registry.status_at(&camera(1), now + old).state, CameraState::Reconnecting);
    }

    #[test]
    fn an_older_report_does_not_replace_a_newer_one() {
        let (registry, now) = (WorkerRegistry::default(), Instant::now());
        beat(&registry, "one", vec![report(1, CameraState::Running)], now);
        let stale = vec![("one".to_owned(), Duration::from_secs(1), vec![report(1, CameraState::Error)], 0)];
        let holders = HashMap::from([("cam_01".to_owned(), "one".to_owned())]);
        registry.refresh(stale, holders, |_| true, now);
        assert_eq!(registry.status_at(&camera(1), now).state, CameraState::Running);
    }
}
