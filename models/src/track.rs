//! Follows faces from frame to frame: pure arithmetic on boxes and times, no pictures, no clock.
//!
//! Each round predicts where every track should be by now and associates in three steps: sure detections with
//! the tracks they overlap, then unsure ones with the tracks still missing (an unsure detection continues a
//! track but never starts or confirms one), and at last sure detections with tracks that are near rather than
//! overlapping, within what their uncertainty allows. Two stages by score as in ByteTrack (Zhang et al., 2022).

pub mod assignment;
mod kalman;

use assignment::{FORBIDDEN, assign};
use kalman::{BoxFilter, size_of};

use crate::detect::DetectedFace;
use crate::geometry::Rect;

/// Identifies a track for as long as its tracker lives; counts up from 1.
pub type TrackId = u64;

/// More detections than this in one frame are not followed: the best by score are.
const MAX_FOLLOWED: usize = 256;
/// The squared distance, in standard deviations, within which 99 % of all centres are found.
const SURPRISE_LIMIT: f32 = 9.21;
/// Between two looks a face does not become more than this much larger or smaller.
const SIZE_RATIO_LIMIT: f32 = 1.6;
/// What a second of absence adds to the cost of a pair, so that a track in sight goes before a lost one.
const ABSENCE_COST_PER_S: f32 = 0.2;
/// So many times its most age a track lasts on unsure detections alone: long enough for a head that turns away, not
/// for a pattern on the wall behind somebody who has left.
const AGES_UNSURE: u64 = 3;

/// How a [`Tracker`] associates.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct TrackerOptions {
    /// The least overlap (IoU) of a detection with the predicted box of its track.
    pub iou_threshold: f32,
    /// A track not seen for longer ends.
    pub max_age_ms: u64,
    /// So many detections make a track; before, it has no id. 1 gives every detection one at once.
    pub min_hits: u32,
}

impl Default for TrackerOptions {
    fn default() -> Self {
        Self { iou_threshold: 0.3, max_age_ms: 1000, min_hits: 2 }
    }
}

/// What a round of association found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TrackUpdate {
    /// For each sure detection, in their order, its track; nothing while the track has fewer than `min_hits`.
    pub assignments: Vec<Option<TrackId>>,
    /// For each unsure detection, in their order, the track it continues; nothing for all others.
    pub continued: Vec<Option<TrackId>>,
    /// Tracks that ended, each reported once.
    pub ended: Vec<TrackId>,
}

#[derive(Debug, Clone)]
struct Track {
    /// Given when the track has its `min_hits`.
    id: Option<TrackId>,
    filter: BoxFilter,
    hits: u32,
    last_seen_ms: u64,
    last_surely_seen_ms: u64,
}

/// Keeps the tracks of one stream.
#[derive(Debug, Clone)]
pub struct Tracker {
    options: TrackerOptions,
    tracks: Vec<Track>,
    next_id: TrackId,
    clock_ms: Option<u64>,
}

impl Tracker {
    /// A tracker without tracks.
    pub fn new(options: TrackerOptions) -> Self {
        Self { options, tracks: Vec::new(), next_id: 1, clock_ms: None }
    }

    /// Takes other options from the next round on.
    pub fn set_options(&mut self, options: TrackerOptions) {
        self.options = options;
    }

