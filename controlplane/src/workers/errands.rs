//! Errands for workers: handed out with the answer to a heartbeat, awaited by the request that wants the outcome.
//!
//! They lie in the database, because the worker may talk to another control plane than the client does.

use std::time::Duration;

use chrono::TimeDelta;
use sea_orm::{
    ActiveModelTrait as _, ActiveValue::Set, ColumnTrait as _, DatabaseConnection, EntityTrait as _,
    PaginatorTrait as _, QueryFilter as _,
};
use uuid::Uuid;
use vedette_events::{Errand, Outcome, Task};

use crate::crypto::Place;
use crate::database;
use crate::entity::errands::{ActiveModel, Column, Entity, Model};
use crate::error::ApiError;
use crate::state::AppState;

/// Errands that may wait for one worker.
const MAX_WAITING: u64 = 32;
/// How often a request looks for the outcome.
const LOOK_EVERY: Duration = Duration::from_millis(200);
/// What is older was left by a server that stopped in the middle of it.
const FORGOTTEN_AFTER: TimeDelta = TimeDelta::minutes(2);

/// Has `worker_id` do something; nothing when it does not answer in time or has too much to do.
///
/// # Errors
/// When the database does not answer.
pub async fn send(
    AppState { db, keys, .. }: &AppState,
    worker_id: &str,
    task: &Task,
    within: Duration,
) -> Result<Option<Outcome>, ApiError> {
    let now = database::now(db).await?;
    Entity::delete_many().filter(Column::CreatedAt.lt(now - FORGOTTEN_AFTER)).exec(db).await?;
    if Entity::find().filter(Column::WorkerId.eq(worker_id)).count(db).await? >= MAX_WAITING {
        return Ok(None);
    }
    let id = Uuid::new_v4();
    let errand = ActiveModel {
        id: Set(id),
        worker_id: Set(worker_id.to_owned()),
        task: Set(
            keys.seal_text(Place::Errand(id), &serde_json::to_string(task).map_err(ApiError::internal)?)?
        ),
        is_taken: Set(false),
        outcome: Set(None),
        created_at: Set(now),
    };
    errand.insert(db).await?;
    let outcome = tokio::time::timeout(within, outcome_of(db, id)).await;
    Entity::delete_by_id(id).exec(db).await?;
    outcome.ok().transpose()
}

/// Waits until an errand has an outcome.
async fn outcome_of(db: &DatabaseConnection, id: Uuid) -> Result<Outcome, ApiError> {
    loop {
        tokio::time::sleep(LOOK_EVERY).await;
        let errand = Entity::find_by_id(id).one(db).await?;
        if let Some(outcome) = errand.and_then(|errand| errand.outcome) {
            return serde_json::from_str(&outcome).map_err(ApiError::internal);
        }
    }
}

/// What `worker_id` is to do now.
pub(super) async fn take(
    AppState { db, keys, .. }: &AppState,
    worker_id: &str,
) -> Result<Vec<Errand>, ApiError> {
    let waiting = Entity::find().filter(Column::WorkerId.eq(worker_id)).filter(Column::IsTaken.eq(false));
    let rows = waiting.all(db).await?;
    if rows.is_empty() {
        return Ok(Vec::new());
    }
    Entity::update_many()
        .col_expr(Column::IsTaken, true.into())
        .filter(Column::Id.is_in(rows.iter().map(|row| row.id)))
        .exec(db)
        .await?;
    let errand = |row: &Model| {
        let task = keys.open_text(Place::Errand(row.id), &row.task)?;
        Ok(Errand { id: row.id, task: serde_json::from_str(&task).map_err(ApiError::internal)? })
    };
    rows.iter().map(errand).collect()
}

/// Hands an outcome to who waits for it; answers whether somebody does.
pub(super) async fn finish(
    db: &DatabaseConnection,
    worker_id: &str,
    id: Uuid,
    outcome: &Outcome,
) -> Result<bool, ApiError> {
    let outcome = serde_json::to_string(outcome).map_err(ApiError::internal)?;
    let result = Entity::update_many()
        .col_expr(Column::Outcome, Some(outcome).into())
        .filter(Column::Id.eq(id))
        .filter(Column::WorkerId.eq(worker_id))
        .exec(db)
        .await?;
    Ok(result.rows_affected > 0)
}
