//! Removes entries that were kept long enough.

use chrono::{DateTime, Utc};
use sea_orm::sea_query::{Order, Query};
use sea_orm::{ColumnTrait as _, Condition, ConnectionTrait, DbErr, EntityTrait as _, QueryFilter as _};

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
    let earliest = Query::select()
        .column(Column::Id)
        .from(Entity)
        .cond_where(old(source, before))
        .order_by(Column::Timestamp, Order::Asc)
        .limit(limit)
        .to_owned();
    Ok(Entity::delete_many().filter(Column::Id.in_subquery(earliest)).exec(db).await?.rows_affected)
}

/// Entries of a source from before a moment.
pub(crate) fn old(source: &str, before: DateTime<Utc>) -> Condition {
    Condition::all().add(Column::Source.eq(source)).add(Column::Timestamp.lt(before))
}
