//! Which photos may enrol someone, and what to say about those that may not. Pure.
//!
//! A bad template is worse than none: it makes strangers look like the person. Every refusal therefore says
//! what to do better, because whoever reads it stands there with a camera in hand.

use thiserror::Error;
use vedette_models::analyzer::AnalyzedFace;
use vedette_models::embed::Embedding;
use vedette_models::photo::PhotoError;
use vedette_models::quality::QualityIssue;

/// The main face is clear if every other one has at most this part of its area.
const BYSTANDER_AREA: f32 = 0.25;

/// Why a photo cannot be used.
#[derive(Clone, Debug, PartialEq, Error)]
pub(crate) enum Refusal {
    /// The file is no picture, or not a whole one.
    #[error("{0}")]
    Unreadable(String),
    /// Nobody in it.
    #[error("no face found; use a sharp photo that shows the whole face from the front")]
    NoFace,
    /// Somebody else in it, as large.
    #[error("{count} faces of similar size; crop the photo so that it shows only this person")]
    SeveralFaces {
        /// How many.
        count: usize,
    },
    /// The face is not good enough.
    #[error("{}; {} (quality {quality:.2}, at least {needed:.2} is needed)", issue.message(), advice(*issue))]
    Poor {
        /// What speaks most against it.
        issue: QualityIssue,
        /// Quality of the face.
        quality: f32,
        /// What is asked for.
        needed: f32,
    },
    /// Nothing in particular, but all of it taken together.
    #[error(
        "the quality is {quality:.2}, at least {needed:.2} is needed; use a sharper, better lit, frontal photo"
    )]
    LowQuality {
        /// Quality of the face.
        quality: f32,
        /// What is asked for.
        needed: f32,
    },
    /// Not who the other photos show.
    #[error("this seems to be another person than in the other photos (similarity {similarity:.2})")]
    OtherPerson {
        /// Similarity to the most similar of the others.
        similarity: f32,
    },
}

impl From<&PhotoError> for Refusal {
    fn from(error: &PhotoError) -> Self {
        Self::Unreadable(error.to_string())
    }
}

/// The one face a photo is about.
pub(crate) fn main_face(faces: &[AnalyzedFace]) -> Result<&AnalyzedFace, Refusal> {
    let area = |face: &AnalyzedFace| face.face.rect.area();
    let largest = faces.iter().max_by(|a, b| area(a).total_cmp(&area(b))).ok_or(Refusal::NoFace)?;
    let rivals = faces.iter().filter(|face| area(face) > BYSTANDER_AREA * area(largest)).count();
    if rivals > 1 { Err(Refusal::SeveralFaces { count: rivals }) } else { Ok(largest) }
}

/// Whether a face is good enough to recognise someone by.
pub(crate) fn check(face: &AnalyzedFace, needed: f32) -> Result<(), Refusal> {
    let quality = face.quality.score;
    if quality >= needed {
        return Ok(());
    }
    Err(match face.issue {
        Some(issue) => Refusal::Poor { issue, quality, needed },
        None => Refusal::LowQuality { quality, needed },
    })
}

/// What to do about an issue.
fn advice(issue: QualityIssue) -> &'static str {
    match issue {
        QualityIssue::Small => "fill a good part of the picture with the face",
        QualityIssue::Blurred => "hold the camera still and focus on the face",
        QualityIssue::Turned => "look straight into the camera",
        QualityIssue::Dark => "put light on the face",
        QualityIssue::Bright => "avoid glaring light",
        QualityIssue::CutOff => "show the whole face",
        QualityIssue::Unclear => "take off what covers the face",
    }
}

/// Which of `embeddings` show the person most of them show; a refusal for each of the others.
///
/// Photos belong together when a chain of similar ones links them: two poses that differ much are still
/// linked by a third between them. Of groups of one size, the one with the earliest photo counts.
pub(crate) fn agree(embeddings: &[&Embedding], threshold: f32) -> Vec<Result<(), Refusal>> {
    let groups = groups(embeddings, threshold);
    let size = |group: usize| groups.iter().filter(|other| **other == group).count();
    // The last of equal maxima is taken, so go backwards for the earliest photo.
    let Some(main) = groups.iter().copied().rev().max_by_key(|group| size(*group)) else { return Vec::new() };
    let similarity_to_main = |embedding: &Embedding| {
        let members = embeddings.iter().zip(&groups).filter(|(_, group)| **group == main);
        members.map(|(member, _)| member.cosine(embedding)).fold(-1.0, f32::max)
    };
    let judge = |(embedding, group): (&&Embedding, &usize)| {
        if *group == main {
            return Ok(());
        }
        Err(Refusal::OtherPerson { similarity: similarity_to_main(embedding) })
    };
    embeddings.iter().zip(&groups).map(judge).collect()
}

