//! Face inference for requests: loaded once in the background, run off the async threads, a bounded number at a time.
//!
//! A request that comes while the models are still being read waits for them. If they cannot be read, that
//! request is told why, and the next one tries again: fetching the models mends a running server.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;
use utoipa::ToSchema;

use serde::Serialize;
use thiserror::Error;
use tokio::sync::{OnceCell, Semaphore};
use vedette_models::ModelError;
use vedette_models::analyzer::Analyzer;
use vedette_models::identity::IdentityPolicy;
use vedette_models::pack::{Pack, Packs, Role};
use vedette_models::session::Device;

use crate::config::{FileConfig, Share};
use crate::error::{ApiError, ErrorKind};
use crate::metrics::InferenceFigures;

/// Why a picture could not be analysed though nothing is wrong with it.
#[derive(Debug, Error)]
pub enum VisionError {
    /// The models or ONNX Runtime are missing or broken.
    #[error("face analysis is not available: {0}")]
    Models(String),
    /// A model failed on this picture.
    #[error("face analysis failed: {0}")]
    Inference(ModelError),
    /// The analysis of this picture ended in a panic, or the server is going down.
    #[error("face analysis was cut short")]
    Interrupted,
}

impl From<VisionError> for ApiError {
    fn from(error: VisionError) -> Self {
        match error {
            VisionError::Models(_) => {
                let message = "pictures cannot be analysed: the face models are not loaded; the server's log says \
                               what to do";
                Self::new(ErrorKind::Internal, message).with_cause(error)
            }
            VisionError::Inference(_) | VisionError::Interrupted => Self::internal(error),
        }
    }
}

impl From<ModelError> for VisionError {
    fn from(error: ModelError) -> Self {
        Self::Inference(error)
    }
}

/// When a face is good enough, and when two faces are one person.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RecognitionRules {
    /// Photos it takes to enrol someone.
    pub min_samples: usize,
    /// Least quality of such a photo.
    pub min_quality: f32,
    /// Least cosine similarity of two pictures of one person.
    pub threshold: f32,
    /// How much less similar the next best person must be.
    pub margin: f32,
}

/// Whether pictures can be analysed, for `/api/health`. Why not is in the log, for it names files.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum VisionStatus {
    /// The models are being read.
    Loading,
    /// Ready.
    Initialized,
    /// They cannot be read.
    Unavailable,
}

/// The analyzer of this process.
#[derive(Debug)]
pub struct Vision {
    pack: Pack,
    device: Device,
    /// Whether age and gender are estimated.
    attributes: bool,
    rules: RecognitionRules,
    analyzer: OnceCell<Arc<Analyzer>>,
    has_failed: AtomicBool,
    permits: Arc<Semaphore>,
    figures: InferenceFigures,
}

impl Vision {
    /// Inference as `config` says. Nothing is loaded yet.
    ///
    /// # Errors
    /// When the pack is not known, cannot recognise anyone, or is to tell age and gender and cannot.
    pub fn from_config(config: &FileConfig) -> Result<Self, ModelError> {
        let pack = Packs::get(config.face_recognition.detection_model.as_str())?;
        pack.require(Role::Detector)?;
        pack.require(Role::Embedder)?;
        let attributes = config.face_recognition.attributes;
        if attributes {
            pack.require(Role::Attributes)?;
        }
        let fallback = IdentityPolicy::default();
        let recognition = pack.recognition.as_ref();
        let pack_threshold = recognition.map_or(fallback.threshold, |pack| pack.similarity_threshold);
        let threshold = config.face_recognition.recognition_threshold.map(Share::get);
        let registration = &config.face_recognition.registration;
        let rules = RecognitionRules {
            min_samples: registration.min_samples.get() as usize,
            min_quality: registration.quality_threshold.get(),
            threshold: threshold.unwrap_or(pack_threshold),
            margin: recognition.map_or(fallback.margin, |pack| pack.margin),
        };
        let processors = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
        let parallel = match config.performance.max_workers.get() {
            0 => processors,
            wanted => wanted as usize,
        };
        Ok(Self {
            pack,
            device: if config.performance.use_gpu { Device::Auto } else { Device::Cpu },
            attributes,
            rules,
            analyzer: OnceCell::new(),
            has_failed: AtomicBool::new(false),
            permits: Arc::new(Semaphore::new(parallel)),
            figures: InferenceFigures::default(),
        })
    }

    /// The pack whose embedder makes the templates.
    pub fn pack(&self) -> &Pack {
        &self.pack
    }

    /// What the models run on.
    pub fn device(&self) -> Device {
        self.device
    }

    /// Length of a template.
    pub fn dimension(&self) -> usize {
        // `from_config` refuses packs without an embedder.
        self.pack.embedder.as_ref().map_or(0, |embedder| embedder.dimension)
    }

    /// How much there was to do.
    pub fn figures(&self) -> &InferenceFigures {
        &self.figures
    }

    /// When a face is good enough, and when two are one person.
    pub fn rules(&self) -> &RecognitionRules {
        &self.rules
    }

    /// Starts reading the models, so that the first request does not have to wait for them.
    pub fn preload(self: &Arc<Self>) {
        let vision = Arc::clone(self);
        tokio::spawn(async move {
            if let Err(error) = vision.analyzer().await {
                tracing::error!(%error, "people can be neither registered nor looked up");
            }
        });
    }

    /// How things stand.
    pub fn status(&self) -> VisionStatus {
        if self.analyzer.initialized() {
            return VisionStatus::Initialized;
        }
        let has_failed = self.has_failed.load(Ordering::Relaxed);
        if has_failed { VisionStatus::Unavailable } else { VisionStatus::Loading }
    }

    /// Runs `work` on a thread that may block, once one of the permits is free.
    ///
    /// # Errors
    /// When the models cannot be loaded, or `work` panics.
    pub async fn run<T, F>(&self, work: F) -> Result<T, VisionError>
    where
        F: FnOnce(&Analyzer) -> T + Send + 'static,
        T: Send + 'static,
    {
        let analyzer = self.analyzer().await?;
        let waiting = self.figures.wait();
        let permit = Arc::clone(&self.permits).acquire_owned().await;
        drop(waiting);
        let figures = self.figures.clone();
        let permit = permit.map_err(|_| VisionError::Interrupted)?;
        let span = tracing::info_span!("inference");
        let task = tokio::task::spawn_blocking(move || {
            // Held here and not by the caller: a request that is given up does not end the work it started.
            let _permit = permit;
            let _entered = span.entered();
            let begun = Instant::now();
            let done = work(&analyzer);
            figures.ended(begun);
            done
        });
        task.await.map_err(|_| VisionError::Interrupted)
    }

    async fn analyzer(&self) -> Result<Arc<Analyzer>, VisionError> {
        let (pack_name, device, attributes) = (self.pack.name.clone(), self.device, self.attributes);
        let open = || async {
            let opened = tokio::task::spawn_blocking(move || {
                let analyzer = Analyzer::open(&pack_name, device)?;
                if attributes { analyzer.with_attributes(&pack_name, device) } else { Ok(analyzer) }
            })
            .await;
            let opened = opened.map_err(|_| VisionError::Interrupted)?;
            opened.map(Arc::new).map_err(|error| VisionError::Models(error.to_string()))
        };
        let analyzer = self.analyzer.get_or_try_init(open).await.cloned();
        self.has_failed.store(analyzer.is_err(), Ordering::Relaxed);
        analyzer
    }
}
