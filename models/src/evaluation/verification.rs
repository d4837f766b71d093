//! One photo against another: are they the same person? From the similarities of pairs that are (genuine) and pairs
//! that are not (impostor).
//!
//! A pair is accepted when its similarity reaches the threshold, as everywhere in Vedette. Equal similarities are
//! accepted or refused together, so that a figure never rests on how ties were sorted.

use serde::Serialize;

use super::rate::{Rate, allowed_errors};
use super::{EvaluationError, MAX_PHOTOS, reaching, sort};
use crate::embed::Embedding;

/// Points a curve is drawn with at most, beyond which it only gets longer.
const MAX_CURVE_POINTS: usize = 400;
/// No similarity is lower.
const LEAST_SIMILARITY: f32 = -1.0;

/// The similarities of all pairs.
#[derive(Debug, Clone, PartialEq)]
pub struct Verification {
    /// Of one person, from high to low.
    genuine: Vec<f32>,
    /// Of two people, from high to low.
    impostor: Vec<f32>,
}

/// What a threshold does.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct OperatingPoint {
    /// The least cosine similarity that is accepted.
    pub threshold: f32,
    /// FAR: the share of pairs of two people that are accepted.
    pub false_accept_rate: Rate,
    /// TAR: the share of pairs of one person that are accepted.
    pub true_accept_rate: Rate,
}

/// Where as many are refused wrongly as accepted wrongly.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct EqualError {
    /// The rate of both. Its interval rests on the smaller of the two kinds of pairs.
    pub rate: Rate,
    /// The threshold nearest to it.
    pub threshold: f32,
}

/// A corner of the ROC.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct RocPoint {
    /// The threshold.
    pub threshold: f32,
    /// FAR.
    pub false_accept_rate: f64,
    /// TAR.
    pub true_accept_rate: f64,
}

impl Verification {
    /// From the similarities of pairs, in any order.
    ///
    /// # Errors
    /// When one kind is missing or a similarity is not finite.
    pub fn of_pairs(mut genuine: Vec<f32>, mut impostor: Vec<f32>) -> Result<Self, EvaluationError> {
        if genuine.is_empty() {
            return Err(EvaluationError::NothingGenuine);
        }
        if impostor.is_empty() {
            return Err(EvaluationError::NothingOfOthers);
        }
        if !genuine.iter().chain(&impostor).all(|score| score.is_finite()) {
            return Err(EvaluationError::NotANumber);
        }
        sort(&mut genuine);
        sort(&mut impostor);
        Ok(Self { genuine, impostor })
    }

    /// Every pair of the photos of `people`, who are all different.
    ///
    /// # Errors
    /// As [`Self::of_pairs`], and with more than [`MAX_PHOTOS`] photos.
    pub fn of_people(people: &[Vec<Embedding>]) -> Result<Self, EvaluationError> {
        let photos: usize = people.iter().map(Vec::len).sum();
        if photos > MAX_PHOTOS {
            return Err(EvaluationError::TooManyPhotos { photos });
        }
        let pairs_of = |photos: usize| photos * photos.saturating_sub(1) / 2;
        let genuine_pairs: usize = people.iter().map(|photos| pairs_of(photos.len())).sum();
        let mut genuine = Vec::with_capacity(genuine_pairs);
        let mut impostor = Vec::with_capacity(pairs_of(photos) - genuine_pairs);
        for (index, person) in people.iter().enumerate() {
            for (at, photo) in person.iter().enumerate() {
                genuine.extend(person[at + 1..].iter().map(|other| photo.cosine(other)));
                impostor.extend(people[index + 1..].iter().flatten().map(|other| photo.cosine(other)));
            }
        }
        Self::of_pairs(genuine, impostor)
    }

    /// Pairs of one person.
    pub fn genuine_pairs(&self) -> usize {
        self.genuine.len()
    }

    /// Pairs of two people.
    pub fn impostor_pairs(&self) -> usize {
        self.impostor.len()
    }

    /// What a threshold does.
    pub fn at(&self, threshold: f32) -> OperatingPoint {
        let rate = |scores: &[f32]| Rate::of(reaching(scores, threshold), scores.len());
        OperatingPoint {
            threshold,
            false_accept_rate: rate(&self.impostor),
            true_accept_rate: rate(&self.genuine),
        }
    }

    /// The lowest threshold whose FAR is at most `far`; nothing if the pairs of two people are too few to show
    /// that rate, which takes at least one in it.
    pub fn at_far(&self, far: f64) -> Option<OperatingPoint> {
        Some(self.at(self.threshold_for(allowed_errors(far, self.impostor.len())?)))
    }

    /// The lowest threshold that at most so many pairs of two people reach.
    fn threshold_for(&self, false_accepts: usize) -> f32 {
        self.impostor.get(false_accepts).map_or(LEAST_SIMILARITY, |refused| refused.next_up())
    }

