//! The audit log.

use sea_orm::entity::prelude::*;

/// Something that was done, or tried.
#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "system_logs")]
pub struct Model {
    /// Id.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    /// When.
    pub timestamp: DateTimeUtc,
    /// `info` or `warning`.
    pub level: String,
    /// What it belongs to, such as `auth` or `cameras`.
    pub category: String,
    /// What was done, such as `login`; see [`crate::audit::Action`].
    pub action: String,
    /// User or API key that did it.
    pub actor_id: Option<Uuid>,
    /// The same by name, which outlives the user.
    pub actor: Option<String>,
    /// What it was done to, such as `camera:cam_01`.
    pub subject: Option<String>,
    /// IP address the request came from.
    pub address: Option<String>,
    /// What else there is to say; never a secret.
    pub details: Option<Json>,
}

/// No relation is walked from here.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
