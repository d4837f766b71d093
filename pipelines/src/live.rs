//! Live pictures: while somebody looks at a camera, its newest frames go to the control plane, boxes and names drawn.
//!
//! Nothing is encoded that nobody asked for, and no frame ever waits: a probe at the end of the pipeline hands a frame over
//! only at the moment a thread waits for one. Such threads come after all others, make one picture at a time between them and
//! rest as long as they worked: a machine short of time shows fewer pictures instead of analysing fewer frames.

use std::collections::BTreeMap;
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chrono::{DateTime, Utc};
use gst::prelude::*;
use nix::libc;
use thiserror::Error;
use ureq::http::StatusCode;
use url::Url;
use vedette_events::{LivePicture, LiveWish};

use crate::pipeline::Meter;
use crate::worker::Worker;

/// The least time between two pictures of a camera.
const INTERVAL: Duration = Duration::from_millis(100);
/// How often a thread without frames looks whether they are still wanted.
const LOOK: Duration = Duration::from_millis(500);
/// Sizes one camera is shown in at the same time; the control plane asks for fewer.
const MOST_SIDES: usize = 4;
/// How far behind other threads those are that make pictures, in steps of `nice`.
const NICENESS: libc::c_int = 10;
/// The largest picture, whatever is asked for.
const LARGEST_SIDE: u32 = 1920;

/// Why a picture did not arrive.
#[derive(Debug, Error)]
enum SendError {
    #[error("the control plane answers {0}")]
    Status(StatusCode),
    #[error(transparent)]
    Http(#[from] ureq::Error),
}

/// Where pictures go.
#[derive(Clone)]
pub(crate) struct Screen {
    agent: ureq::Agent,
    /// The worker's own address at the control plane, up to the last slash.
    worker: Url,
    token: String,
    /// Held by who makes a picture; when the next may be made.
    turn: Arc<Mutex<Instant>>,
}

impl Screen {
    /// Pictures go to where the heartbeats of `heartbeat` do.
    pub(crate) fn new(agent: ureq::Agent, heartbeat: &Url, token: &str) -> Self {
        let turn = Arc::new(Mutex::new(Instant::now()));
        Self { agent, worker: heartbeat.clone(), token: token.to_owned(), turn }
    }

    /// Sends a picture; answers in which sizes somebody still looks.
    fn send(&self, camera_id: &str, picture: &LivePicture) -> Result<Vec<u32>, SendError> {
        let path = format!("cameras/{camera_id}/live");
        // A camera's id is a plain name: it cannot lead elsewhere.
        let endpoint = self.worker.join(&path).map_err(|_| ureq::Error::BadUri(path))?;
        let request = self.agent.post(endpoint.as_str());
        let mut answer =
            request.header("Authorization", format!("Bearer {}", self.token)).send_json(picture)?;
        if answer.status() != StatusCode::OK {
            return Err(SendError::Status(answer.status()));
        }
        Ok(answer.body_mut().read_json::<LiveWish>()?.sides)
    }
}

/// The cameras that are shown now.
pub(crate) struct Shows {
    screen: Screen,
    shows: BTreeMap<String, Show>,
}

impl Shows {
    /// Shows nothing yet.
    pub(crate) fn on(screen: Screen) -> Self {
        Self { screen, shows: BTreeMap::new() }
    }

    /// Shows what `wishes` ask for of the cameras of `worker`, and nothing else.
    pub(crate) fn reconcile(&mut self, wishes: Vec<LiveWish>, worker: &Worker) {
        let mut wishes: BTreeMap<String, Vec<u32>> =
            wishes.into_iter().map(|wish| (wish.camera_id, wish.sides)).collect();
        self.shows.retain(|camera_id, show| {
            let exit = worker.meter(camera_id).map(|meter| meter.exit().clone());
            // A camera that was lost is shown anew, from the pipeline it has now.
            if exit.as_ref() != Some(&show.exit) || show.thread.is_finished() {
                return false;
            }
            let Some(sides) = wishes.remove(camera_id) else { return false };
            show.wanted.set(sides);
            true
        });
        for (camera_id, sides) in wishes {
            let Some(meter) = worker.meter(&camera_id) else { continue };
            if let Some(show) = Show::begin(camera_id.clone(), meter, sides, self.screen.clone()) {
                self.shows.insert(camera_id, show);
            }
        }
    }
}

/// In which sizes somebody looks, longest sides in pixels; `None` once nobody is to be shown anything.
struct Wanted(Mutex<Option<Vec<u32>>>);

impl Wanted {
    fn new(sides: Vec<u32>) -> Self {
        let wanted = Self(Mutex::new(Some(Vec::new())));
        wanted.set(sides);
        wanted
    }

    fn lock(&self) -> MutexGuard<'_, Option<Vec<u32>>> {
        // A list is whole after any panic.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes the sizes, unless it is over.
    fn set(&self, mut sides: Vec<u32>) {
        sides.truncate(MOST_SIDES);
        if let Some(present) = &mut *self.lock() {
            *present = sides;
        }
    }

    fn end(&self) {
        *self.lock() = None;
    }

