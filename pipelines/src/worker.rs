//! All cameras of this process: starts and stops them until they are what the control plane assigned.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use gstvedette::watched;
use vedette_events::{CameraAssignment, CameraReport};

use crate::camera::{Camera, Ending, Surroundings};
use crate::crashes::{self, Crashes};
use crate::leftovers::Leftovers;
use crate::pipeline::Meter;
use crate::spooled::SpoolDepth;

/// The cameras a worker holds.
pub struct Worker {
    surroundings: Arc<Surroundings>,
    cameras: BTreeMap<String, Camera>,
    /// Threads that were asked to stop, by camera.
    endings: BTreeMap<String, Ending>,
    spool: SpoolDepth,
    crashes: Crashes,
    /// Work that took too long when it was looked at last.
    suspect: Option<u64>,
    _leftovers: Leftovers,
}

impl Worker {
    /// A worker without cameras, which knows of earlier workers' ends. What one of them left on disk is sent from now on.
    pub fn new(surroundings: Surroundings, crashes: Crashes) -> Self {
        Self {
            spool: SpoolDepth::new(&surroundings.data_dir),
            _leftovers: Leftovers::start(&surroundings.control_plane, &surroundings.data_dir),
            surroundings: Arc::new(surroundings),
            cameras: BTreeMap::new(),
            endings: BTreeMap::new(),
            crashes,
            suspect: None,
        }
    }

    /// Makes the cameras that run those in `assignments`: starts new ones, restarts those with another run, stops the
    /// others. A camera whose run is the same goes on, with other settings if they have changed, also when it has come to
    /// its end. One that was the end of two workers within a minute is not started.
    pub fn reconcile(&mut self, assignments: Vec<CameraAssignment>) {
        let wanted: BTreeMap<String, CameraAssignment> =
            assignments.into_iter().map(|camera| (camera.camera_id.clone(), camera)).collect();
        self.crashes.keep_only(|id, run| wanted.get(id).is_some_and(|camera| camera.run == run));
        self.run(wanted);
    }

    fn run(&mut self, wanted: BTreeMap<String, CameraAssignment>) {
        self.endings.retain(|_, ending| !ending.wait(Duration::ZERO));
        let stay = |id: &String, camera: &Camera| wanted.get(id).is_some_and(|it| it.run == camera.run());
        let (staying, leaving): (BTreeMap<_, _>, BTreeMap<_, _>) =
            std::mem::take(&mut self.cameras).into_iter().partition(|(id, camera)| stay(id, camera));
        self.cameras = staying;
        for (id, camera) in leaving {
            tracing::info!(camera = id, run = camera.run(), "stopping");
            self.endings.insert(id, camera.stop());
        }
        for (id, assignment) in wanted {
            if let Some(camera) = self.cameras.get(&id) {
                camera.change_settings(assignment.settings);
                continue;
            }
            let surroundings = Arc::clone(&self.surroundings);
            let camera = if let Some(reason) = self.crashes.quarantine(&assignment) {
                Camera::left_out(assignment, &surroundings, reason)
            } else {
                tracing::info!(camera = id, run = assignment.run, "starting");
                let owner = self.crashes.owner_of(&assignment);
                Camera::start(assignment, surroundings, self.endings.remove(&id), owner)
            };
            self.cameras.insert(id, camera);
        }
    }

    /// What every camera has to report.
    pub fn reports(&self) -> Vec<CameraReport> {
        self.cameras.values().map(Camera::report).collect()
    }

    /// Events of this host that nobody has acknowledged yet.
    pub(crate) fn spooled_events(&mut self) -> u64 {
        self.spool.events()
    }

    /// A reader of a camera's pipeline, while it has one.
    pub(crate) fn meter(&self, camera_id: &str) -> Option<Meter> {
        self.cameras.get(camera_id)?.meter()
    }

    /// Looks for work that hangs. Then this process has to end, since a native thread cannot be made to: it is written
    /// down, the camera says so, and the answer is why.
    pub(crate) fn find_hang(&mut self) -> Option<String> {
        let overdue = watched::overdue(Instant::now());
        // Twice, since a process that was itself suspended finds everything late.
        let before = std::mem::replace(&mut self.suspect, overdue.as_ref().map(|work| work.id));
        let work = overdue.filter(|work| before == Some(work.id))?;
        let reason = crashes::hang(&work.what, work.since.elapsed());
        let camera_id = self.crashes.hung(&work);
        tracing::error!(camera = camera_id, "the worker has to end, because of {reason}");
        if let Some(camera) = camera_id.and_then(|id| self.cameras.get(id)) {
            camera.hangs(&reason);
        }
        Some(reason)
    }

    /// Stops every camera so that events under way are kept; answers how many have not ended `within` this time.
    pub fn shut_down(mut self, within: Duration) -> usize {
        let deadline = Instant::now() + within;
        self.run(BTreeMap::new());
        let late = |ending: &&Ending| !ending.wait(deadline.saturating_duration_since(Instant::now()));
        self.endings.values().filter(late).count()
    }
}