    /// Associates the detections of a frame: the sure ones, and the boxes of those too unsure to be called faces by
    /// themselves, surest first. Times may stand still or run back a little (the state is then not advanced); a jump
    /// back by more than `max_age_ms` is another scene, and every track ends.
    pub fn update(&mut self, time_ms: u64, sure: &[DetectedFace], unsure: &[Rect]) -> TrackUpdate {
        let last_round_ms = self.clock_ms.unwrap_or(time_ms);
        let mut ended = self.advance(time_ms);
        let now_ms = self.clock_ms.unwrap_or(time_ms);
        let rects: Vec<Rect> = sure.iter().map(|face| face.rect).chain(unsure.iter().copied()).collect();
        let high = followed_detections(sure);
        let low: Vec<usize> =
            (sure.len()..rects.len()).filter(|index| is_proper(&rects[*index])).take(MAX_FOLLOWED).collect();

        let mut track_of = vec![None; rects.len()];
        let options = self.options;
        let overlap = |track: &Track, rect: &Rect| overlap_cost(track, rect, now_ms, &options);
        self.associate(&rects, &high, &mut track_of, overlap);
        let continues = |track: &Track, rect: &Rect| {
            if track.may_be_unsure(now_ms, &options) { overlap(track, rect) } else { FORBIDDEN }
        };
        self.associate(&rects, &low, &mut track_of, continues);
        let distance = |track: &Track, rect: &Rect| distance_cost(track, rect, last_round_ms);
        self.associate(&rects, &high, &mut track_of, distance);

        for (detection, track) in track_of.iter().enumerate() {
            if let Some(track) = *track {
                self.tracks[track].see(&rects[detection], now_ms, detection < sure.len());
            }
        }
        for detection in high {
            if track_of[detection].is_some() {
                continue;
            }
            track_of[detection] = Some(self.tracks.len());
            self.tracks.push(Track::new(&rects[detection], now_ms));
        }
        let mut assignments: Vec<_> = track_of.into_iter().map(|track| self.confirm(track?)).collect();
        let continued = assignments.split_off(sure.len());
        ended.extend(self.remove_ended(now_ms));
        TrackUpdate { assignments, continued, ended }
    }

    /// Where the tracks seen in the last round will be at the given time.
    pub fn predict(&self, time_ms: u64) -> Vec<(TrackId, Rect)> {
        let Some(clock_ms) = self.clock_ms else { return Vec::new() };
        let ahead_ms = time_ms.saturating_sub(clock_ms).min(self.options.max_age_ms);
        let in_sight = self.tracks.iter().filter(|track| track.last_seen_ms == clock_ms);
        in_sight
            .filter_map(|track| Some((track.id?, track.filter.predicted(seconds(ahead_ms)).rect())))
            .collect()
    }

    /// Ends every track, as at the end of a stream, and tells which ones there were.
    pub fn finish(&mut self) -> Vec<TrackId> {
        self.clock_ms = None;
        self.tracks.drain(..).filter_map(|track| track.id).collect()
    }

    /// Moves every track to the given time; returns the tracks ended by a jump back.
    fn advance(&mut self, time_ms: u64) -> Vec<TrackId> {
        let Some(clock_ms) = self.clock_ms else {
            self.clock_ms = Some(time_ms);
            return Vec::new();
        };
        if clock_ms.saturating_sub(time_ms) > self.options.max_age_ms {
            let ended = self.finish();
            self.clock_ms = Some(time_ms);
            return ended;
        }
        let elapsed_ms = time_ms.saturating_sub(clock_ms);
        if elapsed_ms > self.options.max_age_ms {
            // Nobody is where they were: every track is too old for a detection to continue it.
            let ended = self.finish();
            self.clock_ms = Some(time_ms);
            return ended;
        }
        self.clock_ms = Some(clock_ms + elapsed_ms);
        for track in &mut self.tracks {
            track.filter = track.filter.predicted(seconds(elapsed_ms));
        }
        Vec::new()
    }

    /// One step of association: the given detections that have no track yet with the tracks that have no
    /// detection yet.
    fn associate(
        &self,
        rects: &[Rect],
        candidates: &[usize],
        track_of: &mut [Option<usize>],
        cost: impl Fn(&Track, &Rect) -> f32,
    ) {
        let open_detections: Vec<usize> =
            candidates.iter().copied().filter(|detection| track_of[*detection].is_none()).collect();
        let open_tracks: Vec<usize> =
            (0..self.tracks.len()).filter(|track| !track_of.contains(&Some(*track))).collect();
        let costs: Vec<f32> = open_detections
            .iter()
            .flat_map(|detection| open_tracks.iter().map(|track| (*detection, *track)))
            .map(|(detection, track)| cost(&self.tracks[track], &rects[detection]))
            .collect();
        let assigned = assign(&costs, open_detections.len(), open_tracks.len());
        for (detection, track) in open_detections.iter().zip(assigned) {
            track_of[*detection] = track.map(|track| open_tracks[track]);
        }
    }

