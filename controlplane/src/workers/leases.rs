//! Who runs which camera: a lease in the database, so that all control planes agree, for a few seconds at a time, so
//! that a worker that falls silent loses its cameras to the others. Times are the database's ([`database::now`]): a
//! server whose clock is wrong neither takes a lease away nor gives one that nobody else sees.

use std::collections::HashSet;

use chrono::TimeDelta;
use sea_orm::sea_query::{Expr, ExprTrait as _, OnConflict};
use sea_orm::{
    ActiveValue::Set, ColumnTrait as _, DatabaseConnection, DbErr, EntityTrait as _, QueryFilter as _,
};

use crate::database;
use crate::entity::camera_leases::{ActiveModel, Column, Entity};

/// How long a lease holds; workers renew theirs every second.
pub(super) const LEASE: TimeDelta = TimeDelta::seconds(5);

/// Renews the leases of `worker_id`, takes those of `wanted` cameras nobody holds, and answers all it holds then.
pub(super) async fn claim(
    db: &DatabaseConnection,
    worker_id: &str,
    wanted: impl IntoIterator<Item = &str>,
) -> Result<HashSet<String>, DbErr> {
    let now = database::now(db).await?;
    let lease = |camera_id: &str| ActiveModel {
        camera_id: Set(camera_id.to_owned()),
        worker_id: Set(worker_id.to_owned()),
        expires_at: Set(now + LEASE),
    };
    let leases: Vec<ActiveModel> = wanted.into_iter().map(lease).collect();
    if leases.is_empty() {
        return Ok(HashSet::new());
    }
    let held = |column| Expr::col((Entity, column));
    let is_free = held(Column::WorkerId).eq(worker_id).or(held(Column::ExpiresAt).lt(now));
    let take = OnConflict::column(Column::CameraId)
        .update_columns([Column::WorkerId, Column::ExpiresAt])
        .action_and_where(is_free)
        .to_owned();
    Entity::insert_many(leases).on_conflict(take).exec_without_returning(db).await?;
    let mine = Entity::find().filter(Column::WorkerId.eq(worker_id)).filter(Column::ExpiresAt.gt(now));
    Ok(mine.all(db).await?.into_iter().map(|lease| lease.camera_id).collect())
}

/// Forgets the leases of cameras that are not to run; most of the time there are none, and nothing is written.
pub(super) async fn release(
    db: &DatabaseConnection,
    camera_ids: impl Iterator<Item = String>,
) -> Result<(), DbErr> {
    let camera_ids: Vec<String> = camera_ids.collect();
    if !camera_ids.is_empty() {
        Entity::delete_many().filter(Column::CameraId.is_in(camera_ids)).exec(db).await?;
    }
    Ok(())
}
