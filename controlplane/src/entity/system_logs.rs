//! The log of all servers and workers: audit entries, and warnings and errors.

use sea_orm::entity::prelude::*;

/// Something that was done, or tried, or went wrong.
#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "system_logs")]
pub struct Model {
    /// Id.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    /// When.
    pub timestamp: DateTimeUtc,
    /// `audit` or `system`.
    pub source: String,
    /// `info`, `warning` or `error`.
    pub level: String,
    /// What it belongs to: `auth` or `cameras`, or the part of a program that a line comes from.
    pub category: String,
    /// What was done, such as `login`; see [`crate::audit::Action`]. Empty for lines of `system`.
    pub action: String,
    /// What a line of `system` says.
    pub message: Option<String>,
    /// User or API key that did it.
    pub actor_id: Option<Uuid>,
    /// The same by name, which outlives the user.
    pub actor: Option<String>,
    /// What it was done to, such as `camera:cam_01`.
    pub subject: Option<String>,
    /// IP address the request came from.
    pub address: Option<String>,
    /// The server or worker a line of `system` comes from.
    pub origin: Option<String>,
    /// What else there is to say; never a secret.
    pub details: Option<Json>,
}

/// No relation is walked from here.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
