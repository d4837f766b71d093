//! The body of `facedetect`: decides which frames are looked at, has the process's detector threads do it, and writes down
//! what they find. Frames wait in a line meanwhile and leave it in their order, on a thread of their own: what comes
//! before, the detector and what comes after all work at the same time.

#![expect(missing_docs, reason = "the accessors the macro makes are documented by the blurbs")]

use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use gst::glib::{self, Properties};
use gst::prelude::*;
use gst::subclass::prelude::*;
use gst_video::VideoInfo;
use vedette_models::ModelError;
use vedette_models::geometry::Rect;

use super::adaptation::Adaptation;
use super::gate::Gate;
use super::line::{Item, Line};
use super::region::Areas;
use super::settings::Settings;
use super::workers::{Answer, DetectError, Seen, Workers};
use crate::frame;
use crate::instance::{self, Device, ModelChoice, Opening};
use crate::kept::Opened;
use crate::meta::{self, Detection, FrameInfo, Keypoints};
use crate::stats::{self, Figures};
use crate::warn::WarnGate;

pub(super) static CAT: LazyLock<gst::DebugCategory> = LazyLock::new(|| {
    gst::DebugCategory::new("vedettefacedetect", gst::DebugColorFlags::empty(), Some("Vedette face detector"))
});

/// How many frames of a live stream are on their way: one that is looked at and one that is ready for it.
const LIVE_FRAMES: usize = 2;
/// What frames of recordings may take in memory while they are on their way, all that a detector looks at together: some
/// embed while others are looked at, and the longer the line, the less one waits for the other.
const RECORDED_BYTES: usize = 64 << 20;
/// How many there are in any case, beside those that are looked at.
const LEAST_READY: usize = 2;

/// What lasts from start to stop.
struct State {
    workers: Arc<Workers>,
    areas: Areas,
    info: Option<Arc<VideoInfo>>,
    /// Whether frames come as they are taken, once it is known.
    is_live: Option<bool>,
    /// Frames since the last one that was due.
    frames_since: u32,
    adaptation: Adaptation,
    gate: Gate,
}

/// A frame on its way.
pub(super) struct Frame {
    buffer: gst::Buffer,
    look: Option<Look>,
    entered: Instant,
}

/// What is to be written on a frame that was due.
struct Look {
    answer: Arc<Answer>,
    /// Whether the answer is about an earlier frame that looked the same.
    is_repeated: bool,
}

