//! The outbox: who is to be told of which alert, and how that goes.

use sea_orm::entity::prelude::*;

/// An alert on its way to one receiver.
#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "alert_deliveries")]
pub struct Model {
    /// Id, which the receiver is told.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    /// The alert.
    pub alert_id: Uuid,
    /// Its rule, which says whom to tell.
    pub rule_id: Uuid,
    /// `webhook` or `mqtt`.
    pub channel: String,
    /// `waiting`, `delivered` or `given_up`.
    pub status: String,
    /// Attempts begun so far; tells a late outcome of an earlier one, too.
    pub attempts: i32,
    /// When it is to be tried next, by the database's clock.
    pub due_at: DateTimeUtc,
    /// Until when a server is at it.
    pub leased_until: Option<DateTimeUtc>,
    /// Why the last attempt failed.
    pub last_error: Option<String>,
    /// When it was put here.
    pub created_at: DateTimeUtc,
    /// When it was delivered or given up.
    pub ended_at: Option<DateTimeUtc>,
}

/// No relation is walked from here.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
