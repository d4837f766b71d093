//! From aligned faces to embeddings: vectors of length one that point in similar directions for pictures of
//! one person. The networks differ only in how they want their numbers; see [`arcface`] and [`sface`].

mod arcface;
mod dot;
mod sface;

use std::sync::Mutex;

use dot::dot;
use ort::session::Session;
use ort::value::ValueType;

use crate::align::{CROP_SIDE, SimilarityTransform};
use crate::batch::BatchedModel;
use crate::error::ModelError;
use crate::files::ModelSource;
use crate::geometry::Landmarks;
use crate::image::{ImageView, TensorLayout, WarpScratch, warp_rgb};
use crate::pack::{EmbedderArchitecture, Role};
use crate::session::{Device, SessionOptions, SessionPool};

/// SFace's embeddings are this long; other networks named by their path are taken for ArcFace.
const SFACE_DIMENSION: usize = 128;

/// What a network makes of a face: a vector of length one.
#[derive(Clone, PartialEq)]
pub struct Embedding(Box<[f32]>);

impl Embedding {
    /// An embedding from any vector; nothing if it has no direction (all zeros, or not made of numbers).
    pub fn from_vector(vector: &[f32]) -> Option<Self> {
        normalised(vector).map(Self)
    }

    /// The numbers.
    pub fn as_slice(&self) -> &[f32] {
        &self.0
    }

    /// How many numbers there are.
    pub fn dimension(&self) -> usize {
        self.0.len()
    }

    /// Cosine similarity, −1 to 1; nothing can be said about embeddings of different models, which gives 0.
    pub fn cosine(&self, other: &Self) -> f32 {
        if self.dimension() == other.dimension() { dot(&self.0, &other.0) } else { 0.0 }
    }
}

/// A template is personal data: a debug print must not carry it into a log.
impl std::fmt::Debug for Embedding {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "Embedding({} numbers)", self.0.len())
    }
}

/// The vector of length one in the same direction; nothing if there is no direction.
pub(crate) fn normalised(vector: &[f32]) -> Option<Box<[f32]>> {
    let squares: f64 = vector.iter().map(|value| f64::from(*value) * f64::from(*value)).sum();
    if !squares.is_finite() || squares <= f64::MIN_POSITIVE {
        return None;
    }
    let scale = 1.0 / squares.sqrt();
    Some(vector.iter().map(|value| (f64::from(*value) * scale) as f32).collect())
}

/// An embedder's weights, shared by all streams of a process.
#[derive(Debug)]
pub struct Embedder {
    model: BatchedModel,
    model_name: String,
    layout: TensorLayout,
    side: u32,
    dimension: usize,
    /// Buffers of callers that are not embedding now.
    idle_scratch: Mutex<Vec<EmbedScratch>>,
}

#[derive(Debug, Default)]
struct EmbedScratch {
    warp: WarpScratch,
    tensor: Vec<f32>,
}

/// What a model's inputs and outputs say about it.
struct Shape {
    side: u32,
    dimension: usize,
    takes_batches: bool,
}

impl Embedder {
    /// Reads an embedder and opens a session on it.
    pub fn open(source: &ModelSource, device: Device) -> Result<Self, ModelError> {
        let model = source.load(Role::Embedder)?;
        let described = model.pack.as_ref().and_then(|pack| pack.embedder.as_ref());
        let options = SessionOptions { device, label: model.name.clone(), ..SessionOptions::default() };
        let sessions = SessionPool::open(model.bytes, options)?;
        let side = described.map_or(CROP_SIDE, |embedder| embedder.input_size);
        let shape = sessions.run(|session| inspect(session, &model.name, side))?;
        if let Some(embedder) = described
            && embedder.dimension != shape.dimension
        {
            let reason = format!(
                "its pack says it makes {} numbers, it makes {}",
                embedder.dimension, shape.dimension
            );
            return Err(ModelError::InvalidModel { model: model.name, reason });
        }
        let architecture = described.map_or(
            if shape.dimension == SFACE_DIMENSION {
                EmbedderArchitecture::Sface
            } else {
                EmbedderArchitecture::Arcface
            },
            |embedder| embedder.architecture,
        );
        let layout = match architecture {
            EmbedderArchitecture::Sface => sface::LAYOUT,
            EmbedderArchitecture::Arcface => arcface::LAYOUT,
        };
        let side = shape.side as usize;
        Ok(Self {
            model: BatchedModel::new(sessions, &[3, side, side], shape.takes_batches),
            model_name: model.name,
            layout,
            side: shape.side,
            dimension: shape.dimension,
            idle_scratch: Mutex::new(Vec::new()),
        })
    }

    /// How many numbers an embedding has.
    pub fn dimension(&self) -> usize {
        self.dimension
    }

    /// The model's name, as events and metadata carry it.
    pub fn model_name(&self) -> &str {
        &self.model_name
    }

    /// What the model runs on.
    pub fn device(&self) -> Device {
        self.model.sessions().device()
    }

