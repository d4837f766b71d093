//! Visits: how long a person stayed before a camera.

use sea_orm::entity::prelude::*;

/// One visit.
#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "sessions")]
pub struct Model {
    /// Id.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    /// Who.
    pub person_id: Uuid,
    /// Where.
    pub camera_id: String,
    /// First seen.
    pub entry_time: DateTimeUtc,
    /// Last seen so far.
    pub exit_time: DateTimeUtc,
    /// Events that belong to it.
    pub detection_count: i32,
    /// Whether the person may still be there.
    pub is_open: bool,
}

/// No relation is walked from here.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
