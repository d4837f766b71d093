//! Making, removing and checking API keys.

use std::net::IpAddr;

use chrono::{DateTime, TimeDelta, Utc};
use sea_orm::{
    ActiveModelTrait as _, ActiveValue::Set, ColumnTrait as _, Condition, DatabaseConnection,
    EntityTrait as _, ModelTrait as _, PaginatorTrait as _, QueryFilter as _, QueryOrder as _,
};
use secrecy::ExposeSecret as _;
use serde_json::json;
use sha2::{Digest as _, Sha256};
use uuid::Uuid;

use super::model::{ApiKeyView, CreatedKey, NewKey, Scope};
use crate::audit::{Action, Actor, Entry};
use crate::auth::Role;
use crate::entity::api_keys::{ActiveModel, Column, Entity, Model};
use crate::error::ApiError;
use crate::filters::{Page, PageRequest};
use crate::state::AppState;
use crate::{auth, database, secrets};

/// How every key begins, so that people and scanners of leaked secrets recognise one.
const MARK: &str = "vedette_";
/// Characters of the part that is shown in lists, after the mark.
const PREFIX_CHARS: usize = 6;
/// Uses of a key are written down no more often than this, or every request would be a write.
const WRITE_EVERY: TimeDelta = TimeDelta::minutes(1);

/// A key that may do what was asked.
#[derive(Clone, Debug)]
pub struct Admitted {
    /// The key's id; nil for the one of the environment.
    pub id: Uuid,
    /// Its name.
    pub name: String,
    /// The most it may do as a user would.
    pub role: Role,
    /// When it ends.
    pub expires_at: DateTime<Utc>,
}

/// One page of keys, newest first.
pub(super) async fn list(db: &DatabaseConnection, page: PageRequest) -> Result<Page<ApiKeyView>, ApiError> {
    // Ids are made in the order of time.
    let paginator = Entity::find().order_by_desc(Column::Id).paginate(db, page.page_size());
    let total = paginator.num_items().await?;
    let keys = paginator.fetch_page(page.index()).await?;
    Ok(page.with(keys.into_iter().map(ApiKeyView::from).collect(), total))
}

/// Makes a key.
///
/// # Errors
/// When the database does not answer.
pub async fn create(
    db: &DatabaseConnection,
    actor: &Actor,
    created_by: Option<Uuid>,
    new: NewKey,
) -> Result<CreatedKey, ApiError> {
    let secret = secrets::random();
    // A part of its own: nothing of the secret is ever shown.
    let prefix = format!("{MARK}{}", &secrets::random().expose_secret()[..PREFIX_CHARS]);
    let key = format!("{prefix}_{}", secret.expose_secret());
    let row = ActiveModel {
        id: Set(Uuid::now_v7()),
        name: Set(new.name),
        prefix: Set(prefix),
        key_hash: Set(hash(&key)),
        scopes: Set(Scope::to_stored(&new.scopes)),
        created_by: Set(created_by),
        created_at: Set(Utc::now()),
        expires_at: Set(new.expires_at),
        last_used: Set(None),
    };
    let transaction = database::begin_write(db).await?;
    let row = row.insert(&transaction).await?;
    entry(Action::KeyCreated, actor, &row).write(&transaction).await?;
    transaction.commit().await?;
    Ok(CreatedKey { view: row.into(), key })
}

/// Removes a key; from now on it opens nothing.
///
/// # Errors
/// When there is none of that id.
pub async fn delete(db: &DatabaseConnection, actor: &Actor, id: Uuid) -> Result<(), ApiError> {
    let transaction = database::begin_write(db).await?;
    let key = Entity::find_by_id(id).one(&transaction).await?;
    let key = key.ok_or_else(|| ApiError::not_found("API key", id))?;
    let entry = entry(Action::KeyDeleted, actor, &key);
    key.delete(&transaction).await?;
    entry.write(&transaction).await?;
    Ok(transaction.commit().await?)
}