    /// None when it is over, or nobody looks.
    fn sides(&self) -> Vec<u32> {
        self.lock().clone().unwrap_or_default()
    }
}

/// One camera that is shown; dropped, it soon is not.
struct Show {
    wanted: Arc<Wanted>,
    exit: gst::Pad,
    thread: JoinHandle<()>,
}

impl Drop for Show {
    fn drop(&mut self) {
        self.wanted.end();
    }
}

impl Show {
    fn begin(camera_id: String, meter: Meter, sides: Vec<u32>, screen: Screen) -> Option<Self> {
        let wanted = Arc::new(Wanted::new(sides));
        let exit = meter.exit().clone();
        let still_wanted = Arc::clone(&wanted);
        let show = move || {
            if let Err(reason) = show(&camera_id, &meter, &still_wanted, &screen) {
                // The next heartbeat begins again, if it is answered and somebody still looks.
                tracing::debug!(camera = camera_id, reason, "live pictures end");
            }
        };
        let spawned = std::thread::Builder::new().name("live".into()).spawn(show);
        if let Err(error) = &spawned {
            tracing::warn!(%error, "no thread could be started for live pictures");
        }
        Some(Self { wanted, exit, thread: spawned.ok()? })
    }
}

/// Sends pictures for as long as somebody looks.
fn show(camera_id: &str, meter: &Meter, wanted: &Wanted, screen: &Screen) -> Result<(), String> {
    step_back();
    let tap = Tap::on(meter.exit());
    loop {
        let sides = wanted.sides();
        if sides.is_empty() {
            return Ok(());
        }
        let Some(frame) = tap.next(LOOK) else { continue };
        let began = Instant::now();
        let timestamp = frame.came_out_at - meter.latency();
        let pictures = {
            let mut turn = match screen.turn.try_lock() {
                Ok(turn) => turn,
                Err(TryLockError::Poisoned(turn)) => turn.into_inner(),
                // While others have their turn this frame grows old: the next one is as good.
                Err(TryLockError::WouldBlock) => continue,
            };
            if began < *turn {
                continue;
            }
            let pictures = pictures(&frame, &sides, meter.mask().as_deref())?;
            *turn = Instant::now() + began.elapsed();
            pictures
        };
        // The decoder may want its buffer back.
        drop(frame);
        for (side, jpeg) in pictures {
            let picture = LivePicture { side, timestamp, jpeg };
            let still_wanted = screen.send(camera_id, &picture).map_err(|error| error.to_string())?;
            wanted.set(still_wanted);
        }
        std::thread::sleep(INTERVAL.saturating_sub(began.elapsed()));
    }
}

/// The frame in each of these sizes, as JPEG in base64.
fn pictures(frame: &Frame, sides: &[u32], mask: Option<&str>) -> Result<Vec<(u32, String)>, String> {
    let picture = |side: &u32| {
        let largest = (*side).min(LARGEST_SIDE);
        let jpeg = gstvedette::still::annotated_jpeg(&frame.buffer, &frame.caps, largest, mask);
        Ok((*side, STANDARD.encode(jpeg.map_err(|error| error.to_string())?)))
    };
    sides.iter().map(picture).collect()
}

/// Has this thread run when no other wants to.
fn step_back() {
    #[allow(unsafe_code, reason = "no library at hand does it for one thread")]
    // SAFETY: it takes numbers only. 0 is the thread that calls, on Linux.
    let refused = unsafe { libc::setpriority(libc::PRIO_PROCESS, 0, NICENESS) } != 0;
    if refused {
        tracing::debug!("the priority of a thread cannot be lowered");
    }
}

/// A frame at the end of its pipeline.
struct Frame {
    buffer: gst::Buffer,
    caps: gst::Caps,
    came_out_at: DateTime<Utc>,
}

/// Takes frames off a pad without ever holding one up.
struct Tap {
    pad: gst::Pad,
    probe: Option<gst::PadProbeId>,
    frames: Receiver<Frame>,
}

impl Tap {
    fn on(pad: &gst::Pad) -> Self {
        // Without room: a frame is taken only while somebody waits for it.
        let (sender, frames) = sync_channel(0);
        let probe = pad.add_probe(gst::PadProbeType::BUFFER, move |pad, info| {
            if let (Some(buffer), Some(caps)) = (info.buffer(), pad.current_caps()) {
                let _ = sender.try_send(Frame { buffer: buffer.clone(), caps, came_out_at: Utc::now() });
            }
            gst::PadProbeReturn::Ok
        });
        Self { pad: pad.clone(), probe, frames }
    }

    /// The next frame, if one comes in time.
    fn next(&self, within: Duration) -> Option<Frame> {
        match self.frames.recv_timeout(within) {
            Ok(frame) => Some(frame),
            Err(RecvTimeoutError::Timeout) => None,
            Err(RecvTimeoutError::Disconnected) => {
                // The pad is gone, and its pipeline.
                std::thread::sleep(within);
                None
            }
        }
    }
}

impl Drop for Tap {
    fn drop(&mut self) {
        if let Some(probe) = self.probe.take() {
            self.pad.remove_probe(probe);
        }
    }
}
