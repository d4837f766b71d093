//! Faces of a picture as clients see them.

use serde::Serialize;
use utoipa::openapi::{RefOr, Schema};
use utoipa::{PartialSchema, ToSchema};
use vedette_events::{BoundingBox, Gender};
use vedette_models::analyzer::AnalyzedFace;
use vedette_models::attributes::Attributes;
use vedette_models::gallery::Match;

use crate::openapi::{files, form};

/// The form of `POST /api/detect`.
pub(super) enum DetectUpload {}

impl ToSchema for DetectUpload {}

impl PartialSchema for DetectUpload {
    fn schema() -> RefOr<Schema> {
        form([("image", true, files("A picture (JPEG, PNG, WebP).", 1))])
    }
}

/// The form of `POST /api/verify`.
pub(super) enum VerifyUpload {}

impl ToSchema for VerifyUpload {}

impl PartialSchema for VerifyUpload {
    fn schema() -> RefOr<Schema> {
        form([
            ("image_a", true, files("A picture (JPEG, PNG, WebP) of one face.", 1)),
            ("image_b", true, files("Another one.", 1)),
        ])
    }
}

/// Answer of `POST /api/detect`.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = DetectedFaces)]
pub(super) struct DetectAnswer {
    pub(super) width: u32,
    pub(super) height: u32,
    /// Decoding and inference, without the time spent waiting for its turn.
    pub(super) elapsed_ms: f64,
    pub(super) faces: Vec<FaceView>,
}

/// One face.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = DetectedFace, examples(json!({
    "bounding_box": { "x": 312, "y": 96, "width": 128, "height": 156 }, "confidence": 0.93,
    "landmarks": [
        { "x": 345.2, "y": 151.0 }, { "x": 402.8, "y": 150.1 }, { "x": 375.0, "y": 185.4 },
        { "x": 350.9, "y": 212.7 }, { "x": 399.0, "y": 211.9 }
    ],
    "quality": 0.81, "age": null, "gender": null,
    "person": { "id": "01920000-0000-7000-8000-000000000003", "name": "Ada Lovelace", "similarity": 0.71 }
})))]
pub(super) struct FaceView {
    bounding_box: BoundingBox,
    /// The detector's score.
    #[schema(minimum = 0, maximum = 1)]
    confidence: f32,
    /// Left eye, right eye, nose, left and right corner of the mouth, as the beholder sees them.
    #[schema(min_items = 5, max_items = 5)]
    landmarks: Vec<PointView>,
    #[schema(minimum = 0, maximum = 1)]
    quality: f32,
    /// Years.
    #[schema(required)]
    age: Option<f32>,
    #[schema(required)]
    gender: Option<Gender>,
    #[schema(required)]
    person: Option<PersonView>,
}

/// A place in the picture, in pixels.
#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
#[schema(as = Point)]
struct PointView {
    x: f32,
    y: f32,
}

/// Who it is.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = RecognisedPerson)]
pub(super) struct PersonView {
    #[schema(value_type = Uuid)]
    id: String,
    name: String,
    /// Cosine of the angle between the two faces' embeddings.
    #[schema(minimum = -1, maximum = 1)]
    similarity: f32,
}

impl From<Match<'_>> for PersonView {
    fn from(found: Match<'_>) -> Self {
        Self {
            id: found.person.id.to_string(),
            name: found.person.name.to_string(),
            similarity: found.similarity,
        }
    }
}

impl FaceView {
    /// A face of a picture of that size.
    pub(super) fn new(face: &AnalyzedFace, (width, height): (u32, u32), person: Option<PersonView>) -> Self {
        let detected = &face.face;
        let landmarks = detected.landmarks.iter().map(|point| PointView { x: point.x, y: point.y }).collect();
        Self {
            bounding_box: clipped_box(face, width, height),
            confidence: detected.score,
            landmarks,
            quality: face.quality.score,
            age: face.attributes.map(|seen| seen.age_years.round()),
            gender: face.attributes.map(|seen| apparent_gender(&seen)),
            person,
        }
    }
}

fn apparent_gender(attributes: &Attributes) -> Gender {
    if attributes.is_female() { Gender::Female } else { Gender::Male }
}

/// The box in whole pixels, inside the picture, at least one pixel large.
fn clipped_box(face: &AnalyzedFace, width: u32, height: u32) -> BoundingBox {
    let rect = face.face.rect;
    let clip = |start: f32, end: f32, limit: u32| {
        // `as` cuts off at 0 and at the largest number.
        let start = (start.round() as u32).min(limit.saturating_sub(1));
        let end = (end.round() as u32).clamp(start + 1, limit.max(start + 1));
        (start, end - start)
    };
    let (x, box_width) = clip(rect.x, rect.right(), width);
    let (y, box_height) = clip(rect.y, rect.bottom(), height);
    BoundingBox { x, y, width: box_width, height: box_height }
}

/// Answer of `POST /api/verify`.
#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
#[schema(as = Verification, examples(json!({ "similarity": 0.71, "verified": true, "threshold": 0.4 })))]
pub(super) struct VerifyAnswer {
    #[schema(minimum = -1, maximum = 1)]
    pub(super) similarity: f32,
    /// Whether it is one person.
    pub(super) verified: bool,
    /// Similarity from which it is.
    pub(super) threshold: f32,
}
