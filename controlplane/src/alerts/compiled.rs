//! Rules ready to be held against what cameras see, kept until they change.
//!
//! Every batch of events asks for them, so they are read once and remembered as tokens are (`auth/sessions.rs`): a change
//! made here, or told by another instance, voids them at once, and whatever becomes of such messages, none is a second
//! old.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use moka::sync::Cache;
use sea_orm::{ColumnTrait as _, DatabaseConnection, EntityTrait as _, QueryFilter as _, QueryOrder as _};
use tokio::sync::watch;
use uuid::Uuid;
use vedette_events::EventKind;

use super::outbox::Channel;
use super::rule::RuleKind;
use super::rules;
use crate::entity::alert_rules::{Column, Entity, Model};
use crate::error::ApiError;
use crate::schedule::Schedule;

/// How long rules count; with the time it takes to read them, less than a second.
const KEPT: Duration = Duration::from_millis(800);

/// Epochs remembered at the same time; earlier ones are never asked for again and end by themselves.
const MAX_EPOCHS: u64 = 16;

/// Something a camera saw.
#[derive(Clone, Debug)]
pub(crate) struct Sighting<'a> {
    /// The row that tells of it.
    pub(crate) detection_id: Uuid,
    pub(crate) kind: EventKind,
    pub(crate) camera_id: &'a str,
    /// Who it is, and the name; none for a stranger.
    pub(crate) person: Option<(Uuid, &'a str)>,
    pub(crate) timestamp: DateTime<Utc>,
}

/// A rule that makes alerts.
#[derive(Clone, Debug)]
pub(crate) struct Rule {
    pub(super) id: Uuid,
    pub(super) name: String,
    pub(super) kind: RuleKind,
    /// Empty for all.
    cameras: HashSet<String>,
    person_id: Option<Uuid>,
    schedule: Option<Schedule>,
    /// How long a camera may be away.
    pub(super) offline_after: TimeDelta,
    /// For how long nothing more is said of the same thing.
    pub(super) cooldown: TimeDelta,
    /// How its alerts are told.
    pub(super) channels: Vec<Channel>,
}

impl Rule {
    fn of(row: Model) -> Result<Option<Self>, ApiError> {
        // One that a later version made looks out for something we know nothing of.
        let Some(kind) = RuleKind::from_stored(&row.kind) else { return Ok(None) };
        let schedule = rules::schedule(&row)?;
        let schedule = schedule.as_ref().map(Schedule::try_from).transpose().map_err(ApiError::internal)?;
        let seconds = |number: i32| TimeDelta::seconds(number.into());
        let webhook = row.webhook.as_ref().map(|_| Channel::Webhook);
        let mqtt = row.mqtt_topic.as_ref().map(|_| Channel::Mqtt);
        Ok(Some(Self {
            kind,
            schedule,
            cameras: rules::cameras(&row)?.into_iter().collect(),
            person_id: row.person_id,
            offline_after: seconds(row.offline_after_s.unwrap_or_default()),
            cooldown: seconds(row.cooldown_s),
            channels: webhook.into_iter().chain(mqtt).collect(),
            id: row.id,
            name: row.name,
        }))
    }

    /// Whether it looks after this camera.
    pub(super) fn covers(&self, camera_id: &str) -> bool {
        self.cameras.is_empty() || self.cameras.contains(camera_id)
    }

    /// Whether this is what it looks out for. Tracks that go on or end are no news.
    pub(super) fn looks_out_for(&self, sighting: &Sighting<'_>) -> bool {
        let is_first = matches!(sighting.kind, EventKind::Recognized | EventKind::Unknown);
        let is_such = match self.kind {
            RuleKind::UnknownPerson => sighting.kind == EventKind::Unknown,
            RuleKind::Person => {
                self.person_id.is_some() && sighting.person.map(|(id, _)| id) == self.person_id
            }
            RuleKind::OutOfHours => {
                self.schedule.as_ref().is_some_and(|schedule| !schedule.covers(sighting.timestamp))
            }
            RuleKind::CameraOffline => false,
        };
        is_first && is_such && self.covers(sighting.camera_id)
    }
}

/// The rules there are, and those that watch for a change.
#[derive(Debug)]
pub(super) struct CompiledRules {
    /// Keyed by the epoch they were read in: what a change overtook is never found.
    known: Cache<u64, Arc<[Rule]>>,
    epoch: watch::Sender<u64>,
}

impl Default for CompiledRules {
    fn default() -> Self {
        let known = Cache::builder().max_capacity(MAX_EPOCHS).time_to_live(KEPT).build();
        Self { known, epoch: watch::Sender::new(0) }
    }
}

impl CompiledRules {
    /// Rules may have changed.
    pub(super) fn forget(&self) {
        self.epoch.send_modify(|epoch| *epoch += 1);
    }

    /// The rules that make alerts, oldest first.
    pub(super) async fn current(&self, db: &DatabaseConnection) -> Result<Arc<[Rule]>, ApiError> {
        let epoch = *self.epoch.borrow();
        if let Some(known) = self.known.get(&epoch) {
            return Ok(known);
        }
        let rows = Entity::find().filter(Column::Enabled.eq(true)).order_by_asc(Column::Id).all(db).await?;
        let rules: Result<Vec<Rule>, ApiError> =
            rows.into_iter().filter_map(|row| Rule::of(row).transpose()).collect();
        let rules: Arc<[Rule]> = rules?.into();
        self.known.insert(epoch, Arc::clone(&rules));
        Ok(rules)
    }
}
