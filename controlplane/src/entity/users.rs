//! People who sign in.

use sea_orm::entity::prelude::*;

/// A user.
#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "users")]
pub struct Model {
    /// Id.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    /// Name to sign in with, lower case.
    pub username: String,
    /// Mail address, lower case.
    pub email: Option<String>,
    /// Name to show.
    pub full_name: Option<String>,
    /// Argon2id in PHC form.
    pub password_hash: String,
    /// One of [`crate::auth::Role`].
    pub role: String,
    /// Whether the user may sign in.
    pub is_active: bool,
    /// Whether nothing is allowed until the password was changed.
    pub must_change_password: bool,
    /// Tokens of an earlier version are void.
    pub token_version: i64,
    /// When it was made.
    pub created_at: DateTimeUtc,
    /// When it was changed last.
    pub updated_at: DateTimeUtc,
    /// When the user signed in last.
    pub last_login: Option<DateTimeUtc>,
}

/// No relation is walked from here.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
