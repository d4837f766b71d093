//! The body of `faceembed`: judges the crops of a frame, embeds the chosen ones together, estimates their age and gender
//! if asked to, writes all of it down.

#![expect(missing_docs, reason = "the accessors the macro makes are documented by the blurbs")]

use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use gst::glib::{self, Properties};
use gst::prelude::*;
use gst::subclass::prelude::*;
use gst_base::prelude::*;
use gst_base::subclass::prelude::*;
use gst_video::VideoInfo;
use vedette_models::ModelError;
use vedette_models::attributes::{AttributeEstimator, Attributes};
use vedette_models::detect::DetectedFace;
use vedette_models::embed::Embedder;
use vedette_models::geometry::{Landmarks, Rect};
use vedette_models::image::ImageView;
use vedette_models::quality::Quality;

use super::choice::{Candidate, Choice};
use super::settings::{Models, Settings, Wanted};
use crate::frame::{self, FrameError, FrameTime};
use crate::instance::{Device, Opening};
use crate::kept::Opened;
use crate::meta::{self, Age, Embedding, Face, FrameInfo, Gender, QualityFigures};
use crate::settled;
use crate::stats::{self, Figures};
use crate::warn::WarnGate;

static CAT: LazyLock<gst::DebugCategory> = LazyLock::new(|| {
    gst::DebugCategory::new("faceembed", gst::DebugColorFlags::empty(), Some("Vedette face embedder"))
});

/// Time from one frame to the next where buffers carry none.
const UNTIMED_FRAME_MS: u64 = 40;

struct State {
    embedder: Arc<Embedder>,
    estimator: Option<Arc<AttributeEstimator>>,
    info: Option<VideoInfo>,
    choice: Choice,
    /// Somebody before us follows faces: one without a number is too new.
    tracked: bool,
    clock_ms: u64,
}

/// A frame whose faces could not be embedded.
#[derive(Debug, thiserror::Error)]
enum EmbedError {
    #[error(transparent)]
    Frame(#[from] FrameError),
    #[error(transparent)]
    Model(#[from] ModelError),
}

/// The element's private part.
#[derive(Default, Properties)]
#[properties(wrapper_type = super::FaceEmbed)]
pub struct FaceEmbed {
    #[property(
        name = "pack", get, set, type = String, member = pack, default = "opencv", mutable_ready,
        nick = "Pack", blurb = "Model pack whose embedder is used, or a folder with one (a path with a slash); the gallery must be made with the same"
    )]
    #[property(
        name = "model", get, set, type = Option<String>, member = model, mutable_ready,
        nick = "Model", blurb = "ONNX file of an SFace or ArcFace embedder to use in place of the pack's"
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
        name = "quality-threshold", get, set, type = f32, member = quality_threshold, minimum = 0.0, maximum = 1.0, default = 0.6, mutable_playing,
        nick = "Quality threshold", blurb = "Least quality of a crop to be embedded"
    )]
    #[property(
        name = "max-crops-per-track", get, set, type = u32, member = max_crops_per_track, minimum = 1, maximum = 100, default = 5, mutable_playing,
        nick = "Most crops per track", blurb = "Crops of a track that are embedded as they come; after that only clearly better ones are"
    )]
    #[property(
        name = "refresh-interval", get, set, type = u32, member = refresh_interval, maximum = 3_600_000, default = 2000, mutable_playing,
        nick = "Refresh interval", blurb = "Milliseconds after which a track that has its crops is embedded once more, so that a wrong name can be corrected; 0 = never"
    )]
    #[property(
        name = "attributes", get, set, type = bool, member = attributes, default = false, mutable_ready,
        nick = "Attributes", blurb = "Whether age and gender of the embedded crops are estimated (needs a pack with a model for it)"
    )]
    settings: Mutex<Settings>,
    /// The models, while the pipeline gets ready.
    opening: Mutex<Option<Opening<Wanted, Models, gst::ErrorMessage>>>,
    state: Mutex<Option<State>>,
    figures: Figures,
    warnings: WarnGate,
}

#[glib::object_subclass]
impl ObjectSubclass for FaceEmbed {
    const NAME: &'static str = "GstVedetteFaceEmbed";
    type Type = super::FaceEmbed;
    type ParentType = gst_base::BaseTransform;
}

impl ObjectImpl for FaceEmbed {
    fn properties() -> &'static [glib::ParamSpec] {
        static PROPERTIES: LazyLock<Vec<glib::ParamSpec>> =
            LazyLock::new(|| stats::with_stats(FaceEmbed::derived_properties()));
        &PROPERTIES
    }

    fn set_property(&self, id: usize, value: &glib::Value, pspec: &glib::ParamSpec) {
        self.derived_set_property(id, value, pspec);
    }

    fn property(&self, id: usize, pspec: &glib::ParamSpec) -> glib::Value {
        if pspec.name() == stats::PROPERTY {
            return self.figures.to_timed_structure("faceembed", "embedded").to_value();
        }
        self.derived_property(id, pspec)
    }
}

