//! How often each person appeared on each day, per camera and altogether.

use sea_orm::entity::prelude::*;

/// One person's day.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "visitor_days")]
pub struct Model {
    /// The camera; empty for all of them together.
    #[sea_orm(primary_key, auto_increment = false)]
    pub camera_id: String,
    /// Days since 1970, UTC.
    #[sea_orm(primary_key, auto_increment = false)]
    pub day: i64,
    /// Who.
    #[sea_orm(primary_key, auto_increment = false)]
    pub person_id: Uuid,
    /// Appearances; more than none.
    pub appearances: i64,
}

/// No relation is walked from here.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
