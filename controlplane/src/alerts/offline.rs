//! Looks after cameras: one that is to run and has not for some time makes an alert, once.
//!
//! Since when a camera is away lies in the database, by the database's clock, so that neither a restart nor the number of
//! instances changes it: whoever looks first writes it down, and whoever sees the camera run again strikes it out. That
//! an absence was spoken of is a cooldown like others (`record.rs`).

use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use chrono::{DateTime, Utc};
use sea_orm::sea_query::{LockType, OnConflict};
use sea_orm::{
    ActiveValue::Set, ColumnTrait as _, DatabaseConnection, DbErr, EntityTrait as _, QueryFilter as _,
    QueryOrder as _, QuerySelect as _,
};
use vedette_events::CameraState;

use super::compiled::Rule;
use super::record::{self, Candidate};
use super::rule::RuleKind;
use crate::cameras;
use crate::database;
use crate::entity::alert_cooldowns;
use crate::entity::camera_outages::{ActiveModel, Column, Entity};
use crate::error::ApiError;
use crate::state::State;

/// How often cameras are looked after. The first look, too, waits for what workers have to say.
const LOOK_INTERVAL: Duration = Duration::from_secs(2);

/// Looks after cameras, for ever. Any number of instances may.
pub async fn watch_offline(state: State) {
    let mut was_reached = true;
    loop {
        tokio::time::sleep(LOOK_INTERVAL).await;
        match look(&state).await {
            Ok(()) => was_reached = true,
            Err(error) if was_reached => {
                tracing::warn!(%error, "cameras cannot be looked after at the moment; trying again");
                was_reached = false;
            }
            Err(_) => (),
        }
    }
}

async fn look(state: &State) -> Result<(), ApiError> {
    let rules = state.alerts.rules(&state.db).await?;
    let rules: Vec<&Rule> = rules.iter().filter(|rule| rule.kind == RuleKind::CameraOffline).collect();
    let away = if rules.is_empty() {
        // Nothing is written down that nobody asks for.
        BTreeSet::new()
    } else {
        let is_away = |state| !matches!(state, CameraState::Running | CameraState::Stopped);
        let statuses = cameras::statuses(state).await?;
        statuses.into_iter().filter(|(_, live)| is_away(live.state)).map(|(id, _)| id).collect()
    };
    let outages = write_down(&state.db, &away).await?;
    if outages.is_empty() {
        return Ok(());
    }
    let now = database::now(&state.db).await?;
    let mut overdue = Vec::new();
    for (camera_id, since) in &outages {
        let is_overdue = |rule: &&&Rule| rule.covers(camera_id) && now - *since >= rule.offline_after;
        overdue.extend(rules.iter().filter(is_overdue).map(|rule| Candidate {
            rule,
            camera_id,
            person: None,
            detection_id: None,
            timestamp: now,
            offline_since: Some(*since),
        }));
    }
    let untold = without_told(&state.db, overdue).await?;
    if untold.is_empty() {
        return Ok(());
    }
    make(state, untold).await
}

/// Brings what is written down in line with the cameras that are away; answers since when those are that were so before.
async fn write_down(
    db: &DatabaseConnection,
    away: &BTreeSet<String>,
) -> Result<HashMap<String, DateTime<Utc>>, DbErr> {
    let known = Entity::find().all(db).await?;
    let (known, over): (Vec<_>, Vec<_>) =
        known.into_iter().partition(|outage| away.contains(&outage.camera_id));
    if !over.is_empty() {
        let over = over.iter().map(|outage| outage.camera_id.as_str());
        Entity::delete_many().filter(Column::CameraId.is_in(over)).exec(db).await?;
    }
    let known: HashMap<String, DateTime<Utc>> =
        known.into_iter().map(|outage| (outage.camera_id, outage.since)).collect();
    let now = database::now(db).await?;
    let new = away.iter().filter(|camera_id| !known.contains_key(*camera_id));
    let new: Vec<ActiveModel> =
        new.map(|camera_id| ActiveModel { camera_id: Set(camera_id.clone()), since: Set(now) }).collect();
    if !new.is_empty() {
        // Another instance may have written it down a moment ago.
        Entity::insert_many(new)
            .on_conflict(OnConflict::column(Column::CameraId).do_nothing().to_owned())
            .exec_without_returning(db)
            .await?;
    }
    Ok(known)
}

/// Those of the candidates nothing was said of yet: as long as a camera is away, one look is as good as another.
async fn without_told<'a>(
    db: &DatabaseConnection,
    mut candidates: Vec<Candidate<'a>>,
) -> Result<Vec<Candidate<'a>>, DbErr> {
    use alert_cooldowns::{Column, Entity};
    if candidates.is_empty() {
        return Ok(candidates);
    }
    let keys = candidates.iter().map(Candidate::key);
    let told = Entity::find().filter(Column::Key.is_in(keys)).all(db).await?;
    let told: HashMap<String, DateTime<Utc>> = told.into_iter().map(|row| (row.key, row.last_at)).collect();
    candidates.retain(|candidate| {
        let last_at = told.get(&candidate.key());
        last_at.is_none_or(|last_at| candidate.is_news_after(*last_at, candidate.timestamp))
    });
    Ok(candidates)
}

/// Makes the alerts, unless the cameras have come back meanwhile.
async fn make(state: &State, mut candidates: Vec<Candidate<'_>>) -> Result<(), ApiError> {
    let transaction = database::begin_write(&state.db).await?;
    let cameras: BTreeSet<&str> = candidates.iter().map(|candidate| candidate.camera_id).collect();
    let still_away: Vec<String> = Entity::find()
        .select_only()
        .column(Column::CameraId)
        .filter(Column::CameraId.is_in(cameras))
        .order_by_asc(Column::CameraId)
        .lock(LockType::KeyShare)
        .into_tuple()
        .all(&transaction)
        .await?;
    candidates.retain(|candidate| still_away.iter().any(|camera_id| camera_id == candidate.camera_id));
    let made = record::make(&transaction, candidates).await?;
    transaction.commit().await?;
    state.alerts.announce(state, made);
    Ok(())
}
