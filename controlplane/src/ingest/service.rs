//! Stores a batch of events: pictures as files; rows, visits, counts and alerts in one transaction; each event once.
//!
//! Idempotency rests on the unique index over `event_id` and nothing else: two instances may be sent the same
//! batch at the same moment. Pictures are written before the rows, so that no row promises a picture that is
//! not there. When the rows then fail, the pictures stay: the worker sends the batch again and they are
//! replaced by themselves.

use std::collections::{BTreeSet, HashSet};

use chrono::{TimeDelta, Utc};
use sea_orm::sea_query::OnConflict;
use sea_orm::{
    ColumnTrait, ConnectionTrait, DatabaseConnection, DbErr, EntityTrait, QueryFilter, QuerySelect, Set,
    TryIntoModel as _,
};
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;
use vedette_events::FaceEvent;

use super::batch::CheckedEvent;
use crate::alerts::{self, Made, Rule, Sighting};
use crate::crypto::{Keys, SealError};
use crate::database::begin_write;
use crate::detections::rollup::{Changes, Counted};
use crate::discards;
use crate::entity::detections;
use crate::error::ApiError;
use crate::persons::{self, template};
use crate::sessions::{Sightings, Visit, session_gap};
use crate::state::State;
use crate::storage::{Care, ObjectKey, Picture};

/// Rows of one statement: as many as keep its variables below the limit of both databases.
const ROWS_PER_STATEMENT: usize = 500;
/// Ids of one query.
const IDS_PER_QUERY: usize = 5_000;
/// No picture is removed because of its age that is younger.
const SHORTEST_RETENTION: TimeDelta = TimeDelta::days(1);

/// What became of a batch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, ToSchema)]
#[schema(examples(json!({ "accepted": 3, "duplicates": 0 })))]
pub(crate) struct Receipt {
    /// Events stored now.
    pub(crate) accepted: u64,
    /// Events that were there already, or twice in the batch, or about somebody who was erased since.
    pub(crate) duplicates: u64,
}

/// What was stored.
#[derive(Debug)]
pub(crate) struct Stored {
    /// How much of it.
    pub(crate) receipt: Receipt,
    /// The rows, in the order of the events.
    pub(crate) rows: Vec<detections::Model>,
    /// What rules say of them.
    pub(crate) alerts: Vec<Made>,
}

/// An event whose row was not there yet.
struct Inserted {
    checked: CheckedEvent,
    row: detections::ActiveModel,
}

/// Stores `events`, and what follows from them: visits, counts and alerts. All of it or, on an error, nothing.
pub(crate) async fn store(state: &State, events: Vec<CheckedEvent>) -> Result<Stored, ApiError> {
    let total = events.len() as u64;
    let events = without_known(&state.db, events).await?;
    let (mut events, with_snapshot) = write_snapshots(state, events).await?;
    // Always in the same order, so that two batches with the same events never wait for each other in a circle.
    events.sort_unstable_by_key(|checked| checked.event.event_id);
    let rules = state.alerts.rules(&state.db).await?;

    let transaction = begin_write(&state.db).await?;
    let named: BTreeSet<Uuid> = events.iter().filter_map(|checked| checked.person_id).collect();
    let persons = persons::lock(&transaction, named.clone()).await?;
    let erased = persons::erased(&transaction, named.into_iter().filter(|id| !persons.contains(id))).await?;
    let is_erased = |checked: &CheckedEvent| checked.person_id.is_some_and(|id| erased.contains(&id));
    let (dropped, kept): (Vec<_>, Vec<_>) = events.into_iter().partition(is_erased);
    let dropped: Vec<ObjectKey> = dropped.iter().map(snapshot_key).collect();
    discards::list(&transaction, &dropped, TimeDelta::zero()).await?;
    events = kept;
    events
        .iter_mut()
        .for_each(|checked| checked.person_id = checked.person_id.filter(|id| persons.contains(id)));
    let inserted = insert(&transaction, &state.keys, events, &with_snapshot).await?;

    let (mut sightings, mut changes) = (Sightings::default(), Changes::default());
    for Inserted { checked: CheckedEvent { event, person_id, .. }, .. } in &inserted {
        changes.add(Counted {
            time: event.timestamp,
            camera_id: &event.camera_id,
            kind: event.kind,
            person_id: *person_id,
            confidence: stored_confidence(event),
        });
        if let Some(person_id) = person_id {
            let sighting = Visit::of_event(event.timestamp, event.first_seen, event.last_seen);
            sightings.add(*person_id, &event.camera_id, sighting);
        }
    }
    let visits = sightings.record(&transaction, session_gap(&state.config.file.detection)).await?;
    changes.apply(&transaction).await?;
    visits.apply(&transaction).await?;
    let alerts = alerts_of(&transaction, &rules, &inserted).await?;
    transaction.commit().await?;
    if let Err(error) = discards::remove(&state.db, &state.storage, dropped).await {
        tracing::warn!(%error, "pictures of people who were erased are removed later");
    }
    let accepted = inserted.len() as u64;
    let rows = inserted.into_iter().filter_map(|inserted| inserted.row.try_into_model().ok());
    Ok(Stored { receipt: Receipt { accepted, duplicates: total - accepted }, rows: rows.collect(), alerts })
}

