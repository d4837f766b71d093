//! One camera: a thread that keeps its pipeline running, and the state it reports.
//!
//! `starting → running → (reconnecting → running)* → stopped`, or `error` when only a person can mend it. A live
//! camera that is lost is tried again for as long as it is assigned; recorded material is played once.

use std::cell::{Cell, RefCell};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use gstvedette::owner::Owner;
use vedette_events::{CameraAssignment, CameraReport, CameraState, CameraStats, PipelineSettings};

use crate::attempt::{Attempt, Outcome};
use crate::backoff::Backoff;
use crate::failure::{Failure, Remedy};
use crate::launch::ControlPlane;
use crate::network::NetworkCamera;
use crate::pipeline::Meter;
use crate::reach::knock;
use crate::signal::{News, StopSignal};
use crate::source::Source;

/// A camera that ran this long is tried again after the shortest pause.
const STABLE_AFTER: Duration = Duration::from_secs(5);
/// How often a lost camera's host is asked whether it is there again.
const KNOCK_INTERVAL: Duration = Duration::from_secs(1);

/// How long a camera's thread waits for what.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// Until a live camera's first frame.
    pub first_frame: Duration,
    /// Between two frames of a live camera.
    pub live_frame: Duration,
    /// Between two frames of a live camera that sends them in pieces of seconds, as HLS does.
    pub segmented_frame: Duration,
    /// Between two frames of recorded material, which nothing but a hanging decoder delays.
    pub recorded_frame: Duration,
    /// Until frames, tracks and events inside a pipeline that stops have come out.
    pub drain: Duration,
    /// Until the thread of an earlier run has ended.
    pub predecessor: Duration,
    /// Until a pipeline has started, and loaded its models; a graphics card may have them compiled first.
    pub start: Duration,
    /// Until a pipeline has ended that was told to.
    pub end: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            first_frame: Duration::from_secs(20),
            live_frame: Duration::from_secs(3),
            segmented_frame: Duration::from_secs(15),
            recorded_frame: Duration::from_secs(30),
            drain: Duration::from_millis(1500),
            predecessor: Duration::from_secs(10),
            start: Duration::from_secs(30 * 60),
            end: Duration::from_secs(30),
        }
    }
}

/// What all cameras of a worker share.
pub struct Surroundings {
    /// Where events go and galleries come from.
    pub control_plane: ControlPlane,
    /// Where spools lie.
    pub data_dir: PathBuf,
    /// How long to wait for what.
    pub patience: Patience,
    /// Told of every change of state.
    pub news: Arc<News>,
}

/// A camera's state as others may see it.
pub(crate) struct Status {
    camera_id: String,
    news: Arc<News>,
    inner: Mutex<StatusInner>,
}

#[derive(Default)]
struct StatusInner {
    state: CameraState,
    last_error: Option<String>,
    /// How often the source was lost.
    reconnects: u64,
    meter: Option<Meter>,
    /// The figures when the last pipeline ended.
    last_stats: CameraStats,
}

impl Status {
    fn new(assignment: &CameraAssignment, surroundings: &Surroundings) -> Self {
        Self {
            camera_id: assignment.camera_id.clone(),
            news: Arc::clone(&surroundings.news),
            inner: Mutex::default(),
        }
    }

    fn inner(&self) -> MutexGuard<'_, StatusInner> {
        // A state is whole after any panic.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Goes to another state; without an error the last one is forgotten.
    pub(crate) fn set(&self, state: CameraState, error: Option<String>) {
        let mut inner = self.inner();
        if inner.state == state && inner.last_error == error {
            return;
        }
        if state == CameraState::Reconnecting && inner.state == CameraState::Running {
            inner.reconnects += 1;
        }
        let camera = &*self.camera_id;
        match &error {
            Some(error) if state == CameraState::Error => {
                tracing::error!(camera, state = state.as_str(), "{error}");
            }
            Some(error) => tracing::warn!(camera, state = state.as_str(), "{error}"),
            None => tracing::info!(camera, state = state.as_str()),
        }
        (inner.state, inner.last_error) = (state, error);
        drop(inner);
        self.news.changed();
    }

    /// Reads figures from `meter` from now on.
    pub(crate) fn measure(&self, meter: Meter) {
        self.inner().meter = Some(meter);
    }

    /// The pipeline has ended: keeps what is still true of it.
    pub(crate) fn measured(&self) {
        let mut inner = self.inner();
        if let Some(meter) = inner.meter.take() {
            inner.last_stats = CameraStats { fps: 0.0, faces: 0, ..meter.stats() };
        }
    }
}

/// The end of a camera's thread, to be waited for.
pub struct Ending(Receiver<()>);

