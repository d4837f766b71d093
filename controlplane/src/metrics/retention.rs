//! What retention has done since this instance started.

use std::sync::atomic::AtomicU64;
use std::time::{Duration, SystemTime};

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::{Registry, Unit};

/// What is kept for a time only.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kept {
    /// Detections.
    Detections,
    /// Faces of strangers' detections.
    Strangers,
    /// Snapshots of others' detections.
    Snapshots,
    /// Visits.
    Visits,
    /// Alerts.
    Alerts,
    /// Entries of the log.
    LogEntries,
    /// Files or objects.
    Pictures,
    /// Of these, those no row named.
    Orphans,
}

impl Kept {
    const ALL: [Self; 8] = [
        Self::Detections,
        Self::Strangers,
        Self::Snapshots,
        Self::Visits,
        Self::Alerts,
        Self::LogEntries,
        Self::Pictures,
        Self::Orphans,
    ];

    fn name(self) -> &'static str {
        match self {
            Self::Detections => "detections",
            Self::Strangers => "strangers",
            Self::Snapshots => "snapshots",
            Self::Visits => "visits",
            Self::Alerts => "alerts",
            Self::LogEntries => "log_entries",
            Self::Pictures => "pictures",
            Self::Orphans => "orphans",
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct KeptLabels {
    what: &'static str,
}

/// Figures about retention.
#[derive(Clone, Debug, Default)]
pub(crate) struct RetentionFigures {
    removed: Family<KeptLabels, Counter>,
    waiting: Gauge<u64, AtomicU64>,
    last_pass: Gauge<f64, AtomicU64>,
    last_pass_duration: Gauge<f64, AtomicU64>,
}

impl RetentionFigures {
    pub(super) fn register(&self, registry: &mut Registry) {
        for kept in Kept::ALL {
            self.removed(kept, 0);
        }
        registry.register("retention_removed", "What was kept long enough and removed", self.removed.clone());
        let help = "Pictures that are to be removed and are still there";
        registry.register("retention_waiting_pictures", help, self.waiting.clone());
        let help = "When this instance last went through everything, since 1970; 0 = not yet";
        registry.register_with_unit(
            "retention_last_pass_timestamp",
            help,
            Unit::Seconds,
            self.last_pass.clone(),
        );
        let (help, duration) = ("How long that took", self.last_pass_duration.clone());
        registry.register_with_unit("retention_last_pass_duration", help, Unit::Seconds, duration);
    }

    /// Counts what was removed.
    pub(crate) fn removed(&self, kept: Kept, number: u64) {
        self.removed.get_or_create(&KeptLabels { what: kept.name() }).inc_by(number);
    }

    /// Tells how many pictures wait to be removed.
    pub(crate) fn waiting(&self, number: u64) {
        self.waiting.set(number);
    }

    /// Tells that everything was gone through, just now.
    pub(crate) fn passed(&self, elapsed: Duration) {
        let since_1970 = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        self.last_pass.set(since_1970.as_secs_f64());
        self.last_pass_duration.set(elapsed.as_secs_f64());
    }
}
