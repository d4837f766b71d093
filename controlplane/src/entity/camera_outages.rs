//! Cameras that are to run and do not.

use sea_orm::entity::prelude::*;

/// One such camera.
#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "camera_outages")]
pub struct Model {
    /// The camera.
    #[sea_orm(primary_key, auto_increment = false)]
    pub camera_id: String,
    /// Since when, by the database's clock.
    pub since: DateTimeUtc,
}

/// No relation is walked from here.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
