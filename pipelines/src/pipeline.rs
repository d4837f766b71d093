//! One GStreamer pipeline from its first frame to its last: what happens in it, told in this program's terms.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use gst::prelude::*;
use gstvedette::kept::KeptOpen;
use vedette_events::{CameraAssignment, CameraStats, EventStats, InferenceStats};

use crate::failure::{Failure, Part, explain};
use crate::figures::Figures;
use crate::launch::{ControlPlane, LaunchError, Plan, Template};
use crate::limits;
use crate::rtsp::Offer;
use crate::signal::{SETTINGS_MESSAGE, STOP_MESSAGE};
use crate::source::Source;
use crate::streams;

/// Name of the bus message the first frame posts.
const FIRST_FRAME_MESSAGE: &str = "vedette-first-frame";

/// The elements behind the queue, by their names in the templates.
const ANALYSIS: [&str; 5] = ["detect", "track", "embed", "match", "sink"];

/// What a pipeline has to tell.
#[derive(Debug)]
pub enum Happening {
    /// The first frame came out at the end.
    FirstFrame,
    /// The camera is to stop.
    StopRequested,
    /// The camera's settings may have changed.
    SettingsChanged,
    /// The last frame came out at the end.
    Ended,
    /// An element gave up.
    Failed(Part, Failure),
    /// Nothing happened in time.
    Quiet,
}

/// A camera's pipeline; stops when dropped.
pub struct Pipeline {
    pipeline: gst::Pipeline,
    plan: Plan,
    bus: gst::Bus,
    source: Source,
    looped: bool,
    offer: Offer,
    /// Where frames enter the queue before the elements.
    entry: gst::Pad,
    /// Set when no more frames are to enter.
    closing: Arc<AtomicBool>,
    meter: Meter,
}

/// Reads a pipeline's figures; outlives it.
#[derive(Clone)]
pub struct Meter {
    figures: Arc<Figures>,
    detect: gst::Element,
    track: gst::Element,
    embed: gst::Element,
    sink: gst::Element,
    entry: gst::Pad,
    exit: gst::Pad,
}

impl Meter {
    /// Where frames enter the analysis.
    pub(crate) fn entry(&self) -> &gst::Pad {
        &self.entry
    }

    /// Where frames come out of the analysis, with all that was found in them.
    pub(crate) fn exit(&self) -> &gst::Pad {
        &self.exit
    }

    /// Time the last frame took from the decoder to there.
    pub(crate) fn latency(&self) -> Duration {
        let latency_ms = self.figures.stats(Instant::now()).latency_ms;
        Duration::try_from_secs_f32(latency_ms / 1000.0).unwrap_or_default()
    }

    /// Where nobody may look, as `facedetect` has it.
    pub(crate) fn mask(&self) -> Option<String> {
        let has_mask = self.detect.has_property_with_type("mask", String::static_type());
        has_mask.then(|| self.detect.property::<Option<String>>("mask")).flatten()
    }

    /// The figures now.
    pub fn stats(&self) -> CameraStats {
        let mut stats = self.figures.stats(Instant::now());
        let detect = ElementStats::of(&self.detect);
        let (embed, sink) = (ElementStats::of(&self.embed), ElementStats::of(&self.sink));
        stats.faces = ElementStats::of(&self.track).count("faces").try_into().unwrap_or(u32::MAX);
        stats.dropped = stats.dropped.saturating_add(detect.count("dropped"));
        stats.inference_interval = detect.interval();
        stats.detection = detect.inference("inferences");
        stats.embedding = embed.inference("embedded");
        stats.events = EventStats {
            delivered: sink.count("delivered"),
            rejected: sink.count("rejected"),
            lost: sink.count("lost"),
        };
        stats
    }
}

/// What an element's property `stats` says, if it has one: a template may put another in its place.
struct ElementStats(Option<gst::Structure>);

