//! When each rule last spoke of the same thing.

use sea_orm::entity::prelude::*;

/// One thing a rule spoke of.
#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "alert_cooldowns")]
pub struct Model {
    /// Rule, camera and person.
    #[sea_orm(primary_key, auto_increment = false)]
    pub key: String,
    /// The rule.
    pub rule_id: Uuid,
    /// The person, if it is about one.
    pub person_id: Option<Uuid>,
    /// When what it spoke of last happened.
    pub last_at: DateTimeUtc,
}

/// No relation is walked from here.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
