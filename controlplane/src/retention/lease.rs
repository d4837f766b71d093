//! The right to run retention, which one instance has at a time: a row of the database, and for a minute at a time, so
//! that an instance which dies does not keep it. Times are the database's.

use std::time::{Duration, Instant};

use chrono::{DateTime, TimeDelta, Utc};
use sea_orm::sea_query::{Expr, ExprTrait as _, OnConflict};
use sea_orm::{
    ActiveValue::NotSet, ActiveValue::Set, ColumnTrait as _, DatabaseConnection, DbErr, EntityTrait as _,
    QueryFilter as _,
};
use uuid::Uuid;

use crate::database;
use crate::entity::task_leases::{ActiveModel, Column, Entity};

/// Its name among those of other tasks.
const TASK: &str = "retention";
/// How long it holds.
const LEASE: TimeDelta = TimeDelta::seconds(60);
/// How often it is renewed.
const RENEWAL: Duration = Duration::from_secs(10);

/// The right to run retention.
#[derive(Debug)]
pub(super) struct Lease {
    holder: Uuid,
    renewed_at: Instant,
}

impl Lease {
    /// Takes it, unless somebody else has it.
    pub(super) async fn claim(db: &DatabaseConnection, holder: Uuid) -> Result<Option<Self>, DbErr> {
        let renewed_at = Instant::now();
        let now = database::now(db).await?;
        let row = ActiveModel {
            task: Set(TASK.to_owned()),
            holder: Set(holder),
            expires_at: Set(now + LEASE),
            done_at: NotSet,
        };
        let held = |column| Expr::col((Entity, column));
        let is_free = held(Column::Holder).eq(holder).or(held(Column::ExpiresAt).lte(now));
        let take = OnConflict::column(Column::Task)
            .update_columns([Column::Holder, Column::ExpiresAt])
            .action_and_where(is_free)
            .to_owned();
        let taken = Entity::insert_many([row]).on_conflict(take).exec_without_returning(db).await?;
        Ok((taken > 0).then_some(Self { holder, renewed_at }))
    }

    /// Renews it when it is time; says whether it still holds.
    pub(super) async fn renew(&mut self, db: &DatabaseConnection) -> Result<bool, DbErr> {
        if self.renewed_at.elapsed() < RENEWAL {
            return Ok(true);
        }
        match Self::claim(db, self.holder).await? {
            Some(renewed) => *self = renewed,
            None => return Ok(false),
        }
        Ok(true)
    }

    /// Gives it back; `is_done` says that everything was gone through.
    pub(super) async fn release(&self, db: &DatabaseConnection, is_done: bool) -> Result<(), DbErr> {
        let now = database::now(db).await?;
        let mut update = Entity::update_many()
            .col_expr(Column::ExpiresAt, Expr::value(now))
            .filter(Column::Task.eq(TASK))
            .filter(Column::Holder.eq(self.holder));
        if is_done {
            update = update.col_expr(Column::DoneAt, Expr::value(now));
        }
        update.exec(db).await?;
        Ok(())
    }
}

/// When everything was last gone through.
pub(super) async fn done_at(db: &DatabaseConnection) -> Result<Option<DateTime<Utc>>, DbErr> {
    Ok(Entity::find_by_id(TASK).one(db).await?.and_then(|lease| lease.done_at))
}
