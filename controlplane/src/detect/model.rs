//! Faces of a picture as clients see them.

use serde::Serialize;
use vedette_events::{BoundingBox, Gender};
use vedette_models::analyzer::AnalyzedFace;
use vedette_models::gallery::Match;

/// Answer of `POST /api/detect`.
#[derive(Clone, Debug, Serialize)]
pub(super) struct DetectAnswer {
    pub(super) width: u32,
    pub(super) height: u32,
    /// Decoding and inference, without the time spent waiting for its turn.
    pub(super) elapsed_ms: f64,
    pub(super) faces: Vec<FaceView>,
}

/// One face.
#[derive(Clone, Debug, Serialize)]
pub(super) struct FaceView {
    bounding_box: BoundingBox,
    confidence: f32,
    landmarks: Vec<PointView>,
    quality: f32,
    age: Option<f32>,
    gender: Option<Gender>,
    person: Option<PersonView>,
}

#[derive(Clone, Copy, Debug, Serialize)]
struct PointView {
    x: f32,
    y: f32,
}

/// Who it is.
#[derive(Clone, Debug, Serialize)]
pub(super) struct PersonView {
    id: String,
    name: String,
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
    /// A face of a picture of that size. This version estimates neither age nor gender.
    pub(super) fn new(face: &AnalyzedFace, (width, height): (u32, u32), person: Option<PersonView>) -> Self {
        let detected = &face.face;
        let landmarks = detected.landmarks.iter().map(|point| PointView { x: point.x, y: point.y }).collect();
        Self {
            bounding_box: clipped_box(face, width, height),
            confidence: detected.score,
            landmarks,
            quality: face.quality.score,
            age: None,
            gender: None,
            person,
        }
    }
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
#[derive(Clone, Copy, Debug, Serialize)]
pub(super) struct VerifyAnswer {
    pub(super) similarity: f32,
    pub(super) verified: bool,
    pub(super) threshold: f32,
}
