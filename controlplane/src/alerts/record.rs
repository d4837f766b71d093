//! Makes alerts, within the transaction that stores what caused them: both are there or neither, and each once.
//!
//! Cooldowns are rows, one for each rule, camera and person, locked while it is decided whether there is more to say:
//! whichever instance an event comes to, and however often servers start anew. They go by the time of what happened, so
//! that events handed in late, in one batch, count as they would have in time. What comes out of order, from before the
//! last alert, makes none.

use std::collections::{BTreeMap, HashMap, HashSet};

use chrono::{DateTime, TimeDelta, Utc};
use sea_orm::sea_query::{LockType, OnConflict};
use sea_orm::{
    ActiveValue::Set, ColumnTrait as _, ConnectionTrait, DbErr, EntityTrait, IntoActiveModel as _,
    QueryFilter as _, QueryOrder as _, QuerySelect as _,
};
use uuid::Uuid;

use super::compiled::{Rule, Sighting};
use super::outbox::{self, Status};
use super::rule::{MAX_COOLDOWN_S, RuleKind};
use crate::database;
use crate::entity::{alert_cooldowns, alert_deliveries, alert_rules, alerts};

/// Rows of one statement: as many as keep its variables below the limit of both databases.
const ROWS_PER_STATEMENT: usize = 500;
/// Keys of one query.
const KEYS_PER_QUERY: usize = 5_000;

/// An alert that was made, and who is to be told.
#[derive(Clone, Debug)]
pub(crate) struct Made {
    pub(super) kind: RuleKind,
    pub(super) alert: alerts::Model,
    pub(super) deliveries: Vec<alert_deliveries::Model>,
}

/// Something that makes an alert unless the rule spoke of it lately.
#[derive(Clone, Debug)]
pub(super) struct Candidate<'a> {
    pub(super) rule: &'a Rule,
    pub(super) camera_id: &'a str,
    pub(super) person: Option<(Uuid, &'a str)>,
    pub(super) detection_id: Option<Uuid>,
    pub(super) timestamp: DateTime<Utc>,
    /// Of a camera that is away: since when. One absence is spoken of once, however long it is.
    pub(super) offline_since: Option<DateTime<Utc>>,
}

impl Candidate<'_> {
    /// What a cooldown is about.
    pub(super) fn key(&self) -> String {
        let person_id = self.person.map(|(id, _)| id.to_string()).unwrap_or_default();
        format!("{}/{}/{person_id}", self.rule.id, self.camera_id)
    }

    fn has_cooldown(&self) -> bool {
        !self.rule.cooldown.is_zero() || self.offline_since.is_some()
    }

    /// Whether there is more to say than what was said at `last_at`. A clock ahead of the database's counts as being
    /// on time: it must not make later alerts wait.
    pub(super) fn is_news_after(&self, last_at: DateTime<Utc>, now: DateTime<Utc>) -> bool {
        let is_rested = self.timestamp.min(now) - last_at >= self.rule.cooldown;
        is_rested && self.offline_since.is_none_or(|since| last_at < since)
    }
}

