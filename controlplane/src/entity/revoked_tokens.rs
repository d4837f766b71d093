//! Access tokens that were signed out before they expired.

use sea_orm::entity::prelude::*;

/// A token nobody may use any more.
#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "revoked_tokens")]
pub struct Model {
    /// The token's id.
    #[sea_orm(primary_key, auto_increment = false)]
    pub jti: Uuid,
    /// When it would have expired; the row can go then.
    pub expires_at: DateTimeUtc,
}

/// No relation is walked from here.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
