//! Cameras.

use sea_orm::entity::prelude::*;

/// A camera.
#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "cameras")]
pub struct Model {
    /// The operator's own short name.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: String,
    /// Name to show.
    pub name: String,
    /// Source with credentials, in a form only the camera service reads and writes.
    pub stored_url: String,
    /// Whether it may be started.
    pub enabled: bool,
    /// Recorded material only: played again and again at its own speed.
    pub looped: bool,
    /// Wanted size, such as `1280x720`.
    pub resolution: Option<String>,
    /// Wanted frames per second.
    pub fps: Option<i32>,
    /// Whether the operator wants it to run.
    pub should_run: bool,
    /// Grows with every start.
    pub run: i64,
    /// What went wrong last.
    pub last_error: Option<String>,
    /// What is set for it alone; none is as an object without anything in it.
    pub settings: Option<Json>,
    /// When it was made.
    pub created_at: DateTimeUtc,
    /// When it was changed last.
    pub updated_at: DateTimeUtc,
}

/// No relation is walked from here.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
