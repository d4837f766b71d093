//! One photo on its way to a template: decoded, looked at, judged, and made fit to keep.

use vedette_models::ModelError;
use vedette_models::analyzer::Analyzer;
use vedette_models::embed::Embedding;
use vedette_models::image::ImageError;
use vedette_models::photo::Photo;

use super::sample::{self, Refusal};

/// Longest side of a kept photo: enough to look at and to make a template from again.
const MAX_KEPT_SIDE_PX: u32 = 1600;
/// JPEG quality of a kept photo.
const KEPT_JPEG_QUALITY: u8 = 90;

/// What was found out about a photo.
#[derive(Debug)]
pub(crate) struct Examined {
    /// Quality of the main face, if there is one.
    pub(crate) quality: Option<f32>,
    /// The embedding of the main face, or why it cannot be used.
    pub(crate) outcome: Result<Embedding, Refusal>,
    /// The photo, if it could be read.
    pub(crate) photo: Option<Photo>,
}

/// Looks at a photo. Blocks for as long as inference takes.
///
/// # Errors
/// When a model fails; that the photo is of no use is no error.
pub(crate) fn examine(analyzer: &Analyzer, bytes: &[u8], min_quality: f32) -> Result<Examined, ModelError> {
    let photo = match Photo::decode(bytes) {
        Ok(photo) => photo,
        Err(error) => {
            let refusal = Refusal::from(&error);
            return Ok(Examined { quality: None, outcome: Err(refusal), photo: None });
        }
    };
    let faces = analyzer.analyze(&photo)?;
    let main_face = sample::main_face(&faces);
    let quality = main_face.as_ref().ok().map(|face| face.quality.score);
    let outcome = main_face.and_then(|face| {
        sample::check(face, min_quality)?;
        Ok(face.embedding.clone())
    });
    Ok(Examined { quality, outcome, photo: Some(photo) })
}

/// The photo as it is kept: upright, of bearable size, and without the place and camera that its metadata told.
///
/// # Errors
/// When it cannot be encoded.
pub(crate) fn to_kept_jpeg(photo: &Photo) -> Result<Vec<u8>, ImageError> {
    let view = photo.view();
    let (width, height) = fit(view.width(), view.height(), MAX_KEPT_SIDE_PX);
    view.crop_rgb(view.bounds(), width, height).to_jpeg(KEPT_JPEG_QUALITY)
}

/// The size of a picture scaled down, never up, so that its longest side is at most `longest`.
fn fit(width: u32, height: u32, longest: u32) -> (u32, u32) {
    let side = width.max(height);
    if side <= longest {
        return (width, height);
    }
    let scale = |length: u32| {
        let scaled = u64::from(length) * u64::from(longest) / u64::from(side);
        u32::try_from(scaled).unwrap_or(longest).max(1)
    };
    (scale(width), scale(height))
}

#[cfg(test)]
mod tests {
    use super::fit;

    #[test]
    fn pictures_shrink_but_never_grow() {
        assert_eq!(fit(800, 600, 1600), (800, 600));
        assert_eq!(fit(3200, 1600, 1600), (1600, 800));
        assert_eq!(fit(1, 30_000, 1600), (1, 1600));
    }
}
