//! Keeps visits in step with events, within the transaction that stores the events.
//!
//! All state is in the table. Whoever records holds the locks of the people concerned ([`crate::persons::lock`]),
//! so that two instances never look for the same person's visits at the same time.

use std::collections::{BTreeMap, HashMap};

use chrono::{DateTime, TimeDelta, Utc};
use sea_orm::sea_query::{Expr, ExprTrait as _, Func, LockBehavior, LockType, OnConflict, Query, SimpleExpr};
use sea_orm::{ColumnTrait as _, Condition, ConnectionTrait, DbErr, EntityTrait as _, QueryFilter as _, Set};
use uuid::Uuid;

use super::counts::Changes;
use super::visits::{Visit, join};
use crate::counting::{ROWS_PER_CONDITION, ROWS_PER_STATEMENT};
use crate::database;
use crate::entity::sessions::{ActiveModel, Column, Entity};

/// Visits closed by one statement, so that it never holds writers up for long.
const CLOSED_PER_STATEMENT: u64 = 1000;

/// A person at a camera.
pub(crate) type Visitor = (Uuid, String);

/// New sightings, by person and camera.
#[derive(Debug, Default)]
pub(crate) struct Sightings(BTreeMap<Visitor, Vec<Visit>>);

impl Sightings {
    /// Adds one.
    pub(crate) fn add(&mut self, person_id: Uuid, camera_id: &str, sighting: Visit) {
        self.0.entry((person_id, camera_id.to_owned())).or_default().push(sighting);
    }

    /// Extends, joins and opens visits so that they contain every sighting, and says what that changes in the counts.
    pub(crate) async fn record(self, db: &impl ConnectionTrait, gap: TimeDelta) -> Result<Changes, DbErr> {
        let open_since = Utc::now() - gap;
        let mut visitors: BTreeMap<Visitor, Vec<Visit>> = self.0;
        add_stored(db, &mut visitors, gap).await?;
        let (mut rows, mut absorbed, mut changes) = (Vec::new(), Vec::new(), Changes::default());
        for ((person_id, camera_id), visits) in visitors {
            let stored: HashMap<Uuid, Visit> =
                visits.iter().filter_map(|visit| Some((visit.id?, *visit))).collect();
            for joined in join(visits, gap).into_iter().filter(|joined| joined.has_grown) {
                let visit = joined.visit;
                for before in visit.id.iter().chain(&joined.absorbed).filter_map(|id| stored.get(id)) {
                    changes.remove(&camera_id, before.entry, before.exit);
                }
                changes.add(&camera_id, visit.entry, visit.exit);
                absorbed.extend(joined.absorbed);
                rows.push(ActiveModel {
                    id: Set(visit.id.unwrap_or_else(Uuid::now_v7)),
                    person_id: Set(person_id),
                    camera_id: Set(camera_id.clone()),
                    entry_time: Set(visit.entry),
                    exit_time: Set(visit.exit),
                    detection_count: Set(visit.detections),
                    is_open: Set(visit.exit >= open_since),
                });
            }
        }
        let replace = OnConflict::column(Column::Id)
            .update_columns([Column::EntryTime, Column::ExitTime, Column::DetectionCount, Column::IsOpen])
            .to_owned();
        for rows in rows.chunks(ROWS_PER_STATEMENT) {
            Entity::insert_many(rows.to_vec())
                .on_conflict(replace.clone())
                .exec_without_returning(db)
                .await?;
        }
        for ids in absorbed.chunks(ROWS_PER_STATEMENT) {
            Entity::delete_many().filter(Column::Id.is_in(ids.iter().copied())).exec(db).await?;
        }
        Ok(changes)
    }
}

/// Adds the stored visits that the new ones may touch. Stored visits are further apart than the gap: one that
/// touches no sighting touches nothing that comes of them either.
async fn add_stored(
    db: &impl ConnectionTrait,
    visitors: &mut BTreeMap<Visitor, Vec<Visit>>,
    gap: TimeDelta,
) -> Result<(), DbErr> {
    let near: Vec<Condition> =
        visitors.iter().map(|(visitor, sightings)| touching(visitor, sightings, gap)).collect();
    for conditions in near.chunks(ROWS_PER_CONDITION) {
        let any = conditions.iter().fold(Condition::any(), |any, one| any.add(one.clone()));
        for row in Entity::find().filter(any).all(db).await? {
            let visit = Visit {
                id: Some(row.id),
                entry: row.entry_time,
                exit: row.exit_time,
                detections: row.detection_count,
            };
            visitors.entry((row.person_id, row.camera_id)).or_default().push(visit);
        }
    }
    Ok(())
}

