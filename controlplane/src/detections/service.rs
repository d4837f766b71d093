//! One detection and its picture.

use sea_orm::{DatabaseConnection, EntityTrait as _};
use uuid::Uuid;

use super::model::DetectionView;
use crate::entity::detections;
use crate::error::ApiError;
use crate::state::State;
use crate::storage::ObjectKey;

/// One detection.
pub(super) async fn get(db: &DatabaseConnection, id: Uuid) -> Result<DetectionView, ApiError> {
    find(db, id).await.map(DetectionView::from)
}

/// The JPEG of one.
pub(super) async fn snapshot(state: &State, id: Uuid) -> Result<Vec<u8>, ApiError> {
    let detection = find(&state.db, id).await?;
    let Some(key) = detection.snapshot_path.as_deref().and_then(ObjectKey::parse) else {
        return Err(ApiError::not_found("snapshot of detection", id));
    };
    Ok(state.storage.read(&key).await?)
}

async fn find(db: &DatabaseConnection, id: Uuid) -> Result<detections::Model, ApiError> {
    let detection = detections::Entity::find_by_id(id).one(db).await?;
    detection.ok_or_else(|| ApiError::not_found("detection", id))
}
