//! How often the gallery was changed.

use sea_orm::entity::prelude::*;

/// The one row there is.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "gallery_changes")]
pub struct Model {
    /// [`ROW`].
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: i32,
    /// Changes so far, by all servers.
    pub changes: i64,
}

/// The id of the one row.
pub const ROW: i32 = 1;

/// No relation is walked from here.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
