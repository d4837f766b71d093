//! From a photo to its faces with their quality and embeddings: what registration, search and verification
//! call. The same detector and embedder as the streams use, without tracks.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::align::{CROP_SIDE, SimilarityTransform};
use crate::attributes::{AttributeEstimator, Attributes};
use crate::detect::{DetectScratch, DetectedFace, Detector, DetectorOptions};
use crate::embed::{Embedder, Embedding};
use crate::error::ModelError;
use crate::files::ModelSource;
use crate::geometry::{Landmarks, Rect};
use crate::photo::Photo;
use crate::quality::{Quality, QualityIssue};
use crate::session::Device;

/// Where nothing is found at the usual size, these are tried: a face that fills the picture is larger than any
/// the detector has learnt, and one in a wide scene smaller.
const OTHER_INPUT_SIZES: [u32; 3] = [320, 160, 1280];

/// A face of a photo.
#[derive(Debug, Clone, PartialEq)]
pub struct AnalyzedFace {
    /// Where it is.
    pub face: DetectedFace,
    /// How good it is.
    pub quality: Quality,
    /// What speaks most against it, if anything does.
    pub issue: Option<QualityIssue>,
    /// Its embedding.
    pub embedding: Embedding,
    /// Age and gender, from an analyzer that estimates them.
    pub attributes: Option<Attributes>,
}

/// Detector and embedder of one pack, and its model for age and gender where that is asked for.
#[derive(Debug, Clone)]
pub struct Analyzer {
    detector: Arc<Detector>,
    embedder: Arc<Embedder>,
    estimator: Option<Arc<AttributeEstimator>>,
    options: DetectorOptions,
    /// Buffers of the usual size, of callers that are not detecting now.
    idle_scratch: Arc<Mutex<Vec<DetectScratch>>>,
}

impl Analyzer {
    /// Opens the models of a pack, named or in a folder.
    pub fn open(pack: &str, device: Device) -> Result<Self, ModelError> {
        let source = ModelSource::pack(pack)?;
        let detector = Detector::open(&source, device)?;
        let embedder = Embedder::open(&source, device)?;
        Ok(Self::new(Arc::new(detector), Arc::new(embedder)))
    }

    /// An analyzer from models at hand.
    pub fn new(detector: Arc<Detector>, embedder: Arc<Embedder>) -> Self {
        let options = DetectorOptions::default();
        Self { detector, embedder, estimator: None, options, idle_scratch: Arc::default() }
    }

    /// The same with estimates of age and gender, by the model of a pack.
    pub fn with_attributes(mut self, pack: &str, device: Device) -> Result<Self, ModelError> {
        let estimator = AttributeEstimator::open(&ModelSource::pack(pack)?, device)?;
        self.estimator = Some(Arc::new(estimator));
        Ok(self)
    }

    /// The same with other options for its detector.
    #[must_use]
    pub fn with_options(mut self, options: DetectorOptions) -> Self {
        self.options = options;
        self
    }

    /// The embedder, for the length and the model of its embeddings.
    pub fn embedder(&self) -> &Embedder {
        &self.embedder
    }

    /// The faces of a photo, surest first.
    pub fn analyze(&self, photo: &Photo) -> Result<Vec<AnalyzedFace>, ModelError> {
        let view = photo.view();
        let faces = self.detect(photo)?;
        let landmarks: Vec<Landmarks> = faces.iter().map(|face| face.landmarks).collect();
        let embeddings = self.embedder.embed(&view, &landmarks)?;
        let boxes: Vec<Rect> = faces.iter().map(|face| face.rect).collect();
        let attributes: Vec<Option<Attributes>> = match &self.estimator {
            Some(estimator) => estimator.estimate(&view, &boxes)?.into_iter().map(Some).collect(),
            None => vec![None; faces.len()],
        };
        let analyzed =
            faces.into_iter().zip(embeddings).zip(attributes).map(|((face, embedding), attributes)| {
                let (quality, issue) = Quality::assess_with_issue(&view, &face);
                AnalyzedFace { face, quality, issue, embedding, attributes }
            });
        Ok(analyzed.collect())
    }

    /// Looks at the usual size, and only if nobody is there at others.
    fn detect(&self, photo: &Photo) -> Result<Vec<DetectedFace>, ModelError> {
        let mut scratch = self.lock_scratch().pop().unwrap_or_default();
        let faces = self.detect_at(self.options.input_size, photo, &mut scratch);
        self.lock_scratch().push(scratch);
        let faces = faces?;
        if !faces.is_empty() {
            return Ok(faces);
        }
        let longest_side = photo.width().max(photo.height());
        let others = OTHER_INPUT_SIZES.into_iter().filter(|size| {
            // Larger than the photo, a size shows nothing new; and a model of fixed size looks only once.
            *size < longest_side && *size != self.options.input_size && !self.detector.has_fixed_input()
        });
        for input_size in others {
            let faces = self.detect_at(input_size, photo, &mut DetectScratch::default())?;
            if !faces.is_empty() {
                return Ok(faces);
            }
        }
        Ok(Vec::new())
    }

    fn detect_at(
        &self,
        input_size: u32,
        photo: &Photo,
        scratch: &mut DetectScratch,
    ) -> Result<Vec<DetectedFace>, ModelError> {
        let options = DetectorOptions { input_size, ..self.options };
        let mut faces = self.detector.detect(&photo.view(), &options, scratch)?;
        // One whose points coincide cannot be aligned, and would spoil the others' batch.
        faces.retain(|face| SimilarityTransform::to_crop(&face.landmarks, CROP_SIDE).is_some());
        Ok(faces)
    }

    fn lock_scratch(&self) -> MutexGuard<'_, Vec<DetectScratch>> {
        self.idle_scratch.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
