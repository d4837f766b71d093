//! Which instance does what only one may do at a time.

use sea_orm::entity::prelude::*;

/// The right of one instance to do a task, for a while at a time.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "task_leases")]
pub struct Model {
    /// The task.
    #[sea_orm(primary_key, auto_increment = false)]
    pub task: String,
    /// Whoever does it.
    pub holder: Uuid,
    /// From then on anybody may.
    pub expires_at: DateTimeUtc,
    /// When it was last done to the end.
    pub done_at: Option<DateTimeUtc>,
}

/// No relation is walked from here.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