impl GstObjectImpl for FaceEmbed {}

impl ElementImpl for FaceEmbed {
    fn metadata() -> Option<&'static gst::subclass::ElementMetadata> {
        static METADATA: LazyLock<gst::subclass::ElementMetadata> = LazyLock::new(|| {
            gst::subclass::ElementMetadata::new(
                "Vedette face embedder",
                "Filter/Analyzer/Video",
                "Turns the best pictures of each face into numbers that can be compared",
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
        if transition == gst::StateChange::NullToReady {
            *self.opening() = Opening::begin(self.settings().wanted(), Models::open);
        }
        let changed = self.parent_change_state(transition)?;
        if transition == gst::StateChange::ReadyToNull {
            *self.opening() = None;
        }
        Ok(changed)
    }
}

impl BaseTransformImpl for FaceEmbed {
    const MODE: gst_base::subclass::BaseTransformMode = gst_base::subclass::BaseTransformMode::AlwaysInPlace;
    const PASSTHROUGH_ON_SAME_CAPS: bool = false;
    const TRANSFORM_IP_ON_PASSTHROUGH: bool = false;

    fn start(&self) -> Result<(), gst::ErrorMessage> {
        let begun = self.opening().take();
        let wanted = self.settings().wanted();
        let Models { embedder, estimator } = Opening::finish(begun, &wanted, Models::open)?;
        gst::info!(CAT, imp = self, "{} on {}", embedder.model_name(), embedder.device().as_str());
        self.figures.reset();
        self.warnings.reset();
        *self.state() = Some(State {
            embedder,
            estimator,
            info: None,
            choice: Choice::default(),
            tracked: false,
            clock_ms: 0,
        });
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
        }
        Ok(())
    }

    fn propose_allocation(
        &self,
        _: Option<&gst::query::Allocation>,
        query: &mut gst::query::Allocation,
    ) -> Result<(), gst::LoggableError> {
        // What comes after sees the same buffers: it decides.
        self.parent_propose_allocation(None, query)
    }

    fn src_event(&self, event: gst::Event) -> bool {
        let Some(settled) = settled::tracks(&event) else { return self.parent_src_event(event) };
        // Age and gender still gain by every crop.
        if let Some(state) = self.state().as_mut().filter(|state| state.estimator.is_none()) {
            state.choice.settle(&settled);
        }
        true
    }

    fn transform_ip(&self, buffer: &mut gst::BufferRef) -> Result<gst::FlowSuccess, gst::FlowError> {
        let begun = Instant::now();
        let faces = meta::faces(buffer);
        let frame_info = FrameInfo::read(buffer).unwrap_or(FrameInfo::foreign());
        let time = FrameTime::of(buffer, &self.obj().segment());
        if let Err(error) = self.embed(buffer, &faces, &frame_info, time) {
            self.figures.dropped();
            if self.warnings.opens() {
                gst::element_imp_warning!(
                    self,
                    gst::StreamError::Failed,
                    ("faces are not embedded: {error}")
                );
            }
        }
        self.figures.frame(faces.len(), begun);
        Ok(gst::FlowSuccess::Ok)
    }
}

impl FaceEmbed {
    /// The models.
    pub(super) fn opened(&self) -> Vec<Opened> {
        let guard = self.state();
        let Some(State { embedder, estimator, .. }) = &*guard else { return Vec::new() };
        let estimator = estimator.iter().map(|estimator| Arc::clone(estimator) as Opened);
        std::iter::once(Arc::clone(embedder) as Opened).chain(estimator).collect()
    }

