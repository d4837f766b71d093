//! Removes alerts that were kept long enough.

use chrono::{DateTime, Utc};
use sea_orm::sea_query::{Order, Query};
use sea_orm::{ColumnTrait as _, Condition, ConnectionTrait, DbErr, EntityTrait as _, QueryFilter as _};

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
    let earliest = Query::select()
        .column(Column::Id)
        .from(Entity)
        .cond_where(old(before))
        .order_by(Column::CreatedAt, Order::Asc)
        .limit(limit)
        .to_owned();
    Ok(Entity::delete_many().filter(Column::Id.in_subquery(earliest)).exec(db).await?.rows_affected)
}

/// Alerts made before a moment.
pub(crate) fn old(before: DateTime<Utc>) -> Condition {
    Condition::all().add(Column::CreatedAt.lt(before))
}
