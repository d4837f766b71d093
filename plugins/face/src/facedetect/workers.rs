//! The threads that run a detector, for all cameras of the process: as many as the detector has use for. Frames are
//! taken in the order they come, and no camera has more than a few waiting, so each gets its turn. What a look at a
//! frame needs in memory belongs to the thread: cameras add none.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, LazyLock, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use gst_video::VideoInfo;
use vedette_models::ModelError;
use vedette_models::detect::{DetectScratch, DetectedFace, Detector, DetectorOptions};
use vedette_models::geometry::{Polygon, Rect};
use vedette_models::owner::Owner;

use crate::frame::{self, FrameError};
use crate::instance::{ModelChoice, Shared};

/// A detector and its threads. They end with the last element that uses it.
#[derive(Debug)]
pub(super) struct Workers {
    detector: Arc<Detector>,
    queue: Arc<Queue>,
    threads: Vec<JoinHandle<()>>,
}

#[derive(Debug, Default)]
struct Queue {
    state: Mutex<QueueState>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct QueueState {
    jobs: VecDeque<Job>,
    is_closed: bool,
}

/// A frame to look at.
#[derive(Debug)]
struct Job {
    buffer: gst::Buffer,
    info: Arc<VideoInfo>,
    options: DetectorOptions,
    masks: Arc<[Polygon]>,
    answer: Arc<Answer>,
    /// Whose frame it is.
    owner: Owner,
}

/// What was seen in a frame, as soon as somebody has looked at it.
#[derive(Debug, Default)]
pub(super) struct Answer {
    outcome: Mutex<Option<Arc<Outcome>>>,
    told: Condvar,
}

/// What was seen, or why nothing was.
pub(super) type Outcome = Result<Seen, DetectError>;

/// What was seen, and what it cost.
#[derive(Debug)]
pub(super) struct Seen {
    /// The faces, surest first.
    pub(super) faces: Vec<DetectedFace>,
    /// What may be one, surest first.
    pub(super) unsure: Vec<Rect>,
    /// Width and height of the frame.
    pub(super) size: (u32, u32),
    /// How long the whole look took, …
    pub(super) took: Duration,
    /// … and what of it went into making the network's inputs.
    pub(super) preparation: Duration,
    /// How many faces were looked at once more.
    pub(super) second_looks: u32,
}

/// A frame that could not be looked at.
#[derive(Debug, thiserror::Error)]
pub(super) enum DetectError {
    #[error(transparent)]
    Frame(#[from] FrameError),
    #[error(transparent)]
    Model(#[from] ModelError),
    #[error("the detector gave up on the frame")]
    Interrupted,
}

impl Workers {
    /// The threads of that detector, started if nobody uses it yet.
    pub(super) fn of(choice: &ModelChoice) -> Result<Arc<Self>, ModelError> {
        static ALL: LazyLock<Shared<ModelChoice, Workers>> = LazyLock::new(Shared::default);
        ALL.get(choice, || Ok(Self::start(choice.detector()?)))
    }

    fn start(detector: Arc<Detector>) -> Self {
        let queue = Arc::<Queue>::default();
        let start = |index: usize| {
            let (detector, queue) = (Arc::clone(&detector), Arc::clone(&queue));
            let builder = std::thread::Builder::new().name(format!("facedetect{index}"));
            builder.spawn(move || queue.work(&detector)).ok()
        };
        let threads = (0..detector.concurrency()).filter_map(start).collect();
        Self { detector, queue, threads }
    }

    /// The detector.
    pub(super) fn detector(&self) -> &Detector {
        &self.detector
    }

    /// The detector, for others to share.
    pub(super) fn shared_detector(&self) -> Arc<Detector> {
        Arc::clone(&self.detector)
    }

    /// How many frames are looked at at the same time.
    pub(super) fn count(&self) -> usize {
        self.threads.len().max(1)
    }

    /// Has a frame looked at, but for what lies in `masks`, when its turn comes.
    pub(super) fn look(
        &self,
        buffer: gst::Buffer,
        info: Arc<VideoInfo>,
        options: DetectorOptions,
        masks: Arc<[Polygon]>,
    ) -> Arc<Answer> {
        let answer = Arc::<Answer>::default();
        let job = Job { buffer, info, options, masks, answer: Arc::clone(&answer), owner: Owner::current() };
        if self.threads.is_empty() {
            // The system had no thread to give: then the camera's own does it.
            job.run(&self.detector, &mut DetectScratch::default());
        } else {
            self.queue.lock().jobs.push_back(job);
            self.queue.changed.notify_one();
        }
        answer
    }
}

impl Drop for Workers {
    fn drop(&mut self) {
        self.queue.lock().is_closed = true;
        self.queue.changed.notify_all();
        for thread in self.threads.drain(..) {
            // It catches what panics, so there is nothing to learn from it.
            let _ = thread.join();
        }
    }
}

impl Queue {
    fn work(&self, detector: &Detector) {
        // It was started by a camera that will not be the only one it works for.
        Owner::NOBODY.adopt();
        let mut scratch = DetectScratch::default();
        while let Some(job) = self.next() {
            job.run(detector, &mut scratch);
        }
    }

    fn next(&self) -> Option<Job> {
        let mut state = self.lock();
        loop {
            if let Some(job) = state.jobs.pop_front() {
                return Some(job);
            }
            if state.is_closed {
                return None;
            }
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn lock(&self) -> MutexGuard<'_, QueueState> {
        // Nothing panics while the lock is held.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Job {
    fn run(self, detector: &Detector, scratch: &mut DetectScratch) {
        let Self { buffer, info, options, masks, answer, owner } = self;
        let _duty = owner.hire();
        // After a flush nobody waits for the answer.
        if Arc::strong_count(&answer) == 1 {
            return;
        }
        let look = || -> Outcome {
            let begun = Instant::now();
            let faces = frame::with_view(&buffer, &info, |view| {
                detector.detect_outside(&masks, view, &options, scratch)
            })??;
            let size = (info.width(), info.height());
            Ok(Seen {
                faces,
                unsure: scratch.unsure().to_vec(),
                size,
                took: begun.elapsed(),
                preparation: scratch.preparation(),
                second_looks: scratch.second_looks(),
            })
        };
        let outcome = catch_unwind(AssertUnwindSafe(look)).unwrap_or(Err(DetectError::Interrupted));
        // First, so that the buffer belongs to one alone when its faces are written on it.
        drop(buffer);
        answer.give(outcome);
    }
}

impl Answer {
    fn give(&self, outcome: Outcome) {
        *self.lock() = Some(Arc::new(outcome));
        self.told.notify_all();
    }

    /// Waits for what was seen.
    pub(super) fn wait(&self) -> Arc<Outcome> {
        let mut outcome = self.lock();
        loop {
            if let Some(outcome) = &*outcome {
                return Arc::clone(outcome);
            }
            outcome = self.told.wait(outcome).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Whether it is known already that nothing could be seen.
    pub(super) fn has_failed(&self) -> bool {
        self.lock().as_ref().is_some_and(|outcome| outcome.is_err())
    }

    fn lock(&self) -> MutexGuard<'_, Option<Arc<Outcome>>> {
        // Nothing panics while the lock is held.
        self.outcome.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
