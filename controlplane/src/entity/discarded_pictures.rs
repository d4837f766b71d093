//! Pictures that are to be removed; see [`crate::discards`].

use sea_orm::entity::prelude::*;

/// A picture, or all in a folder of them.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "discarded_pictures")]
pub struct Model {
    /// Key in the storage.
    #[sea_orm(primary_key, auto_increment = false)]
    pub key: String,
    /// From then on it is removed.
    pub due_at: DateTimeUtc,
}

/// No relation is walked from here.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
