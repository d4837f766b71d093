//! The outbox: what is still to be told to whom, in the database, so that it outlives servers and is shared by all.
//!
//! A server takes what is due by a lease: for its time nobody else tells the same. All times are the database's, whose
//! clock is one for all. A server that dies in the middle of it leaves its leases to end by themselves; then the
//! attempt is made again, and the receiver knows it by the delivery's id.

use chrono::{DateTime, TimeDelta, Utc};
use sea_orm::sea_query::{Expr, ExprTrait as _, LockBehavior, LockType};
use sea_orm::{
    ColumnTrait as _, Condition, ConnectionTrait, DatabaseConnection, DbErr, EntityTrait as _,
    QueryFilter as _, QueryOrder as _, QuerySelect as _,
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::database;
use crate::entity::alert_deliveries::{Column, Entity, Model};

/// A way to tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
#[schema(as = AlertChannel)]
pub(crate) enum Channel {
    Webhook,
    Mqtt,
}

impl Channel {
    pub(crate) const ALL: [Self; 2] = [Self::Webhook, Self::Mqtt];

    /// The name used on the wire and in the database.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Webhook => "webhook",
            Self::Mqtt => "mqtt",
        }
    }

    fn from_stored(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|channel| channel.as_str() == text)
    }
}

/// How a delivery is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = DeliveryStatus)]
pub(crate) enum Status {
    /// It is to be tried, or tried again.
    Waiting,
    Delivered,
    /// It failed too often or for too long.
    GivenUp,
}

impl Status {
    /// The name used on the wire and in the database.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Delivered => "delivered",
            Self::GivenUp => "given_up",
        }
    }
}

/// Who is told: one way of one rule. What is slow there delays nobody else.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Receiver {
    pub(super) rule_id: Uuid,
    pub(super) channel: Channel,
}

impl Receiver {
    fn deliveries(self) -> Condition {
        let is_waiting = Column::Status.eq(Status::Waiting.as_str());
        let of_rule = Column::RuleId.eq(self.rule_id);
        Condition::all().add(of_rule).add(Column::Channel.eq(self.channel.as_str())).add(is_waiting)
    }
}

/// What nobody is at.
fn is_free(now: DateTime<Utc>) -> Condition {
    Condition::any().add(Column::LeasedUntil.is_null()).add(Column::LeasedUntil.lte(now))
}

/// Everybody something is due for.
pub(super) async fn receivers_due(db: &DatabaseConnection) -> Result<Vec<Receiver>, DbErr> {
    let now = database::now(db).await?;
    let due: Vec<(Uuid, String)> = Entity::find()
        .select_only()
        .columns([Column::RuleId, Column::Channel])
        .distinct()
        .filter(Column::Status.eq(Status::Waiting.as_str()))
        .filter(Column::DueAt.lte(now))
        .filter(is_free(now))
        .into_tuple()
        .all(db)
        .await?;
    let receiver = |(rule_id, channel): (Uuid, String)| {
        Some(Receiver { rule_id, channel: Channel::from_stored(&channel)? })
    };
    Ok(due.into_iter().filter_map(receiver).collect())
}

/// Takes up to `limit` deliveries that are due, for the time of a lease: an attempt at each begins.
pub(super) async fn claim(
    db: &DatabaseConnection,
    receiver: Receiver,
    limit: u64,
    lease: TimeDelta,
) -> Result<Vec<Model>, DbErr> {
    let transaction = database::begin_write(db).await?;
    let now = database::now(&transaction).await?;
    let mut claimed = Entity::find()
        .filter(receiver.deliveries())
        .filter(Column::DueAt.lte(now))
        .filter(is_free(now))
        .order_by_asc(Column::DueAt)
        .order_by_asc(Column::Id)
        .limit(limit)
        // What another server is about to take is no longer free.
        .lock_with_behavior(LockType::NoKeyUpdate, LockBehavior::SkipLocked)
        .all(&transaction)
        .await?;
    Entity::update_many()
        .col_expr(Column::LeasedUntil, Expr::value(now + lease))
        .col_expr(Column::Attempts, Expr::col(Column::Attempts).add(1))
        .filter(Column::Id.is_in(claimed.iter().map(|delivery| delivery.id)))
        .exec(&transaction)
        .await?;
    transaction.commit().await?;
    for delivery in &mut claimed {
        delivery.attempts += 1;
        delivery.leased_until = Some(now + lease);
    }
    Ok(claimed)
}

/// What becomes of a delivery after an attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Next {
    Delivered,
    GivenUp(String),
    /// It is tried again at that time.
    Again(DateTime<Utc>, String),
}

/// Writes down what becomes of a delivery. An attempt whose lease ended, and that another server has begun anew, has
/// nothing to say any more.
pub(super) async fn end_attempt(db: &DatabaseConnection, delivery: &Model, next: Next) -> Result<(), DbErr> {
    let now = database::now(db).await?;
    let (status, due_at, error) = match next {
        Next::Delivered => (Status::Delivered, delivery.due_at, None),
        Next::GivenUp(error) => (Status::GivenUp, delivery.due_at, Some(error)),
        Next::Again(due_at, error) => (Status::Waiting, due_at, Some(error)),
    };
    let ended_at = (status != Status::Waiting).then_some(now);
    Entity::update_many()
        .col_expr(Column::Status, Expr::value(status.as_str()))
        .col_expr(Column::DueAt, Expr::value(due_at))
        .col_expr(Column::LeasedUntil, Expr::value(Option::<DateTime<Utc>>::None))
        .col_expr(Column::LastError, Expr::value(error))
        .col_expr(Column::EndedAt, Expr::value(ended_at))
        .filter(Column::Id.eq(delivery.id))
        .filter(Column::Attempts.eq(delivery.attempts))
        .filter(Column::Status.eq(Status::Waiting.as_str()))
        .exec(db)
        .await?;
    Ok(())
}

/// Makes everything due that waits for a receiver who is back.
pub(super) async fn hasten(db: &DatabaseConnection, receiver: Receiver) -> Result<(), DbErr> {
    let now = database::now(db).await?;
    Entity::update_many()
        .col_expr(Column::DueAt, Expr::value(now))
        .filter(receiver.deliveries())
        .filter(Column::DueAt.gt(now))
        .filter(is_free(now))
        .exec(db)
        .await?;
    Ok(())
}

/// What waits in the outbox.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Backlog {
    /// Deliveries.
    pub(crate) deliveries: u64,
    /// How long the oldest has waited.
    pub(crate) oldest: TimeDelta,
}

/// What waits now.
///
/// # Errors
/// When the database does not answer.
pub(crate) async fn backlog(db: &impl ConnectionTrait) -> Result<Backlog, DbErr> {
    let waiting: Option<(i64, Option<DateTime<Utc>>)> = Entity::find()
        .select_only()
        .expr(Expr::col(Column::Id).count())
        .expr(Expr::col(Column::CreatedAt).min())
        .filter(Column::Status.eq(Status::Waiting.as_str()))
        .into_tuple()
        .one(db)
        .await?;
    let (number, oldest) = waiting.unwrap_or_default();
    let now = database::now(db).await?;
    Ok(Backlog {
        deliveries: number.unsigned_abs(),
        oldest: oldest.map_or(TimeDelta::zero(), |oldest| (now - oldest).max(TimeDelta::zero())),
    })
}
