//! Visits of each hour and camera, counted by entry and by exit.

use sea_orm::entity::prelude::*;

/// One hour of one camera.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "session_hours")]
pub struct Model {
    /// Hours since 1970.
    #[sea_orm(primary_key, auto_increment = false)]
    pub hour: i64,
    /// The camera, which may be gone.
    #[sea_orm(primary_key, auto_increment = false)]
    pub camera_id: String,
    /// Visits that began in this hour.
    pub entries: i64,
    /// Visits whose person was last seen in this hour.
    pub exits: i64,
}

/// No relation is walked from here.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