/// Makes the alerts of what was seen, by the transaction that stores it.
pub(crate) async fn of_sightings(
    db: &impl ConnectionTrait,
    rules: &[Rule],
    sightings: &[Sighting<'_>],
) -> Result<Vec<Made>, DbErr> {
    let mut candidates = Vec::new();
    for rule in rules {
        let noticed = sightings.iter().filter(|sighting| rule.looks_out_for(sighting));
        candidates.extend(noticed.map(|sighting| Candidate {
            rule,
            camera_id: sighting.camera_id,
            person: sighting.person,
            detection_id: Some(sighting.detection_id),
            timestamp: sighting.timestamp,
            offline_since: None,
        }));
    }
    make(db, candidates).await
}

/// Makes alerts of those candidates nothing was said of lately.
pub(super) async fn make(
    db: &impl ConnectionTrait,
    mut candidates: Vec<Candidate<'_>>,
) -> Result<Vec<Made>, DbErr> {
    if candidates.is_empty() {
        return Ok(Vec::new());
    }
    let present = lock_rules(db, candidates.iter().map(|candidate| candidate.rule.id).collect()).await?;
    candidates.retain(|candidate| present.contains(&candidate.rule.id));
    candidates.sort_by_key(|candidate| (candidate.timestamp, candidate.detection_id, candidate.rule.id));
    let now = database::now(db).await?;
    let mut last_at = lock_cooldowns(db, &candidates).await?;
    candidates.retain(|candidate| {
        if !candidate.has_cooldown() {
            return true;
        }
        let last_at = last_at.entry(candidate.key()).or_insert(NEVER);
        let is_news = candidate.is_news_after(*last_at, now);
        if is_news {
            *last_at = candidate.timestamp.min(now);
        }
        is_news
    });
    keep_cooldowns(db, &candidates, &last_at).await?;
    let made: Vec<Made> = candidates.iter().map(|candidate| made(candidate, now)).collect();
    insert(db, &made).await?;
    Ok(made)
}

/// Before everything that may happen, by more than any cooldown.
const NEVER: DateTime<Utc> = match DateTime::from_timestamp(-2 * (MAX_COOLDOWN_S as i64), 0) {
    Some(time) => time,
    None => DateTime::UNIX_EPOCH,
};

/// Those of the rules that are still there and make alerts: the ones at hand may be a moment old. None of them is
/// removed before the transaction ends.
async fn lock_rules(db: &impl ConnectionTrait, ids: HashSet<Uuid>) -> Result<HashSet<Uuid>, DbErr> {
    let ids: Vec<Uuid> = alert_rules::Entity::find()
        .select_only()
        .column(alert_rules::Column::Id)
        .filter(alert_rules::Column::Id.is_in(ids))
        .filter(alert_rules::Column::Enabled.eq(true))
        .order_by_asc(alert_rules::Column::Id)
        .lock(LockType::KeyShare)
        .into_tuple()
        .all(db)
        .await?;
    Ok(ids.into_iter().collect())
}

/// When the rules last spoke of what the candidates are about. Until the transaction ends, nobody else decides about
/// the same. Always in the same order, so that two who decide never wait for each other.
async fn lock_cooldowns(
    db: &impl ConnectionTrait,
    candidates: &[Candidate<'_>],
) -> Result<HashMap<String, DateTime<Utc>>, DbErr> {
    use alert_cooldowns::{ActiveModel, Column, Entity};
    let with_cooldown = candidates.iter().filter(|candidate| candidate.has_cooldown());
    let subjects: BTreeMap<String, &Candidate<'_>> =
        with_cooldown.map(|candidate| (candidate.key(), candidate)).collect();
    let rows: Vec<ActiveModel> =
        subjects.iter().map(|(key, candidate)| cooldown(key, candidate, NEVER)).collect();
    for rows in rows.chunks(ROWS_PER_STATEMENT) {
        Entity::insert_many(rows.to_vec())
            .on_conflict(OnConflict::column(Column::Key).do_nothing().to_owned())
            .exec_without_returning(db)
            .await?;
    }
    let keys: Vec<&String> = subjects.keys().collect();
    let mut last_at = HashMap::with_capacity(keys.len());
    for keys in keys.chunks(KEYS_PER_QUERY) {
        let rows = Entity::find()
            .filter(Column::Key.is_in(keys.iter().map(|key| key.as_str())))
            .order_by_asc(Column::Key)
            .lock(LockType::Update)
            .all(db)
            .await?;
        last_at.extend(rows.into_iter().map(|row| (row.key, row.last_at)));
    }
    Ok(last_at)
}

/// Writes down what is spoken of now.
async fn keep_cooldowns(
    db: &impl ConnectionTrait,
    candidates: &[Candidate<'_>],
    last_at: &HashMap<String, DateTime<Utc>>,
) -> Result<(), DbErr> {
    use alert_cooldowns::{ActiveModel, Column, Entity};
    let subjects: BTreeMap<String, &Candidate<'_>> =
        candidates.iter().map(|candidate| (candidate.key(), candidate)).collect();
    let rows: Vec<ActiveModel> = subjects
        .iter()
        .filter_map(|(key, candidate)| Some(cooldown(key, candidate, *last_at.get(key)?)))
        .collect();
    for rows in rows.chunks(ROWS_PER_STATEMENT) {
        Entity::insert_many(rows.to_vec())
            .on_conflict(OnConflict::column(Column::Key).update_column(Column::LastAt).to_owned())
            .exec_without_returning(db)
            .await?;
    }
    Ok(())
}

fn cooldown(key: &str, candidate: &Candidate<'_>, last_at: DateTime<Utc>) -> alert_cooldowns::ActiveModel {
    alert_cooldowns::ActiveModel {
        key: Set(key.to_owned()),
        rule_id: Set(candidate.rule.id),
        person_id: Set(candidate.person.map(|(id, _)| id)),
        last_at: Set(last_at),
    }
}

fn made(candidate: &Candidate<'_>, now: DateTime<Utc>) -> Made {
    let alert = alerts::Model {
        id: Uuid::now_v7(),
        rule_id: Some(candidate.rule.id),
        rule_name: candidate.rule.name.clone(),
        kind: candidate.rule.kind.as_str().to_owned(),
        camera_id: candidate.camera_id.to_owned(),
        person_id: candidate.person.map(|(id, _)| id),
        person_name: candidate.person.map(|(_, name)| name.to_owned()),
        detection_id: candidate.detection_id,
        timestamp: candidate.timestamp,
        offline_since: candidate.offline_since,
        created_at: now,
        acknowledged_at: None,
        acknowledged_by: None,
    };
    let delivery = |channel: &outbox::Channel| alert_deliveries::Model {
        id: Uuid::now_v7(),
        alert_id: alert.id,
        rule_id: candidate.rule.id,
        channel: channel.as_str().to_owned(),
        status: Status::Waiting.as_str().to_owned(),
        attempts: 0,
        due_at: now,
        leased_until: None,
        last_error: None,
        created_at: now,
        ended_at: None,
    };
    let deliveries = candidate.rule.channels.iter().map(delivery).collect();
    Made { kind: candidate.rule.kind, alert, deliveries }
}

async fn insert(db: &impl ConnectionTrait, made: &[Made]) -> Result<(), DbErr> {
    let alerts: Vec<alerts::ActiveModel> =
        made.iter().map(|made| made.alert.clone().into_active_model()).collect();
    for alerts in alerts.chunks(ROWS_PER_STATEMENT) {
        alerts::Entity::insert_many(alerts.to_vec()).exec_without_returning(db).await?;
    }
    let deliveries = made.iter().flat_map(|made| &made.deliveries);
    let deliveries: Vec<alert_deliveries::ActiveModel> =
        deliveries.map(|delivery| delivery.clone().into_active_model()).collect();
    for deliveries in deliveries.chunks(ROWS_PER_STATEMENT) {
        alert_deliveries::Entity::insert_many(deliveries.to_vec()).exec_without_returning(db).await?;
    }
    Ok(())
}

/// Forgets when rules last spoke of people long ago: no cooldown reaches as far.
///
/// # Errors
/// When the database does not answer.
pub(crate) async fn forget_cooldowns(db: &impl ConnectionTrait, now: DateTime<Utc>) -> Result<(), DbErr> {
    use alert_cooldowns::{Column, Entity};
    // Twice as long, for what is handed in late. Those about cameras stay: they are few, and one may be away for long.
    let before = now - TimeDelta::seconds(2 * i64::from(MAX_COOLDOWN_S));
    Entity::delete_many()
        .filter(Column::PersonId.is_not_null())
        .filter(Column::LastAt.lt(before))
        .exec(db)
        .await?;
    Ok(())
}
