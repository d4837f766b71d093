//! Who a track is. The decision rests on all good crops of the track together, is made once, and stands: a
//! name that comes and goes with every frame is worth nothing to whoever reads the events.
//!
//! A person is named only if they are similar enough *and* clearly more similar than anybody else; a stranger
//! is one only after enough crops. What lies between waits for more crops.

use std::sync::Arc;

use crate::embed::Embedding;
use crate::gallery::{Gallery, Match};

/// The best crops of a track that are kept; more add next to nothing to their mean.
const KEPT_CROPS: usize = 8;
/// A face this far below the threshold will not climb over it with a few more crops.
const CLEARLY_BELOW: f32 = 0.05;
/// Nor will one that is so far above both the threshold and the margin fall below them.
const CLEARLY_ABOVE: f32 = 0.1;
/// So many times the crops of `stranger_crops` settle what is neither clearly known nor clearly strange.
const PATIENCE: usize = 2;
/// Evidence is better when it has so many times the crops the decision was made with …
const BETTER_BY_CROPS: usize = 2;
/// … or when its crops are better by this much on average.
const BETTER_BY_QUALITY: f32 = 0.1;

/// When a track is decided.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct IdentityPolicy {
    /// The least cosine similarity to name somebody.
    pub threshold: f32,
    /// How much less similar the next best person must be.
    pub margin: f32,
    /// Crops before anybody is named.
    pub min_crops: usize,
    /// Crops before a track is called a stranger.
    pub stranger_crops: usize,
}

impl Default for IdentityPolicy {
    /// For the default pack.
    fn default() -> Self {
        Self { threshold: 0.363, margin: 0.05, min_crops: 2, stranger_crops: 4 }
    }
}

/// Somebody a track was decided to be.
#[derive(Debug, Clone, PartialEq)]
pub struct Candidate {
    /// Id of the person in the gallery.
    pub person_id: Arc<str>,
    /// Their name.
    pub name: Arc<str>,
    /// Cosine similarity of the fused crops to the person's best template.
    pub similarity: f32,
    /// How much less similar the next best person is.
    pub margin: f32,
}

/// What is known about who a track is.
#[derive(Debug, Clone, PartialEq, Default)]
pub enum Decision {
    /// Not enough to tell.
    #[default]
    Undecided,
    /// Somebody of the gallery.
    Known(Candidate),
    /// Nobody of the gallery.
    Stranger,
}

impl Decision {
    /// Whether both come to the same: one person, or a stranger.
    fn names_as(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Known(one), Self::Known(another)) => one.person_id == another.person_id,
            (Self::Stranger, Self::Stranger) => true,
            _ => false,
        }
    }
}

/// What crops say by themselves.
#[derive(Debug, Default)]
struct Judgement {
    decision: Decision,
    /// Whether it is far from every limit.
    is_clear: bool,
}

/// The evidence a decision was made with.
#[derive(Debug, Clone, Copy, Default)]
struct Evidence {
    crops: usize,
    mean_quality: f32,
}

impl Evidence {
    fn is_better_than(&self, earlier: &Self) -> bool {
        self.crops >= BETTER_BY_CROPS * earlier.crops
            || (self.crops > earlier.crops && self.mean_quality >= earlier.mean_quality + BETTER_BY_QUALITY)
    }
}

/// The crops of a track and the decision made from them.
#[derive(Debug, Clone, Default)]
pub struct TrackIdentity {
    /// Best first.
    kept: Vec<(f32, Embedding)>,
    crops: usize,
    decision: Decision,
    decided_with: Evidence,
    is_corrected: bool,
    gave_way: bool,
    is_settled: bool,
}

impl TrackIdentity {
    /// A track without crops.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes a crop into account. A crop of another model than the first one's is left out.
    pub fn add(&mut self, embedding: &Embedding, quality: f32) {
        if self.kept.first().is_some_and(|(_, first)| first.dimension() != embedding.dimension()) {
            return;
        }
        let quality = if quality.is_finite() { quality.clamp(0.0, 1.0) } else { 0.0 };
        self.crops += 1;
        let at = self.kept.partition_point(|(kept, _)| *kept >= quality);
        if at < KEPT_CROPS {
            self.kept.insert(at, (quality, embedding.clone()));
            self.kept.truncate(KEPT_CROPS);
        }
    }

    /// How many crops were taken into account.
    pub fn crops(&self) -> usize {
        self.crops
    }

    /// The decision as it stands.
    pub fn decision(&self) -> &Decision {
        &self.decision
    }

    /// The mean of the best crops, weighted by their quality; nothing without crops.
    pub fn fused(&self) -> Option<Embedding> {
        let dimension = self.kept.first()?.1.dimension();
        let mut sum = vec![0.0_f32; dimension];
        for (quality, embedding) in &self.kept {
            // Even a crop of no quality says more than nothing.
            let weight = quality.max(0.01);
            for (sum, value) in sum.iter_mut().zip(embedding.as_slice()) {
                *sum += weight * value;
            }
        }
        Embedding::from_vector(&sum)
    }

