//! Erasing people for good, and seeing to it that they stay erased: workers hand in what they saw long after.

use std::collections::HashSet;

use chrono::Utc;
use sea_orm::{
    ActiveModelTrait as _, ActiveValue::Set, ColumnTrait as _, Condition, ConnectionTrait, DbErr,
    EntityTrait as _, QueryFilter as _, QuerySelect as _,
};
use sha2::{Digest as _, Sha256};
use uuid::Uuid;

use super::service;
use crate::audit::{self, Action, Actor, Entry};
use crate::database;
use crate::entity::erasures::{ActiveModel, Column, Entity};
use crate::entity::{detections, persons};
use crate::error::ApiError;
use crate::state::State;
use crate::storage::ObjectKey;

/// Removes a person for good: templates, photos, detections with their pictures, visits and the row itself.
///
/// Pictures go before rows: if one cannot be removed, the rows that name it are still there for the next try.
pub(super) async fn erase(state: &State, actor: &Actor, id: Uuid) -> Result<(), ApiError> {
    service::find(&state.db, id).await?;
    let snapshots: Vec<Option<String>> = detections::Entity::find()
        .select_only()
        .column(detections::Column::SnapshotPath)
        .filter(detections::Column::PersonId.eq(id))
        .filter(detections::Column::SnapshotPath.is_not_null())
        .into_tuple()
        .all(&state.db)
        .await?;
    let storage = state.storage.clone();
    let remove_pictures = move || {
        let keys = snapshots.into_iter().flatten().filter_map(|path| ObjectKey::parse(&path));
        keys.into_iter().try_for_each(|key| storage.remove(&key))?;
        storage.remove_photos_of(id)
    };
    tokio::task::spawn_blocking(remove_pictures).await.map_err(ApiError::internal)??;

    let transaction = database::begin_write(&state.db).await?;
    // Nobody records another sighting of them from here on.
    super::lock(&transaction, [id].into()).await?;
    crate::detections::remove(&transaction, Condition::all().add(detections::Column::PersonId.eq(id)))
        .await?;
    // Templates and visits go with the person, by their foreign keys.
    persons::Entity::delete_by_id(id).exec(&transaction).await?;
    let erasure = ActiveModel { person_hash: Set(hash(id)), erased_at: Set(Utc::now()) };
    erasure.insert(&transaction).await?;
    // Says that it happened, not to whom; and nothing said earlier leads there any more.
    audit::forget(&transaction, "person", id).await?;
    Entry::new(Action::PersonErased, actor).write(&transaction).await?;
    transaction.commit().await?;
    state.gallery.changed();
    database::forget_deleted(&state.db).await?;
    Ok(())
}

/// Which of `ids` were erased. Asked within the transaction that found them missing, the answer stays true.
pub(crate) async fn erased(
    db: &impl ConnectionTrait,
    ids: impl IntoIterator<Item = Uuid>,
) -> Result<HashSet<Uuid>, DbErr> {
    let ids: Vec<(Uuid, String)> = ids.into_iter().map(|id| (id, hash(id))).collect();
    if ids.is_empty() {
        return Ok(HashSet::new());
    }
    let hashes: Vec<String> = Entity::find()
        .select_only()
        .column(Column::PersonHash)
        .filter(Column::PersonHash.is_in(ids.iter().map(|(_, hash)| hash.as_str())))
        .into_tuple()
        .all(db)
        .await?;
    Ok(ids.into_iter().filter(|(_, hash)| hashes.contains(hash)).map(|(id, _)| id).collect())
}

/// Tells an id again without telling it: ids hold more chance than anybody can try.
fn hash(id: Uuid) -> String {
    hex::encode(Sha256::digest(id.as_bytes()))
}
