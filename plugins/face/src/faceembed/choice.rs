//! Which crops are worth embedding, and what those of a track say together: pure arithmetic on qualities and times.

use std::collections::HashMap;

use vedette_models::attributes::{Attributes, FusedAttributes};

/// Crops of one moment look alike: the next one of a track is taken after this long, …
const SPACING_MS: u64 = 120;
/// … or at once if it is better by this much.
const CLEARLY_BETTER: f32 = 0.1;
/// A track that has its crops takes better ones no more often than this.
const IMPROVEMENT_PAUSE_MS: u64 = 300;
/// No more crops than this in one frame: a crowd that comes into view takes turns, and no frame takes long.
const MOST_PER_FRAME: usize = 4;
/// A track that nobody ended and that was not seen for this long is forgotten.
const UNSEEN_MS: u64 = 10_000;

/// The limits, as the properties set them.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    pub(super) quality_threshold: f32,
    pub(super) max_crops: usize,
    /// 0 = never.
    pub(super) refresh_ms: u64,
}

/// A face that could be embedded.
#[derive(Clone, Copy, Debug)]
pub(super) struct Candidate {
    /// Which face of the frame.
    pub(super) index: usize,
    /// `None` for a face of a stream nobody tracks.
    pub(super) track_id: Option<u64>,
    pub(super) quality: f32,
}

/// What was embedded of the tracks in sight.
#[derive(Debug, Default)]
pub(super) struct Choice {
    tracks: HashMap<u64, Crops>,
}

#[derive(Debug, Default)]
struct Crops {
    count: usize,
    best: f32,
    last_ms: u64,
    seen_ms: u64,
    /// More crops of the same kind would not change who it is.
    is_settled: bool,
    attributes: FusedAttributes,
}

impl Choice {
    /// The faces to embed now, and notes that they were. Those with the fewest crops go first.
    pub(super) fn choose(&mut self, now_ms: u64, candidates: &[Candidate], limits: Limits) -> Vec<usize> {
        let mut worthy: Vec<(usize, Candidate)> = Vec::new();
        let mut chosen = Vec::new();
        for candidate in candidates {
            let Some(id) = candidate.track_id else {
                if candidate.quality >= limits.quality_threshold {
                    chosen.push(candidate.index);
                }
                continue;
            };
            let crops = self.tracks.entry(id).or_default();
            crops.seen_ms = now_ms;
            if crops.wants(now_ms, candidate.quality, limits) {
                worthy.push((crops.count, *candidate));
            }
        }
        worthy
            .sort_by(|(a_count, a), (b_count, b)| a_count.cmp(b_count).then(b.quality.total_cmp(&a.quality)));
        for (_, candidate) in worthy.into_iter().take(MOST_PER_FRAME) {
            if let Some(crops) = candidate.track_id.and_then(|id| self.tracks.get_mut(&id)) {
                crops.count += 1;
                crops.best = crops.best.max(candidate.quality);
                crops.last_ms = now_ms;
            }
            chosen.push(candidate.index);
        }
        chosen.sort_unstable();
        chosen
    }

    /// The tracks are known well enough: only clearly better crops of them are worth it, and a look now and then.
    pub(super) fn settle(&mut self, track_ids: &[u64]) {
        for id in track_ids {
            if let Some(crops) = self.tracks.get_mut(id) {
                crops.is_settled = true;
            }
        }
    }

    /// Takes into account what a chosen crop says of age and gender.
    pub(super) fn fuse(&mut self, track_id: u64, crop: &Attributes, quality: f32) {
        self.tracks.entry(track_id).or_default().attributes.add(crop, quality);
    }

    /// What the crops of a track say together of age and gender; nothing before the first one.
    pub(super) fn attributes(&self, track_id: u64) -> Option<Attributes> {
        self.tracks.get(&track_id)?.attributes.mean()
    }

    /// Forgets tracks that ended or have not been seen for long.
    pub(super) fn forget(&mut self, now_ms: u64, ended: &[u64]) {
        for id in ended {
            self.tracks.remove(id);
        }
        self.tracks.retain(|_, crops| now_ms.saturating_sub(crops.seen_ms) <= UNSEEN_MS);
    }
}

