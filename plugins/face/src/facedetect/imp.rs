//! The body of `facedetect`: runs the detector on every n-th frame and writes down what it finds.

#![expect(missing_docs, reason = "the accessors the macro makes are documented by the blurbs")]

use std::path::PathBuf;
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use gst::glib::{self, Properties};
use gst::prelude::*;
use gst::subclass::prelude::*;
use gst_base::subclass::prelude::*;
use gst_video::VideoInfo;
use vedette_models::ModelError;
use vedette_models::detect::{DEFAULT_INPUT_SIZE, DetectScratch, DetectedFace, Detector, DetectorOptions};
use vedette_models::geometry::Rect;
use vedette_models::pack::DEFAULT_PACK;

use crate::frame::{self, FrameError};
use crate::instance::{self, Device, ModelChoice};
use crate::meta::{self, Detection, FrameInfo, Keypoints};
use crate::stats::{self, Figures};
use crate::warn::WarnGate;

static CAT: LazyLock<gst::DebugCategory> = LazyLock::new(|| {
    gst::DebugCategory::new("vedettefacedetect", gst::DebugColorFlags::empty(), Some("Vedette face detector"))
});

#[derive(Clone, Debug)]
struct Settings {
    pack: String,
    model: Option<String>,
    device: Device,
    model_instance_id: Option<String>,
    threshold: f32,
    nms_threshold: f32,
    inference_interval: u32,
    input_size: u32,
    min_face_size: u32,
    max_faces: u32,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            pack: DEFAULT_PACK.into(),
            model: None,
            device: Device::Cpu,
            model_instance_id: None,
            threshold: -1.0,
            nms_threshold: -1.0,
            inference_interval: 1,
            input_size: DEFAULT_INPUT_SIZE,
            min_face_size: 0,
            max_faces: 0,
        }
    }
}

impl Settings {
    fn options(&self) -> DetectorOptions {
        let unless_packs = |value: f32| (value >= 0.0).then_some(value);
        DetectorOptions {
            threshold: unless_packs(self.threshold),
            nms_threshold: unless_packs(self.nms_threshold),
            input_size: self.input_size,
            min_face_size: self.min_face_size,
            max_faces: self.max_faces as usize,
        }
    }
}

struct State {
    detector: Arc<Detector>,
    info: Option<VideoInfo>,
    scratch: DetectScratch,
    /// Frames since the last one that was looked at.
    frames_since: u32,
}

/// A frame that could not be looked at.
#[derive(Debug, thiserror::Error)]
enum DetectError {
    #[error(transparent)]
    Frame(#[from] FrameError),
    #[error(transparent)]
    Model(#[from] ModelError),
}

/// The element's private part.
#[derive(Default, Properties)]
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
        name = "input-size", get, set, type = u32, member = input_size, minimum = 32, maximum = 4096, default = 640, mutable_playing,
        nick = "Input size", blurb = "Longest side in pixels of the picture the detector sees: larger finds smaller faces and takes longer"
    )]
    #[property(
        name = "min-face-size", get, set, type = u32, member = min_face_size, default = 0, maximum = 4096, mutable_playing,
        nick = "Least face size", blurb = "Faces with a side shorter than this, in pixels of the frame, are left out"
    )]
    #[property(
        name = "max-faces", get, set, type = u32, member = max_faces, default = 0, maximum = 1000, mutable_playing,
        nick = "Most faces", blurb = "Keep only so many of the largest faces; 0 = all"
    )]
    settings: Mutex<Settings>,
    state: Mutex<Option<State>>,
    figures: Figures,
    warnings: WarnGate,
}

#[glib::object_subclass]
impl ObjectSubclass for FaceDetect {
    const NAME: &'static str = "GstVedetteFaceDetect";
    type Type = super::FaceDetect;
    type ParentType = gst_base::BaseTransform;
}

impl ObjectImpl for FaceDetect {
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
            return self.figures.to_timed_structure("facedetect", "inferences").to_value();
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
}

impl BaseTransformImpl for FaceDetect {
    const MODE: gst_base::subclass::BaseTransformMode = gst_base::subclass::BaseTransformMode::AlwaysInPlace;
    const PASSTHROUGH_ON_SAME_CAPS: bool = false;
    const TRANSFORM_IP_ON_PASSTHROUGH: bool = false;

