//! The structures on a face's region: one type each, with its conversion to and from `gst::Structure`.
//!
//! Names and field types are those DL Streamer uses, so that its elements read ours and ours read theirs.

mod attributes;

use gst::{Structure, StructureRef, glib};
use thiserror::Error;
use vedette_models::geometry::{Landmarks, Point, Rect};
use vedette_models::quality::Quality;

pub use attributes::{Age, Gender};

/// Name of [`Detection`].
pub const DETECTION: &str = "detection";
/// Name of [`TrackId`].
pub const OBJECT_ID: &str = "object_id";
/// Name of [`Keypoints`].
pub const KEYPOINTS: &str = "keypoints";
/// Name of [`Embedding`].
pub const EMBEDDING: &str = "embedding";
/// Name of [`QualityFigures`].
pub const QUALITY: &str = "quality";
/// Name of [`Identity`].
pub const IDENTITY: &str = "identity";
/// Name of [`Age`].
pub const AGE: &str = "age";
/// Name of [`Gender`].
pub const GENDER: &str = "gender";

/// DL Streamer's number for 32-bit floats.
const PRECISION_FP32: i32 = 10;
/// DL Streamer's number for a tensor without image layout.
const LAYOUT_ANY: i32 = 0;
/// What the five points are, in their order.
const POINT_NAMES: [&str; 5] = ["eye_left", "eye_right", "nose_tip", "mouth_left", "mouth_right"];

/// A structure that is not of the form its name promises.
#[derive(Debug, Error)]
pub enum ParamError {
    /// A field is missing or of another type.
    #[error("bad face parameter: {0}")]
    Field(String),
    /// A field's value makes no sense.
    #[error("bad face parameter: {0}")]
    Value(&'static str),
}

impl<E: std::error::Error> From<gst::structure::GetError<E>> for ParamError {
    fn from(error: gst::structure::GetError<E>) -> Self {
        Self::Field(error.to_string())
    }
}

/// The detector's figures of a face.
#[derive(Clone, Debug, PartialEq)]
pub struct Detection {
    /// Left edge as a share of the frame's width.
    pub x_min: f64,
    /// Right edge as a share of the frame's width.
    pub x_max: f64,
    /// Upper edge as a share of the frame's height.
    pub y_min: f64,
    /// Lower edge as a share of the frame's height.
    pub y_max: f64,
    /// Score, 0…1.
    pub confidence: f64,
    /// The detector's class; faces are 0.
    pub label_id: i32,
    /// The detector.
    pub model_name: String,
}

impl Detection {
    /// The figures of a box in frame pixels.
    pub fn new(rect: &Rect, (width, height): (u32, u32), score: f32, model_name: &str) -> Self {
        let share = |edge: f32, size: u32| (f64::from(edge) / f64::from(size.max(1))).clamp(0.0, 1.0);
        Self {
            x_min: share(rect.x, width),
            x_max: share(rect.right(), width),
            y_min: share(rect.y, height),
            y_max: share(rect.bottom(), height),
            confidence: f64::from(score),
            label_id: 0,
            model_name: model_name.into(),
        }
    }
}

impl From<&Detection> for Structure {
    fn from(detection: &Detection) -> Self {
        Structure::builder(DETECTION)
            .field("x_min", detection.x_min)
            .field("x_max", detection.x_max)
            .field("y_min", detection.y_min)
            .field("y_max", detection.y_max)
            .field("confidence", detection.confidence)
            .field("label_id", detection.label_id)
            .field("model_name", &detection.model_name)
            .build()
    }
}

impl TryFrom<&StructureRef> for Detection {
    type Error = ParamError;

    fn try_from(structure: &StructureRef) -> Result<Self, ParamError> {
        Ok(Self {
            x_min: structure.get("x_min")?,
            x_max: structure.get("x_max")?,
            y_min: structure.get("y_min")?,
            y_max: structure.get("y_max")?,
            confidence: structure.get("confidence")?,
            label_id: structure.get("label_id").unwrap_or_default(),
            model_name: structure.get("model_name").unwrap_or_default(),
        })
    }
}

/// The track a face belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TrackId(pub u64);

impl From<&TrackId> for Structure {
    fn from(id: &TrackId) -> Self {
        // The field is a signed 32-bit number elsewhere. Tracks count from 1: two thousand million of them
        // at one camera are out of reach.
        let id = i32::try_from(id.0).unwrap_or(i32::MAX);
        Structure::builder(OBJECT_ID).field("id", id).build()
    }
}

impl TryFrom<&StructureRef> for TrackId {
    type Error = ParamError;

