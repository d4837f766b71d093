//! The threshold for a wanted false-positive rate, from photos of the people who are to be recognised; or why so few photos
//! cannot tell it.

use std::fmt;

use super::EvaluationError;
use super::identification::{Identification, Protocol, SearchPoint};
use super::rate::trials_for;
use crate::embed::Embedding;

/// Strangers wrongly named that a threshold has to rest on: with none among n, the true rate may still be 3/n (the rule of
/// three), so that fewer would let chance decide.
const LEAST_FALSE_POSITIVES: usize = 3;
/// Photos of one person are alike: fewer people say nothing about the next one.
const LEAST_PEOPLE: usize = 10;
/// Photos of somebody enrolled, without which the price of the threshold is not known.
const LEAST_MATED_PHOTOS: usize = 10;
/// Settings are read and changed by people: a threshold has three decimals.
const THRESHOLD_STEPS: f32 = 1000.0;

/// A threshold and what it rests on.
#[derive(Debug, Clone, PartialEq)]
pub struct Proposal {
    /// The threshold, rounded up, and what it does.
    pub point: SearchPoint,
    /// The measurement, for other thresholds.
    pub measured: Identification,
}

/// What there is too little of, and how much would do.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Shortage {
    /// The rate that was wanted.
    pub fpir: f64,
    /// People with a usable photo, and how many it takes.
    pub people: (usize, usize),
    /// Usable photos, and how many it takes.
    pub photos: (usize, usize),
    /// Photos of people who have others besides, and how many it takes.
    pub mated_photos: (usize, usize),
}

impl fmt::Display for Shortage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { fpir, people, photos, mated_photos } = self;
        write!(f, "too few photos to tell a threshold for a false-positive rate of {fpir}:")?;
        let parts =
            [(people, "people"), (photos, "usable photos"), (mated_photos, "photos of people with several")];
        let mut separator = " ";
        for ((there, needed), what) in parts {
            if there < needed {
                write!(f, "{separator}{what} {there} ({needed} would do)")?;
                separator = ", ";
            }
        }
        if photos.0 < photos.1 && people.0 >= people.1 && mated_photos.0 >= mated_photos.1 {
            // Rounded up, so that it does what it promises.
            let possible = (LEAST_FALSE_POSITIVES as f64 / photos.0 as f64 * 10_000.0).ceil() / 10_000.0;
            write!(f, "; or be content with a rate of {possible}")?;
        }
        Ok(())
    }
}

/// Proposes the lowest threshold, in steps of a thousandth, that names at most the share `fpir` of strangers.
///
/// # Errors
/// When `fpir` is no share, people or photos are too few, or nothing keeps people apart.
pub fn propose(
    people: &[Vec<Embedding>],
    protocol: &Protocol,
    fpir: f64,
) -> Result<Proposal, EvaluationError> {
    if !(fpir > 0.0 && fpir < 1.0) {
        let name = "the false-positive rate";
        return Err(EvaluationError::OutOfRange { name, range: "between 0 and 1", value: fpir });
    }
    let counts = || people.iter().map(Vec::len).filter(|photos| *photos > 0);
    let shortage = Shortage {
        fpir,
        people: (counts().count(), LEAST_PEOPLE),
        photos: (counts().sum(), trials_for(fpir, LEAST_FALSE_POSITIVES)),
        mated_photos: (counts().filter(|photos| *photos > 1).sum(), LEAST_MATED_PHOTOS),
    };
    let is_short = |(there, needed): (usize, usize)| there < needed;
    if is_short(shortage.people) || is_short(shortage.photos) || is_short(shortage.mated_photos) {
        return Err(EvaluationError::TooLittle(shortage));
    }
    let measured = Identification::measure(people, protocol)?;
    let exact = measured.at_fpir(fpir).ok_or(EvaluationError::TooLittle(shortage))?;
    let mut threshold = (exact.threshold * THRESHOLD_STEPS).ceil() / THRESHOLD_STEPS;
    if threshold < exact.threshold {
        // The division may round down what was rounded up.
        threshold += 1.0 / THRESHOLD_STEPS;
    }
    if threshold > 1.0 {
        return Err(EvaluationError::Inseparable { fpir });
    }
    Ok(Proposal { point: measured.at(threshold), measured })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    const PROTOCOL: Protocol =
        Protocol { folds: 10, gallery_people: None, templates_per_person: usize::MAX, margin: 0.0 };

    /// People on axes of their own; each photo leans by `lean` towards the axis of the next one.
    fn people(count: usize, photos: usize, lean: f32) -> Vec<Vec<Embedding>> {
        let photo = |person: usize| {
            let mut vector = vec![0.0; count];
            vector[person] = 1.0;
            vector[(person + 1) % count] = lean;
            Embedding::from_vector(&vector).unwrap()
        };
        (0..count).map(|person| vec![photo(person); photos]).collect()
    }

    #[test]
    fn the_threshold_lies_just_above_the_strangers() {
        // Neighbours have the cosine 0.5 / 1.25 = 0.4.
        let proposal = propose(&people(10, 10, 0.5), &PROTOCOL, 0.05).unwrap();
        let SearchPoint { threshold, false_positive_rate, false_negative_rate, .. } = proposal.point;
        assert!((0.4..=0.4011).contains(&threshold), "{threshold}");
        assert_eq!((false_positive_rate.value, false_negative_rate.value), (0.0, 0.0));
        assert_eq!(false_positive_rate.trials, 100);
        let digits = threshold.to_string();
        assert!(digits.len() <= 5, "{digits} is what a person would write");
    }

    #[test]
    fn too_little_is_refused_with_what_would_do() {
        let refused =
            |people: &[Vec<Embedding>], fpir| propose(people, &PROTOCOL, fpir).unwrap_err().to_string();
        let told = refused(&people(10, 10, 0.5), 0.01);
        let expected = "too few photos to tell a threshold for a false-positive rate of 0.01: usable photos 100 \
                        (300 would do); or be content with a rate of 0.03";
        assert_eq!(told, expected);
        assert!(propose(&people(10, 10, 0.5), &PROTOCOL, 0.03).is_ok(), "what it says would do does");
        let told = refused(&people(3, 100, 0.5), 0.01);
        assert!(told.contains("people 3 (10 would do)") && !told.contains("content"), "{told}");
        let told = refused(&people(60, 1, 0.5), 0.1);
        assert!(told.contains("photos of people with several 0 (10 would do)"), "{told}");
        assert!(refused(&[], 0.01).contains("people 0 (10"));
    }

    #[test]
    fn rates_that_are_none_are_refused() {
        for fpir in [0.0, 1.0, -0.1, f64::NAN] {
            let told = propose(&people(10, 10, 0.5), &PROTOCOL, fpir).unwrap_err().to_string();
            assert!(told.contains("between 0 and 1"), "{told}");
        }
    }

    #[test]
    fn somebody_who_is_there_under_many_names_is_suspected() {
        let same = vec![vec![Embedding::from_vector(&[1.0, 0.0]).unwrap(); 10]; 10];
        let told = propose(&same, &PROTOCOL, 0.05).unwrap_err();
        assert_eq!(told, EvaluationError::Inseparable { fpir: 0.05 });
    }
}
