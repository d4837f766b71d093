//! What people are recognised by.

use sea_orm::entity::prelude::*;

/// What one pack made of one accepted photo; a photo may have such a row of several packs.
#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "face_templates")]
pub struct Model {
    /// Id.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    /// Whose face it is.
    pub person_id: Uuid,
    /// Pack whose embedder made it.
    pub pack: String,
    /// Length of the vector; 0 where the pack finds no usable face in a photo that another pack accepted.
    pub dimension: i32,
    /// The vector, in a form only the person service reads and writes.
    pub template: Vec<u8>,
    /// Quality of the crop, 0…1.
    pub quality: f32,
    /// Name of the photo as it was sent.
    pub filename: Option<String>,
    /// Key of the photo in the storage.
    pub photo_path: Option<String>,
    /// When it was made.
    pub created_at: DateTimeUtc,
}

/// No relation is walked from here.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
