//! What retention did.

use std::fmt;

use serde::Serialize;
use serde_json::{Value, json};

/// How much of what was removed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Report {
    /// Detections.
    pub detections: u64,
    /// Detections of strangers that lost picture and embedding.
    pub strangers: u64,
    /// Other detections that lost their picture.
    pub snapshots: u64,
    /// Visits.
    pub visits: u64,
    /// Alerts.
    pub alerts: u64,
    /// Entries of the log.
    pub log_entries: u64,
    /// Pictures that were removed from the storage.
    pub pictures: u64,
    /// Of these, pictures no row named.
    pub orphans: u64,
}

impl Report {
    /// Whether nothing was removed.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// For the audit log.
    pub(super) fn to_json(&self) -> Value {
        json!(self)
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { detections, strangers, snapshots, visits, alerts, log_entries, pictures, orphans } = self;
        write!(
            f,
            "{detections} detections, the faces of {strangers} strangers' detections, the snapshots of {snapshots} \
             others, {visits} visits, {alerts} alerts, {log_entries} entries of the log; {pictures} pictures, of which {orphans} belonged to nothing"
        )
    }
}