    /// Decides, or confirms the decision: call it after [`Self::add`].
    ///
    /// A decision is replaced by another one at most once in the life of a track, and only on better evidence
    /// than it was made with. Somebody who is no longer in the gallery is forgotten at once, and the track
    /// is decided afresh.
    pub fn decide(&mut self, gallery: &Gallery, policy: &IdentityPolicy) -> &Decision {
        if let Decision::Known(candidate) = &self.decision
            && gallery.person(&candidate.person_id).is_none()
        {
            self.decision = Decision::Undecided;
        }
        let evidence = Evidence { crops: self.crops, mean_quality: self.mean_quality() };
        let Judgement { decision: judgement, is_clear } = self.judge(gallery, policy);
        let judged = judgement.clone();
        let may_correct = !self.is_corrected && evidence.is_better_than(&self.decided_with);
        match (&mut self.decision, judgement) {
            (_, Decision::Undecided) => (),
            (Decision::Undecided, judgement) => {
                self.decision = judgement;
                self.decided_with = evidence;
            }
            (Decision::Stranger, Decision::Stranger) => (),
            (Decision::Known(current), Decision::Known(found)) if current.person_id == found.person_id => {
                *current = found;
            }
            (current, judgement) if may_correct => {
                *current = judgement;
                self.decided_with = evidence;
                self.is_corrected = true;
            }
            _ => (),
        }
        self.is_settled = is_clear && judged.names_as(&self.decision);
        &self.decision
    }

    /// Whether the crops so far say so clearly what was decided that more of the same kind would not change it.
    pub fn is_settled(&self) -> bool {
        self.is_settled
    }

    /// Whether the decision was replaced by another one: it is not again.
    pub fn is_corrected(&self) -> bool {
        self.is_corrected
    }

    /// Somebody else who was in sight at the same time is that person, and more likely so: this one is nobody of the
    /// gallery, until better evidence says otherwise. If the earlier decision was told already, this is its correction.
    pub fn give_way(&mut self, was_told: bool) {
        self.decision = Decision::Stranger;
        self.is_settled = false;
        self.decided_with = Evidence { crops: self.crops, mean_quality: self.mean_quality() };
        self.is_corrected |= was_told;
        self.gave_way = true;
    }

    /// Decides with another gallery than before: a stranger who has been enrolled meanwhile is known at once. That
    /// is no correction, because the earlier decision was right when it was made.
    pub fn decide_anew(&mut self, gallery: &Gallery, policy: &IdentityPolicy) -> &Decision {
        if self.decision == Decision::Stranger
            && !self.gave_way
            && let known @ Decision::Known(_) = self.judge(gallery, policy).decision
        {
            self.decision = known;
            self.decided_with = Evidence { crops: self.crops, mean_quality: self.mean_quality() };
        }
        self.decide(gallery, policy)
    }

    /// What the crops say by themselves, whatever was decided before.
    fn judge(&self, gallery: &Gallery, policy: &IdentityPolicy) -> Judgement {
        let Some(fused) = self.fused() else { return Judgement::default() };
        let found = gallery.best(fused.as_slice(), 2);
        let similarity = found.first().map_or(-1.0, |best| best.similarity);
        let margin = lead(&found);
        if let Some(best) = found.first()
            && similarity >= policy.threshold
            && margin >= policy.margin
        {
            if self.crops < policy.min_crops {
                return Judgement::default();
            }
            let (person_id, name) = (best.person.id.into(), best.person.name.into());
            let is_clear =
                similarity >= policy.threshold + CLEARLY_ABOVE && margin >= policy.margin + CLEARLY_ABOVE;
            return Judgement {
                decision: Decision::Known(Candidate { person_id, name, similarity, margin }),
                is_clear,
            };
        }
        let is_clear = similarity < policy.threshold - CLEARLY_BELOW;
        let needed = if is_clear { policy.stranger_crops } else { PATIENCE * policy.stranger_crops };
        let is_decided = self.crops >= needed.max(1);
        Judgement { decision: if is_decided { Decision::Stranger } else { Decision::Undecided }, is_clear }
    }

    fn mean_quality(&self) -> f32 {
        let sum: f32 = self.kept.iter().map(|(quality, _)| quality).sum();
        sum / self.kept.len().max(1) as f32
    }
}

/// How much more similar the first of those found is than the second. Where there is no other person, that is the distance
/// to having nothing in common.
pub(crate) fn lead(found: &[Match]) -> f32 {
    let similarity = found.first().map_or(-1.0, |best| best.similarity);
    similarity - found.get(1).map_or(0.0, |other| other.similarity.max(0.0))
}

#[cfg(test)]
mod tests;
