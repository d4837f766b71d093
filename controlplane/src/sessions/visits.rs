//! From sightings to visits. Pure: no database, no clock.
//!
//! A visit is what sightings of one person at one camera form when none is further from the next than the gap.
//! So defined, visits do not depend on the order in which sightings arrive: one that comes late extends a visit,
//! joins two, or makes one of its own.

use chrono::{DateTime, TimeDelta, Utc};
use uuid::Uuid;

use crate::config::DetectionConfig;

/// Least time out of sight after which someone who comes back begins a new visit.
const MIN_GAP: TimeDelta = TimeDelta::seconds(300);

/// How long someone may be out of sight within one visit: twice the window in which a return is not reported,
/// and no less than five minutes. Within the window only the end of a track tells that someone was there, so that
/// the gap has to reach beyond it.
pub(crate) fn session_gap(config: &DetectionConfig) -> TimeDelta {
    MIN_GAP.max(TimeDelta::seconds(2 * i64::from(config.deduplication_window.get())))
}

/// Time somebody was before a camera.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Visit {
    /// The stored visit this is; none for new sightings.
    pub(super) id: Option<Uuid>,
    pub(super) entry: DateTime<Utc>,
    pub(super) exit: DateTime<Utc>,
    pub(super) detections: i32,
}

impl Visit {
    /// What one event says: the moment of its frame and, of a track that ended, the whole of the track.
    pub(crate) fn of_event(
        timestamp: DateTime<Utc>,
        first_seen: Option<DateTime<Utc>>,
        last_seen: Option<DateTime<Utc>>,
    ) -> Self {
        let entry = first_seen.map_or(timestamp, |first_seen| first_seen.min(timestamp));
        let exit = last_seen.map_or(timestamp, |last_seen| last_seen.max(timestamp));
        Self { id: None, entry, exit, detections: 1 }
    }
}

/// A visit put together from others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Joined {
    pub(super) visit: Visit,
    /// Stored visits that are part of it now.
    pub(super) absorbed: Vec<Uuid>,
    /// Whether anything was added to the stored visit, if there is one.
    pub(super) has_grown: bool,
}

/// Joins visits that are no further apart than `gap`; the earliest stored one of each keeps its id.
pub(super) fn join(mut visits: Vec<Visit>, gap: TimeDelta) -> Vec<Joined> {
    visits.sort_by_key(|visit| (visit.entry, visit.exit, visit.id));
    let mut joined: Vec<Joined> = Vec::new();
    for next in visits {
        match joined.last_mut() {
            Some(last) if next.entry - last.visit.exit <= gap => last.absorb(next),
            _ => joined.push(Joined { visit: next, absorbed: Vec::new(), has_grown: next.id.is_none() }),
        }
    }
    joined
}

impl Joined {
    fn absorb(&mut self, next: Visit) {
        let visit = &mut self.visit;
        visit.exit = visit.exit.max(next.exit);
        visit.detections = visit.detections.saturating_add(next.detections);
        match (visit.id, next.id) {
            (Some(_), Some(id)) => self.absorbed.push(id),
            (None, id) => visit.id = id,
            (Some(_), None) => {}
        }
        self.has_grown = true;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GAP: TimeDelta = TimeDelta::seconds(60);

    fn at(second: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(second, 0).unwrap_or_default()
    }

    fn visit(id: u128, entry: i64, exit: i64) -> Visit {
        let id = (id > 0).then(|| Uuid::from_u128(id));
        Visit { id, entry: at(entry), exit: at(exit), detections: 1 }
    }

    #[test]
    fn sightings_form_the_same_visits_in_any_order() {
        let mut sightings = vec![visit(0, 0, 0), visit(0, 60, 90), visit(0, 10, 200), visit(0, 261, 261)];
        for _ in 0..sightings.len() {
            sightings.rotate_left(1);
            let joined = join(sightings.clone(), GAP);
            let spans: Vec<_> = joined.iter().map(|one| (one.visit.entry, one.visit.exit)).collect();
            assert_eq!(spans, [(at(0), at(200)), (at(261), at(261))]);
            assert_eq!(joined[0].visit.detections, 3);
        }
    }

    #[test]
    fn a_late_sighting_joins_two_visits() {
        let joined = join(vec![visit(7, 0, 10), visit(8, 100, 110), visit(0, 50, 50)], GAP);
        let whole = Visit { detections: 3, ..visit(7, 0, 110) };
        assert_eq!(joined, [Joined { visit: whole, absorbed: vec![Uuid::from_u128(8)], has_grown: true }]);
    }

    #[test]
    fn a_sighting_before_a_visit_takes_over_its_id() {
        let joined = join(vec![visit(7, 30, 40), visit(0, 0, 0)], GAP);
        assert_eq!((joined[0].visit.id, joined[0].visit.entry), (Some(Uuid::from_u128(7)), at(0)));
        assert!(joined[0].absorbed.is_empty());
    }

    #[test]
    fn a_visit_nothing_was_added_to_stays_as_it_is() {
        let joined = join(vec![visit(7, 0, 10), visit(0, 500, 500)], GAP);
        assert_eq!(joined.iter().map(|one| one.has_grown).collect::<Vec<_>>(), [false, true]);
    }

    #[test]
    fn the_end_of_a_track_tells_of_all_of_it() {
        let whole = Visit::of_event(at(90), Some(at(10)), Some(at(100)));
        assert_eq!((whole.entry, whole.exit), (at(10), at(100)));
        let odd = Visit::of_event(at(50), Some(at(60)), Some(at(40)));
        assert_eq!((odd.entry, odd.exit), (at(50), at(50)), "never less than the frame itself");
    }

    #[test]
    fn the_gap_reaches_beyond_the_window_of_silence() {
        let config = |yaml: &str| serde_yaml::from_str::<DetectionConfig>(yaml).unwrap_or_default();
        assert_eq!(session_gap(&config("deduplication_window: 30")), TimeDelta::seconds(300));
        assert_eq!(session_gap(&config("deduplication_window: 600")), TimeDelta::seconds(1200));
    }
}
