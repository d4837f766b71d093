//! Errands: pictures the control plane asks for, from a camera that runs or from one that is only tried.

use std::sync::mpsc;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use gst::prelude::*;
use vedette_events::{CameraPicture, Outcome, Task};

use crate::camera::checked;
use crate::failure::{Failure, Part, Remedy, explain};
use crate::launch;
use crate::pipeline::Meter;
use crate::rtsp::Offer;
use crate::source::Source;
use crate::streams;
use crate::worker::Worker;

/// How long a camera that is tried may take to show its first picture.
const PROBE_PATIENCE: Duration = Duration::from_secs(10);
/// How long the next picture of a camera that runs may take.
const PICTURE_PATIENCE: Duration = Duration::from_secs(3);
/// What a camera that refused TCP is given before it is asked once more.
const BREATHER: Duration = Duration::from_millis(500);
/// How often a probe looks whether something went wrong.
const LOOK: gst::ClockTime = gst::ClockTime::from_mseconds(50);
/// How long frames of a stream that does not say its rate are counted, and how many at most.
const COUNTING: Duration = Duration::from_secs(1);
const MOST_COUNTED: u16 = 20;
/// Longest side of a camera's picture.
const PICTURE_SIDE: u32 = 1280;
/// Longest side of a probe's picture.
const THUMBNAIL_SIDE: u32 = 640;

/// An errand with everything it takes, to be run on a thread of its own.
pub struct Job(Kind);

enum Kind {
    Probe(String),
    Picture(Option<Meter>),
}

impl Job {
    /// What `task` asks for, of the cameras of `worker`.
    pub fn new(task: Task, worker: &Worker) -> Self {
        Self(match task {
            Task::Probe { url } => Kind::Probe(url),
            Task::Picture { camera_id } => Kind::Picture(worker.meter(&camera_id)),
        })
    }

    /// Does it; takes seconds.
    pub fn run(self) -> Outcome {
        let picture = match self.0 {
            Kind::Probe(url) => probe(&url, PROBE_PATIENCE),
            Kind::Picture(Some(meter)) => next_picture(&meter, PICTURE_PATIENCE),
            Kind::Picture(None) => Err("the camera is not running".into()),
        };
        picture.map_or_else(Outcome::Failed, Outcome::Picture)
    }
}

/// Opens a camera, takes its first picture and closes it again.
///
/// # Errors
/// Why there is none, in words for whoever put the camera up.
pub fn probe(url: &str, patience: Duration) -> Result<CameraPicture, String> {
    let source = Source::parse(url).map_err(|error| error.to_string())?;
    let deadline = Instant::now() + patience;
    let mut outcome = try_once(&source, deadline);
    if let (Err(Failure { remedy: Remedy::RetryByUdp, .. }), Some(by_udp)) = (&outcome, source.by_udp()) {
        outcome = try_once(&by_udp, deadline);
        if outcome.as_ref().is_err_and(|failure| failure.remedy == Remedy::Retry) {
            // Some are busy for a moment, ending what they have just refused.
            std::thread::sleep(BREATHER);
            outcome = try_once(&by_udp, deadline);
        }
    }
    outcome.map_err(|failure| source.redact(&failure.message))
}

fn try_once(source: &Source, deadline: Instant) -> Result<CameraPicture, Failure> {
    checked(source)?;
    let (pipeline, sink) =
        launch::build_probe(source).map_err(|error| Failure::give_up(error.to_string()))?;
    let offer = Offer::of(&pipeline, source);
    let pipeline = Stopping(pipeline);
    let bus = pipeline.0.bus().ok_or_else(|| Failure::retry("the pipeline has no bus"))?;
    streams::own(&bus);
    let cannot_start = pipeline.0.set_state(gst::State::Playing).is_err();
    let mut codec = None;
    let camera = source.describe();
    loop {
        if let Some(failed) = read_bus(&bus, source, &offer, &mut codec) {
            return Err(failed);
        }
        if cannot_start {
            return Err(Failure::retry(format!("{camera} cannot be opened")));
        }
        if let Some(sample) = sink.try_pull_sample(LOOK) {
            // What the stream is called comes before its first picture.
            let _ = read_bus(&bus, source, &offer, &mut codec);
            let (Some(buffer), Some(caps)) = (sample.buffer(), sample.caps()) else {
                return Err(Failure::retry(format!("{camera} sends no pictures")));
            };
            let codec = codec.or_else(|| offer.codec());
            let mut picture = picture(buffer, caps, codec, THUMBNAIL_SIDE, None).map_err(Failure::retry)?;
            picture.fps = picture.fps.or_else(|| counted_fps(&sink, buffer.pts()?, deadline));
            return Ok(picture);
        }
        if sink.is_eos() {
            return Err(Failure::give_up(format!("{camera} holds no pictures that can be decoded")));
        }
        if Instant::now() > deadline {
            return Err(Failure::retry(format!("{camera} is connected but sends no picture")));
        }
    }
}