    /// Embeds faces of one picture, each found by its landmarks, in their order.
    pub fn embed(&self, view: &ImageView, faces: &[Landmarks]) -> Result<Vec<Embedding>, ModelError> {
        let mut scratch = self.lock_scratch().pop().unwrap_or_default();
        let embedded = self.embed_with(view, faces, &mut scratch);
        self.lock_scratch().push(scratch);
        embedded
    }

    fn lock_scratch(&self) -> std::sync::MutexGuard<'_, Vec<EmbedScratch>> {
        self.idle_scratch.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    fn embed_with(
        &self,
        view: &ImageView,
        faces: &[Landmarks],
        scratch: &mut EmbedScratch,
    ) -> Result<Vec<Embedding>, ModelError> {
        let mut embeddings = Vec::with_capacity(faces.len());
        for batch in faces.chunks(self.model.max_rows()) {
            self.write_batch(view, batch, scratch)?;
            let values = self.model.run(&scratch.tensor)?;
            if values.len() != batch.len() * self.dimension {
                return Err(self.unexpected(format!(
                    "gave {} numbers for {} faces",
                    values.len(),
                    batch.len()
                )));
            }
            for vector in values.chunks_exact(self.dimension) {
                let embedding = Embedding::from_vector(vector);
                embeddings.push(
                    embedding.ok_or_else(|| self.unexpected("gave an embedding without direction".into()))?,
                );
            }
        }
        Ok(embeddings)
    }

    /// Aligns the faces into the tensor, one after the other.
    fn write_batch(
        &self,
        view: &ImageView,
        batch: &[Landmarks],
        scratch: &mut EmbedScratch,
    ) -> Result<(), ModelError> {
        let side = self.side as usize;
        let plane_length = side * side;
        let EmbedScratch { warp, tensor } = scratch;
        tensor.resize(batch.len() * 3 * plane_length, 0.0);
        for (face, target) in batch.iter().zip(tensor.chunks_exact_mut(3 * plane_length)) {
            let to_crop = SimilarityTransform::to_crop(face, self.side).ok_or_else(|| {
                self.unexpected("cannot align a face whose five landmarks are one place".into())
            })?;
            warp_rgb(view, &to_crop.inverse(), self.side, warp, |row, red, green, blue| {
                self.layout.write_row(target, plane_length, row * side, [red, green, blue]);
            });
        }
        Ok(())
    }

    fn unexpected(&self, reason: String) -> ModelError {
        ModelError::UnexpectedTensor { model: self.model_name.clone(), reason }
    }
}

/// Reads what a model takes and makes; `side` stands in for an input of free size.
fn inspect(session: &Session, model_name: &str, side: u32) -> Result<Shape, ModelError> {
    let invalid = |reason: String| ModelError::InvalidModel { model: model_name.into(), reason };
    let ([input], [output, ..]) = (session.inputs(), session.outputs()) else {
        return Err(invalid("an embedder has one input and an output".into()));
    };
    let (ValueType::Tensor { shape: takes, .. }, ValueType::Tensor { shape: makes, .. }) =
        (input.dtype(), output.dtype())
    else {
        return Err(invalid("its input or output is not a tensor".into()));
    };
    let [batch, 3, height, width] = takes[..] else {
        return Err(invalid(format!("an embedder takes [faces, 3, side, side], this model {takes:?}")));
    };
    if height != width {
        return Err(invalid(format!("an embedder takes squares, this model {width}×{height}")));
    }
    let dimension = match makes.last() {
        Some(dimension @ 1..=4096) => *dimension as usize,
        _ => return Err(invalid(format!("an embedder makes [faces, numbers], this model {makes:?}"))),
    };
    // A batch that is fixed to more than one face would have to be filled up: no known export is.
    let takes_batches = match batch {
        1 => false,
        free if free < 0 => true,
        fixed => return Err(invalid(format!("it takes exactly {fixed} faces at a time"))),
    };
    let side = if height > 0 { u32::try_from(height).unwrap_or(side) } else { side };
    Ok(Shape { side, dimension, takes_batches })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn embeddings_have_length_one_and_compare_by_angle() {
        let a = Embedding::from_vector(&[3.0, 4.0]).unwrap();
        assert_eq!(a.as_slice(), [0.6, 0.8]);
        assert!((a.cosine(&Embedding::from_vector(&[300.0, 400.0]).unwrap()) - 1.0).abs() < 1e-6);
        assert!((a.cosine(&Embedding::from_vector(&[-4.0, 3.0]).unwrap())).abs() < 1e-6);
        assert_eq!(a.cosine(&Embedding::from_vector(&[1.0; 3]).unwrap()), 0.0);
    }

    #[test]
    fn vectors_without_direction_are_no_embeddings() {
        for vector in [&[0.0, 0.0][..], &[f32::NAN, 1.0], &[f32::INFINITY, 1.0], &[]] {
            assert_eq!(Embedding::from_vector(vector), None);
        }
        // Large numbers overflow nothing on the way.
        assert!(Embedding::from_vector(&[f32::MAX, f32::MAX]).is_some());
    }

    #[test]
    fn a_debug_print_shows_no_numbers() {
        assert_eq!(format!("{:?}", Embedding::from_vector(&[0.6, 0.8]).unwrap()), "Embedding(2 numbers)");
    }
}
