//! What workers are asked to do beside running cameras.

use sea_orm::entity::prelude::*;

/// An errand; gone as soon as nobody waits for it any more.
#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "errands")]
pub struct Model {
    /// Names it in the worker's report.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    /// Who is to do it.
    pub worker_id: String,
    /// What there is to do, as JSON; may hold a camera's credentials.
    pub task: String,
    /// Whether the worker has fetched it.
    pub is_taken: bool,
    /// How it ended, as JSON.
    pub outcome: Option<String>,
    /// When it was left.
    pub created_at: DateTimeUtc,
}

/// No relation is walked from here.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
