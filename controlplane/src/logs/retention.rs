//! Removes entries that were kept long enough.

use chrono::{DateTime, Utc};
use sea_orm::{ColumnTrait as _, Condition, ConnectionTrait, DbErr};

use crate::database;
use crate::entity::system_logs::{Column, Entity};

/// Removes the `limit` earliest entries of a source from before a moment; says how many they were.
///
/// # Errors
/// When the database refuses.
pub(crate) async fn remove_old(
    db: &impl ConnectionTrait,
    source: &str,
    before: DateTime<Utc>,
    limit: u64,
) -> Result<u64, DbErr> {
    let columns = (Column::Id, Column::Timestamp);
    database::remove_first::<Entity>(db, old(source, before), columns, limit).await
}

/// Entries of a source from before a moment.
pub(crate) fn old(source: &str, before: DateTime<Utc>) -> Condition {
    Condition::all().add(Column::Source.eq(source)).add(Column::Timestamp.lt(before))
}
