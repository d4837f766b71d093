//! What programs show instead of signing in.

use sea_orm::entity::prelude::*;

/// An API key.
#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "api_keys")]
pub struct Model {
    /// Id.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    /// What it is for, as its maker named it.
    pub name: String,
    /// How the key begins, to tell one from another.
    pub prefix: String,
    /// SHA-256 of the whole key, in hexadecimal digits.
    pub key_hash: String,
    /// Names of [`crate::api_keys::Scope`], separated by blanks.
    pub scopes: String,
    /// The administrator who made it, while there is one.
    pub created_by: Option<Uuid>,
    /// When it was made.
    pub created_at: DateTimeUtc,
    /// When it ends; `None` = never.
    pub expires_at: Option<DateTimeUtc>,
    /// When it was used last; up to a minute behind.
    pub last_used: Option<DateTimeUtc>,
}

/// No relation is walked from here.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
