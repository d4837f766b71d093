//! That people were erased, without saying who: what a worker hands in late is not to bring them back.

use sea_orm::entity::prelude::*;

/// Somebody who was erased.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "erasures")]
pub struct Model {
    /// SHA-256 of the person's id, in hexadecimal digits.
    #[sea_orm(primary_key, auto_increment = false)]
    pub person_hash: String,
    /// When it was.
    pub erased_at: DateTimeUtc,
}

/// No relation is walked from here.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
