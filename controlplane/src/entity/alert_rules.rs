//! What makes alerts.

use sea_orm::entity::prelude::*;

/// A rule.
#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "alert_rules")]
pub struct Model {
    /// Id.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    /// Name to show.
    pub name: String,
    /// What it looks out for, such as `unknown_person`.
    pub kind: String,
    /// Whether it makes alerts.
    pub enabled: bool,
    /// The cameras it is limited to; none for all.
    pub cameras: Option<Json>,
    /// Whom it looks out for.
    pub person_id: Option<Uuid>,
    /// How long a camera may be away.
    pub offline_after_s: Option<i32>,
    /// When somebody may be there.
    pub schedule: Option<Json>,
    /// How long it keeps quiet about the same thing.
    pub cooldown_s: i32,
    /// URL and secret of the webhook, sealed.
    pub webhook: Option<String>,
    /// Where it is told over MQTT.
    pub mqtt_topic: Option<String>,
    /// When it was made.
    pub created_at: DateTimeUtc,
    /// When it was changed last.
    pub updated_at: DateTimeUtc,
}

/// No relation is walked from here.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