    fn start(&self) -> Result<(), gst::ErrorMessage> {
        let settings = self.settings().clone();
        let choice = ModelChoice {
            pack: settings.pack,
            model: settings.model.map(PathBuf::from),
            device: settings.device,
            instance_id: settings.model_instance_id,
        };
        let detector = choice.detector().map_err(|error| instance::start_error(&error))?;
        gst::info!(CAT, imp = self, "{} on {}", detector.model_name(), detector.device().as_str());
        self.figures.reset();
        self.warnings.reset();
        *self.state() =
            Some(State { detector, info: None, scratch: DetectScratch::default(), frames_since: 0 });
        Ok(())
    }

    fn stop(&self) -> Result<(), gst::ErrorMessage> {
        *self.state() = None;
        Ok(())
    }

    fn set_caps(&self, caps: &gst::Caps, _: &gst::Caps) -> Result<(), gst::LoggableError> {
        let info = frame::info_of(caps)?;
        if let Some(state) = &mut *self.state() {
            state.info = Some(info);
            state.frames_since = 0;
        }
        Ok(())
    }

    fn sink_event(&self, event: gst::Event) -> bool {
        if let (gst::EventType::FlushStop, Some(state)) = (event.type_(), &mut *self.state()) {
            state.frames_since = 0;
        }
        self.parent_sink_event(event)
    }

    fn propose_allocation(
        &self,
        _: Option<&gst::query::Allocation>,
        query: &mut gst::query::Allocation,
    ) -> Result<(), gst::LoggableError> {
        // What comes after sees the same buffers: it decides.
        self.parent_propose_allocation(None, query)
    }

    fn transform_ip(&self, buffer: &mut gst::BufferRef) -> Result<gst::FlowSuccess, gst::FlowError> {
        let begun = Instant::now();
        let inferred = self.is_due()?;
        let mut found = 0;
        if inferred {
            match self.detect(buffer) {
                Ok(faces) => found = faces,
                Err(error) => {
                    self.figures.dropped();
                    if self.warnings.opens() {
                        gst::element_imp_warning!(
                            self,
                            gst::StreamError::Failed,
                            ("no faces are looked for: {error}")
                        );
                    }
                }
            }
        }
        FrameInfo { inferred, ..FrameInfo::default() }.write(buffer);
        self.figures.frame(found, begun);
        Ok(gst::FlowSuccess::Ok)
    }
}

impl FaceDetect {
    fn settings(&self) -> MutexGuard<'_, Settings> {
        self.settings.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn state(&self) -> MutexGuard<'_, Option<State>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether this frame is one of those to look at.
    fn is_due(&self) -> Result<bool, gst::FlowError> {
        let interval = self.settings().inference_interval;
        let mut guard = self.state();
        let state = guard.as_mut().ok_or(gst::FlowError::Flushing)?;
        let is_due = state.frames_since == 0;
        state.frames_since = if state.frames_since + 1 >= interval { 0 } else { state.frames_since + 1 };
        Ok(is_due)
    }

    /// Finds the faces of a frame and writes them onto it. No lock is held while the model runs.
    fn detect(&self, buffer: &mut gst::BufferRef) -> Result<usize, DetectError> {
        let options = self.settings().options();
        let (detector, info, mut scratch) = match &mut *self.state() {
            Some(State { detector, info: Some(info), scratch, .. }) => {
                (detector.clone(), info.clone(), std::mem::take(scratch))
            }
            _ => return Err(FrameError::NoFormat.into()),
        };
        let begun = Instant::now();
        let faces = frame::with_view(buffer, &info, |view| detector.detect(view, &options, &mut scratch));
        if let Some(state) = &mut *self.state() {
            state.scratch = scratch;
        }
        let faces = faces??;
        self.figures.worked_since(begun, 1);
        gst::trace!(CAT, imp = self, "{} faces", faces.len());
        let size = (info.width(), info.height());
        Ok(faces.iter().filter(|face| write_face(buffer, size, face, detector.model_name())).count())
    }
}

fn write_face(buffer: &mut gst::BufferRef, size: (u32, u32), face: &DetectedFace, model_name: &str) -> bool {
    let Some((x, y, width, height)) = meta::whole_pixels(&face.rect, size) else { return false };
    let region = Rect::new(x as f32, y as f32, width as f32, height as f32);
    let detection = Detection::new(&face.rect, size, face.score, model_name);
    let keypoints = Keypoints::relative_to(&region, &face.landmarks);
    meta::add_face(buffer, size, &face.rect, [(&detection).into(), (&keypoints).into()])
}