    /// The id of a track, given to it now if it has just earned it.
    fn confirm(&mut self, track: usize) -> Option<TrackId> {
        let track = &mut self.tracks[track];
        if track.id.is_none() && track.hits >= self.options.min_hits {
            track.id = Some(self.next_id);
            self.next_id += 1;
        }
        track.id
    }

    /// Drops tracks that are too old, and those that never earned an id and were missed once.
    fn remove_ended(&mut self, now_ms: u64) -> Vec<TrackId> {
        let mut ended = Vec::new();
        let max_age_ms = self.options.max_age_ms;
        self.tracks.retain(|track| {
            let unseen_ms = now_ms.saturating_sub(track.last_seen_ms);
            let stays = if track.id.is_some() { unseen_ms <= max_age_ms } else { unseen_ms == 0 };
            if !stays {
                ended.extend(track.id);
            }
            stays
        });
        ended
    }
}

impl Track {
    fn new(rect: &Rect, now_ms: u64) -> Self {
        let (last_seen_ms, last_surely_seen_ms) = (now_ms, now_ms);
        Self { id: None, filter: BoxFilter::new(rect), hits: 1, last_seen_ms, last_surely_seen_ms }
    }

    fn see(&mut self, rect: &Rect, now_ms: u64, is_sure: bool) {
        self.filter.correct(rect);
        self.hits = self.hits.saturating_add(1);
        self.last_seen_ms = now_ms;
        if is_sure {
            self.last_surely_seen_ms = now_ms;
        }
    }

    /// Whether an unsure detection may continue it.
    fn may_be_unsure(&self, now_ms: u64, options: &TrackerOptions) -> bool {
        let unsure_ms = now_ms.saturating_sub(self.last_surely_seen_ms);
        self.id.is_some() && unsure_ms <= AGES_UNSURE * options.max_age_ms
    }
}

/// The detections that are worth following: proper boxes, and not absurdly many.
fn followed_detections(detections: &[DetectedFace]) -> Vec<usize> {
    let is_worth_it = |face: &DetectedFace| is_proper(&face.rect) && face.score.is_finite();
    let mut followed: Vec<usize> =
        (0..detections.len()).filter(|index| is_worth_it(&detections[*index])).collect();
    if followed.len() > MAX_FOLLOWED {
        followed.sort_by(|a, b| detections[*b].score.total_cmp(&detections[*a].score));
        followed.truncate(MAX_FOLLOWED);
        followed.sort_unstable();
    }
    followed
}

fn is_proper(rect: &Rect) -> bool {
    !rect.is_empty() && rect.right().is_finite() && rect.bottom().is_finite()
}

fn overlap_cost(track: &Track, rect: &Rect, now_ms: u64, options: &TrackerOptions) -> f32 {
    let overlap = track.filter.rect().iou(rect);
    if overlap <= 0.0 || overlap < options.iou_threshold {
        return FORBIDDEN;
    }
    let absent_ms = now_ms.saturating_sub(track.last_seen_ms);
    1.0 - overlap + ABSENCE_COST_PER_S * seconds(absent_ms)
}

/// At a long inference interval a small, fast or turning face has left the box it was expected in altogether:
/// nearness counts, within the filter's own uncertainty (Mahalanobis distance). Not for tracks that were missed in
/// the last round: theirs grows until somebody else who turns up near by would be taken for them.
fn distance_cost(track: &Track, rect: &Rect, last_round_ms: u64) -> f32 {
    let (expected, found) = (size_of(&track.filter.rect()), size_of(rect));
    let size_ratio = expected.max(found) / expected.min(found);
    let surprise = track.filter.surprise(rect);
    let was_in_sight = track.last_seen_ms >= last_round_ms;
    if was_in_sight && size_ratio <= SIZE_RATIO_LIMIT && surprise <= SURPRISE_LIMIT {
        surprise + size_ratio
    } else {
        FORBIDDEN
    }
}

fn seconds(duration_ms: u64) -> f32 {
    duration_ms as f32 / 1000.0
}

#[cfg(test)]
mod tests;
