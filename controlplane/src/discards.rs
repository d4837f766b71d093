//! The list of pictures that are to be removed, kept in the database until they are gone.
//!
//! A picture and its row cannot change in one transaction. So whatever drops a row puts its picture on the list by the
//! same transaction, and removes it after the commit; whatever enrols photos puts them on the list before it writes
//! them, to be removed unless their rows come, which take them off it. What a crash, or a storage that does not answer,
//! leaves on the list is removed by retention. So no row ever names a picture that was removed, and none that no row
//! names stays. Snapshots alone are written without being listed first, because that would cost every batch of events a
//! second commit; those whose rows never came are found by retention, by their day.

use std::collections::HashSet;

use chrono::TimeDelta;
use sea_orm::sea_query::OnConflict;
use sea_orm::{
    ColumnTrait as _, ConnectionTrait, DatabaseConnection, DbErr, EntityTrait as _, PaginatorTrait as _,
    QueryFilter as _, QueryOrder as _, QuerySelect as _, Set,
};

use crate::database;
use crate::entity::discarded_pictures::{ActiveModel, Column, Entity};
use crate::error::ApiError;
use crate::storage::{ObjectKey, Storage};

/// Longer than any request that writes photos lasts.
pub(crate) const UNLESS_ROWS_COME: TimeDelta = TimeDelta::hours(1);
/// Keys of one statement.
const KEYS_PER_STATEMENT: usize = 500;

/// Puts pictures on the list, to be removed after `delay`.
pub(crate) async fn list(
    db: &impl ConnectionTrait,
    keys: &[ObjectKey],
    delay: TimeDelta,
) -> Result<(), DbErr> {
    if keys.is_empty() {
        return Ok(());
    }
    let due_at = database::now(db).await? + delay;
    let again = OnConflict::column(Column::Key).update_column(Column::DueAt).to_owned();
    for keys in keys.chunks(KEYS_PER_STATEMENT) {
        let rows = keys.iter().map(|key| ActiveModel { key: Set(key.to_string()), due_at: Set(due_at) });
        Entity::insert_many(rows).on_conflict(again.clone()).exec_without_returning(db).await?;
    }
    Ok(())
}

/// Takes pictures off the list, whose rows have come or which are gone; says how many were on it.
pub(crate) async fn unlist(db: &impl ConnectionTrait, keys: &[ObjectKey]) -> Result<u64, DbErr> {
    let mut unlisted = 0;
    for keys in keys.chunks(KEYS_PER_STATEMENT) {
        let these = Column::Key.is_in(keys.iter().map(ObjectKey::as_str));
        unlisted += Entity::delete_many().filter(these).exec(db).await?.rows_affected;
    }
    Ok(unlisted)
}

/// Removes listed pictures.
pub(crate) async fn remove(
    db: &DatabaseConnection,
    storage: &Storage,
    keys: Vec<ObjectKey>,
) -> Result<(), ApiError> {
    for keys in keys.chunks(KEYS_PER_STATEMENT) {
        storage.remove(keys.to_vec()).await?;
        unlist(db, keys).await?;
    }
    Ok(())
}

/// The first listed pictures whose time has come.
pub(crate) async fn due(db: &DatabaseConnection) -> Result<Vec<ObjectKey>, DbErr> {
    let now = database::now(db).await?;
    let keys: Vec<String> = Entity::find()
        .select_only()
        .column(Column::Key)
        .filter(Column::DueAt.lte(now))
        .order_by_asc(Column::DueAt)
        .limit(KEYS_PER_STATEMENT as u64)
        .into_tuple()
        .all(db)
        .await?;
    Ok(keys.iter().filter_map(|key| ObjectKey::parse(key)).collect())
}

/// Which of `keys` are on the list.
pub(crate) async fn listed(
    db: &impl ConnectionTrait,
    keys: &[ObjectKey],
) -> Result<HashSet<ObjectKey>, DbErr> {
    let mut listed = HashSet::new();
    for keys in keys.chunks(KEYS_PER_STATEMENT) {
        let these = Column::Key.is_in(keys.iter().map(ObjectKey::as_str));
        let found: Vec<String> =
            Entity::find().select_only().column(Column::Key).filter(these).into_tuple().all(db).await?;
        listed.extend(found.iter().filter_map(|key| ObjectKey::parse(key)));
    }
    Ok(listed)
}

/// How many listed pictures wait though their time has come.
pub(crate) async fn backlog(db: &DatabaseConnection) -> Result<u64, DbErr> {
    let now = database::now(db).await?;
    Entity::find().filter(Column::DueAt.lte(now)).count(db).await
}