/// The element's private part.
#[derive(Properties)]
#[properties(wrapper_type = super::FaceDetect)]
pub struct FaceDetect {
    #[property(
        name = "pack", get, set, type = String, member = pack, default = "opencv", mutable_ready,
        nick = "Pack", blurb = "Model pack whose detector is used, or a folder with one (a path with a slash)"
    )]
    #[property(
        name = "model", get, set, type = Option<String>, member = model, mutable_ready,
        nick = "Model", blurb = "ONNX file of a YuNet or SCRFD detector to use in place of the pack's"
    )]
    #[property(
        name = "device", get, set, type = Device, member = device, default, mutable_ready,
        nick = "Device", blurb = "What the model runs on"
    )]
    #[property(
        name = "model-instance-id", get, set, type = Option<String>, member = model_instance_id, mutable_ready,
        nick = "Model instance id",
        blurb = "Elements of a process share a model; those with different ids do not. Unset = all share"
    )]
    #[property(
        name = "threshold", get, set, type = f32, member = threshold, minimum = -1.0, maximum = 1.0, default = -1.0, mutable_playing,
        nick = "Threshold", blurb = "Least score of a face; -1 = the pack's"
    )]
    #[property(
        name = "nms-threshold", get, set, type = f32, member = nms_threshold, minimum = -1.0, maximum = 1.0, default = -1.0, mutable_playing,
        nick = "NMS threshold", blurb = "Overlap (IoU) from which two boxes are the same face; -1 = the pack's"
    )]
    #[property(
        name = "inference-interval", get, set, type = u32, member = inference_interval, minimum = 1, maximum = 1000, default = 1, mutable_playing,
        nick = "Inference interval", blurb = "Look at every n-th frame; 1 = every frame"
    )]
    #[property(
        name = "max-inference-interval", get, set, type = u32, member = max_inference_interval, minimum = 1, maximum = 1000, default = 10, mutable_playing,
        nick = "Longest inference interval", blurb = "How seldom a live stream may be looked at while the machine cannot keep up; 1 = as often as inference-interval says, come what may"
    )]
    #[property(
        name = "input-size", get, set, type = u32, member = input_size, maximum = 4096, default = 0, mutable_playing,
        nick = "Input size", blurb = "Longest side in pixels of the picture the detector sees: larger finds smaller faces and takes longer; 0 = as min-face-size needs it"
    )]
    #[property(
        name = "min-face-size", get, set, type = u32, member = min_face_size, default = 80, minimum = 1, maximum = 4096, mutable_playing,
        nick = "Least face size", blurb = "Faces of this many pixels of the frame and more are found (the shorter side counts); of less than half of it, none is reported"
    )]
    #[property(
        name = "max-faces", get, set, type = u32, member = max_faces, default = 0, maximum = 1000, mutable_playing,
        nick = "Most faces", blurb = "Keep only so many of the largest faces; 0 = all"
    )]
    #[property(
        name = "roi", get, set, type = Option<String>, member = roi, mutable_playing,
        nick = "Regions of interest", blurb = "Where faces count: x_min,y_min,x_max,y_max, or x,y of each corner of a polygon, in pixels of the frame or with % for hundredths of it; a semicolon between two areas. Unset = everywhere"
    )]
    #[property(
        name = "mask", get, set, type = Option<String>, member = mask, mutable_playing,
        nick = "Privacy masks", blurb = "Where nobody looks, written like roi: no face is found there, and no snapshot shows it. Unset = nowhere"
    )]
    #[property(
        name = "motion-gate", get, set, type = bool, member = motion_gate, default = false, mutable_playing,
        nick = "Motion gate", blurb = "Whether a frame in which nothing has changed keeps the faces of the one before, unlooked at; once a second one is looked at in any case"
    )]
    settings: Mutex<Settings>,
    /// The detector, while the pipeline gets ready.
    opening: Mutex<Option<Opening<ModelChoice, Arc<Workers>, ModelError>>>,
    state: Mutex<Option<State>>,
    pub(super) line: Line<Frame>,
    pub(super) sink_pad: gst::Pad,
    pub(super) src_pad: gst::Pad,
    figures: Figures,
    warnings: WarnGate,
}

#[glib::object_subclass]
impl ObjectSubclass for FaceDetect {
    const NAME: &'static str = "GstVedetteFaceDetect";
    type Type = super::FaceDetect;
    type ParentType = gst::Element;

    fn with_class(class: &Self::Class) -> Self {
        let (sink_pad, src_pad) = super::pads::make(class);
        Self {
            settings: Mutex::default(),
            opening: Mutex::default(),
            state: Mutex::default(),
            line: Line::default(),
            sink_pad,
            src_pad,
            figures: Figures::default(),
            warnings: WarnGate::default(),
        }
    }
}

impl ObjectImpl for FaceDetect {
    fn constructed(&self) {
        self.parent_constructed();
        for pad in [&self.sink_pad, &self.src_pad] {
            if let Err(error) = self.obj().add_pad(pad) {
                gst::error!(CAT, imp = self, "{error}");
            }
        }
    }

    fn properties() -> &'static [glib::ParamSpec] {
        static PROPERTIES: LazyLock<Vec<glib::ParamSpec>> =
            LazyLock::new(|| stats::with_stats(FaceDetect::derived_properties()));
        &PROPERTIES
    }

    fn set_property(&self, id: usize, value: &glib::Value, pspec: &glib::ParamSpec) {
        self.derived_set_property(id, value, pspec);
    }

    fn property(&self, id: usize, pspec: &glib::ParamSpec) -> glib::Value {
        if pspec.name() == stats::PROPERTY {
            return self.stats().to_value();
        }
        self.derived_property(id, pspec)
    }
}

impl GstObjectImpl for FaceDetect {}