    fn settings(&self) -> MutexGuard<'_, Settings> {
        self.settings.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn opening(&self) -> MutexGuard<'_, Option<Opening<Wanted, Models, gst::ErrorMessage>>> {
        self.opening.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn state(&self) -> MutexGuard<'_, Option<State>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Judges every face with points, embeds the chosen ones and estimates their age and gender. No lock is held while
    /// pictures are looked at.
    fn embed(
        &self,
        buffer: &mut gst::BufferRef,
        faces: &[Face],
        frame_info: &FrameInfo,
        time: FrameTime,
    ) -> Result<(), EmbedError> {
        let limits = self.settings().limits();
        let (embedder, estimator, info, tracked, now_ms) = {
            let mut guard = self.state();
            let Some(State { embedder, estimator, info: Some(info), tracked, clock_ms, choice }) =
                &mut *guard
            else {
                return Err(FrameError::NoFormat.into());
            };
            *tracked |= frame_info.tracked || faces.iter().any(|face| face.track_id.is_some());
            *clock_ms = time.running.map_or(*clock_ms + UNTIMED_FRAME_MS, gst::ClockTime::mseconds);
            choice.forget(*clock_ms, &frame_info.ended);
            (embedder.clone(), estimator.clone(), info.clone(), *tracked, *clock_ms)
        };
        let has_points = faces.iter().any(|face| face.landmarks.is_some());
        if faces.is_empty() || !has_points && estimator.is_none() {
            return Ok(());
        }
        let mut params = vec![Vec::new(); faces.len()];
        let work = |view: &ImageView<'_>| -> Result<(), ModelError> {
            let judged = judge(view, faces);
            for (index, quality) in &judged {
                params[*index].push((&QualityFigures::from(quality)).into());
            }
            let candidates: Vec<Candidate> = judged
                .iter()
                .map(|(index, quality)| (*index, faces[*index].track_id, quality.score))
                .filter(|(_, track_id, _)| track_id.is_some() || !tracked)
                .map(|(index, track_id, quality)| Candidate { index, track_id, quality })
                .collect();
            let chosen = match &mut *self.state() {
                Some(state) => state.choice.choose(now_ms, &candidates, limits),
                None => Vec::new(),
            };
            let landmarks: Vec<Landmarks> =
                chosen.iter().filter_map(|index| faces[*index].landmarks).collect();
            if landmarks.is_empty() {
                return Ok(());
            }
            let begun = Instant::now();
            let embeddings = embedder.embed(view, &landmarks)?;
            self.figures.worked_since(begun, embeddings.len());
            for (index, embedding) in chosen.iter().zip(embeddings) {
                let embedding = Embedding {
                    vector: embedding.as_slice().to_vec(),
                    model_name: embedder.model_name().into(),
                };
                params[*index].push((&embedding).into());
            }
            let Some(estimator) = &estimator else { return Ok(()) };
            let boxes: Vec<Rect> = chosen.iter().map(|index| faces[*index].rect).collect();
            let estimates = estimator.estimate(view, &boxes)?;
            for (index, crop) in chosen.iter().zip(&estimates) {
                match faces[*index].track_id {
                    Some(id) => self.fuse(id, crop, quality_of(&judged, *index)),
                    None => params[*index].extend(attribute_params(crop, estimator.model_name())),
                }
            }
            Ok(())
        };
        let worked = if has_points { frame::with_view(buffer, &info, work)? } else { Ok(()) };
        if let Some(estimator) = &estimator {
            self.tell_attributes(faces, estimator.model_name(), &mut params);
        }
        // What was judged before a failure is still worth having.
        meta::annotate(buffer, params);
        Ok(worked?)
    }

    fn fuse(&self, track_id: u64, crop: &Attributes, quality: f32) {
        if let Some(state) = &mut *self.state() {
            state.choice.fuse(track_id, crop, quality);
        }
    }

    /// Writes on every face of a track what its crops so far say together.
    fn tell_attributes(&self, faces: &[Face], model_name: &str, params: &mut [Vec<gst::Structure>]) {
        let guard = self.state();
        let Some(state) = &*guard else { return };
        for (face, params) in faces.iter().zip(params) {
            if let Some(fused) = face.track_id.and_then(|id| state.choice.attributes(id)) {
                params.extend(attribute_params(&fused, model_name));
            }
        }
    }
}

fn attribute_params(attributes: &Attributes, model_name: &str) -> [gst::Structure; 2] {
    let female = f64::from(attributes.female_probability);
    let (gender, confidence) = if attributes.is_female() {
        (vedette_events::Gender::Female, female)
    } else {
        (vedette_events::Gender::Male, 1.0 - female)
    };
    let age = Age { years: attributes.age_years, model_name: model_name.into() };
    let gender = Gender { gender, confidence, model_name: model_name.into() };
    [(&age).into(), (&gender).into()]
}

fn quality_of(judged: &[(usize, Quality)], face: usize) -> f32 {
    judged.iter().find(|(index, _)| *index == face).map_or(0.0, |(_, quality)| quality.score)
}

/// The quality of each face that can be judged.
fn judge(view: &ImageView<'_>, faces: &[Face]) -> Vec<(usize, Quality)> {
    let judge_one = |(index, face): (usize, &Face)| {
        let landmarks = face.landmarks?;
        let score = face.detection.as_ref().map_or(1.0, |detection| detection.confidence as f32);
        let detected = DetectedFace { rect: face.rect, landmarks, score };
        Some((index, Quality::assess(view, &detected)))
    };
    faces.iter().enumerate().filter_map(judge_one).collect()
}
