//! Stores a batch of events: pictures as files, rows in one transaction, each event once.
//!
//! Idempotency rests on the unique index over `event_id` and nothing else: two instances may be sent the same
//! batch at the same moment. Pictures are written before the rows, so that no row promises a picture that is
//! not there. When the rows then fail, the pictures stay: the worker sends the batch again and they are
//! replaced by themselves.

use std::collections::HashSet;

use chrono::Utc;
use sea_orm::sea_query::OnConflict;
use sea_orm::{
    ColumnTrait, DatabaseConnection, DbErr, EntityTrait, QueryFilter, QuerySelect, Set, SqlErr,
    TryIntoModel as _,
};
use serde::Serialize;
use uuid::Uuid;
use vedette_events::Gender;

use super::batch::CheckedEvent;
use crate::database::begin_write;
use crate::entity::{detections, persons};
use crate::error::ApiError;
use crate::persons::template;
use crate::storage::{ObjectKey, Storage, StorageError};

/// Rows of one statement: as many as keep its variables below the limit of both databases.
const ROWS_PER_STATEMENT: usize = 500;
/// Ids of one query.
const IDS_PER_QUERY: usize = 5_000;

/// What became of a batch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Receipt {
    /// Events stored now.
    pub(crate) accepted: u64,
    /// Events that were there already, or twice in the batch.
    pub(crate) duplicates: u64,
}

/// What was stored.
#[derive(Debug)]
pub(crate) struct Stored {
    /// How much of it.
    pub(crate) receipt: Receipt,
    /// The rows, in the order of the events.
    pub(crate) rows: Vec<detections::Model>,
}

/// Stores `events`; all of them or, on an error, none.
pub(crate) async fn store(
    db: &DatabaseConnection,
    storage: &Storage,
    events: Vec<CheckedEvent>,
) -> Result<Stored, ApiError> {
    let total = events.len() as u64;
    let events = without_known(db, events).await?;
    let (events, with_snapshot) = write_snapshots(storage, events).await?;

    let mut persons = existing_persons(db, &events).await?;
    let mut new_rows = rows(&events, &with_snapshot, &persons);
    let mut inserted = insert(db, new_rows.clone()).await;
    if inserted.as_ref().is_err_and(is_foreign_key_violation) {
        // Someone was erased between the query and the insert.
        persons = existing_persons(db, &events).await?;
        new_rows = rows(&events, &with_snapshot, &persons);
        inserted = insert(db, new_rows.clone()).await;
    }
    let accepted = inserted?;
    let receipt = Receipt { accepted, duplicates: total - accepted };
    let is_ours = accepted == new_rows.len() as u64;
    let mut rows: Vec<detections::Model> =
        new_rows.into_iter().filter_map(|row| row.try_into_model().ok()).collect();
    if !is_ours {
        // Another instance was sent some of them at the same moment; those rows are its own.
        let ours = existing_detections(db, &rows).await?;
        rows.retain(|row| ours.contains(&row.id));
    }
    Ok(Stored { receipt, rows })
}

/// Which of `rows` are in the database under their own ids.
async fn existing_detections(
    db: &DatabaseConnection,
    rows: &[detections::Model],
) -> Result<HashSet<Uuid>, DbErr> {
    let ids: Vec<Uuid> = rows.iter().map(|row| row.id).collect();
    let mut existing = HashSet::with_capacity(ids.len());
    for ids in ids.chunks(IDS_PER_QUERY) {
        let found: Vec<Uuid> = detections::Entity::find()
            .select_only()
            .column(detections::Column::Id)
            .filter(detections::Column::Id.is_in(ids.iter().copied()))
            .into_tuple()
            .all(db)
            .await?;
        existing.extend(found);
    }
    Ok(existing)
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
    storage: &Storage,
    mut events: Vec<CheckedEvent>,
) -> Result<(Vec<CheckedEvent>, HashSet<Uuid>), ApiError> {
    let storage = storage.clone();
    let write_all = move || {
        let mut written = HashSet::new();
        for checked in &mut events {
            if let Some(jpeg) = checked.snapshot.take() {
                storage.write(&snapshot_key(checked), &jpeg)?;
                written.insert(checked.event.event_id);
            }
        }
        Ok::<_, StorageError>((events, written))
    };
    tokio::task::spawn_blocking(write_all).await.map_err(ApiError::internal)?.map_err(ApiError::from)
}

