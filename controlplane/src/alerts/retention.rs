//! Removes alerts that were kept long enough, a portion at a time, and cooldowns nobody waits for any more.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use sea_orm::{
    ColumnTrait as _, DatabaseConnection, DbErr, EntityTrait as _, QueryFilter as _, QueryOrder as _,
    QuerySelect as _,
};
use uuid::Uuid;

use super::record;
use crate::database;
use crate::entity::alerts::{Column, Entity};
use crate::state::State;

/// How often it is looked whether there are any.
const INTERVAL: Duration = Duration::from_secs(600);
/// Alerts of one statement: others get their turn in between.
const PORTION: u64 = 500;

/// Removes them, for ever. Any number of instances may.
pub async fn remove_old(state: State) {
    let days = i64::from(state.config.file.retention.alerts.get());
    loop {
        let removed = async {
            let now = database::now(&state.db).await?;
            record::forget_cooldowns(&state.db, now).await?;
            if days == 0 { Ok(0) } else { remove_before(&state.db, now - TimeDelta::days(days)).await }
        };
        match removed.await {
            Ok(0) => {}
            Ok(number) => tracing::info!(number, "alerts were removed that had been kept long enough"),
            Err(error) => {
                let error: DbErr = error;
                tracing::warn!(%error, "old alerts cannot be removed; trying again");
            }
        }
        tokio::time::sleep(INTERVAL).await;
    }
}

/// Removes alerts made before `time`, with their deliveries; says how many.
async fn remove_before(db: &DatabaseConnection, time: DateTime<Utc>) -> Result<u64, DbErr> {
    let mut removed = 0;
    loop {
        let ids: Vec<Uuid> = Entity::find()
            .select_only()
            .column(Column::Id)
            .filter(Column::CreatedAt.lt(time))
            .order_by_asc(Column::CreatedAt)
            .limit(PORTION)
            .into_tuple()
            .all(db)
            .await?;
        if ids.is_empty() {
            return Ok(removed);
        }
        removed += Entity::delete_many().filter(Column::Id.is_in(ids)).exec(db).await?.rows_affected;
    }
}
