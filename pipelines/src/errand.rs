//! Errands: pictures the control plane asks for, from a camera that runs or from one that is only tried.

use std::sync::mpsc;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use gst::prelude::*;
use vedette_events::{CameraPicture, Outcome, Task};

use crate::camera::checked;
use crate::failure::{Part, explain};
use crate::launch;
use crate::pipeline::Meter;
use crate::source::Source;
use crate::worker::Worker;

/// How long a camera that is tried may take to show its first picture.
const PROBE_PATIENCE: Duration = Duration::from_secs(10);
/// How long the next picture of a camera that runs may take.
const PICTURE_PATIENCE: Duration = Duration::from_secs(3);
/// How often a probe looks whether something went wrong.
const LOOK: gst::ClockTime = gst::ClockTime::from_mseconds(50);
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
    checked(&source).map_err(|failure| failure.message)?;
    let (pipeline, sink) = launch::build_probe(&source).map_err(|error| error.to_string())?;
    let pipeline = Stopping(pipeline);
    let bus = pipeline.0.bus().ok_or("the pipeline has no bus")?;
    let cannot_start = pipeline.0.set_state(gst::State::Playing).is_err();
    let deadline = Instant::now() + patience;
    let mut codec = None;
    loop {
        if let Some(failed) = read_bus(&bus, &source, &mut codec) {
            return Err(failed);
        }
        if cannot_start {
            return Err(format!("{} cannot be opened", source.describe()));
        }
        if let Some(sample) = sink.try_pull_sample(LOOK) {
            // What the stream is called comes before its first picture.
            let _ = read_bus(&bus, &source, &mut codec);
            let (Some(buffer), Some(caps)) = (sample.buffer(), sample.caps()) else {
                return Err(format!("{} sends no pictures", source.describe()));
            };
            return picture(buffer, caps, codec, THUMBNAIL_SIDE, None);
        }
        if sink.is_eos() {
            return Err(format!("{} holds no pictures that can be decoded", source.describe()));
        }
        if Instant::now() > deadline {
            return Err(format!("{} is connected but sends no picture", source.describe()));
        }
    }
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
fn read_bus(bus: &gst::Bus, source: &Source, codec: &mut Option<String>) -> Option<String> {
    let types = [gst::MessageType::Error, gst::MessageType::Tag];
    while let Some(message) = bus.pop_filtered(&types) {
        match message.view() {
            gst::MessageView::Error(error) => {
                let debug = error.debug();
                return Some(explain(source, Part::Source, &error.error(), debug.as_deref()).message);
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
