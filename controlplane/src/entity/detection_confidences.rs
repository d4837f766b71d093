//! Detections of each day, camera and step of confidence, counted by kind and by whether the person is known.

use sea_orm::entity::prelude::*;

/// One step of one day of one camera.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "detection_confidences")]
pub struct Model {
    /// The camera, which may be gone; empty for all cameras together.
    #[sea_orm(primary_key, auto_increment = false)]
    pub camera_id: String,
    /// Days since 1970, UTC.
    #[sea_orm(primary_key, auto_increment = false)]
    pub day: i64,
    /// The step.
    #[sea_orm(primary_key, auto_increment = false)]
    pub step: i64,
    /// `recognized` of someone known.
    pub known_recognized: i64,
    /// `unknown` of someone known.
    pub known_unknown: i64,
    /// `updated` of someone known.
    pub known_updated: i64,
    /// `left` of someone known.
    pub known_left: i64,
    /// `recognized` of a stranger: someone who is not enrolled any more.
    pub stranger_recognized: i64,
    /// `unknown` of a stranger.
    pub stranger_unknown: i64,
    /// `updated` of a stranger.
    pub stranger_updated: i64,
    /// `left` of a stranger.
    pub stranger_left: i64,
}

/// No relation is walked from here.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
