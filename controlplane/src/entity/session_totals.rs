//! Visits of each camera, counted.

use sea_orm::entity::prelude::*;

/// One camera; the count is that of all its rows in `session_hours`.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "session_totals")]
pub struct Model {
    /// The camera, which may be gone.
    #[sea_orm(primary_key, auto_increment = false)]
    pub camera_id: String,
    /// Visits.
    pub visits: i64,
}

/// No relation is walked from here.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