impl ElementImpl for FaceDetect {
    fn metadata() -> Option<&'static gst::subclass::ElementMetadata> {
        static METADATA: LazyLock<gst::subclass::ElementMetadata> = LazyLock::new(|| {
            gst::subclass::ElementMetadata::new(
                "Vedette face detector",
                "Filter/Analyzer/Video",
                "Finds faces: box, five points and score as region-of-interest metadata",
                env!("CARGO_PKG_AUTHORS"),
            )
        });
        Some(&METADATA)
    }

    fn pad_templates() -> &'static [gst::PadTemplate] {
        static TEMPLATES: LazyLock<Vec<gst::PadTemplate>> = LazyLock::new(frame::filter_pad_templates);
        &TEMPLATES
    }

    fn change_state(
        &self,
        transition: gst::StateChange,
    ) -> Result<gst::StateChangeSuccess, gst::StateChangeError> {
        match transition {
            gst::StateChange::NullToReady => {
                *self.opening() = Opening::begin(self.settings().choice(), Workers::of);
            }
            gst::StateChange::ReadyToPaused => {
                if let Err(message) = self.start() {
                    self.post_error_message(message);
                    return Err(gst::StateChangeError);
                }
            }
            _ => (),
        }
        let changed = self.parent_change_state(transition)?;
        match transition {
            gst::StateChange::PausedToReady => *self.state() = None,
            gst::StateChange::ReadyToNull => *self.opening() = None,
            _ => (),
        }
        Ok(changed)
    }
}

impl FaceDetect {
    fn start(&self) -> Result<(), gst::ErrorMessage> {
        let settings = self.settings().clone();
        let areas = Areas::new(settings.roi.as_deref(), settings.mask.as_deref(), (1, 1))
            .map_err(|error| gst::error_msg!(gst::ResourceError::Settings, ("{error}")))?;
        let begun = self.opening().take();
        let workers = Opening::finish(begun, &settings.choice(), Workers::of)
            .map_err(|error| instance::start_error(&error))?;
        let detector = workers.detector();
        gst::info!(CAT, imp = self, "{} on {}", detector.model_name(), detector.device().as_str());
        self.figures.reset();
        self.warnings.reset();
        *self.state() = Some(State {
            workers,
            areas,
            info: None,
            is_live: None,
            frames_since: 0,
            adaptation: Adaptation::default(),
            gate: Gate::default(),
        });
        Ok(())
    }

    /// Takes the format of the frames that follow.
    pub(super) fn set_caps(&self, caps: &gst::CapsRef) -> bool {
        match frame::info_of(caps) {
            Ok(info) => {
                if let Some(state) = &mut *self.state() {
                    state.info = Some(Arc::new(info));
                    state.restart();
                }
                true
            }
            Err(error) => {
                error.log();
                false
            }
        }
    }

    /// The next frame has nothing to do with those before.
    pub(super) fn restart(&self) {
        if let Some(state) = &mut *self.state() {
            state.restart();
        }
    }

    /// Another stream begins: how many frames may be on their way depends on whether it is live.
    pub(super) fn begin_stream(&self) {
        if let Some(state) = &mut *self.state() {
            state.is_live = None;
            state.restart();
        }
    }

    /// Takes a frame in. No lock is held while others are waited for.
    pub(super) fn enter(&self, buffer: gst::Buffer) -> Result<gst::FlowSuccess, gst::FlowError> {
        let entered = Instant::now();
        self.line.await_room(self.most_frames())?;
        self.adapt(entered);
        self.take_areas()?;
        let look = self.begin(&buffer)?;
        self.line.push_frame(Frame { buffer, look, entered })
    }

    /// Has a live stream looked at less often while its frames have to wait for others.
    fn adapt(&self, entered: Instant) {
        let (wanted, most) = self.settings().intervals();
        let mut guard = self.state();
        let Some(state) = guard.as_mut().filter(|state| state.is_live == Some(true)) else { return };
        let now = Instant::now();
        let before = state.adaptation.interval(wanted, most);
        state.adaptation.entered(now, now.saturating_duration_since(entered), wanted, most);
        let interval = state.adaptation.interval(wanted, most);
        if interval != before {
            gst::info!(CAT, imp = self, "looks at every {interval}. frame, {wanted} wanted");
        }
    }

