//! Removes alerts that were kept long enough.

use chrono::{DateTime, Utc};
use sea_orm::{ColumnTrait as _, Condition, ConnectionTrait, DbErr};

use crate::database;
use crate::entity::alerts::{Column, Entity};

/// Removes the `limit` earliest alerts made before a moment, with their deliveries; says how many they were.
///
/// # Errors
/// When the database refuses.
pub(crate) async fn remove_old(
    db: &impl ConnectionTrait,
    before: DateTime<Utc>,
    limit: u64,
) -> Result<u64, DbErr> {
    let columns = (Column::Id, Column::CreatedAt);
    database::remove_first::<Entity>(db, old(before), columns, limit).await
}

/// Alerts made before a moment.
pub(crate) fn old(before: DateTime<Utc>) -> Condition {
    Condition::all().add(Column::CreatedAt.lt(before))
}