/// What rules say of events that are new.
async fn alerts_of(
    db: &impl ConnectionTrait,
    rules: &[Rule],
    inserted: &[Inserted],
) -> Result<Vec<Made>, DbErr> {
    if rules.is_empty() {
        return Ok(Vec::new());
    }
    let sightings: Vec<Sighting<'_>> = inserted.iter().filter_map(sighting).collect();
    alerts::of_sightings(db, rules, &sightings).await
}

/// An event as rules see it.
fn sighting(
    Inserted { checked: CheckedEvent { event, person_id, .. }, row }: &Inserted,
) -> Option<Sighting<'_>> {
    Some(Sighting {
        detection_id: *row.id.try_as_ref()?,
        kind: event.kind,
        camera_id: &event.camera_id,
        person: person_id.zip(event.person.as_ref().map(|person| person.name.as_str())),
        timestamp: event.timestamp,
    })
}

/// Drops events that are stored already, and all but the first of those that are twice in the batch: what a
/// worker sends again after a lost answer costs one query.
async fn without_known(
    db: &DatabaseConnection,
    mut events: Vec<CheckedEvent>,
) -> Result<Vec<CheckedEvent>, DbErr> {
    let ids: Vec<Uuid> = events.iter().map(|checked| checked.event.event_id).collect();
    let mut seen = HashSet::with_capacity(ids.len());
    for ids in ids.chunks(IDS_PER_QUERY) {
        let known: Vec<Uuid> = detections::Entity::find()
            .select_only()
            .column(detections::Column::EventId)
            .filter(detections::Column::EventId.is_in(ids.iter().copied()))
            .into_tuple()
            .all(db)
            .await?;
        seen.extend(known);
    }
    events.retain(|checked| seen.insert(checked.event.event_id));
    Ok(events)
}

/// Writes every picture; answers the events, without the bytes, and the ids of those that have one.
async fn write_snapshots(
    state: &State,
    mut events: Vec<CheckedEvent>,
) -> Result<(Vec<CheckedEvent>, HashSet<Uuid>), ApiError> {
    let removed = being_removed(&state.db, &events).await?;
    let (mut pictures, mut written) = (Vec::new(), HashSet::new());
    for checked in &mut events {
        let key = snapshot_key(checked);
        if let Some(jpeg) = checked.snapshot.take().filter(|_| !removed.contains(&key)) {
            pictures.push(Picture { key, jpeg });
            written.insert(checked.event.event_id);
        }
    }
    state.storage.write(pictures, Care::Passing).await?;
    Ok((events, written))
}

/// Pictures that are just being removed, of events that were stored once, kept as long as they may be, and are sent
/// again. They stay away: a row would promise what is gone in a moment.
async fn being_removed(
    db: &DatabaseConnection,
    events: &[CheckedEvent],
) -> Result<HashSet<ObjectKey>, DbErr> {
    let latest = Utc::now() - SHORTEST_RETENTION;
    let old = events.iter().filter(|checked| checked.event.timestamp < latest);
    let keys: Vec<ObjectKey> = old.filter(|checked| checked.snapshot.is_some()).map(snapshot_key).collect();
    discards::listed(db, &keys).await
}

fn snapshot_key(checked: &CheckedEvent) -> ObjectKey {
    ObjectKey::snapshot(checked.event.event_id, checked.event.timestamp)
}

