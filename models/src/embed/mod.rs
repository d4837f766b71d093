//! From aligned faces to embeddings: vectors of length one that point in similar directions for pictures of
//! one person. The networks differ only in how they want their numbers; see [`arcface`] and [`sface`].

mod arcface;
mod dot;
mod sface;

use dot::dot;

use crate::align::{CROP_SIDE, SimilarityTransform};
use crate::crops::{CropNetwork, CropNetworkOptions};
use crate::error::ModelError;
use crate::files::{LoadedModel, ModelSource};
use crate::geometry::Landmarks;
use crate::image::ImageView;
use crate::pack::{EmbedderArchitecture, Role};
use crate::session::Device;

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
    network: CropNetwork,
}

impl Embedder {
    /// Reads an embedder and opens a session on it.
    pub fn open(source: &ModelSource, device: Device) -> Result<Self, ModelError> {
        source.open(Role::Embedder, |model| Self::of_model(model, device))
    }

    fn of_model(LoadedModel { name, bytes, pack }: LoadedModel, device: Device) -> Result<Self, ModelError> {
        let described = pack.as_ref().and_then(|pack| pack.embedder.as_ref());
        let side = described.map_or(CROP_SIDE, |embedder| embedder.input_size);
        let options = CropNetworkOptions { name, bytes, device, kind: "an embedder", side };
        let network = CropNetwork::open(options, |dimension| {
            let guessed = if dimension == SFACE_DIMENSION {
                EmbedderArchitecture::Sface
            } else {
                EmbedderArchitecture::Arcface
            };
            match described.map_or(guessed, |embedder| embedder.architecture) {
                EmbedderArchitecture::Sface => sface::LAYOUT,
                EmbedderArchitecture::Arcface => arcface::LAYOUT,
            }
        })?;
        if let Some(embedder) = described
            && embedder.dimension != network.row_length()
        {
            let reason = format!(
                "its pack says it makes {} numbers, it makes {}",
                embedder.dimension,
                network.row_length()
            );
            return Err(ModelError::InvalidModel { model: network.name().into(), reason });
        }
        Ok(Self { network })
    }

    /// How many numbers an embedding has.
    pub fn dimension(&self) -> usize {
        self.network.row_length()
    }

    /// The model's name, as events and metadata carry it.
    pub fn model_name(&self) -> &str {
        self.network.name()
    }

    /// What the model runs on.
    pub fn device(&self) -> Device {
        self.network.device()
    }

    /// Embeds faces of one picture, each found by its landmarks, in their order.
    pub fn embed(&self, view: &ImageView, faces: &[Landmarks]) -> Result<Vec<Embedding>, ModelError> {
        let cannot_align =
            || self.network.unexpected("cannot align a face whose five landmarks are one place".into());
        let to_crop = |face| SimilarityTransform::to_crop(face, self.network.side()).ok_or_else(cannot_align);
        let to_crops = faces.iter().map(to_crop).collect::<Result<Vec<_>, _>>()?;
        let rows = self.network.run(view, &to_crops)?;
        let without_direction = || self.network.unexpected("gave an embedding without direction".into());
        rows.chunks_exact(self.dimension())
            .map(|vector| Embedding::from_vector(vector).ok_or_else(without_direction))
            .collect()
    }
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