impl ElementStats {
    fn of(element: &gst::Element) -> Self {
        let has_stats = element.has_property_with_type("stats", gst::Structure::static_type());
        Self(has_stats.then(|| element.property::<Option<gst::Structure>>("stats")).flatten())
    }

    fn count(&self, name: &str) -> u64 {
        self.0.as_ref().and_then(|stats| stats.get(name).ok()).unwrap_or_default()
    }

    /// Every n-th frame is looked at; 0 if the element does not say.
    fn interval(&self) -> u32 {
        self.0.as_ref().and_then(|stats| stats.get("inference-interval").ok()).unwrap_or_default()
    }

    /// What a model did; `work` is what its pieces of work are called.
    fn inference(&self, work: &str) -> InferenceStats {
        let total_ms: f64 = self.0.as_ref().and_then(|stats| stats.get("work-ms").ok()).unwrap_or_default();
        InferenceStats { count: self.count(work), total_s: total_ms / 1000.0 }
    }
}

impl Pipeline {
    /// Builds the pipeline of a camera without starting it.
    ///
    /// # Errors
    /// When an element is missing from this installation or does not take a setting.
    pub fn build(
        source: &Source,
        camera: &CameraAssignment,
        control_plane: &ControlPlane,
        data_dir: &Path,
    ) -> Result<Self, LaunchError> {
        let template = Template::of(source, camera.looped);
        let plan = Plan::new(source, camera, Some(control_plane), data_dir)?;
        let pipeline = plan.build()?;
        let element = |name| {
            let missing = LaunchError::NoElement { template: template.name(), element: name };
            pipeline.by_name(name).ok_or(missing)
        };
        let pad = |name: &'static str| {
            let missing = LaunchError::NoElement { template: template.name(), element: name };
            element(name)?.static_pad("sink").ok_or(missing)
        };
        let (entry, exit) = (pad("queue")?, pad("sink")?);
        let meter = Meter {
            figures: Arc::default(),
            detect: element("detect")?,
            track: element("track")?,
            embed: element("embed")?,
            sink: element("sink")?,
            entry: entry.clone(),
            exit: exit.clone(),
        };
        let bus =
            pipeline.bus().ok_or(LaunchError::NoElement { template: template.name(), element: "bus" })?;
        streams::own(&bus);
        let built = Self {
            entry,
            closing: Arc::default(),
            looped: template == Template::Loop,
            source: source.clone(),
            offer: Offer::of(&pipeline, source),
            meter,
            bus,
            plan,
            pipeline: pipeline.clone(),
        };
        built.probe_entry();
        built.probe_end(&exit);
        Ok(built)
    }

    /// Counts frames that enter, and lets none in once the pipeline is closing.
    fn probe_entry(&self) {
        let (figures, closing) = (Arc::clone(&self.meter.figures), Arc::clone(&self.closing));
        self.entry.add_probe(gst::PadProbeType::BUFFER, move |_, info| {
            if closing.load(Ordering::Acquire) {
                info.flow_res = Err(gst::FlowError::Eos);
                return gst::PadProbeReturn::Handled;
            }
            if let Some(buffer) = info.buffer() {
                figures.decoded(buffer.pts(), Instant::now());
            }
            gst::PadProbeReturn::Ok
        });
    }

    /// Counts frames that come out at the end.
    fn probe_end(&self, end: &gst::Pad) {
        let (figures, bus) = (Arc::clone(&self.meter.figures), self.bus.downgrade());
        let types = gst::PadProbeType::BUFFER | gst::PadProbeType::EVENT_DOWNSTREAM;
        end.add_probe(types, move |pad, info| {
            if let Some(buffer) = info.buffer() {
                if figures.done(buffer.pts(), position(pad, buffer), Instant::now()) {
                    let structure = gst::Structure::new_empty(FIRST_FRAME_MESSAGE);
                    // Without a bus nobody waits for the message.
                    let _ = bus.upgrade().map(|bus| bus.post(gst::message::Application::new(structure)));
                }
            } else if let Some(gst::EventView::Caps(caps)) = info.event().map(|event| event.view())
                && let Some((width, height)) = limits::size(caps.caps())
            {
                figures.resized(width, height);
            }
            gst::PadProbeReturn::Ok
        });
    }

    /// The bus to wake the thread by that waits in [`Pipeline::next`].
    pub fn bus(&self) -> &gst::Bus {
        &self.bus
    }

    /// A reader of the figures.
    pub fn meter(&self) -> Meter {
        self.meter.clone()
    }

    /// Its figures.
    pub fn figures(&self) -> &Figures {
        &self.meter.figures
    }

    /// Has the pipeline go on as one built for `camera` would, without a gap, if it can; answers whether it could.
    ///
    /// # Errors
    /// When an element does not take a setting.
    pub fn change(
        &mut self,
        camera: &CameraAssignment,
        control_plane: &ControlPlane,
        data_dir: &Path,
    ) -> Result<bool, LaunchError> {
        let plan = Plan::new(&self.source, camera, Some(control_plane), data_dir)?;
        let is_changed = self.plan.change(&self.pipeline, &plan)?;
        if is_changed {
            self.plan = plan;
        }
        Ok(is_changed)
    }

    /// What the elements have open, kept so while the pipeline is replaced by another.
    pub(crate) fn kept_open(&self) -> KeptOpen {
        KeptOpen::of(self.pipeline.upcast_ref())
    }

    /// Loads what the elements need and lets the frames flow.
    ///
    /// # Errors
    /// When an element refuses; the failure says why.
    pub fn start(&self) -> Result<(), (Part, Failure)> {
        if self.looped {
            // Every pass starts at 0 again. So that the running time does not, it is kept by hand.
            self.pipeline.set_start_time(gst::ClockTime::NONE);
            self.set_state(gst::State::Paused)?;
            self.pipeline.set_base_time(self.pipeline.pipeline_clock().time());
        }
        self.set_state(gst::State::Playing)
    }

    fn set_state(&self, state: gst::State) -> Result<(), (Part, Failure)> {
        if self.pipeline.set_state(state).is_ok() {
            return Ok(());
        }
        let message = self.bus.pop_filtered(&[gst::MessageType::Error]);
        Err(match message.as_ref().map(|message| message.view()) {
            Some(gst::MessageView::Error(error)) => self.read_error(error),
            _ => (Part::Source, Failure::retry(format!("{} cannot be started", self.source.describe()))),
        })
    }

    /// Waits for something to happen, until `deadline`.
    pub fn next(&self, deadline: Instant) -> Happening {
        use gst::MessageType as Type;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let timeout = gst::ClockTime::try_from(left).unwrap_or(gst::ClockTime::ZERO);
            let types =
                [Type::Error, Type::Warning, Type::Eos, Type::Application, Type::Latency, Type::ClockLost];
            let Some(message) = self.bus.timed_pop_filtered(timeout, &types) else { return Happening::Quiet };
            match message.view() {
                gst::MessageView::Error(error) => {
                    let (part, failure) = self.read_error(error);
                    return Happening::Failed(part, failure);
                }
                gst::MessageView::Eos(_) => return Happening::Ended,
                gst::MessageView::Application(application) => match application.structure().map(|s| s.name())
                {
                    Some(name) if name == STOP_MESSAGE => return Happening::StopRequested,
                    Some(name) if name == SETTINGS_MESSAGE => return Happening::SettingsChanged,
                    Some(name) if name == FIRST_FRAME_MESSAGE => return Happening::FirstFrame,
                    _ => (),
                },
                gst::MessageView::Warning(warning) => {
                    let warning = self.source.redact(warning.error().message());
                    tracing::debug!(element = message.src().map(|src| src.name().to_string()), warning);
                }
                // Failing to find a latency or a clock shows as frames that stay away.
                gst::MessageView::Latency(_) => {
                    let _ = self.pipeline.recalculate_latency();
                }
                gst::MessageView::ClockLost(_) => {
                    let paused = self.pipeline.set_state(gst::State::Paused);
                    let _ = paused.and_then(|_| self.pipeline.set_state(gst::State::Playing));
                }
                _ => (),
            }
        }
    }

    fn read_error(&self, error: &gst::message::Error) -> (Part, Failure) {
        let analysis = error.src().is_some_and(|src| self.is_analysis(src));
        let worked_before = self.figures().frames() > 0;
        let part = if analysis { Part::Analysis { worked_before } } else { Part::Source };
        let debug = error.debug();
        let (error, debug_text) = (error.error(), debug.as_deref());
        let known = self.offer.explain(&self.source, &error, debug_text).filter(|_| !analysis);
        let failure = known.unwrap_or_else(|| explain(&self.source, part, &error, debug_text));
        let detail = debug.map(|text| self.source.redact(&text));
        tracing::debug!(detail, message = failure.message, "an element gave up");
        (part, failure)
    }

    fn is_analysis(&self, object: &gst::Object) -> bool {
        let mut object = Some(object.clone());
        while let Some(current) = object {
            let parent = current.parent();
            if parent.as_ref() == Some(self.pipeline.upcast_ref()) {
                return ANALYSIS.contains(&current.name().as_str());
            }
            object = parent;
        }
        false
    }

    /// Plays looped material from its beginning again; answers whether it can.
    pub fn play_again(&self) -> bool {
        self.figures().flushed();
        let (Some(elapsed), Some(pace)) =
            (self.pipeline.current_running_time(), self.pipeline.by_name("pace"))
        else {
            return false;
        };
        let Some(pad) = pace.static_pad("sink") else { return false };
        // Elements behind this pad see a running time that goes on, though the stream time begins at 0 again.
        pad.set_offset(i64::try_from(elapsed.nseconds()).unwrap_or(i64::MAX));
        let flags = gst::SeekFlags::FLUSH | gst::SeekFlags::KEY_UNIT;
        self.pipeline.seek_simple(flags, gst::ClockTime::ZERO).is_ok()
    }

    /// Lets no more frames in, waits until those inside are through and tracks and events are closed; answers whether
    /// they are.
    pub fn drain(&self, within: Duration) -> bool {
        let deadline = Instant::now() + within;
        self.closing.store(true, Ordering::Release);
        // Straight into the queue: the source may hang, and what lies behind the queue is what has to end well.
        if !self.entry.send_event(gst::event::Eos::new()) {
            return false;
        }
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let timeout = gst::ClockTime::try_from(left).unwrap_or(gst::ClockTime::ZERO);
            let types = [gst::MessageType::Eos, gst::MessageType::Error];
            let message = self.bus.timed_pop_filtered(timeout, &types);
            match message.as_ref().map(|message| message.view()) {
                None => return false,
                Some(gst::MessageView::Eos(_)) => return true,
                Some(gst::MessageView::Error(error))
                    if error.src().is_some_and(|src| self.is_analysis(src)) =>
                {
                    return false;
                }
                // The source complains that nothing is taken any more.
                Some(_) => (),
            }
        }
    }
}

impl Drop for Pipeline {
    fn drop(&mut self) {
        if self.pipeline.set_state(gst::State::Null).is_err() {
            tracing::warn!(source = self.source.describe(), "the pipeline does not stop");
        }
    }
}

/// Where `buffer` ends in the stream.
fn position(pad: &gst::Pad, buffer: &gst::Buffer) -> Option<gst::ClockTime> {
    let event = pad.sticky_event::<gst::event::Segment>(0)?;
    let segment = event.segment().downcast_ref::<gst::ClockTime>()?;
    segment.to_stream_time(buffer.pts()? + buffer.duration().unwrap_or(gst::ClockTime::ZERO))
}