/// Inserts the events and answers those that were not there yet: another instance may have been sent the same
/// batch, and whatever an event counts for must count once.
async fn insert(
    db: &impl ConnectionTrait,
    keys: &Keys,
    events: Vec<CheckedEvent>,
    with_snapshot: &HashSet<Uuid>,
) -> Result<Vec<Inserted>, ApiError> {
    let mut inserted = Vec::with_capacity(events.len());
    let mut events = events.into_iter().peekable();
    while events.peek().is_some() {
        let new = |checked: CheckedEvent| {
            Ok::<_, SealError>(Inserted { row: row(keys, &checked, with_snapshot)?, checked })
        };
        let chunk = events.by_ref().take(ROWS_PER_STATEMENT).map(new);
        let mut chunk: Vec<Inserted> = chunk.collect::<Result<_, _>>()?;
        let ids: Vec<Uuid> = chunk.iter().filter_map(|new| new.row.id.try_as_ref().copied()).collect();
        let count = detections::Entity::insert_many(chunk.iter().map(|new| new.row.clone()))
            .on_conflict(OnConflict::column(detections::Column::EventId).do_nothing().to_owned())
            .exec_without_returning(db)
            .await?;
        if count < chunk.len() as u64 {
            let ours = event_ids(db, ids).await?;
            chunk.retain(|new| ours.contains(&new.checked.event.event_id));
        }
        inserted.append(&mut chunk);
    }
    Ok(inserted)
}

/// The events whose rows have these ids.
async fn event_ids(db: &impl ConnectionTrait, row_ids: Vec<Uuid>) -> Result<HashSet<Uuid>, DbErr> {
    let ids: Vec<Uuid> = detections::Entity::find()
        .select_only()
        .column(detections::Column::EventId)
        .filter(detections::Column::Id.is_in(row_ids))
        .into_tuple()
        .all(db)
        .await?;
    Ok(ids.into_iter().collect())
}

/// The row of an event. A person who is not there (any more) leaves no trace in it, least of all a name.
fn row(
    keys: &Keys,
    checked: &CheckedEvent,
    with_snapshot: &HashSet<Uuid>,
) -> Result<detections::ActiveModel, SealError> {
    let event = &checked.event;
    let person_id = checked.person_id;
    let person = event.person.as_ref().filter(|_| person_id.is_some());
    let snapshot_path = with_snapshot.contains(&event.event_id).then(|| snapshot_key(checked).to_string());
    let signed = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
    let pixels = |number: u32| i32::try_from(number).unwrap_or(i32::MAX);
    let seal = |embedding: &[f32]| template::seal_stranger(keys, event.event_id, embedding);
    Ok(detections::ActiveModel {
        id: Set(Uuid::now_v7()),
        event_id: Set(event.event_id),
        kind: Set(event.kind.as_str().to_owned()),
        timestamp: Set(event.timestamp),
        stream_time_ms: Set(signed(event.stream_time_ms)),
        camera_id: Set(event.camera_id.clone()),
        track_id: Set(signed(event.track_id)),
        person_id: Set(person_id),
        person_name: Set(person.map(|person| person.name.clone())),
        similarity: Set(person.map(|person| person.similarity.clamp(-1.0, 1.0))),
        margin: Set(person.map(|person| person.margin)),
        confidence: Set(stored_confidence(event)),
        quality: Set(event.quality.clamp(0.0, 1.0)),
        box_x: Set(pixels(event.bounding_box.x)),
        box_y: Set(pixels(event.bounding_box.y)),
        box_width: Set(pixels(event.bounding_box.width)),
        box_height: Set(pixels(event.bounding_box.height)),
        frame_width: Set(pixels(event.frame.width)),
        frame_height: Set(pixels(event.frame.height)),
        age: Set(event.age),
        gender: Set(event.gender.map(|gender| gender.as_str().to_owned())),
        snapshot_path: Set(snapshot_path),
        embedding: Set(checked.embedding.as_deref().map(seal).transpose()?),
        first_seen: Set(event.first_seen),
        last_seen: Set(event.last_seen),
        created_at: Set(Utc::now()),
    })
}

/// Rounding may have led a little out of range.
fn stored_confidence(event: &FaceEvent) -> f32 {
    event.confidence.clamp(0.0, 1.0)
}
