//! The body of `facedetect`: its properties, and what it holds from start to stop. What it does with frames stands in
//! `frames.rs`.

#![expect(missing_docs, reason = "the accessors the macro makes are documented by the blurbs")]

use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError};

use gst::glib::{self, Properties};
use gst::prelude::*;
use gst::subclass::prelude::*;
use gst_video::VideoInfo;
use vedette_models::ModelError;

use super::adaptation::Adaptation;
use super::frames::Frame;
use super::gate::Gate;
use super::line::Line;
use super::region::Areas;
use super::settings::Settings;
use super::workers::Workers;
use crate::frame;
use crate::instance::{self, Device, ModelChoice, Opening};
use crate::kept::Opened;
use crate::stats::{self, Figures};
use crate::warn::WarnGate;

pub(super) static CAT: LazyLock<gst::DebugCategory> = LazyLock::new(|| {
    gst::DebugCategory::new("vedettefacedetect", gst::DebugColorFlags::empty(), Some("Vedette face detector"))
});

/// What lasts from start to stop.
pub(super) struct State {
    pub(super) workers: Arc<Workers>,
    pub(super) areas: Areas,
    pub(super) info: Option<Arc<VideoInfo>>,
    /// Whether frames come as they are taken, once it is known.
    pub(super) is_live: Option<bool>,
    /// Frames since the last one that was due.
    pub(super) frames_since: u32,
    pub(super) adaptation: Adaptation,
    pub(super) gate: Gate,
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
    pub(super) figures: Figures,
    pub(super) warnings: WarnGate,
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

    fn stats(&self) -> gst::Structure {
        let (wanted, most) = self.settings().intervals();
        let state = self.state();
        let interval = state.as_ref().map_or(wanted, |state| state.adaptation.interval(wanted, most));
        let mut structure = self.figures.to_detector_structure("facedetect", "inferences");
        structure.set("inference-interval", interval);
        structure
    }

    /// The detector, not the threads that use it: how many cameras share those says how many frames each may hold.
    pub(super) fn opened(&self) -> Vec<Opened> {
        self.state().iter().map(|state| state.workers.shared_detector() as Opened).collect()
    }

    pub(super) fn settings(&self) -> MutexGuard<'_, Settings> {
        self.settings.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn opening(&self) -> MutexGuard<'_, Option<Opening<ModelChoice, Arc<Workers>, ModelError>>> {
        self.opening.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn state(&self) -> MutexGuard<'_, Option<State>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