    /// How many frames of this stream may be on their way.
    fn most_frames(&self) -> usize {
        let is_live = self.state().as_ref().and_then(|state| state.is_live);
        let is_live = is_live.unwrap_or_else(|| {
            let mut latency = gst::query::Latency::new();
            self.sink_pad.peer_query(&mut latency) && latency.result().0
        });
        let Some(state) = &mut *self.state() else { return 1 };
        state.is_live = Some(is_live);
        if is_live {
            return LIVE_FRAMES;
        }
        let frame_bytes = state.info.as_ref().map_or(RECORDED_BYTES, |info| info.size()).max(1);
        let share = RECORDED_BYTES / frame_bytes / Arc::strong_count(&state.workers);
        share.max(state.workers.count() + LEAST_READY)
    }

    /// Takes over areas that were set, or mean something else, since the last frame.
    fn take_areas(&self) -> Result<(), gst::FlowError> {
        let settings = self.settings();
        let mut guard = self.state();
        let state = guard.as_mut().ok_or(gst::FlowError::Flushing)?;
        let info = state.info.as_ref().ok_or(gst::FlowError::NotNegotiated)?;
        let (roi, mask, size) =
            (settings.roi.as_deref(), settings.mask.as_deref(), (info.width(), info.height()));
        if state.areas.are_of(roi, mask, size) {
            return Ok(());
        }
        match Areas::new(roi, mask, size) {
            Ok(areas) => {
                state.areas = areas;
                // What the last frame showed elsewhere says nothing.
                state.gate.reset();
                Ok(())
            }
            Err(error) => {
                drop(guard);
                drop(settings);
                // Going on without a mask that was meant would be worse than not going on.
                gst::element_imp_error!(self, gst::ResourceError::Settings, ("{error}"));
                Err(gst::FlowError::Error)
            }
        }
    }

    /// Has the frame looked at if it is due, or finds out that it shows what the last one did.
    fn begin(&self, buffer: &gst::Buffer) -> Result<Option<Look>, gst::FlowError> {
        let settings = self.settings();
        let mut guard = self.state();
        let state = guard.as_mut().ok_or(gst::FlowError::Flushing)?;
        let (wanted, most) = settings.intervals();
        let interval = state.adaptation.interval(wanted, most);
        let is_due = state.frames_since == 0;
        state.frames_since = if state.frames_since + 1 >= interval { 0 } else { state.frames_since + 1 };
        if !is_due {
            return Ok(None);
        }
        let Some(info) = state.info.clone() else { return Err(gst::FlowError::NotNegotiated) };
        let window = state.areas.window();
        if settings.motion_gate {
            let gate = &mut state.gate;
            let unchanged = frame::with_view(buffer, &info, |view| {
                gate.unchanged(view, window, settings.min_face_size, buffer.pts())
            });
            // A frame that cannot be read is told about when it is looked at.
            if let Ok(Some(answer)) = unchanged {
                return Ok(Some(Look { answer, is_repeated: true }));
            }
        }
        let options = settings.options(state.workers.detector(), (info.width(), info.height()), window);
        let masks = Arc::clone(state.areas.masks());
        let answer = state.workers.look(buffer.clone(), info, options, masks);
        if settings.motion_gate {
            state.gate.looked(Arc::clone(&answer), buffer.pts());
        } else {
            state.gate.reset();
        }
        Ok(Some(Look { answer, is_repeated: false }))
    }

    /// Takes what is next out of the line and passes it on; whether there is more to do.
    pub(super) fn pass_on(&self) -> bool {
        let Some(item) = self.line.next() else { return false };
        let flow = match item {
            Item::Frame(frame) => self.src_pad.push(self.finish(frame)),
            Item::Event(event) => {
                self.src_pad.push_event(event);
                Ok(gst::FlowSuccess::Ok)
            }
        };
        let end_was_taken_in = self.line.done(flow);
        match flow {
            // After the end of what is wanted, events still are.
            Ok(_) | Err(gst::FlowError::Eos) => true,
            Err(error) => {
                gst::debug!(CAT, imp = self, "stops: {error}");
                // Whoever feeds us learns it with the next frame, unless that was the last one.
                if end_was_taken_in && error != gst::FlowError::Flushing {
                    self.report_flow(error);
                    self.src_pad.push_event(gst::event::Eos::new());
                }
                false
            }
        }
    }