    /// Where FAR and FRR meet, on the straight line between the two thresholds that the meeting lies between.
    pub fn equal_error(&self) -> EqualError {
        let frr_less_far = |(genuine, impostor): (usize, usize)| {
            let accepted = genuine as f64 / self.genuine.len() as f64;
            (1.0 - accepted) - self.far(impostor)
        };
        let trials = self.genuine.len().min(self.impostor.len());
        let mut before = (0, 0);
        let mut last_threshold = 1.0;
        loop {
            let (genuine, impostor) = before;
            let next = match (self.genuine.get(genuine), self.impostor.get(impostor)) {
                (Some(a), Some(b)) => a.max(*b),
                (Some(score), None) | (None, Some(score)) => *score,
                // Everything is accepted: the FAR is 1 and the FRR 0, so that they have met before.
                (None, None) => {
                    return EqualError { rate: Rate::estimated(1.0, trials), threshold: last_threshold };
                }
            };
            let after = (
                genuine + self.genuine[genuine..].partition_point(|score| *score >= next),
                impostor + self.impostor[impostor..].partition_point(|score| *score >= next),
            );
            let (gap_before, gap_after) = (frr_less_far(before), frr_less_far(after));
            if gap_after <= 0.0 {
                let share = gap_before / (gap_before - gap_after);
                let (far_before, far_after) = (self.far(before.1), self.far(after.1));
                let rate = far_before + share * (far_after - far_before);
                let threshold = if share < 0.5 { last_threshold } else { next };
                return EqualError { rate: Rate::estimated(rate, trials), threshold };
            }
            (before, last_threshold) = (after, next);
        }
    }

    fn far(&self, false_accepts: usize) -> f64 {
        false_accepts as f64 / self.impostor.len() as f64
    }

