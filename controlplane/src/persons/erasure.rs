//! Erasing people for good, and seeing to it that they stay erased: workers hand in what they saw long after.

use std::collections::HashSet;

use chrono::{TimeDelta, Utc};
use sea_orm::{
    ActiveModelTrait as _, ActiveValue::Set, ColumnTrait as _, Condition, ConnectionTrait, DbErr,
    EntityTrait as _, QueryFilter as _, QuerySelect as _,
};
use sha2::{Digest as _, Sha256};
use uuid::Uuid;

use super::service;
use crate::audit::{self, Action, Actor, Entry};
use crate::database;
use crate::discards;
use crate::entity::erasures::{ActiveModel, Column, Entity};
use crate::entity::{detections, persons};
use crate::error::{ApiError, ErrorKind};
use crate::sessions;
use crate::state::State;
use crate::storage::ObjectKey;

/// Detections removed by one transaction: others write in between.
const DETECTIONS_PER_TRANSACTION: u64 = 500;

/// Removes a person for good: templates, photos, detections with their pictures, visits, alerts and the row
/// itself.
///
/// Detections go first, in portions; then all the rest, by one transaction. Pictures follow each commit. Should the
/// storage not answer, the person is erased all the same, and the pictures are on the list of [`discards`].
pub(super) async fn erase(state: &State, actor: &Actor, id: Uuid) -> Result<(), ApiError> {
    service::find(&state.db, id).await?;
    let of_person = || Condition::all().add(detections::Column::PersonId.eq(id));
    let mut pictures_gone = Ok(());
    loop {
        let transaction = database::begin_write(&state.db).await?;
        // What they are seen at just now waits, and takes what it needs in the same order.
        super::lock(&transaction, [id].into()).await?;
        let removed =
            crate::detections::remove(&transaction, of_person(), DETECTIONS_PER_TRANSACTION).await?;
        transaction.commit().await?;
        if pictures_gone.is_ok() {
            pictures_gone = discards::remove(&state.db, &state.storage, removed.pictures).await;
        }
        if removed.rows < DETECTIONS_PER_TRANSACTION {
            break;
        }
    }

    let transaction = database::begin_write(&state.db).await?;
    // Nobody records another sighting of them from here on.
    super::lock(&transaction, [id].into()).await?;
    // Those that came in meanwhile.
    let removed = crate::detections::remove(&transaction, of_person(), u32::MAX.into()).await?;
    sessions::remove_of(&transaction, id).await?;
    // Templates, alerts about them and rules that look out for them go with the person, by their foreign keys.
    persons::Entity::delete_by_id(id).exec(&transaction).await?;
    let erasure = ActiveModel { person_hash: Set(hash(id)), erased_at: Set(Utc::now()) };
    erasure.insert(&transaction).await?;
    // Says that it happened, not to whom; and nothing said earlier leads there any more.
    audit::forget(&transaction, "person", id).await?;
    Entry::new(Action::PersonErased, actor).write(&transaction).await?;
    let pictures: Vec<ObjectKey> = removed.pictures.into_iter().chain([ObjectKey::photos_of(id)]).collect();
    discards::list(&transaction, &pictures, TimeDelta::zero()).await?;
    state.gallery.commit(transaction).await?;
    if pictures_gone.is_ok() {
        pictures_gone = discards::remove(&state.db, &state.storage, pictures).await;
    }
    database::forget_deleted(&state.db).await?;
    pictures_gone.map_err(|error| {
        let message = "the person is erased, but for pictures in a storage that cannot be reached at the moment; \
                       they are removed as soon as it can";
        ApiError::new(ErrorKind::Storage, message).with_cause(error)
    })
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
