//! What other resources ask about people: who is there, and what they are called.

use std::collections::{BTreeSet, HashMap, HashSet};

use sea_orm::sea_query::LockType;
use sea_orm::{
    ColumnTrait as _, ConnectionTrait, DbErr, EntityTrait as _, QueryFilter as _, QueryOrder as _,
    QuerySelect as _,
};
use uuid::Uuid;

use crate::entity::persons::{Column, Entity};

/// Ids of one query.
const IDS_PER_QUERY: usize = 5_000;

/// Which of `ids` are in the database; until the transaction ends, nobody else records their events, changes or
/// erases them. Always locked in the same order, so that two who lock never wait for each other.
pub(crate) async fn lock(db: &impl ConnectionTrait, ids: BTreeSet<Uuid>) -> Result<HashSet<Uuid>, DbErr> {
    let ids: Vec<Uuid> = ids.into_iter().collect();
    let mut existing = HashSet::with_capacity(ids.len());
    for ids in ids.chunks(IDS_PER_QUERY) {
        let found: Vec<Uuid> = Entity::find()
            .select_only()
            .column(Column::Id)
            .filter(Column::Id.is_in(ids.iter().copied()))
            .order_by_asc(Column::Id)
            // SQLite has one writer at a time and no such locks.
            .lock(LockType::NoKeyUpdate)
            .into_tuple()
            .all(db)
            .await?;
        existing.extend(found);
    }
    Ok(existing)
}

/// Names of people.
pub(crate) async fn names(
    db: &impl ConnectionTrait,
    ids: impl Iterator<Item = Uuid>,
) -> Result<HashMap<Uuid, String>, DbErr> {
    let names: Vec<(Uuid, String)> = Entity::find()
        .select_only()
        .columns([Column::Id, Column::Name])
        .filter(Column::Id.is_in(ids))
        .into_tuple()
        .all(db)
        .await?;
    Ok(names.into_iter().collect())
}