    fn try_from(structure: &StructureRef) -> Result<Self, ParamError> {
        let id: i32 = structure.get("id")?;
        u64::try_from(id).map(Self).map_err(|_| ParamError::Value("a track id is negative"))
    }
}

/// The five points as shares of the face's box.
#[derive(Clone, Debug, PartialEq)]
pub struct Keypoints(Landmarks);

impl Keypoints {
    /// The points of a face whose box on the buffer is `region`, both in frame pixels.
    pub fn relative_to(region: &Rect, landmarks: &Landmarks) -> Self {
        let (width, height) = (region.width.max(1.0), region.height.max(1.0));
        Self(landmarks.map(|point| Point::new((point.x - region.x) / width, (point.y - region.y) / height)))
    }

    /// The points in frame pixels.
    pub fn in_frame(&self, region: &Rect) -> Landmarks {
        let place =
            |point: Point| Point::new(region.x + point.x * region.width, region.y + point.y * region.height);
        self.0.map(place)
    }
}

impl From<&Keypoints> for Structure {
    fn from(keypoints: &Keypoints) -> Self {
        let numbers: Vec<f32> = keypoints.0.iter().flat_map(|point| [point.x, point.y]).collect();
        tensor(KEYPOINTS, &[5, 2], &numbers)
            .field("format", "keypoints")
            .field("point_names", gst::Array::new(POINT_NAMES))
            .build()
    }
}

impl TryFrom<&StructureRef> for Keypoints {
    type Error = ParamError;

    fn try_from(structure: &StructureRef) -> Result<Self, ParamError> {
        let numbers = tensor_data(structure)?;
        let (pairs, rest) = numbers.as_chunks::<2>();
        let points: [[f32; 2]; 5] = pairs
            .try_into()
            .ok()
            .filter(|_| rest.is_empty())
            .ok_or(ParamError::Value("keypoints are not five points"))?;
        Ok(Self(points.map(|[x, y]| Point::new(x, y))))
    }
}

/// A face as numbers.
#[derive(Clone, Debug, PartialEq)]
pub struct Embedding {
    /// The L2-normalised vector.
    pub vector: Vec<f32>,
    /// The embedder that made it: vectors of different models do not compare.
    pub model_name: String,
}

impl From<&Embedding> for Structure {
    fn from(embedding: &Embedding) -> Self {
        let length = u32::try_from(embedding.vector.len()).unwrap_or(u32::MAX);
        tensor(EMBEDDING, &[1, length], &embedding.vector)
            .field("layer_name", "embedding")
            .field("model_name", &embedding.model_name)
            .field("format", "cosine_distance")
            .build()
    }
}

impl TryFrom<&StructureRef> for Embedding {
    type Error = ParamError;

