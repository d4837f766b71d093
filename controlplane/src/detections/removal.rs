//! The one way detections are removed, with what they count for and their pictures; or their pictures and faces alone.

use chrono::TimeDelta;
use sea_orm::sea_query::{Expr, LockType};
use sea_orm::{
    ColumnTrait as _, Condition, ConnectionTrait, DbErr, EntityTrait as _, QueryFilter as _, TryGetable,
};
use uuid::Uuid;

use super::rollup::{Changes, Counted, KINDS};
use crate::database;
use crate::discards;
use crate::entity::detections::{Column, Entity};
use crate::storage::ObjectKey;

/// Ids of one statement.
const IDS_PER_STATEMENT: usize = 500;
/// What tells detections apart, and which go first.
const EARLIEST: (Column, Column) = (Column::Id, Column::Timestamp);

/// What was removed.
#[derive(Debug, Default)]
pub(crate) struct Removed {
    /// Detections.
    pub(crate) rows: u64,
    /// Their pictures, which are on the list of [`discards`]: to be removed once the transaction has committed.
    pub(crate) pictures: Vec<ObjectKey>,
}

/// Removes the `limit` earliest of the detections `condition` lets through, within the caller's transaction, and takes
/// them out of the counts. Whoever removes many does so in portions, and lets others write in between.
pub(crate) async fn remove(
    db: &impl ConnectionTrait,
    condition: Condition,
    limit: u64,
) -> Result<Removed, DbErr> {
    let columns = [
        Column::Timestamp,
        Column::CameraId,
        Column::Kind,
        Column::PersonId,
        Column::Confidence,
        Column::SnapshotPath,
    ];
    let rows = database::take_first::<Entity>(db, condition, EARLIEST, limit, columns).await?;
    let (mut changes, mut pictures) = (Changes::default(), Vec::new());
    for row in &rows {
        let camera_id = String::try_get_by_index(row, 1)?;
        let kind = String::try_get_by_index(row, 2)?;
        let person_id = Option::<Uuid>::try_get_by_index(row, 3)?;
        if let Some(kind) = KINDS.into_iter().find(|known| known.as_str() == kind) {
            let (time, confidence) =
                (TryGetable::try_get_by_index(row, 0)?, TryGetable::try_get_by_index(row, 4)?);
            changes.remove(Counted { time, camera_id: &camera_id, kind, person_id, confidence });
        }
        let picture = Option::<String>::try_get_by_index(row, 5)?;
        pictures.extend(picture.as_deref().and_then(ObjectKey::parse));
    }
    discards::list(db, &pictures, TimeDelta::zero()).await?;
    changes.apply(db).await?;
    Ok(Removed { rows: rows.len() as u64, pictures })
}

/// What of a detection is removed when the detection itself stays.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    /// Its picture.
    Picture,
    /// Its picture, and the embedding by which a stranger is told again.
    Face,
}

/// Removes a part of the `limit` earliest of the detections `condition` lets through, within the caller's transaction.
/// The detections stay, and count.
pub(crate) async fn remove_part(
    db: &impl ConnectionTrait,
    part: Part,
    condition: Condition,
    limit: u64,
) -> Result<Removed, DbErr> {
    let mut some = database::first_ids::<Entity>(condition, EARLIEST, limit);
    // Whoever changes one at this moment is waited for.
    some.column(Column::SnapshotPath).lock(LockType::NoKeyUpdate);
    let rows = db.query_all(&some).await?;
    let (mut ids, mut pictures) = (Vec::with_capacity(rows.len()), Vec::new());
    for row in &rows {
        ids.push(Uuid::try_get_by_index(row, 0)?);
        let picture = Option::<String>::try_get_by_index(row, 1)?;
        pictures.extend(picture.as_deref().and_then(ObjectKey::parse));
    }
    discards::list(db, &pictures, TimeDelta::zero()).await?;
    for ids in ids.chunks(IDS_PER_STATEMENT) {
        let mut update = Entity::update_many()
            .col_expr(Column::SnapshotPath, Expr::value(Option::<String>::None))
            .filter(Column::Id.is_in(ids.iter().copied()));
        if part == Part::Face {
            update = update.col_expr(Column::Embedding, Expr::value(Option::<Vec<u8>>::None));
        }
        update.exec(db).await?;
    }
    Ok(Removed { rows: rows.len() as u64, pictures })
}
