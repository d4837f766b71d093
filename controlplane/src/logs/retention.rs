//! Deletes what is older than the settings say, a little at a time.

use std::time::Duration;

use chrono::{TimeDelta, Utc};
use sea_orm::{
    ColumnTrait as _, DatabaseConnection, DbErr, EntityTrait as _, QueryFilter as _, QueryOrder as _,
    QuerySelect as _,
};
use tokio::sync::watch;
use uuid::Uuid;

use super::lines::{AUDIT, SYSTEM};
use crate::entity::system_logs::{Column, Entity};
use crate::state::State;

const INTERVAL: Duration = Duration::from_secs(3600);
/// Rows of one statement: SQLite's only writer is held up no longer than an event takes.
const BATCH: u64 = 500;
/// Pause between two statements.
const PAUSE: Duration = Duration::from_millis(50);

/// Deletes old entries, at the start and every hour, until `stopped`. Any number of instances may do so at once.
pub async fn sweep(state: State, mut stopped: watch::Receiver<bool>) {
    let retention = &state.config.file.retention;
    let sweeps = [(SYSTEM, retention.system_log.get()), (AUDIT, retention.audit_log.get())];
    let sweep = async {
        loop {
            for (source, days) in sweeps.into_iter().filter(|(_, days)| *days > 0) {
                match remove(&state.db, source, days).await {
                    Ok(0) => {}
                    Ok(removed) => {
                        tracing::info!(source, days, removed, "old entries of the log are deleted")
                    }
                    Err(error) => {
                        tracing::warn!(%error, source, "old entries of the log cannot be deleted; trying again");
                    }
                }
            }
            tokio::time::sleep(INTERVAL).await;
        }
    };
    tokio::select! {
        () = sweep => {}
        _ = stopped.wait_for(|is_stopping| *is_stopping) => {}
    }
}

/// Deletes entries of `source` that are older than `days`; answers how many.
async fn remove(db: &DatabaseConnection, source: &str, days: u32) -> Result<u64, DbErr> {
    let cutoff = Utc::now() - TimeDelta::days(days.into());
    let mut removed = 0;
    loop {
        let old: Vec<Uuid> = Entity::find()
            .select_only()
            .column(Column::Id)
            .filter(Column::Source.eq(source))
            .filter(Column::Timestamp.lt(cutoff))
            .order_by_asc(Column::Timestamp)
            .limit(BATCH)
            .into_tuple()
            .all(db)
            .await?;
        if old.is_empty() {
            return Ok(removed);
        }
        removed += Entity::delete_many().filter(Column::Id.is_in(old)).exec(db).await?.rows_affected;
        tokio::time::sleep(PAUSE).await;
    }
}
