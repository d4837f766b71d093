//! Hosts that run camera pipelines.

use sea_orm::entity::prelude::*;

/// A worker as it last reported.
#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "workers")]
pub struct Model {
    /// The worker's own name.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: String,
    /// Host name.
    pub host: String,
    /// Its version.
    pub version: String,
    /// Process id on its host.
    pub pid: i64,
    /// First heartbeat.
    pub first_seen: DateTimeUtc,
    /// Last heartbeat.
    pub last_seen: DateTimeUtc,
    /// What it said about its cameras, as JSON.
    pub reports: String,
    /// Events that wait on its disk.
    pub spooled_events: i64,
}

/// No relation is walked from here.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
