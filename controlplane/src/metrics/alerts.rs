//! Figures about alerts: how many are made, how they are told, and what waits.

use std::sync::atomic::AtomicU64;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::{Registry, Unit};

use crate::alerts::{Backlog, Channel, RuleKind};

/// What came of an attempt to tell somebody.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    Delivered,
    /// It is tried again.
    Failed,
    GivenUp,
}

impl Outcome {
    const ALL: [Self; 3] = [Self::Delivered, Self::Failed, Self::GivenUp];

    fn as_str(self) -> &'static str {
        match self {
            Self::Delivered => "delivered",
            Self::Failed => "failed",
            Self::GivenUp => "given_up",
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct KindLabels {
    kind: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct AttemptLabels {
    channel: &'static str,
    outcome: &'static str,
}

/// Figures about alerts.
#[derive(Debug, Default)]
pub(crate) struct AlertFigures {
    made: Family<KindLabels, Counter>,
    attempts: Family<AttemptLabels, Counter>,
    waiting: Gauge<u64, AtomicU64>,
    oldest: Gauge<f64, AtomicU64>,
}

impl AlertFigures {
    pub(super) fn register(&self, registry: &mut Registry) {
        // A count that is not there yet cannot be seen to grow.
        for kind in RuleKind::ALL {
            self.made.get_or_create(&KindLabels { kind: kind.as_str() }).inc_by(0);
        }
        for channel in Channel::ALL {
            for outcome in Outcome::ALL {
                self.attempts.get_or_create(&attempt(channel, outcome)).inc_by(0);
            }
        }
        registry.register("alerts", "Alerts made by this instance", self.made.clone());
        let help = "Attempts of this instance to tell webhooks and brokers of alerts";
        registry.register("alert_deliveries", help, self.attempts.clone());
        registry.register("alert_outbox", "Deliveries that wait, of all instances", self.waiting.clone());
        let help = "How long the oldest of them has waited";
        registry.register_with_unit("alert_outbox_oldest_age", help, Unit::Seconds, self.oldest.clone());
    }

    /// Counts an alert.
    pub(crate) fn count_alert(&self, kind: RuleKind) {
        self.made.get_or_create(&KindLabels { kind: kind.as_str() }).inc();
    }

    /// Counts an attempt to tell somebody.
    pub(crate) fn count_delivery(&self, channel: Channel, outcome: Outcome) {
        self.attempts.get_or_create(&attempt(channel, outcome)).inc();
    }

    /// Takes over what waits.
    pub(super) fn set_backlog(&self, backlog: Backlog) {
        self.waiting.set(backlog.deliveries);
        self.oldest.set(backlog.oldest.as_seconds_f64());
    }
}

fn attempt(channel: Channel, outcome: Outcome) -> AttemptLabels {
    AttemptLabels { channel: channel.as_str(), outcome: outcome.as_str() }
}
