//! Alerts.

use sea_orm::entity::prelude::*;

/// Something a rule looks out for happened.
#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "alerts")]
pub struct Model {
    /// Id.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    /// The rule, unless it is gone.
    pub rule_id: Option<Uuid>,
    /// The rule's name at that time.
    pub rule_name: String,
    /// The rule's kind.
    pub kind: String,
    /// The camera, which may be gone.
    pub camera_id: String,
    /// Who it is about; none for a stranger or a camera.
    pub person_id: Option<Uuid>,
    /// The name at that time.
    pub person_name: Option<String>,
    /// The detection, which may be gone.
    pub detection_id: Option<Uuid>,
    /// When it happened.
    pub timestamp: DateTimeUtc,
    /// Since when the camera is away.
    pub offline_since: Option<DateTimeUtc>,
    /// When it was made.
    pub created_at: DateTimeUtc,
    /// When somebody took note.
    pub acknowledged_at: Option<DateTimeUtc>,
    /// Who, by the name of the account.
    pub acknowledged_by: Option<String>,
}

/// No relation is walked from here.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