/// For each embedding, the smallest index of those it is linked to.
fn groups(embeddings: &[&Embedding], threshold: f32) -> Vec<usize> {
    let mut groups: Vec<usize> = (0..embeddings.len()).collect();
    for (index, embedding) in embeddings.iter().enumerate() {
        for earlier in 0..index {
            if embeddings[earlier].cosine(embedding) < threshold || groups[earlier] == groups[index] {
                continue;
            }
            let (kept, merged) = (groups[earlier].min(groups[index]), groups[earlier].max(groups[index]));
            groups.iter_mut().filter(|group| **group == merged).for_each(|group| *group = kept);
        }
    }
    groups
}

/// One embedding that stands for several of one person; `None` if there are none.
pub(crate) fn fuse(embeddings: &[&Embedding]) -> Option<Embedding> {
    let mut sum = vec![0.0; embeddings.first()?.dimension()];
    for embedding in embeddings {
        sum.iter_mut().zip(embedding.as_slice()).for_each(|(sum, value)| *sum += value);
    }
    Embedding::from_vector(&sum)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;
    use vedette_models::detect::DetectedFace;
    use vedette_models::geometry::{Point, Rect};
    use vedette_models::quality::Quality;

    fn embedding(degrees: f32) -> Embedding {
        Embedding::from_vector(&[degrees.to_radians().cos(), degrees.to_radians().sin()]).unwrap()
    }

    fn face(width: f32) -> AnalyzedFace {
        AnalyzedFace {
            face: DetectedFace {
                rect: Rect::new(0.0, 0.0, width, width),
                landmarks: [Point::default(); 5],
                score: 0.9,
            },
            quality: Quality { score: 0.8, ..Quality::default() },
            issue: None,
            embedding: embedding(0.0),
            attributes: None,
        }
    }

    #[test]
    fn a_photo_has_one_main_face() {
        assert_eq!(main_face(&[]).unwrap_err(), Refusal::NoFace);
        let (large, small) = (face(200.0), face(90.0));
        assert_eq!(main_face(&[small.clone(), large.clone()]).unwrap().face.rect.width, 200.0);
        let error = main_face(&[large.clone(), face(110.0), small]).unwrap_err();
        assert_eq!(error, Refusal::SeveralFaces { count: 2 });
    }

    #[test]
    fn a_poor_face_is_refused_with_its_defect() {
        let mut face = face(100.0);
        face.issue = Some(QualityIssue::Turned);
        assert_eq!(check(&face, 0.5), Ok(()), "what does no harm is no reason");
        face.quality.score = 0.4;
        let refusal = check(&face, 0.5).unwrap_err();
        assert_eq!(refusal, Refusal::Poor { issue: QualityIssue::Turned, quality: 0.4, needed: 0.5 });
        assert!(refusal.to_string().contains("straight into the camera"), "{refusal}");
        face.issue = None;
        assert_eq!(check(&face, 0.5), Err(Refusal::LowQuality { quality: 0.4, needed: 0.5 }));
    }

    #[test]
    fn the_odd_one_out_is_refused() {
        let photos = [embedding(0.0), embedding(90.0), embedding(30.0), embedding(60.0)];
        let verdicts = agree(&photos.each_ref(), 0.8);
        assert!(verdicts.iter().all(Result::is_ok), "a chain links them all");

        let photos = [embedding(180.0), embedding(0.0), embedding(10.0)];
        let verdicts = agree(&photos.each_ref(), 0.8);
        let accepted: Vec<bool> = verdicts.iter().map(Result::is_ok).collect();
        assert_eq!(accepted, [false, true, true]);

        let photos = [embedding(0.0), embedding(180.0)];
        let accepted: Vec<bool> = agree(&photos.each_ref(), 0.8).iter().map(Result::is_ok).collect();
        assert_eq!(accepted, [true, false], "of equals the first counts");
        assert!(agree(&[], 0.8).is_empty());
    }

    #[test]
    fn several_embeddings_are_fused_into_their_middle() {
        let (left, right) = (embedding(0.0), embedding(60.0));
        let fused = fuse(&[&left, &right]).unwrap();
        assert!(fused.cosine(&embedding(30.0)) > 0.999);
        assert_eq!(fuse(&[]), None);
    }
}