fn entry(action: Action, actor: &Actor, key: &Model) -> Entry {
    let details =
        json!({ "name": key.name, "prefix": key.prefix, "scopes": Scope::from_stored(&key.scopes) });
    Entry::new(action, actor).about("api_key", key.id).with(details)
}

/// The key behind `shown`, if one of its scopes `opens` what was asked for; `asked` names that in the refusal.
///
/// # Errors
/// When there is no such key (401), it has ended (401), or may do other things only (403).
pub async fn admit(
    state: &AppState,
    shown: &str,
    address: Option<IpAddr>,
    opens: impl Fn(Scope) -> bool,
    asked: &str,
) -> Result<Admitted, ApiError> {
    let missing_scope = || ApiError::authorization(format!("this API key may not do that: it needs {asked}"));
    if auth::has_api_key(Some(shown), state.config.environment.api_key.as_ref()) {
        let of_environment = Admitted {
            id: Uuid::nil(),
            name: "API_KEY".to_owned(),
            role: Role::Viewer,
            expires_at: DateTime::<Utc>::MAX_UTC,
        };
        return if opens(Scope::Ingest) { Ok(of_environment) } else { Err(missing_scope()) };
    }
    let refused = || ApiError::authentication("the API key is wrong, removed or has ended");
    // Looked up by its hash, which tells nothing about the key however long that takes.
    let key = Entity::find().filter(Column::KeyHash.eq(hash(shown))).one(&state.db).await?;
    let key = key.ok_or_else(refused)?;
    let now = Utc::now();
    let is_due = is_write_due(&key, now);
    if is_due {
        note_use(&state.db, &key, now).await?;
    }
    let scopes = Scope::from_stored(&key.scopes);
    let refusal = if key.expires_at.is_some_and(|end| end <= now) {
        Some(refused())
    } else if scopes.iter().any(|scope| opens(*scope)) {
        None
    } else {
        Some(missing_scope())
    };
    if let Some(refusal) = refusal {
        if is_due {
            // Once a minute: a program that goes on trying must not fill the table.
            let actor = Actor::named(key.id, format!("key:{}", key.name), address);
            entry(Action::KeyRefused, &actor, &key).write_or_log(&state.db).await;
        }
        return Err(refusal);
    }
    let role = scopes.iter().filter_map(|scope| scope.role()).max().unwrap_or_default();
    let expires_at = key.expires_at.unwrap_or(DateTime::<Utc>::MAX_UTC);
    Ok(Admitted { id: key.id, name: key.name, role, expires_at })
}

fn is_write_due(key: &Model, now: DateTime<Utc>) -> bool {
    key.last_used.is_none_or(|last_used| now - last_used >= WRITE_EVERY)
}

/// Writes down that the key is used now, unless another request has just done so.
async fn note_use(db: &DatabaseConnection, key: &Model, now: DateTime<Utc>) -> Result<(), ApiError> {
    let is_still_due =
        Condition::any().add(Column::LastUsed.is_null()).add(Column::LastUsed.lte(now - WRITE_EVERY));
    Entity::update_many()
        .col_expr(Column::LastUsed, Some(now).into())
        .filter(Column::Id.eq(key.id))
        .filter(is_still_due)
        .exec(db)
        .await?;
    Ok(())
}

fn hash(key: &str) -> String {
    hex::encode(Sha256::digest(key))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn uses_are_written_down_once_a_minute() {
        let now = Utc::now();
        let key = |last_used| Model {
            id: Uuid::nil(),
            name: String::new(),
            prefix: String::new(),
            key_hash: String::new(),
            scopes: String::new(),
            created_by: None,
            created_at: now,
            expires_at: None,
            last_used,
        };
        assert!(is_write_due(&key(None), now));
        assert!(!is_write_due(&key(Some(now - TimeDelta::seconds(59))), now));
        assert!(is_write_due(&key(Some(now - TimeDelta::seconds(60))), now));
    }
}
