//! Finding what cameras saw.

use sea_orm::sea_query::NullOrdering;
use sea_orm::{
    ColumnTrait as _, DatabaseConnection, EntityTrait as _, PaginatorTrait as _, QueryFilter as _,
    QueryOrder as _, QuerySelect as _, Select,
};
use uuid::Uuid;

use super::model::{DetectionFilter, DetectionView};
use crate::entity::detections;
use crate::error::ApiError;
use crate::filters::{Page, PageRequest};
use crate::state::State;
use crate::storage::ObjectKey;

/// One page of what `filter` lets through.
pub(super) async fn list(
    db: &DatabaseConnection,
    filter: &DetectionFilter,
    page: PageRequest,
) -> Result<Page<DetectionView>, ApiError> {
    let (column, order) = filter.order()?;
    let query = select(filter)?;
    let total = query.clone().count(db).await?;
    let rows = query
        .order_by_with_nulls(column, order, NullOrdering::Last)
        .order_by_desc(detections::Column::Id)
        .offset(page.index() * page.page_size())
        .limit(page.page_size())
        .all(db)
        .await?;
    Ok(page.with(rows.into_iter().map(DetectionView::from).collect(), total))
}

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
    let storage = state.storage.clone();
    let read = tokio::task::spawn_blocking(move || storage.read(&key));
    Ok(read.await.map_err(ApiError::internal)??)
}

/// The rows `filter` lets through, in no order.
pub(super) fn select(filter: &DetectionFilter) -> Result<Select<detections::Entity>, ApiError> {
    use detections::Column;
    filter.check()?;
    let mut query = detections::Entity::find();
    if let Some(person_id) = filter.person_id {
        query = query.filter(Column::PersonId.eq(person_id));
    }
    if let Some(camera_id) = &filter.camera_id {
        query = query.filter(Column::CameraId.eq(camera_id));
    }
    if let Some(from) = filter.from {
        query = query.filter(Column::Timestamp.gte(from));
    }
    if let Some(to) = filter.to {
        query = query.filter(Column::Timestamp.lt(to));
    }
    match filter.known {
        Some(true) => query = query.filter(Column::PersonId.is_not_null()),
        Some(false) => query = query.filter(Column::PersonId.is_null()),
        None => {}
    }
    if let Some(confidence) = filter.min_confidence {
        query = query.filter(Column::Confidence.gte(confidence));
    }
    if let Some(kind) = filter.kind {
        query = query.filter(Column::Kind.eq(kind.as_str()));
    }
    Ok(query)
}

async fn find(db: &DatabaseConnection, id: Uuid) -> Result<detections::Model, ApiError> {
    let detection = detections::Entity::find_by_id(id).one(db).await?;
    detection.ok_or_else(|| ApiError::not_found("detection", id))
}
