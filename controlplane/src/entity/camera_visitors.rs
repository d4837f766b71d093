//! On which days a camera saw a person, 32 days to a row: few enough rows to count the visitors of all cameras
//! over a month while someone waits.

use sea_orm::entity::prelude::*;

/// 32 days of one person at one camera.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "camera_visitors")]
pub struct Model {
    /// Days since 1970, UTC, divided by 32.
    #[sea_orm(primary_key, auto_increment = false)]
    pub block: i64,
    /// The camera, which may be gone.
    #[sea_orm(primary_key, auto_increment = false)]
    pub camera_id: String,
    /// Who.
    #[sea_orm(primary_key, auto_increment = false)]
    pub person_id: Uuid,
    /// A bit for each day of the block on which the person appeared, the first day's the lowest.
    pub days: i64,
}

/// No relation is walked from here.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