impl Ending {
    /// Waits at most `timeout`; answers whether the thread has ended.
    pub fn wait(&self, timeout: Duration) -> bool {
        use std::sync::mpsc::RecvTimeoutError;
        matches!(self.0.recv_timeout(timeout), Err(RecvTimeoutError::Disconnected))
    }
}

/// One assigned camera.
pub struct Camera {
    run: u64,
    settings: Arc<Mutex<PipelineSettings>>,
    status: Arc<Status>,
    stop: Arc<StopSignal>,
    ending: Ending,
}

impl Camera {
    /// Starts a camera's thread. It waits for `predecessor`, the thread of an earlier run, so that two never share a
    /// device or a spool. Its threads are those of `owner`.
    pub fn start(
        assignment: CameraAssignment,
        surroundings: Arc<Surroundings>,
        predecessor: Option<Ending>,
        owner: Owner,
    ) -> Self {
        let status = Arc::new(Status::new(&assignment, &surroundings));
        let stop = Arc::new(StopSignal::default());
        let (alive, ending) = channel();
        let run = assignment.run;
        let name = format!("camera {}", assignment.camera_id);
        let settings = Arc::new(Mutex::new(assignment.settings.clone()));
        let thread = Runner {
            assignment,
            settings: Arc::clone(&settings),
            surroundings,
            status: Arc::clone(&status),
            stop: Arc::clone(&stop),
            owner,
        };
        status.set(CameraState::Starting, None);
        let spawned = std::thread::Builder::new().name(name).spawn(move || thread.run(predecessor, alive));
        if let Err(error) = spawned {
            status.set(CameraState::Error, Some(format!("no thread could be started for it: {error}")));
        }
        Self { run, settings, status, stop, ending: Ending(ending) }
    }

    /// A camera that is not started, and reports why.
    pub(crate) fn left_out(
        assignment: CameraAssignment,
        surroundings: &Surroundings,
        reason: String,
    ) -> Self {
        let status = Status::new(&assignment, surroundings);
        status.set(CameraState::Error, Some(reason));
        Self {
            run: assignment.run,
            settings: Arc::new(Mutex::new(assignment.settings)),
            status: Arc::new(status),
            stop: Arc::default(),
            // Of a thread that has ended already.
            ending: Ending(channel().1),
        }
    }

    /// Something in it does not come to an end: it is on its way to another worker.
    pub(crate) fn hangs(&self, reason: &str) {
        let message = format!("the worker starts anew, because of {reason}");
        self.status.set(CameraState::Reconnecting, Some(message));
    }

    /// The run it was started for.
    pub fn run(&self) -> u64 {
        self.run
    }

    /// A reader of its pipeline, while it has one.
    pub(crate) fn meter(&self) -> Option<Meter> {
        self.status.inner().meter.clone()
    }

    /// Has it go on with these settings.
    pub fn change_settings(&self, settings: PipelineSettings) {
        let mut present = self.settings.lock().unwrap_or_else(PoisonError::into_inner);
        if *present != settings {
            *present = settings;
            drop(present);
            tracing::info!(camera = self.status.camera_id, "settings changed");
            self.stop.settings_changed();
        }
    }

    /// What the heartbeat says about it.
    pub fn report(&self) -> CameraReport {
        let inner = self.status.inner();
        let stats = inner.meter.as_ref().map_or(inner.last_stats, Meter::stats);
        CameraReport {
            camera_id: self.status.camera_id.clone(),
            run: self.run,
            state: inner.state,
            stats,
            last_error: inner.last_error.clone(),
            reconnects: inner.reconnects,
        }
    }

    /// Asks it to stop; its thread ends soon after.
    pub fn stop(self) -> Ending {
        self.stop.request();
        self.ending
    }
}

/// What a camera's thread holds.
struct Runner {
    assignment: CameraAssignment,
    /// The settings as they are now; those of the assignment are where it began.
    settings: Arc<Mutex<PipelineSettings>>,
    surroundings: Arc<Surroundings>,
    status: Arc<Status>,
    stop: Arc<StopSignal>,
    owner: Owner,
}

impl Runner {
    /// The thread. `_alive` is dropped at its end, which is what [`Ending`] waits for.
    fn run(self, predecessor: Option<Ending>, _alive: Sender<()>) {
        self.owner.adopt();
        let patience = self.surroundings.patience.predecessor;
        if predecessor.is_some_and(|predecessor| !predecessor.wait(patience)) {
            tracing::warn!(
                camera = self.assignment.camera_id,
                "the earlier run does not end; starting beside it"
            );
        }
        if catch_unwind(AssertUnwindSafe(|| self.keep_running())).is_err() {
            let message =
                "a fault in the worker ended this camera: start it again, and report what the log says";
            self.status.set(CameraState::Error, Some(message.into()));
        }
        self.status.measured();
    }

