//! How well faces are recognised, in the figures the field compares systems by: [`verification`] (one photo against
//! another: ROC, TAR at FAR, EER), [`identification`] (a photo against a gallery, with strangers among those who come:
//! FNIR at FPIR) and [`calibration`] (the threshold for a wanted FPIR). Pure arithmetic on embeddings; terms as in
//! ISO/IEC 19795-1.

pub mod calibration;
pub mod identification;
pub mod rate;
pub mod verification;

pub use calibration::{Proposal, propose};
pub use identification::{Identification, Protocol, SearchPoint};
pub use rate::Rate;
pub use verification::{EqualError, OperatingPoint, Verification};

use crate::gallery::GalleryError;

/// Photos whose pairs are still held in memory: 200 million scores, 800 MB.
pub const MAX_PHOTOS: usize = 20_000;

/// Why something cannot be measured.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum EvaluationError {
    /// No two photos of one person.
    #[error("there are no two usable photos of one person: add more photos of the same people")]
    NothingGenuine,
    /// No two photos of different people.
    #[error("there are no usable photos of two different people: add more people")]
    NothingOfOthers,
    /// More than memory is good for.
    #[error("{photos} photos are too many to compare them all with each other: take at most {MAX_PHOTOS}")]
    TooManyPhotos {
        /// How many there are.
        photos: usize,
    },
    /// A number that cannot be what it is meant to be.
    #[error("{name} must be {range}, not {value}")]
    OutOfRange {
        /// What.
        name: &'static str,
        /// What it may be.
        range: &'static str,
        /// What it was.
        value: f64,
    },
    /// Embeddings that do not belong together.
    #[error(transparent)]
    Gallery(#[from] GalleryError),
    /// A score that is no number.
    #[error("a similarity is not a number: the model gave an unusable embedding")]
    NotANumber,
    /// A threshold cannot be told from so little.
    #[error("{0}")]
    TooLittle(calibration::Shortage),
    /// Even the highest threshold lets too many strangers through.
    #[error(
        "no threshold keeps the false-positive rate at {fpir}: photos of different people are as good as identical; \
         look for somebody who is there twice under two names"
    )]
    Inseparable {
        /// The rate that was wanted.
        fpir: f64,
    },
}

/// How many of `scores`, which are sorted from high to low, reach a threshold.
fn reaching(scores: &[f32], threshold: f32) -> usize {
    scores.partition_point(|score| *score >= threshold)
}

/// Sorts scores from high to low.
fn sort(scores: &mut [f32]) {
    scores.sort_unstable_by(|a, b| b.total_cmp(a));
}
