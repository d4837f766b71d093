//! One attempt at playing a camera: from a new pipeline to the reason it ended.

use std::cell::{Cell, RefCell};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use gstvedette::kept::KeptOpen;
use gstvedette::watched;
use vedette_events::{CameraAssignment, CameraState, PipelineSettings};

use crate::camera::{Patience, Status, Surroundings};
use crate::container::missing_bytes;
use crate::failure::{Failure, Part, Remedy};
use crate::launch::Template;
use crate::network::NetworkCamera;
use crate::pipeline::{Happening, Pipeline};
use crate::signal::StopSignal;
use crate::source::Source;

/// How long frames may take to come out that were inside when a file broke off.
const LAST_FRAMES: Duration = Duration::from_secs(1);
/// A camera that sends pictures less often than this allows for is no camera.
const MOST_SLOWNESS: u32 = 8;

/// Why a pipeline is over.
#[derive(Debug)]
pub(crate) enum Outcome {
    /// The camera was asked to stop.
    Stopped,
    /// Recorded material was played to its end, which may be earlier than its container says.
    Finished {
        /// Where and why it broke off.
        broke_off: Option<String>,
    },
    /// Looped material cannot be wound back, or the settings take other elements: begin again with a new pipeline.
    Again,
    /// It failed.
    Failed(Failure),
}

/// What one attempt needs.
pub(crate) struct Attempt<'a> {
    pub(crate) source: &'a Source,
    pub(crate) assignment: &'a CameraAssignment,
    pub(crate) settings: &'a Mutex<PipelineSettings>,
    pub(crate) surroundings: &'a Surroundings,
    pub(crate) status: &'a Status,
    pub(crate) stop: &'a StopSignal,
    /// How many times longer than others this camera takes between two pictures, as far as is known; at least 1.
    pub(crate) slowness: &'a Cell<u32>,
    /// What the attempt before had open; this one's from its start on.
    pub(crate) kept_open: &'a RefCell<KeptOpen>,
}