    /// Tells of a failure behind this element that nobody before it will hear of.
    pub(super) fn report_flow(&self, error: gst::FlowError) {
        gst::element_imp_error!(
            self,
            gst::StreamError::Failed,
            ("Internal data stream error."),
            ["streaming stopped, reason {error}"]
        );
    }

    /// Waits until somebody has looked at the frame and writes down what he saw.
    fn finish(&self, frame: Frame) -> gst::Buffer {
        let Frame { mut buffer, look, entered } = frame;
        let outcome = look.as_ref().map(|look| look.answer.wait());
        let inferred = look.is_some();
        let content = buffer.make_mut();
        let mut frame_info = FrameInfo { inferred, ..FrameInfo::default() };
        let mut found = 0;
        frame_info.masks = self.state().as_ref().map(|state| state.areas.mask_shares()).unwrap_or_default();
        match outcome.as_deref() {
            Some(Ok(seen)) => {
                if look.is_some_and(|look| look.is_repeated) {
                    self.figures.spared();
                } else {
                    self.figures.inferred(seen.took, seen.preparation, seen.second_looks);
                }
                found = self.write(content, seen, &mut frame_info);
            }
            Some(Err(error)) => self.warn(error),
            None => (),
        }
        frame_info.write(content);
        self.figures.frame(found, entered);
        buffer
    }

    /// Writes down what counts; how many faces that is.
    fn write(&self, buffer: &mut gst::BufferRef, seen: &Seen, frame_info: &mut FrameInfo) -> usize {
        gst::trace!(CAT, imp = self, "{} faces", seen.faces.len());
        let guard = self.state();
        let Some(State { workers, areas, .. }) = &*guard else { return 0 };
        let counts = |rect: &Rect| areas.count(rect.centre());
        let share = |rect: &Rect| rect.scaled(1.0 / seen.size.0 as f32, 1.0 / seen.size.1 as f32);
        frame_info.unsure = seen.unsure.iter().filter(|rect| counts(rect)).map(share).collect();
        let faces = seen.faces.iter().filter(|face| counts(&face.rect));
        let model_name = workers.detector().model_name();
        faces
            .filter(|face| {
                let Some((x, y, width, height)) = meta::whole_pixels(&face.rect, seen.size) else {
                    return false;
                };
                let region = Rect::new(x as f32, y as f32, width as f32, height as f32);
                let detection = Detection::new(&face.rect, seen.size, face.score, model_name);
                let keypoints = Keypoints::relative_to(&region, &face.landmarks);
                meta::add_face(buffer, seen.size, &face.rect, [(&detection).into(), (&keypoints).into()])
            })
            .count()
    }

    fn stats(&self) -> gst::Structure {
        let (wanted, most) = self.settings().intervals();
        let state = self.state();
        let interval = state.as_ref().map_or(wanted, |state| state.adaptation.interval(wanted, most));
        let mut structure = self.figures.to_detector_structure("facedetect", "inferences");
        structure.set("inference-interval", interval);
        structure
    }

    fn warn(&self, error: &DetectError) {
        self.figures.dropped();
        if self.warnings.opens() {
            gst::element_imp_warning!(self, gst::StreamError::Failed, ("no faces are looked for: {error}"));
        }
    }

    /// The detector, not the threads that use it: how many cameras share those says how many frames each may hold.
    pub(super) fn opened(&self) -> Vec<Opened> {
        self.state().iter().map(|state| state.workers.shared_detector() as Opened).collect()
    }

    fn settings(&self) -> MutexGuard<'_, Settings> {
        self.settings.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn opening(&self) -> MutexGuard<'_, Option<Opening<ModelChoice, Arc<Workers>, ModelError>>> {
        self.opening.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn state(&self) -> MutexGuard<'_, Option<State>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn restart(&mut self) {
        self.frames_since = 0;
        self.gate.reset();
    }
}
