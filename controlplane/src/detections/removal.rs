//! The one way detections are removed: with what they count for.

use sea_orm::sea_query::{Query, ReturningClause};
use sea_orm::{Condition, ConnectionTrait, DbErr, TryGetable};
use uuid::Uuid;

use super::rollup::{Changes, Counted, KINDS};
use crate::entity::detections::{Column, Entity};

/// Removes the detections `condition` lets through, within the caller's transaction, and takes them out of the
/// counts; says how many they were. Holds a few bytes of each in memory: what removes millions does so in portions.
pub(crate) async fn remove(db: &impl ConnectionTrait, condition: Condition) -> Result<u64, DbErr> {
    let columns = [Column::Timestamp, Column::CameraId, Column::Kind, Column::PersonId, Column::Confidence];
    let delete = Query::delete()
        .from_table(Entity)
        .cond_where(condition)
        .returning(ReturningClause::Columns(columns.into_iter().map(Into::into).collect()))
        .to_owned();
    let removed = db.query_all(&delete).await?;
    let mut changes = Changes::default();
    for row in &removed {
        let camera_id = String::try_get_by_index(row, 1)?;
        let kind = String::try_get_by_index(row, 2)?;
        let person_id = Option::<Uuid>::try_get_by_index(row, 3)?;
        if let Some(kind) = KINDS.into_iter().find(|known| known.as_str() == kind) {
            let (time, confidence) =
                (TryGetable::try_get_by_index(row, 0)?, TryGetable::try_get_by_index(row, 4)?);
            changes.remove(Counted { time, camera_id: &camera_id, kind, person_id, confidence });
        }
    }
    changes.apply(db).await?;
    Ok(removed.len() as u64)
}