    fn try_from(structure: &StructureRef) -> Result<Self, ParamError> {
        Ok(Self {
            vector: tensor_data(structure)?,
            model_name: structure.get("model_name").unwrap_or_default(),
        })
    }
}

fn tensor(name: &str, dims: &[u32], numbers: &[f32]) -> gst::structure::Builder {
    let bytes: Vec<u8> = numbers.iter().flat_map(|number| number.to_ne_bytes()).collect();
    Structure::builder(name)
        .field("precision", PRECISION_FP32)
        .field("layout", LAYOUT_ANY)
        .field("rank", i32::try_from(dims.len()).unwrap_or_default())
        .field("dims", gst::Array::new(dims.iter().copied()))
        .field("data_buffer", glib::Variant::array_from_fixed_array(&bytes))
}

fn tensor_data(structure: &StructureRef) -> Result<Vec<f32>, ParamError> {
    let variant: glib::Variant = structure.get("data_buffer")?;
    let bytes: &[u8] =
        variant.fixed_array().map_err(|_| ParamError::Value("a tensor's data are not bytes"))?;
    let (numbers, rest) = bytes.as_chunks::<4>();
    if !rest.is_empty() {
        return Err(ParamError::Value("a tensor's data are not whole 32-bit floats"));
    }
    let numbers: Vec<f32> = numbers.iter().map(|number| f32::from_ne_bytes(*number)).collect();
    if numbers.iter().any(|number| !number.is_finite()) {
        return Err(ParamError::Value("a tensor holds numbers that are not finite"));
    }
    Ok(numbers)
}

macro_rules! figures {
    ($(#[$meta:meta])* $type:ident, $name:expr, $($(#[$field_meta:meta])* $field:ident),+) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, Default, PartialEq)]
        pub struct $type { $($(#[$field_meta])* pub $field: f64),+ }

        impl From<&$type> for Structure {
            fn from(figures: &$type) -> Self {
                Structure::builder($name)$(.field(stringify!($field), figures.$field))+.build()
            }
        }

        impl TryFrom<&StructureRef> for $type {
            type Error = ParamError;

            fn try_from(structure: &StructureRef) -> Result<Self, ParamError> {
                Ok(Self { $($field: structure.get(stringify!($field))?),+ })
            }
        }
    };
}

figures!(
    /// How good a face's picture is for recognition.
    QualityFigures, QUALITY,
    /// All of it in one figure, 0…1.
    score,
    /// Sharpness, 0…1.
    sharpness,
    /// Degrees the head is turned to the side.
    yaw,
    /// Degrees the head is raised or lowered.
    pitch,
    /// Degrees the head is tilted.
    roll,
    /// Mean brightness, 0…1.
    brightness,
    /// The shorter side of the face in pixels.
    size,
    /// The part of the face that lies within the frame, 0…1.
    visible,
    /// How sure the detector is of the face, 0…1.
    detector_score
);

impl From<&Quality> for QualityFigures {
    fn from(quality: &Quality) -> Self {
        Self {
            score: quality.score.into(),
            sharpness: quality.sharpness.into(),
            yaw: quality.yaw.into(),
            pitch: quality.pitch.into(),
            roll: quality.roll.into(),
            brightness: quality.brightness.into(),
            size: quality.size.into(),
            visible: quality.visible.into(),
            detector_score: quality.detector_score.into(),
        }
    }
}

/// Who a track was decided to be.
#[derive(Clone, Debug, PartialEq)]
pub struct Identity {
    /// The person's name, or `unknown`.
    pub label: String,
    /// Place of the person in the gallery, −1 for a stranger.
    pub label_id: i32,
    /// The gallery's id of the person; absent for a stranger.
    pub person_id: Option<String>,
    /// Cosine similarity to the person; for a stranger, to the nearest one.
    pub confidence: f64,
    /// Similarity minus that of the next most similar person.
    pub margin: f64,
    /// The embedder whose vectors were compared.
    pub model_name: String,
}

/// Label of a stranger.
pub const UNKNOWN: &str = "unknown";

impl From<&Identity> for Structure {
    fn from(identity: &Identity) -> Self {
        Structure::builder(IDENTITY)
            .field("label", &identity.label)
            .field("label_id", identity.label_id)
            .field_if_some("person_id", identity.person_id.as_deref())
            .field("confidence", identity.confidence)
            .field("margin", identity.margin)
            .field("model_name", &identity.model_name)
            .build()
    }
}

impl TryFrom<&StructureRef> for Identity {
    type Error = ParamError;

    fn try_from(structure: &StructureRef) -> Result<Self, ParamError> {
        Ok(Self {
            label: structure.get("label")?,
            label_id: structure.get("label_id")?,
            person_id: structure.get("person_id").ok(),
            confidence: structure.get("confidence")?,
            margin: structure.get("margin")?,
            model_name: structure.get("model_name")?,
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn an_embedding_has_the_layout_of_a_tensor() {
        gst::init().unwrap();
        let embedding = Embedding { vector: vec![0.6, -0.8], model_name: "sface".into() };
        let structure = Structure::from(&embedding);
        assert_eq!(structure.get::<i32>("precision").unwrap(), 10);
        let dims = structure.get::<gst::ArrayRef>("dims").unwrap();
        assert_eq!(dims.iter().map(|d| d.get::<u32>().unwrap()).collect::<Vec<_>>(), [1, 2]);
        assert_eq!(structure.get::<&str>("format").unwrap(), "cosine_distance");
        assert_eq!(Embedding::try_from(structure.as_ref()).unwrap(), embedding);
    }

    #[test]
    fn identities_of_known_and_stranger_survive() {
        gst::init().unwrap();
        let known = Identity {
            label: "Ada".into(),
            label_id: 2,
            person_id: Some("p2".into()),
            confidence: 0.71,
            margin: 0.2,
            model_name: "sface".into(),
        };
        let stranger = Identity { label: UNKNOWN.into(), label_id: -1, person_id: None, ..known.clone() };
        for identity in [known, stranger] {
            assert_eq!(Identity::try_from(Structure::from(&identity).as_ref()).unwrap(), identity);
        }
    }

    #[test]
    fn structures_of_another_form_are_refused() {
        gst::init().unwrap();
        let structure = Structure::builder(OBJECT_ID).field("id", -1).build();
        assert!(TrackId::try_from(structure.as_ref()).is_err());
        let odd = tensor(KEYPOINTS, &[3, 2], &[0.0; 6]).build();
        assert!(Keypoints::try_from(odd.as_ref()).is_err());
        let odd = tensor(EMBEDDING, &[1], &[f32::NAN]).build();
        assert!(Embedding::try_from(odd.as_ref()).is_err());
        assert!(Detection::try_from(Structure::new_empty(DETECTION).as_ref()).is_err());
    }
}
