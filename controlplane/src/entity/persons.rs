//! Enrolled people.

use sea_orm::entity::prelude::*;

/// A person.
#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "persons")]
pub struct Model {
    /// Id.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    /// Name to show.
    pub name: String,
    /// Mail address, lower case.
    pub email: Option<String>,
    /// The operator's own number.
    pub employee_id: Option<String>,
    /// Phone number.
    pub phone: Option<String>,
    /// Department.
    pub department: Option<String>,
    /// Position.
    pub designation: Option<String>,
    /// Whether the person is in the gallery.
    pub is_active: bool,
    /// When it was made.
    pub created_at: DateTimeUtc,
    /// When it was changed last.
    pub updated_at: DateTimeUtc,
}

/// No relation is walked from here.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