    /// Plays the camera until it is stopped, over, or beyond mending.
    fn keep_running(&self) {
        let source = match Source::parse(&self.assignment.url) {
            Ok(source) => source,
            Err(error) => return self.status.set(CameraState::Error, Some(error.to_string())),
        };
        let (slowness, mut backoff) = (Cell::new(1), Backoff::default());
        let kept_open = RefCell::default();
        // TCP first; UDP only as the answer to a refusal, and never for good.
        let mut by_udp = None;
        while !self.stop.is_requested() {
            let attempt = Attempt {
                source: by_udp.as_ref().unwrap_or(&source),
                assignment: &self.assignment,
                settings: &self.settings,
                surroundings: &self.surroundings,
                status: &self.status,
                stop: &self.stop,
                slowness: &slowness,
                kept_open: &kept_open,
            };
            let began = Instant::now();
            let outcome = checked(&source).map_or_else(Outcome::Failed, |()| attempt.play());
            let was_by_udp = by_udp.take().is_some();
            self.status.measured();
            match outcome {
                Outcome::Stopped => break,
                Outcome::Again => (),
                Outcome::Finished { broke_off } => return self.status.set(CameraState::Stopped, broke_off),
                Outcome::Failed(failure) if failure.remedy == Remedy::GiveUp => {
                    return self.status.set(CameraState::Error, Some(failure.message));
                }
                Outcome::Failed(failure) => {
                    if failure.remedy == Remedy::RetryByUdp && !was_by_udp {
                        by_udp = source.by_udp();
                    }
                    if by_udp.is_some() {
                        tracing::info!(camera = self.assignment.camera_id, "refuses TCP: trying UDP");
                        continue;
                    }
                    if began.elapsed() >= STABLE_AFTER {
                        backoff.reset();
                    }
                    self.status.set(CameraState::Reconnecting, Some(failure.message));
                    let pause = backoff.next(failure.remedy, Instant::now());
                    if self.wait_for(source.network(), pause) {
                        backoff.reset();
                    }
                }
            }
        }
        self.status.set(CameraState::Stopped, None);
    }

    /// Waits out `pause`, or until the host of a camera that was away is there again, whichever is true first of a host
    /// that is there; answers whether it was away. A host that is away costs one connection a second.
    fn wait_for(&self, camera: Option<&NetworkCamera>, pause: Duration) -> bool {
        let due = Instant::now() + pause;
        let mut was_away = false;
        while !self.stop.is_requested() {
            let asked_at = Instant::now();
            match camera.map_or(Ok(()), knock) {
                Ok(()) if was_away || Instant::now() >= due => break,
                Ok(()) => (),
                // The next attempt says so, and is the last.
                Err(failure) if failure.remedy == Remedy::GiveUp => break,
                Err(failure) => {
                    was_away = true;
                    self.status.set(CameraState::Reconnecting, Some(failure.message));
                }
            }
            let next = asked_at + KNOCK_INTERVAL.mul_f64(rand::random_range(0.75..=1.0));
            let next = if was_away { next } else { next.min(due) };
            self.stop.wait(next.saturating_duration_since(Instant::now()));
        }
        was_away
    }
}

/// Tells beforehand, and better than GStreamer can, why a file cannot be played or a camera not be reached.
pub(crate) fn checked(source: &Source) -> Result<(), Failure> {
    if let Some(camera) = source.network() {
        return knock(camera);
    }
    let Source::File { path, .. } = source else { return Ok(()) };
    let file = std::fs::File::open(path).map_err(|error| Failure::give_up(cannot_open(path, &error)))?;
    let refuse = |what| Err(Failure::give_up(format!("{} {what}", path.display())));
    match file.metadata() {
        Ok(metadata) if metadata.is_dir() => refuse("is a folder: give the full path of one video in it"),
        Ok(metadata) if metadata.len() == 0 && metadata.is_file() => {
            refuse("is empty: was it copied to its end?")
        }
        _ => Ok(()),
    }
}

fn cannot_open(path: &Path, error: &std::io::Error) -> String {
    let path = path.display();
    match error.kind() {
        std::io::ErrorKind::NotFound => {
            format!("{path} was not found: the path must be valid on the machine the worker runs on")
        }
        std::io::ErrorKind::PermissionDenied => {
            format!("{path} may not be read: give the user the worker runs as the right to")
        }
        _ => format!("{path} cannot be read: {error}"),
    }
}