    /// The ROC from the strictest threshold to the laxest: for each FAR, the highest TAR. Of long ones, a few hundred points
    /// that are evenly spread over a logarithmic FAR.
    pub fn roc(&self) -> Vec<RocPoint> {
        let total = self.impostor.len();
        let growth = (total as f64).powf(1.0 / MAX_CURVE_POINTS as f64);
        let mut curve: Vec<RocPoint> = Vec::with_capacity(MAX_CURVE_POINTS.min(total + 1) + 1);
        let mut false_accepts = 0;
        loop {
            let threshold = self.threshold_for(false_accepts);
            let point = RocPoint {
                threshold,
                false_accept_rate: self.far(reaching(&self.impostor, threshold)),
                true_accept_rate: reaching(&self.genuine, threshold) as f64 / self.genuine.len() as f64,
            };
            // Ties are accepted together, so that some counts do not occur.
            if curve.last().is_none_or(|last| last.threshold > threshold) {
                curve.push(point);
            }
            if false_accepts >= total {
                return curve;
            }
            let next = (false_accepts as f64 * growth).ceil() as usize;
            false_accepts = if total <= MAX_CURVE_POINTS { false_accepts + 1 } else { next.clamp(1, total) };
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn pairs(genuine: &[f32], impostor: &[f32]) -> Verification {
        Verification::of_pairs(genuine.to_vec(), impostor.to_vec()).unwrap()
    }

    fn tar(verification: &Verification, far: f64) -> f64 {
        verification.at_far(far).unwrap().true_accept_rate.value
    }

    #[test]
    fn perfect_separation_makes_no_error() {
        let perfect = pairs(&[0.8, 0.9, 0.7], &[0.1, 0.3, 0.2, 0.0]);
        assert_eq!(perfect.equal_error().rate.value, 0.0);
        assert_eq!(perfect.equal_error().threshold, 0.7);
        let point = perfect.at(0.5);
        assert_eq!((point.false_accept_rate.value, point.true_accept_rate.value), (0.0, 1.0));
        let first = perfect.roc()[0];
        assert_eq!((first.false_accept_rate, first.true_accept_rate), (0.0, 1.0));
    }

    #[test]
    fn complete_overlap_is_a_coin_toss() {
        let same = pairs(&[0.1, 0.2, 0.3, 0.4], &[0.4, 0.3, 0.2, 0.1]);
        assert_eq!(same.equal_error().rate.value, 0.5);
        assert_eq!(pairs(&[0.5; 3], &[0.5; 5]).equal_error().rate.value, 0.5, "whatever ties are sorted by");
        let reversed = pairs(&[0.1, 0.2], &[0.8, 0.9]);
        assert_eq!(reversed.equal_error().rate.value, 1.0);
        assert_eq!(tar(&reversed, 0.5), 0.0);
    }

    #[test]
    fn rates_are_those_counted_by_hand() {
        let some = pairs(&[0.9, 0.8, 0.3], &[0.7, 0.2, 0.1]);
        // At 0.7 one of three strangers is accepted and one of three genuine pairs refused.
        assert!((some.equal_error().rate.value - 1.0 / 3.0).abs() < 1e-12);
        assert_eq!(some.equal_error().threshold, 0.7);
        assert_eq!(tar(&some, 0.34), 1.0, "with 0.7 accepted, 0.3 may be, too");
        let point = some.at_far(0.34).unwrap();
        assert!(point.threshold > 0.2 && point.threshold < 0.2001, "the lowest that refuses 0.2: {point:?}");
        assert!((point.false_accept_rate.value - 1.0 / 3.0).abs() < 1e-12);
        assert_eq!(some.at(0.8).true_accept_rate.value, 2.0 / 3.0, "the threshold itself is accepted");
    }

    #[test]
    fn the_meeting_between_two_thresholds_is_interpolated() {
        // FRR less FAR: 1/2 − 0 at 0.9, 0 − 3/4 at 0.5, where three strangers and the second genuine pair are let in.
        let tied = pairs(&[0.9, 0.5], &[0.5, 0.5, 0.5, 0.1]);
        // Two fifths of the way from (0, 1/2) to (3/4, 0).
        assert!((tied.equal_error().rate.value - 0.3).abs() < 1e-12, "{:?}", tied.equal_error());
    }

    #[test]
    fn ties_are_accepted_or_refused_together() {
        let tied = pairs(&[0.6, 0.5], &[0.5, 0.5, 0.5, 0.1]);
        let point = tied.at_far(0.25).unwrap();
        assert_eq!(point.false_accept_rate.value, 0.0, "one of three equal ones cannot be let in alone");
        assert_eq!(point.true_accept_rate.value, 0.5);
        assert_eq!(tied.at_far(0.75).unwrap().true_accept_rate.value, 1.0);
        let rates: Vec<f64> = tied.roc().iter().map(|point| point.false_accept_rate).collect();
        assert_eq!(rates, [0.0, 0.75, 1.0]);
    }

    #[test]
    fn a_rate_that_the_pairs_cannot_show_is_not_given() {
        let ten = pairs(&[0.9], &[0.1; 10]);
        assert!(ten.at_far(0.1).is_some());
        assert_eq!(ten.at_far(0.09), None);
        assert_eq!(ten.at_far(1.0).unwrap().false_accept_rate.value, 1.0);
    }

    #[test]
    fn without_one_kind_of_pairs_nothing_is_measured() {
        assert_eq!(Verification::of_pairs(vec![], vec![0.1]), Err(EvaluationError::NothingGenuine));
        assert_eq!(Verification::of_pairs(vec![0.9], vec![]), Err(EvaluationError::NothingOfOthers));
        assert_eq!(Verification::of_pairs(vec![f32::NAN], vec![0.1]), Err(EvaluationError::NotANumber));
    }

    #[test]
    fn every_pair_of_photos_is_compared_once() {
        let at = |degrees: f32| {
            Embedding::from_vector(&[degrees.to_radians().cos(), degrees.to_radians().sin()]).unwrap()
        };
        let people = [vec![at(0.0), at(60.0)], vec![at(90.0)], vec![at(180.0), at(180.0), at(180.0)]];
        let all = Verification::of_people(&people).unwrap();
        assert_eq!((all.genuine_pairs(), all.impostor_pairs()), (1 + 3, 15 - 4));
        assert!((all.genuine[3] - 0.5).abs() < 1e-6);
        assert!((all.impostor[0] - 30_f32.to_radians().cos()).abs() < 1e-6);
        let many = vec![vec![at(0.0); MAX_PHOTOS], vec![at(1.0)]];
        let refused = Verification::of_people(&many);
        assert_eq!(refused, Err(EvaluationError::TooManyPhotos { photos: MAX_PHOTOS + 1 }));
    }

    #[test]
    fn a_long_curve_is_thinned_and_keeps_its_ends() {
        let impostor: Vec<f32> = (0..50_000).map(|index| index as f32 / 100_000.0).collect();
        let genuine: Vec<f32> = (0..1_000).map(|index| 0.4 + index as f32 / 2_000.0).collect();
        let curve = pairs(&genuine, &impostor).roc();
        assert!(curve.len() > 100 && curve.len() <= MAX_CURVE_POINTS + 2, "{}", curve.len());
        assert_eq!((curve[0].false_accept_rate, curve[0].true_accept_rate), (0.0, 0.8));
        assert_eq!(curve.last().map(|last| last.false_accept_rate), Some(1.0));
        assert!(curve[1].false_accept_rate < 1e-4, "the strict end is not lost");
        let is_rising = |pair: &[RocPoint]| {
            pair[0].false_accept_rate < pair[1].false_accept_rate
                && pair[0].true_accept_rate <= pair[1].true_accept_rate
        };
        assert!(curve.windows(2).all(is_rising));
    }
}
