//! What is in a picture.

use std::time::Instant;

use vedette_models::ModelError;
use vedette_models::analyzer::{AnalyzedFace, Analyzer};
use vedette_models::embed::Embedding;
use vedette_models::gallery::Gallery;
use vedette_models::photo::{Photo, PhotoError};

use super::model::{DetectAnswer, FaceView, PersonView, VerifyAnswer};
use crate::error::ApiError;
use crate::state::State;
use crate::vision::RecognitionRules;

/// The faces of a picture and who they are.
pub(super) async fn detect(state: &State, image: Vec<u8>) -> Result<DetectAnswer, ApiError> {
    let gallery = state.gallery.current(&state.db).await?;
    let looked = look(state, image).await??;
    let size = (looked.width, looked.height);
    let view = |face: &AnalyzedFace| {
        let person = identify(&gallery.index, &face.embedding, state.vision.rules());
        FaceView::new(face, size, person)
    };
    Ok(DetectAnswer {
        width: looked.width,
        height: looked.height,
        elapsed_ms: looked.elapsed_ms,
        faces: looked.faces.iter().map(view).collect(),
    })
}

/// Whether the largest faces of two pictures are one person's.
pub(super) async fn verify(
    state: &State,
    image_a: Vec<u8>,
    image_b: Vec<u8>,
) -> Result<VerifyAnswer, ApiError> {
    let a = largest_face(state, "image_a", image_a).await?;
    let b = largest_face(state, "image_b", image_b).await?;
    let similarity = a.cosine(&b);
    let threshold = state.vision.rules().threshold;
    Ok(VerifyAnswer { similarity, verified: similarity >= threshold, threshold })
}

async fn largest_face(state: &State, field: &str, image: Vec<u8>) -> Result<Embedding, ApiError> {
    let looked = look(state, image).await?.map_err(|error| in_field(field, &error))?;
    let area = |face: &AnalyzedFace| face.face.rect.area();
    let largest = looked.faces.into_iter().max_by(|a, b| area(a).total_cmp(&area(b)));
    let largest = largest.ok_or_else(|| ApiError::face_detection(format!("no face found in `{field}`")))?;
    Ok(largest.embedding)
}

/// The error about one of several pictures.
fn in_field(field: &str, error: &ApiError) -> ApiError {
    ApiError::new(error.kind(), format!("{field}: {}", error.message()))
}

/// What was found in a picture.
struct Looked {
    width: u32,
    height: u32,
    elapsed_ms: f64,
    faces: Vec<AnalyzedFace>,
}

/// Decodes and analyses a picture; the inner error is about the picture.
async fn look(state: &State, image: Vec<u8>) -> Result<Result<Looked, ApiError>, ApiError> {
    let work = move |analyzer: &Analyzer| {
        let started = Instant::now();
        let photo = match Photo::decode(&image) {
            Ok(photo) => photo,
            Err(error) => return Ok(Err(error)),
        };
        let faces = analyzer.analyze(&photo)?;
        let view = photo.view();
        let elapsed_ms = started.elapsed().as_secs_f64() * 1000.0;
        Ok::<_, ModelError>(Ok(Looked { width: view.width(), height: view.height(), elapsed_ms, faces }))
    };
    let looked = state.vision.run(work).await?.map_err(crate::vision::VisionError::from)?;
    Ok(looked.map_err(|error: PhotoError| picture_error(&error)))
}

/// What to answer about a picture that cannot be read.
fn picture_error(error: &PhotoError) -> ApiError {
    let message = error.to_string();
    match error {
        PhotoError::Empty | PhotoError::Corrupt { .. } => ApiError::file_processing(message),
        PhotoError::Unsupported => ApiError::unsupported_media(message),
        PhotoError::TooLarge { .. } => ApiError::too_large(message),
    }
}

/// Whom a face shows. A picture gets no second look, so the runner-up must be clearly behind, as for a track.
fn identify(gallery: &Gallery, embedding: &Embedding, rules: &RecognitionRules) -> Option<PersonView> {
    let found = gallery.best(embedding.as_slice(), 2);
    let best = *found.first()?;
    let runner_up = found.get(1).map_or(-1.0, |second| second.similarity);
    let is_clear = best.similarity >= rules.threshold && best.similarity - runner_up >= rules.margin;
    is_clear.then(|| best.into())
}
