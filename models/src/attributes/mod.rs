//! Age and apparent gender of a face: estimates of a network that looks at an upright square around the face's box. A single
//! one is off by years; [`FusedAttributes`] makes one of all crops of a track. Networks differ only in how far around the face
//! they look; see [`genderage`] and [`ssrnet`].

mod fusion;
mod genderage;
mod ssrnet;

pub use fusion::FusedAttributes;

use crate::align::SimilarityTransform;
use crate::crops::{CropNetwork, CropNetworkOptions};
use crate::error::ModelError;
use crate::files::{LoadedModel, ModelSource};
use crate::geometry::Rect;
use crate::image::ImageView;
use crate::pack::{AttributesArchitecture, Role};
use crate::session::Device;

/// What a network says of a face: what speaks for female, what for male (before Softmax), hundreds of years.
const ROW_LENGTH: usize = 3;

/// Nobody is older. A network that has never seen a face like this one may say anything.
const MAX_AGE_YEARS: f32 = 120.0;

/// An estimate about a face.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Attributes {
    /// Age in years, 0 to 120.
    pub age_years: f32,
    /// How likely the face is to be taken for a woman's, 0 to 1; the rest is for a man's.
    pub female_probability: f32,
}

impl Attributes {
    /// Whether the face is to be called a woman's.
    pub fn is_female(&self) -> bool {
        self.female_probability >= 0.5
    }

    /// Reads a network's row; nothing if it is not made of three numbers.
    fn from_row(row: &[f32]) -> Option<Self> {
        let [female, male, hundreds] = *row else { return None };
        let female_probability = 1.0 / (1.0 + (male - female).exp());
        let is_number = female_probability.is_finite() && hundreds.is_finite();
        is_number
            .then(|| Self { age_years: (100.0 * hundreds).clamp(0.0, MAX_AGE_YEARS), female_probability })
    }
}

/// The weights of a model for age and gender, shared by all streams of a process.
#[derive(Debug)]
pub struct AttributeEstimator {
    network: CropNetwork,
    crop_scale: f32,
}

impl AttributeEstimator {
    /// Reads a pack's model for age and gender and opens a session on it. Only a pack says how its model is fed: a file by
    /// itself is taken for InsightFace's genderage.
    pub fn open(source: &ModelSource, device: Device) -> Result<Self, ModelError> {
        source.open(Role::Attributes, |model| Self::of_model(model, device))
    }

    fn of_model(LoadedModel { name, bytes, pack }: LoadedModel, device: Device) -> Result<Self, ModelError> {
        let described = pack.as_ref().and_then(|pack| pack.attributes.as_ref());
        let architecture = described.map_or(AttributesArchitecture::Genderage, |model| model.architecture);
        let (layout, crop_scale, usual_side) = match architecture {
            AttributesArchitecture::Genderage => (genderage::LAYOUT, genderage::CROP_SCALE, 96),
            AttributesArchitecture::Ssrnet => (ssrnet::LAYOUT, ssrnet::CROP_SCALE, 64),
        };
        let side = described.map_or(usual_side, |model| model.input_size);
        let options = CropNetworkOptions { name, bytes, device, kind: "a model for age and gender", side };
        let network = CropNetwork::open(options, |_| layout)?;
        if network.row_length() != ROW_LENGTH {
            let reason = format!(
                "a model for age and gender makes {ROW_LENGTH} numbers of a face, it makes {}",
                network.row_length()
            );
            return Err(ModelError::InvalidModel { model: network.name().into(), reason });
        }
        Ok(Self { network, crop_scale })
    }

    /// The model's name, as metadata carries it.
    pub fn model_name(&self) -> &str {
        self.network.name()
    }

    /// What the model runs on.
    pub fn device(&self) -> Device {
        self.network.device()
    }

    /// Estimates age and gender of faces of one picture, each given by its box in pixels, in their order.
    pub fn estimate(&self, view: &ImageView, faces: &[Rect]) -> Result<Vec<Attributes>, ModelError> {
        let empty = || self.network.unexpected("cannot look at a face whose box is empty".into());
        let to_crop = |face: &Rect| {
            SimilarityTransform::to_square_crop(&face.square(self.crop_scale), self.network.side())
                .ok_or_else(empty)
        };
        let to_crops = faces.iter().map(to_crop).collect::<Result<Vec<_>, _>>()?;
        let rows = self.network.run(view, &to_crops)?;
        let no_numbers = || self.network.unexpected("gave an age or a gender that is not a number".into());
        rows.chunks_exact(ROW_LENGTH).map(|row| Attributes::from_row(row).ok_or_else(no_numbers)).collect()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_read_as_genderage_means_them() {
        let read = Attributes::from_row(&[2.0, 2.0, 0.345]).unwrap();
        assert!((read.age_years - 34.5).abs() < 1e-4 && read.female_probability == 0.5);
        assert!(Attributes::from_row(&[3.0, -1.0, 0.2]).unwrap().female_probability > 0.98);
        assert!(Attributes::from_row(&[-3.0, 1.0, 0.2]).unwrap().female_probability < 0.02);
    }

    #[test]
    fn rows_that_make_no_sense_stay_in_range_or_are_refused() {
        // So sure that the exponential is infinite.
        assert_eq!(Attributes::from_row(&[-500.0, 500.0, 0.2]).unwrap().female_probability, 0.0);
        assert_eq!(Attributes::from_row(&[0.0, 0.0, -0.3]).unwrap().age_years, 0.0);
        assert_eq!(Attributes::from_row(&[0.0, 0.0, 9.0]).unwrap().age_years, 120.0);
        assert_eq!(Attributes::from_row(&[f32::NAN, 0.0, 0.3]), None);
        assert_eq!(Attributes::from_row(&[0.0, 0.0, f32::INFINITY]), None);
        assert_eq!(Attributes::from_row(&[0.0, 0.0]), None);
    }
}