impl Crops {
    fn wants(&self, now_ms: u64, quality: f32, limits: Limits) -> bool {
        if quality < limits.quality_threshold {
            return false;
        }
        let rested_ms = now_ms.saturating_sub(self.last_ms);
        let is_better = quality >= self.best + CLEARLY_BETTER;
        if self.count == 0 {
            true
        } else if self.count < limits.max_crops && !self.is_settled {
            rested_ms >= SPACING_MS || is_better
        } else {
            let is_due = limits.refresh_ms > 0 && rested_ms >= limits.refresh_ms;
            is_due || (is_better && rested_ms >= IMPROVEMENT_PAUSE_MS)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: Limits = Limits { quality_threshold: 0.6, max_crops: 3, refresh_ms: 0 };

    fn face(track_id: u64, quality: f32) -> Candidate {
        Candidate { index: track_id as usize, track_id: Some(track_id), quality }
    }

    fn times_embedded(limits: Limits, qualities: impl IntoIterator<Item = (u64, f32)>) -> Vec<u64> {
        let mut choice = Choice::default();
        let mut times = Vec::new();
        for (ms, quality) in qualities {
            if !choice.choose(ms, &[face(1, quality)], limits).is_empty() {
                times.push(ms);
            }
        }
        times
    }

    #[test]
    fn a_steady_face_is_embedded_a_few_times_and_no_more() {
        let steady = (0..100).map(|frame| (frame * 40, 0.7));
        assert_eq!(times_embedded(LIMITS, steady), [0, 120, 240]);
    }

    #[test]
    fn poor_crops_wait_and_better_ones_do_not() {
        assert_eq!(times_embedded(LIMITS, [(0, 0.5), (40, 0.61), (80, 0.65), (120, 0.72)]), [40, 120]);
    }

    #[test]
    fn a_full_track_takes_only_clearly_better_crops() {
        let mut faces: Vec<(u64, f32)> = (0..10).map(|frame| (frame * 40, 0.65)).collect();
        faces.extend([(400, 0.7), (440, 0.8), (600, 0.85), (1000, 0.9), (1040, 0.97)]);
        assert_eq!(times_embedded(LIMITS, faces), [0, 120, 240, 600, 1040]);
    }

    #[test]
    fn a_long_track_is_looked_at_again_if_asked() {
        let steady = (0..60).map(|frame| (frame * 40, 0.7));
        let limits = Limits { refresh_ms: 1000, ..LIMITS };
        assert_eq!(times_embedded(limits, steady), [0, 120, 240, 1240, 2240]);
    }

    #[test]
    fn a_settled_track_takes_only_clearly_better_crops_and_is_looked_at_again() {
        let limits = Limits { refresh_ms: 1000, max_crops: 5, ..LIMITS };
        let mut choice = Choice::default();
        let mut embedded = |ms: u64, quality: f32| !choice.choose(ms, &[face(1, quality)], limits).is_empty();
        assert!(embedded(0, 0.7) && embedded(120, 0.7));
        choice.settle(&[1, 2]);
        let mut embedded = |ms: u64, quality: f32| !choice.choose(ms, &[face(1, quality)], limits).is_empty();
        assert!(!embedded(240, 0.75) && !embedded(800, 0.79));
        assert!(embedded(840, 0.85) && !embedded(1800, 0.85) && embedded(1840, 0.7));
    }

    #[test]
    fn a_crowd_takes_turns() {
        let mut choice = Choice::default();
        let crowd: Vec<Candidate> = (1..=6).map(|id| face(id, 0.6 + id as f32 / 100.0)).collect();
        assert_eq!(choice.choose(0, &crowd, LIMITS), [3, 4, 5, 6]);
        assert_eq!(choice.choose(40, &crowd, LIMITS), [1, 2]);
    }

    #[test]
    fn untracked_faces_are_all_embedded_and_ended_tracks_begin_anew() {
        let mut choice = Choice::default();
        let untracked = |index, quality| Candidate { index, track_id: None, quality };
        let faces: Vec<Candidate> = (0..8).map(|index| untracked(index, 0.5 + index as f32 / 20.0)).collect();
        assert_eq!(choice.choose(0, &faces, LIMITS), [2, 3, 4, 5, 6, 7]);
        assert_eq!(choice.choose(0, &[face(1, 0.7)], LIMITS), [1]);
        choice.forget(0, &[1]);
        assert_eq!(choice.choose(1, &[face(1, 0.7)], LIMITS), [1]);
        choice.forget(20_000, &[]);
        assert!(choice.tracks.is_empty());
    }

    #[test]
    fn a_track_has_one_age_and_one_gender_until_it_ends() {
        let mut choice = Choice::default();
        choice.choose(0, &[face(1, 0.7), face(2, 0.7)], LIMITS);
        assert_eq!(choice.attributes(1), None);
        choice.fuse(1, &Attributes { age_years: 20.0, female_probability: 0.2 }, 0.5);
        choice.fuse(1, &Attributes { age_years: 50.0, female_probability: 0.8 }, 1.0);
        let fused = choice.attributes(1).map(|seen| (seen.age_years, seen.female_probability));
        assert!(fused.is_some_and(|(age, female)| (age - 40.0).abs() < 1e-3 && (female - 0.6).abs() < 1e-3));
        assert_eq!(choice.attributes(2), None);
        choice.forget(0, &[1]);
        assert_eq!(choice.attributes(1), None);
    }
}