impl Attempt<'_> {
    /// Plays the camera once.
    pub(crate) fn play(&self) -> Outcome {
        let Surroundings { control_plane, data_dir, .. } = self.surroundings;
        let mut pipeline = match Pipeline::build(self.source, &self.present(), control_plane, data_dir) {
            Ok(pipeline) => pipeline,
            Err(error) => return Outcome::Failed(Failure::give_up(error.to_string())),
        };
        self.stop.watch(pipeline.bus());
        let outcome = match self.start(&pipeline) {
            Ok(()) => self.play_started(&mut pipeline),
            Err((_, failure)) => Outcome::Failed(failure),
        };
        if let Outcome::Failed(Failure { message, remedy: Remedy::Retry }) = &outcome {
            // Before the pipeline ends, which it may never do.
            self.status.measured();
            self.status.set(CameraState::Reconnecting, Some(message.clone()));
        }
        let Patience { end, .. } = self.surroundings.patience;
        // Elements are waited for, and one that hangs is waited for in vain.
        let _watched = watched::begin(&self.work("ending"), end);
        drop(pipeline);
        outcome
    }

    fn start(&self, pipeline: &Pipeline) -> Result<(), (Part, Failure)> {
        let _watched = watched::begin(&self.work("starting"), self.surroundings.patience.start);
        pipeline.start()
    }

    fn play_started(&self, pipeline: &mut Pipeline) -> Outcome {
        self.kept_open.replace(pipeline.kept_open());
        self.status.measure(pipeline.meter());
        match Template::of(self.source, self.assignment.looped) {
            Template::File => self.play_recorded(pipeline),
            Template::Loop => self.play_looped(pipeline),
            Template::Rtsp | Template::Http | Template::Webcam | Template::Test => self.play_live(pipeline),
        }
    }

    /// What is told of a state change that hangs.
    fn work(&self, verb: &str) -> Arc<str> {
        format!("{verb} the pipeline of {}", self.source.describe()).into()
    }

    /// What to play: the assignment with the settings of now.
    fn present(&self) -> CameraAssignment {
        let settings = self.settings.lock().unwrap_or_else(PoisonError::into_inner).clone();
        CameraAssignment { settings, ..self.assignment.clone() }
    }

    fn play_live(&self, pipeline: &mut Pipeline) -> Outcome {
        let began = Instant::now();
        let failure = match self.wait_live(pipeline) {
            Happening::StopRequested => return self.stopped(pipeline),
            Happening::SettingsChanged => return self.begin_anew(pipeline),
            Happening::Failed(_, failure) => failure,
            Happening::Ended => Failure::retry(format!("{} ended its stream", self.source.describe())),
            Happening::Quiet | Happening::FirstFrame => {
                let failure = self.live_silence(pipeline);
                self.expect_gaps_like(pipeline.figures().frames(), began.elapsed());
                failure
            }
        };
        // Whoever was in view is out of sight now; their tracks end before the next attempt.
        pipeline.drain(self.surroundings.patience.drain);
        Outcome::Failed(failure)
    }

    fn play_looped(&self, pipeline: &mut Pipeline) -> Outcome {
        let patience = self.surroundings.patience.recorded_frame;
        let mut frames_before = 0;
        loop {
            match self.wait(pipeline, patience, patience) {
                Happening::StopRequested => return self.stopped(pipeline),
                Happening::SettingsChanged => return self.begin_anew(pipeline),
                Happening::Failed(_, failure) => return Outcome::Failed(giving_up(failure)),
                Happening::Quiet | Happening::FirstFrame => {
                    return Outcome::Failed(self.silence(pipeline.figures().last_done(), Remedy::GiveUp));
                }
                Happening::Ended if pipeline.figures().frames() == frames_before => {
                    return Outcome::Failed(self.no_pictures());
                }
                Happening::Ended => frames_before = pipeline.figures().frames(),
            }
            if !pipeline.play_again() {
                return Outcome::Again;
            }
        }
    }

    fn play_recorded(&self, pipeline: &mut Pipeline) -> Outcome {
        let patience = self.surroundings.patience.recorded_frame;
        let failure = match self.wait(pipeline, patience, patience) {
            Happening::StopRequested => return self.stopped(pipeline),
            Happening::Ended => None,
            Happening::Failed(Part::Source, failure) => {
                if self.let_last_frames_out(pipeline) {
                    return self.stopped(pipeline);
                }
                Some(failure)
            }
            Happening::Failed(Part::Analysis { .. }, failure) => return Outcome::Failed(giving_up(failure)),
            Happening::Quiet | Happening::FirstFrame | Happening::SettingsChanged => {
                return Outcome::Failed(self.silence(pipeline.figures().last_done(), Remedy::GiveUp));
            }
        };
        let missing = self.missing_bytes();
        if pipeline.figures().frames() == 0 {
            let failure = failure.unwrap_or_else(|| self.no_pictures());
            return Outcome::Failed(match missing {
                0 => failure,
                _ => Failure::give_up(format!("{}; {}", failure.message, incomplete(missing))),
            });
        }
        Outcome::Finished { broke_off: self.broke_off(pipeline, failure, missing) }
    }

    /// How long a live camera may send nothing before it is connected to anew.
    fn longest_gap(&self) -> Duration {
        let patience = &self.surroundings.patience;
        let is_segmented = self.source.network().is_some_and(NetworkCamera::is_segmented);
        if is_segmented { patience.segmented_frame } else { patience.live_frame * self.slowness.get() }
    }

    /// A camera that was called silent though it never sent a picture a second is given more time, others are not.
    fn expect_gaps_like(&self, frames: u64, within: Duration) {
        let is_slow = frames > 0 && (frames as f64) < within.as_secs_f64();
        let slowness = if is_slow { self.slowness.get() * 2 } else { 1 };
        self.slowness.set(slowness.min(MOST_SLOWNESS));
    }

    /// Like [`Attempt::wait`], for a live camera: the camera is to send pictures, whatever time their analysis takes.
    fn wait_live(&self, pipeline: &mut Pipeline) -> Happening {
        let (began, patience) = (Instant::now(), &self.surroundings.patience);
        let longest_gap = self.longest_gap();
        let deadline = |pipeline: &Pipeline| {
            let figures = pipeline.figures();
            let Some(decoded) = figures.last_decoded() else { return began + patience.first_frame };
            // The first frame may have to wait for models to be loaded.
            let analysed = figures.last_done().unwrap_or(began) + patience.recorded_frame;
            analysed.min(decoded + longest_gap)
        };
        self.wait_until(pipeline, deadline)
    }

    /// Waits for whatever ends the pipeline; [`Happening::Quiet`] when the first frame did not come within `first`, or
    /// a later one within `patience` of the one before; [`Happening::SettingsChanged`] when the pipeline cannot be set as
    /// it is to be now.
    fn wait(&self, pipeline: &mut Pipeline, first: Duration, patience: Duration) -> Happening {
        let began = Instant::now();
        let deadline = |pipeline: &Pipeline| match pipeline.figures().last_done() {
            Some(last) => last.max(began) + patience,
            None => began + first,
        };
        self.wait_until(pipeline, deadline)
    }

    fn wait_until(&self, pipeline: &mut Pipeline, deadline: impl Fn(&Pipeline) -> Instant) -> Happening {
        loop {
            match pipeline.next(deadline(pipeline)) {
                Happening::FirstFrame => self.status.set(CameraState::Running, None),
                Happening::Quiet if Instant::now() < deadline(pipeline) => (),
                Happening::SettingsChanged if self.can_go_on(pipeline) => (),
                happening => return happening,
            }
        }
    }

    /// After an error of the demuxer or decoder: waits until the frames before it are analysed. Answers whether the
    /// camera was asked to stop meanwhile.
    fn let_last_frames_out(&self, pipeline: &mut Pipeline) -> bool {
        loop {
            match self.wait(pipeline, LAST_FRAMES, LAST_FRAMES) {
                Happening::StopRequested => return true,
                Happening::Ended => return false,
                // Further errors are consequences of the first.
                Happening::Failed(..) | Happening::SettingsChanged => (),
                Happening::FirstFrame | Happening::Quiet => {
                    pipeline.drain(self.surroundings.patience.drain);
                    return false;
                }
            }
        }
    }

    /// Sets the pipeline as the settings of now say; whether it goes on as it is.
    fn can_go_on(&self, pipeline: &mut Pipeline) -> bool {
        let Surroundings { control_plane, data_dir, .. } = self.surroundings;
        let camera = &*self.assignment.camera_id;
        match pipeline.change(&self.present(), control_plane, data_dir) {
            Ok(true) => true,
            Ok(false) if Template::of(self.source, self.assignment.looped) == Template::File => {
                // Playing it again from its beginning would tell of everybody in it twice.
                tracing::info!(camera, "the recording is played to its end with the models it began with");
                true
            }
            Ok(false) => false,
            Err(error) => {
                tracing::error!(camera, "the settings cannot be changed: {error}");
                // A new pipeline fails of the same, and says so as the camera's state.
                false
            }
        }
    }

    /// Ends the pipeline, so that the next one is built by the settings of now.
    fn begin_anew(&self, pipeline: &Pipeline) -> Outcome {
        pipeline.drain(self.surroundings.patience.drain);
        Outcome::Again
    }

    fn stopped(&self, pipeline: &Pipeline) -> Outcome {
        if !pipeline.drain(self.surroundings.patience.drain) {
            tracing::debug!(camera = self.assignment.camera_id, "stopped with frames under way");
        }
        Outcome::Stopped
    }

    fn live_silence(&self, pipeline: &Pipeline) -> Failure {
        let figures = pipeline.figures();
        let sends = figures.last_decoded().is_some_and(|last| last.elapsed() < self.longest_gap());
        if sends {
            let source = self.source.describe();
            return Failure::retry(format!(
                "the analysis of {source} does not move: is this machine overloaded?"
            ));
        }
        self.silence(figures.last_decoded(), Remedy::Retry)
    }

    fn silence(&self, last_frame: Option<Instant>, remedy: Remedy) -> Failure {
        let source = self.source.describe();
        let message = match last_frame {
            Some(last) => format!("{source} has sent no picture for {} s", last.elapsed().as_secs()),
            None => format!("{source} is connected but sends no picture"),
        };
        Failure { message, remedy }
    }

    fn no_pictures(&self) -> Failure {
        Failure::give_up(format!("{} holds no pictures that can be decoded", self.source.describe()))
    }

    /// What is missing from the file; 0 when nobody can tell.
    fn missing_bytes(&self) -> u64 {
        match self.source {
            Source::File { path, .. } => missing_bytes(path).unwrap_or(0),
            _ => 0,
        }
    }

    fn broke_off(&self, pipeline: &Pipeline, failure: Option<Failure>, missing: u64) -> Option<String> {
        let reason = match (missing, failure) {
            (0, None) => return None,
            (0, Some(failure)) => failure.message,
            (missing, _) => incomplete(missing),
        };
        let after_s = pipeline.figures().position().map_or(0.0, |position| position.seconds_f64());
        Some(format!(
            "the recording breaks off after {after_s:.1} s, everything before was analysed: {reason}"
        ))
    }
}

fn giving_up(failure: Failure) -> Failure {
    Failure { remedy: Remedy::GiveUp, ..failure }
}

fn incomplete(missing: u64) -> String {
    format!(
        "at least {missing} bytes are missing at the end of the file: was it recorded and copied to its end?"
    )
}
