//! Up to when what is removed. Pure: no database, no clock.

use chrono::{DateTime, TimeDelta, Utc};

use crate::config::RetentionConfig;

/// The moments before which things are removed; none for what is kept for good.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Cutoffs {
    /// Detections, with their pictures, and visits.
    pub(super) detections: Option<DateTime<Utc>>,
    /// Pictures of detections that stay.
    pub(super) snapshots: Option<DateTime<Utc>>,
    /// Pictures and embeddings of strangers, whose detections stay.
    pub(super) strangers: Option<DateTime<Utc>>,
    /// Alerts.
    pub(super) alerts: Option<DateTime<Utc>>,
    /// Warnings and errors.
    pub(super) system_log: Option<DateTime<Utc>>,
    /// What users and programs did.
    pub(super) audit_log: Option<DateTime<Utc>>,
}

impl Cutoffs {
    /// Those of `now`.
    pub(super) fn at(now: DateTime<Utc>, config: &RetentionConfig) -> Self {
        let cutoff = |days: u32| {
            let age = TimeDelta::days(i64::from(days));
            (days > 0).then(|| now.checked_sub_signed(age)).flatten()
        };
        Self {
            detections: cutoff(config.detections.get()),
            snapshots: cutoff(config.snapshots.get()),
            strangers: cutoff(config.unknowns.get()),
            alerts: cutoff(config.alerts.get()),
            system_log: cutoff(config.system_log.get()),
            audit_log: cutoff(config.audit_log.get()),
        }
    }

    /// Before that no picture of a detection is kept at all.
    pub(super) fn pictures(&self) -> Option<DateTime<Utc>> {
        self.detections.max(self.snapshots)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn cutoffs(yaml: &str) -> Cutoffs {
        let now = DateTime::from_timestamp(100 * 86_400, 0).unwrap();
        Cutoffs::at(now, &serde_yaml::from_str(yaml).unwrap())
    }

    fn day(number: i64) -> Option<DateTime<Utc>> {
        DateTime::from_timestamp(number * 86_400, 0)
    }

    #[test]
    fn zero_keeps_for_good() {
        assert_eq!(
            cutoffs("{detections: 0, snapshots: 0, unknowns: 0, alerts: 0, system_log: 0, audit_log: 0}"),
            Cutoffs::default()
        );
        let some = cutoffs("{detections: 90, snapshots: 0, unknowns: 7}");
        assert_eq!((some.detections, some.snapshots, some.strangers), (day(10), None, day(93)));
    }

    #[test]
    fn no_picture_outlives_its_detection_or_its_own_time() {
        assert_eq!(cutoffs("{detections: 90, snapshots: 30}").pictures(), day(70));
        assert_eq!(cutoffs("{detections: 10, snapshots: 30}").pictures(), day(90));
        assert_eq!(cutoffs("{detections: 90, snapshots: 0}").pictures(), day(10));
        assert_eq!(cutoffs("{detections: 0, snapshots: 0}").pictures(), None);
    }
}