fn touching((person_id, camera_id): &Visitor, sightings: &[Visit], gap: TimeDelta) -> Condition {
    let entry = sightings.iter().map(|sighting| sighting.entry).min();
    let exit = sightings.iter().map(|sighting| sighting.exit).max();
    Condition::all()
        .add(Column::PersonId.eq(*person_id))
        .add(Column::CameraId.eq(camera_id.as_str()))
        .add_option(entry.map(|entry| Column::ExitTime.gte(entry - gap)))
        .add_option(exit.map(|exit| entry_time().lte(exit + gap)))
}

/// The entry, wrapped so that no index is looked through for it: most of a camera's visits began before, few are one
/// person's.
fn entry_time() -> SimpleExpr {
    Func::coalesce([Expr::col(Column::EntryTime), Expr::col(Column::EntryTime)]).into()
}

/// Closes visits of people who were not seen for `gap` before `now`, and says how many. A visit that is being
/// recorded at this moment is left alone: it has just been seen.
pub(super) async fn close_ended(
    db: &impl ConnectionTrait,
    gap: TimeDelta,
    now: DateTime<Utc>,
) -> Result<u64, DbErr> {
    let is_over = Condition::all()
        .add(Expr::col(Column::IsOpen))
        .add(database::unindexed(db, Entity, Column::ExitTime).lt(now - gap));
    let some = Query::select()
        .column(Column::Id)
        .from(Entity)
        .cond_where(is_over.clone())
        .limit(CLOSED_PER_STATEMENT)
        .lock_with_behavior(LockType::NoKeyUpdate, LockBehavior::SkipLocked)
        .to_owned();
    let mut closed = 0;
    loop {
        let update = Entity::update_many()
            .col_expr(Column::IsOpen, false.into())
            .filter(Column::Id.in_subquery(some.clone()))
            .filter(is_over.clone())
            .exec(db)
            .await?;
        closed += update.rows_affected;
        if update.rows_affected < CLOSED_PER_STATEMENT {
            return Ok(closed);
        }
    }
}

/// Removes the `limit` earliest visits that ended before a moment; says how many they were.
pub(crate) async fn remove_ended(
    db: &impl ConnectionTrait,
    before: DateTime<Utc>,
    limit: u64,
) -> Result<u64, DbErr> {
    remove(db, ended(db, before), limit).await
}

/// Removes all visits of a person.
pub(crate) async fn remove_of(db: &impl ConnectionTrait, person_id: Uuid) -> Result<u64, DbErr> {
    remove(db, Condition::all().add(Column::PersonId.eq(person_id)), u32::MAX.into()).await
}

async fn remove(db: &impl ConnectionTrait, condition: Condition, limit: u64) -> Result<u64, DbErr> {
    let keys = (Column::Id, Column::EntryTime);
    let columns = [Column::CameraId, Column::EntryTime, Column::ExitTime];
    let rows = database::take_first::<Entity>(db, condition, keys, limit, columns).await?;
    let mut changes = Changes::default();
    for row in &rows {
        let (camera_id, entry, exit): (String, _, _) =
            (row.try_get_by_index(0)?, row.try_get_by_index(1)?, row.try_get_by_index(2)?);
        changes.remove(&camera_id, entry, exit);
    }
    changes.apply(db).await?;
    Ok(rows.len() as u64)
}

/// Visits that ended before a moment. They began before it, too, which is what the index knows.
pub(crate) fn ended(db: &impl ConnectionTrait, before: DateTime<Utc>) -> Condition {
    let exit_time = database::unindexed(db, Entity, Column::ExitTime);
    Condition::all().add(Column::EntryTime.lt(before)).add(exit_time.lt(before))
}
