//! How well tracks keep to people. IDF1 by the best global matching of trajectories (Ristani et al., "Performance
//! Measures and a Data Set for Multi-Target, Multi-Camera Tracking", 2016); switches, fragmentations and misses as
//! in CLEAR MOT (Bernardin and Stiefelhagen, 2008).

use std::collections::BTreeMap;

use vedette_models::geometry::Rect;
use vedette_models::track::TrackId;
use vedette_models::track::assignment::{FORBIDDEN, assign};

/// The overlap (IoU) from which a box shows a face.
const LEAST_OVERLAP: f32 = 0.5;

/// What is counted over the frames of a scene.
#[derive(Default)]
pub(super) struct Score {
    truth_boxes: usize,
    track_boxes: usize,
    /// In how many frames a track's box shows a person.
    shared: BTreeMap<(usize, TrackId), usize>,
    last_track: BTreeMap<usize, TrackId>,
    /// People seen before and not matched in the last frame they were to be seen in.
    interrupted: BTreeMap<usize, bool>,
    pub(super) switches: usize,
    pub(super) fragmentations: usize,
    pub(super) misses: usize,
}

impl Score {
    /// Counts a frame: who is where, and what the tracker says.
    pub(super) fn frame(&mut self, truth: &[(usize, Rect)], tracks: &[(TrackId, Rect)]) {
        self.truth_boxes += truth.len();
        self.track_boxes += tracks.len();
        for (person, rect) in truth {
            for (track, _) in tracks.iter().filter(|(_, found)| rect.iou(found) >= LEAST_OVERLAP) {
                *self.shared.entry((*person, *track)).or_default() += 1;
            }
        }
        // Who was matched stays so as long as the boxes overlap; the rest is matched by most overlap.
        let costs: Vec<f32> = truth
            .iter()
            .flat_map(|(person, rect)| tracks.iter().map(move |track| (person, rect, track)))
            .map(|(person, rect, (track, found))| {
                let stays = self.last_track.get(person) == Some(track);
                let overlap = rect.iou(found);
                if overlap < LEAST_OVERLAP { FORBIDDEN } else { 2.0 - overlap - 100.0 * f32::from(stays) }
            })
            .collect();
        let matched = assign(&costs, truth.len(), tracks.len());
        for ((person, _), track) in truth.iter().zip(matched) {
            let Some(track) = track else {
                self.misses += 1;
                if let Some(interrupted) = self.interrupted.get_mut(person) {
                    *interrupted = true;
                }
                continue;
            };
            let id = tracks[track].0;
            self.switches += usize::from(self.last_track.insert(*person, id).is_some_and(|last| last != id));
            self.fragmentations += usize::from(self.interrupted.insert(*person, false) == Some(true));
        }
    }

    /// Twice the boxes with the right identity through all boxes of truth and tracks.
    pub(super) fn idf1(&self) -> f64 {
        let index = |ids: Vec<u64>| -> BTreeMap<u64, usize> {
            let unique: std::collections::BTreeSet<u64> = ids.into_iter().collect();
            unique.into_iter().enumerate().map(|(at, id)| (id, at)).collect()
        };
        let people = index(self.shared.keys().map(|(person, _)| *person as u64).collect());
        let tracks = index(self.shared.keys().map(|(_, track)| *track).collect());
        // To stay alone costs as much as to share nothing: the least sum is the most boxes shared.
        let mut costs = vec![FORBIDDEN; people.len() * tracks.len()];
        for ((person, track), frames) in &self.shared {
            costs[people[&(*person as u64)] * tracks.len() + tracks[track]] = FORBIDDEN - *frames as f32;
        }
        let matched = assign(&costs, people.len(), tracks.len());
        let right: f32 = (matched.iter().enumerate())
            .filter_map(|(person, track)| Some(FORBIDDEN - costs[person * tracks.len() + (*track)?]))
            .sum();
        2.0 * f64::from(right) / (self.truth_boxes + self.track_boxes).max(1) as f64
    }
}