/// Frames a second by the times of those that follow `first`, for streams that do not say.
fn counted_fps(sink: &gst_app::AppSink, first: gst::ClockTime, deadline: Instant) -> Option<f32> {
    let until = deadline.min(Instant::now() + COUNTING);
    let (mut frames, mut last) = (0_u16, first);
    while Instant::now() < until && frames < MOST_COUNTED {
        let Some(sample) = sink.try_pull_sample(LOOK) else { continue };
        last = sample.buffer()?.pts()?;
        frames += 1;
    }
    let span_s = last.checked_sub(first)?.seconds_f32();
    (frames > 1 && span_s > 0.0).then(|| (f32::from(frames) / span_s * 10.0).round() / 10.0)
}

/// Ends a pipeline however its owner is left.
struct Stopping(gst::Pipeline);

impl Drop for Stopping {
    fn drop(&mut self) {
        if self.0.set_state(gst::State::Null).is_err() {
            tracing::warn!("a camera that was tried does not let go");
        }
    }
}

/// Takes what the bus has to say: the codec's name into `codec`, a failure as the answer.
fn read_bus(bus: &gst::Bus, source: &Source, offer: &Offer, codec: &mut Option<String>) -> Option<Failure> {
    let types = [gst::MessageType::Error, gst::MessageType::Tag];
    while let Some(message) = bus.pop_filtered(&types) {
        match message.view() {
            gst::MessageView::Error(error) => {
                let debug = error.debug();
                let (error, debug) = (error.error(), debug.as_deref());
                let known = offer.explain(source, &error, debug);
                return Some(known.unwrap_or_else(|| explain(source, Part::Source, &error, debug)));
            }
            gst::MessageView::Tag(tags) => {
                if let Some(name) = tags.tags().get::<gst::tags::VideoCodec>() {
                    *codec = Some(short_name(name.get()));
                }
            }
            _ => (),
        }
    }
    None
}

/// `H.264 (Main Profile)` and `Motion JPEG` as people call them.
fn short_name(codec: &str) -> String {
    codec.split(" (").next().unwrap_or(codec).chars().take(64).collect()
}

/// The next frame that enters a running camera's analysis, black where its masks are.
fn next_picture(meter: &Meter, patience: Duration) -> Result<CameraPicture, String> {
    let (sender, receiver) = mpsc::sync_channel(1);
    let pad = meter.entry();
    let probe = pad.add_probe(gst::PadProbeType::BUFFER, move |pad, info| {
        if let (Some(buffer), Some(caps)) = (info.buffer(), pad.current_caps()) {
            // A second frame before the probe is gone finds the place taken.
            let _ = sender.try_send((buffer.clone(), caps));
        }
        gst::PadProbeReturn::Remove
    });
    match receiver.recv_timeout(patience) {
        Ok((buffer, caps)) => picture(&buffer, &caps, None, PICTURE_SIDE, meter.mask().as_deref()),
        Err(_) => {
            if let Some(probe) = probe {
                pad.remove_probe(probe);
            }
            Err(format!("the camera has sent no picture for {} s", patience.as_secs()))
        }
    }
}

fn picture(
    buffer: &gst::BufferRef,
    caps: &gst::CapsRef,
    codec: Option<String>,
    max_side: u32,
    mask: Option<&str>,
) -> Result<CameraPicture, String> {
    let jpeg = gstvedette::still::jpeg(buffer, caps, max_side, mask).map_err(|error| error.to_string())?;
    let structure = caps.structure(0).ok_or("the picture's format is not known")?;
    let side = |name| structure.get::<i32>(name).ok().and_then(|side| u32::try_from(side).ok());
    let fps = structure.get::<gst::Fraction>("framerate").ok().filter(|fps| fps.numer() > 0);
    Ok(CameraPicture {
        width: side("width").unwrap_or_default(),
        height: side("height").unwrap_or_default(),
        fps: fps.map(|fps| fps.numer() as f32 / fps.denom() as f32),
        codec,
        jpeg: STANDARD.encode(jpeg),
    })
}