fn snapshot_key(checked: &CheckedEvent) -> ObjectKey {
    ObjectKey::snapshot(checked.event.event_id, checked.event.timestamp)
}

/// Which of the people named still are in the database.
async fn existing_persons(db: &DatabaseConnection, events: &[CheckedEvent]) -> Result<HashSet<Uuid>, DbErr> {
    let named: HashSet<Uuid> = events.iter().filter_map(|checked| checked.person_id).collect();
    let named: Vec<Uuid> = named.into_iter().collect();
    let mut existing = HashSet::with_capacity(named.len());
    for ids in named.chunks(IDS_PER_QUERY) {
        let found: Vec<Uuid> = persons::Entity::find()
            .select_only()
            .column(persons::Column::Id)
            .filter(persons::Column::Id.is_in(ids.iter().copied()))
            .into_tuple()
            .all(db)
            .await?;
        existing.extend(found);
    }
    Ok(existing)
}

async fn insert(db: &DatabaseConnection, rows: Vec<detections::ActiveModel>) -> Result<u64, DbErr> {
    let mut accepted = 0;
    let transaction = begin_write(db).await?;
    let mut rows = rows.into_iter().peekable();
    while rows.peek().is_some() {
        let chunk = rows.by_ref().take(ROWS_PER_STATEMENT);
        accepted += detections::Entity::insert_many(chunk)
            .on_conflict(OnConflict::column(detections::Column::EventId).do_nothing().to_owned())
            .exec_without_returning(&transaction)
            .await?;
    }
    transaction.commit().await?;
    Ok(accepted)
}

fn is_foreign_key_violation(error: &DbErr) -> bool {
    matches!(error.sql_err(), Some(SqlErr::ForeignKeyConstraintViolation(_)))
}

fn rows(
    events: &[CheckedEvent],
    with_snapshot: &HashSet<Uuid>,
    persons: &HashSet<Uuid>,
) -> Vec<detections::ActiveModel> {
    events.iter().map(|checked| row(checked, with_snapshot, persons)).collect()
}

/// The row of an event. A person who is not there (any more) leaves no trace in it, least of all a name.
fn row(
    checked: &CheckedEvent,
    with_snapshot: &HashSet<Uuid>,
    persons: &HashSet<Uuid>,
) -> detections::ActiveModel {
    let event = &checked.event;
    let person_id = checked.person_id.filter(|id| persons.contains(id));
    let person = event.person.as_ref().filter(|_| person_id.is_some());
    let snapshot_path = with_snapshot.contains(&event.event_id).then(|| snapshot_key(checked).to_string());
    let signed = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
    let pixels = |number: u32| i32::try_from(number).unwrap_or(i32::MAX);
    detections::ActiveModel {
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
        confidence: Set(event.confidence.clamp(0.0, 1.0)),
        quality: Set(event.quality.clamp(0.0, 1.0)),
        box_x: Set(pixels(event.bounding_box.x)),
        box_y: Set(pixels(event.bounding_box.y)),
        box_width: Set(pixels(event.bounding_box.width)),
        box_height: Set(pixels(event.bounding_box.height)),
        frame_width: Set(pixels(event.frame.width)),
        frame_height: Set(pixels(event.frame.height)),
        age: Set(event.age),
        gender: Set(event.gender.map(gender_name)),
        snapshot_path: Set(snapshot_path),
        embedding: Set(checked.embedding.as_deref().map(template::to_stored)),
        first_seen: Set(event.first_seen),
        last_seen: Set(event.last_seen),
        created_at: Set(Utc::now()),
    }
}

fn gender_name(gender: Gender) -> String {
    match gender {
        Gender::Female => "female".to_owned(),
        Gender::Male => "male".to_owned(),
    }
}
