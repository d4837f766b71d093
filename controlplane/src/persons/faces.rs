//! The accepted photos of a person.

use std::collections::HashSet;

use chrono::TimeDelta;
use sea_orm::{ColumnTrait as _, DatabaseConnection, EntityTrait as _, QueryFilter as _, QueryOrder as _};
use uuid::Uuid;

use super::model::FaceView;
use crate::audit::{Action, Actor, Entry};
use crate::database;
use crate::discards;
use crate::entity::face_templates;
use crate::error::ApiError;
use crate::state::State;
use crate::storage::ObjectKey;

/// All of a person's, oldest first. One that has templates of several packs is told about by its first.
pub(super) async fn list(db: &DatabaseConnection, person_id: Uuid) -> Result<Vec<FaceView>, ApiError> {
    let faces = face_templates::Entity::find()
        .filter(face_templates::Column::PersonId.eq(person_id))
        .order_by_asc(face_templates::Column::Id)
        .all(db)
        .await?;
    let mut photos = HashSet::new();
    let first_of_photo = |face: &face_templates::Model| {
        face.photo_path.as_ref().is_none_or(|photo| photos.insert(photo.clone()))
    };
    Ok(faces.into_iter().filter(first_of_photo).map(FaceView::from).collect())
}

/// The JPEG of one.
pub(super) async fn photo(state: &State, person_id: Uuid, face_id: Uuid) -> Result<Vec<u8>, ApiError> {
    let face = find(&state.db, person_id, face_id).await?;
    let Some(key) = photo_key(&face) else { return Err(ApiError::not_found("photo of face", face_id)) };
    Ok(state.storage.read(&key).await?)
}

/// Removes one, photo and templates.
pub(super) async fn delete(
    state: &State,
    actor: &Actor,
    person_id: Uuid,
    face_id: Uuid,
) -> Result<(), ApiError> {
    let face = find(&state.db, person_id, face_id).await?;
    let photo = Vec::from_iter(photo_key(&face));
    let transaction = database::begin_write(&state.db).await?;
    let rows = match &face.photo_path {
        Some(photo) => face_templates::Column::PhotoPath.eq(photo.as_str()),
        None => face_templates::Column::Id.eq(face.id),
    };
    face_templates::Entity::delete_many().filter(rows).exec(&transaction).await?;
    discards::list(&transaction, &photo, TimeDelta::zero()).await?;
    Entry::new(Action::FaceDeleted, actor).about("person", person_id).write(&transaction).await?;
    state.gallery.commit(transaction).await?;
    if let Err(error) = discards::remove(&state.db, &state.storage, photo).await {
        tracing::warn!(%error, "the photo of a face that was removed is removed later");
    }
    Ok(())
}

async fn find(
    db: &DatabaseConnection,
    person_id: Uuid,
    face_id: Uuid,
) -> Result<face_templates::Model, ApiError> {
    let face = face_templates::Entity::find_by_id(face_id).one(db).await?;
    let face = face.filter(|face| face.person_id == person_id);
    face.ok_or_else(|| ApiError::not_found("face", face_id))
}

pub(super) fn photo_key(face: &face_templates::Model) -> Option<ObjectKey> {
    face.photo_path.as_deref().and_then(ObjectKey::parse)
}
