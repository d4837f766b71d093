//! Which worker runs which camera.

use sea_orm::entity::prelude::*;

/// The right of one worker to run a camera, for a few seconds at a time.
#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "camera_leases")]
pub struct Model {
    /// The camera.
    #[sea_orm(primary_key, auto_increment = false)]
    pub camera_id: String,
    /// The worker.
    pub worker_id: String,
    /// From then on any worker may have it.
    pub expires_at: DateTimeUtc,
}

/// No relation is walked from here.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
