//! Which instance looks at which camera.

use sea_orm::entity::prelude::*;

/// Somebody at an instance looks at a camera in one size, for a few seconds at a time.
#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "live_wishes")]
pub struct Model {
    /// The instance.
    #[sea_orm(primary_key, auto_increment = false)]
    pub instance: String,
    /// The camera.
    #[sea_orm(primary_key, auto_increment = false)]
    pub camera_id: String,
    /// Longest side of the pictures, in pixels.
    #[sea_orm(primary_key, auto_increment = false)]
    pub side: i32,
    /// From then on it counts for nothing.
    pub expires_at: DateTimeUtc,
}

/// No relation is walked from here.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
