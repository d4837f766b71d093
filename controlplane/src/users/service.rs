//! Making, changing and removing accounts.
//!
//! There is always an active administrator, or nobody could ever make one again. Whatever takes those rights away
//! therefore looks and acts alone ([`Exclusive::Accounts`]): two administrators who remove each other at the same
//! moment must not both succeed.

use chrono::Utc;
use sea_orm::{
    ActiveModelTrait as _, ActiveValue::Set, ColumnTrait as _, ConnectionTrait, DatabaseConnection,
    DatabaseTransaction, DbErr, EntityTrait as _, IntoActiveModel as _, ModelTrait as _, PaginatorTrait as _,
    QueryFilter as _, QueryOrder as _, QuerySelect as _, SqlErr,
};
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;
use serde_json::json;
use utoipa::IntoParams;
use uuid::Uuid;

use super::model::{NewUser, ProfileChange, UserChange, UserView};
use crate::audit::{Action, Actor, Entry};
use crate::auth::{CurrentUser, Role, hash_password, validate_password};
use crate::database::{self, Exclusive};
use crate::entity::users::{self, ActiveModel, Column, Entity, Model};
use crate::error::{ApiError, ErrorKind};
use crate::filters::{Page, PageRequest};

/// Name of the first user.
const FIRST_USERNAME: &str = "admin";

/// What `GET /api/users` can be asked for besides a page.
#[derive(Clone, Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct UserFilter {
    /// Part of the user name, the mail address or the full name, in any case.
    search: Option<String>,
    role: Option<Role>,
    is_active: Option<bool>,
}

/// One user.
///
/// # Errors
/// When there is none.
pub async fn get(db: &DatabaseConnection, id: Uuid) -> Result<UserView, ApiError> {
    find(db, id).await.map(UserView::from)
}

async fn find(db: &DatabaseConnection, id: Uuid) -> Result<Model, ApiError> {
    Entity::find_by_id(id).one(db).await?.ok_or_else(|| ApiError::not_found("user", id))
}

/// The user as it stays until the transaction ends.
async fn find_locked(transaction: &DatabaseTransaction, id: Uuid) -> Result<Model, ApiError> {
    let user = Entity::find_by_id(id).lock_exclusive().one(transaction).await?;
    user.ok_or_else(|| ApiError::not_found("user", id))
}

/// The user of a name, in whatever case it is written.
///
/// # Errors
/// When the database does not answer.
pub async fn find_by_username(db: &DatabaseConnection, username: &str) -> Result<Option<Model>, ApiError> {
    let username = username.trim().to_lowercase();
    Ok(Entity::find().filter(Column::Username.eq(username)).one(db).await?)
}

/// One page of users, by name.
pub(super) async fn list(
    db: &DatabaseConnection,
    filter: UserFilter,
    page: PageRequest,
) -> Result<Page<UserView>, ApiError> {
    let mut query = Entity::find().order_by_asc(Column::Username);
    if let Some(search) = filter.search.as_deref().map(str::trim).filter(|search| !search.is_empty()) {
        let columns = [Column::Username, Column::Email, Column::FullName];
        query = query.filter(database::any_contains(columns, search));
    }
    if let Some(role) = filter.role {
        query = query.filter(Column::Role.eq(role.as_str()));
    }
    if let Some(is_active) = filter.is_active {
        query = query.filter(Column::IsActive.eq(is_active));
    }
    let paginator = query.paginate(db, page.page_size());
    let total = paginator.num_items().await?;
    let users = paginator.fetch_page(page.index()).await?;
    Ok(page.with(users.into_iter().map(UserView::from).collect(), total))
}

/// Makes a user; `action` says in the audit log how it came about.
///
/// # Errors
/// When a field does not hold, or the name or mail address is taken.
pub async fn create(
    db: &DatabaseConnection,
    actor: &Actor,
    action: Action,
    mut new: NewUser,
) -> Result<UserView, ApiError> {
    let wrong = new.normalise();
    if !wrong.is_empty() {
        return Err(ApiError::validations(wrong));
    }
    let names = [Some(new.username.as_str()), new.email.as_deref()];
    validate_password("password", new.password.expose_secret(), &names).await?;
    insert(db, actor, action, new).await
}

async fn insert(
    db: &DatabaseConnection,
    actor: &Actor,
    action: Action,
    new: NewUser,
) -> Result<UserView, ApiError> {
    let now = Utc::now();
    let user = ActiveModel {
        id: Set(Uuid::now_v7()),
        username: Set(new.username),
        email: Set(new.email),
        full_name: Set(new.full_name),
        password_hash: Set(hash_password(new.password.expose_secret().to_owned()).await?),
        role: Set(new.role.as_str().to_owned()),
        is_active: Set(true),
        must_change_password: Set(new.must_change_password),
        token_version: Set(0),
        created_at: Set(now),
        updated_at: Set(now),
        last_login: Set(None),
    };
    let transaction = database::begin_write(db).await?;
    let user = user.insert(&transaction).await.map_err(taken)?;
    let details = json!({ "username": user.username, "role": user.role });
    Entry::new(action, actor).about("user", user.id).with(details).write(&transaction).await?;
    transaction.commit().await?;
    Ok(user.into())
}

fn taken(error: DbErr) -> ApiError {
    match error.sql_err() {
        Some(SqlErr::UniqueConstraintViolation(_)) => {
            ApiError::duplicate("the user name or the e-mail address is taken").with_cause(error)
        }
        _ => error.into(),
    }
}

/// Changes what users may change about themselves.
///
/// # Errors
/// When a field does not hold, or the mail address is taken.
pub async fn change_profile(
    db: &DatabaseConnection,
    user: &CurrentUser,
    mut change: ProfileChange,
) -> Result<UserView, ApiError> {
    let wrong = change.normalise();
    if !wrong.is_empty() {
        return Err(ApiError::validations(wrong));
    }
    let transaction = database::begin_write(db).await?;
    let present = find_locked(&transaction, user.id).await?;
    let mut row = present.into_active_model();
    let changed = apply_profile(&mut row, change);
    row.updated_at = Set(Utc::now());
    let changed_user = row.update(&transaction).await.map_err(taken)?;
    let entry = Entry::new(Action::UserChanged, &user.into()).about("user", user.id);
    entry.with(json!({ "fields": changed })).write(&transaction).await?;
    transaction.commit().await?;
    Ok(changed_user.into())
}

/// Puts the change into the row; returns the names of the fields it is about.
fn apply_profile(row: &mut ActiveModel, change: ProfileChange) -> Vec<&'static str> {
    let mut changed = Vec::new();
    if let Some(email) = change.email {
        row.email = Set(email);
        changed.push("email");
    }
    if let Some(full_name) = change.full_name {
        row.full_name = Set(full_name);
        changed.push("full_name");
    }
    changed
}

/// Changes a user, on behalf of the administrator `admin`.
pub(super) async fn update(
    db: &DatabaseConnection,
    admin: &CurrentUser,
    id: Uuid,
    mut change: UserChange,
) -> Result<UserView, ApiError> {
    let mut profile = change.take_profile();
    let wrong = profile.normalise();
    if !wrong.is_empty() {
        return Err(ApiError::validations(wrong));
    }
    let present = find(db, id).await?;
    if id == admin.id {
        refuse_harming_oneself(&change)?;
    }
    let password_hash = match &change.password {
        Some(password) => {
            let email = profile.email.clone().unwrap_or_else(|| present.email.clone());
            let names = [Some(present.username.as_str()), email.as_deref()];
            validate_password("password", password.expose_secret(), &names).await?;
            Some(hash_password(password.expose_secret().to_owned()).await?)
        }
        None => None,
    };

    let transaction = database::begin_exclusive(db, Exclusive::Accounts).await?;
    let present = find_locked(&transaction, id).await?;
    let stays_admin = change.role.is_none_or(|role| role == Role::Admin) && change.is_active != Some(false);
    if is_active_admin(&present) && !stays_admin {
        require_another_admin(&transaction, id).await?;
    }
    let token_version = present.token_version;
    let mut row = present.into_active_model();
    let mut changed = apply_profile(&mut row, profile);
    if let Some(role) = change.role {
        row.role = Set(role.as_str().to_owned());
        changed.push("role");
    }
    if let Some(is_active) = change.is_active {
        row.is_active = Set(is_active);
        changed.push("is_active");
    }
    let is_reset = password_hash.is_some();
    if let Some(password_hash) = password_hash {
        row.password_hash = Set(password_hash);
        row.must_change_password = Set(true);
    }
    if let Some(must_change_password) = change.must_change_password {
        row.must_change_password = Set(must_change_password);
        changed.push("must_change_password");
    }
    if is_reset || change.is_active == Some(false) {
        // Tokens given out before must not come back to life with the account.
        row.token_version = Set(token_version + 1);
    }
    row.updated_at = Set(Utc::now());
    let user = row.update(&transaction).await.map_err(taken)?;
    let actor = Actor::from(admin);
    if is_reset {
        Entry::new(Action::PasswordReset, &actor).about("user", id).write(&transaction).await?;
    }
    if !changed.is_empty() {
        let details = json!({ "username": user.username, "fields": changed, "role": user.role, "is_active": user.is_active });
        Entry::new(Action::UserChanged, &actor).about("user", id).with(details).write(&transaction).await?;
    }
    transaction.commit().await?;
    Ok(user.into())
}

/// An administrator's own rights are another's to take, and the own password is changed by who knows the old one.
fn refuse_harming_oneself(change: &UserChange) -> Result<(), ApiError> {
    let refusal = if change.role.is_some_and(|role| role != Role::Admin) {
        "nobody may take the role admin from oneself: ask another administrator"
    } else if change.is_active == Some(false) {
        "nobody may deactivate oneself: ask another administrator"
    } else if change.password.is_some() {
        "change your own password by POST /api/auth/change-password"
    } else {
        return Ok(());
    };
    Err(ApiError::authorization(refusal))
}

/// Removes a user, on behalf of the administrator `admin`.
pub(super) async fn delete(db: &DatabaseConnection, admin: &CurrentUser, id: Uuid) -> Result<(), ApiError> {
    if id == admin.id {
        return Err(ApiError::authorization("nobody may remove oneself: ask another administrator"));
    }
    let transaction = database::begin_exclusive(db, Exclusive::Accounts).await?;
    let user = find_locked(&transaction, id).await?;
    if is_active_admin(&user) {
        require_another_admin(&transaction, id).await?;
    }
    let details = json!({ "username": user.username, "role": user.role });
    user.delete(&transaction).await?;
    let entry = Entry::new(Action::UserDeleted, &admin.into()).about("user", id);
    entry.with(details).write(&transaction).await?;
    Ok(transaction.commit().await?)
}

fn is_active_admin(user: &Model) -> bool {
    user.is_active && user.role == Role::Admin.as_str()
}

async fn require_another_admin(db: &impl ConnectionTrait, id: Uuid) -> Result<(), ApiError> {
    let others = Entity::find()
        .filter(Column::Role.eq(Role::Admin.as_str()))
        .filter(Column::IsActive.eq(true))
        .filter(Column::Id.ne(id))
        .count(db)
        .await?;
    if others == 0 {
        return Err(ApiError::authorization("this is the last active administrator: make another one first"));
    }
    Ok(())
}

/// Sets a password; every token given out before is void. `action` says in the audit log how it came about.
///
/// # Errors
/// When the password is not good enough, or the user is gone.
pub async fn set_password(
    db: &DatabaseConnection,
    actor: &Actor,
    action: Action,
    user: &users::Model,
    password: String,
) -> Result<(), ApiError> {
    let names = [Some(user.username.as_str()), user.email.as_deref()];
    validate_password("password", &password, &names).await?;
    let password_hash = hash_password(password).await?;
    let transaction = database::begin_write(db).await?;
    let present = find_locked(&transaction, user.id).await?;
    let token_version = present.token_version + 1;
    let mut row = present.into_active_model();
    row.password_hash = Set(password_hash);
    row.token_version = Set(token_version);
    row.must_change_password = Set(false);
    row.updated_at = Set(Utc::now());
    row.update(&transaction).await?;
    Entry::new(action, actor).about("user", user.id).write(&transaction).await?;
    Ok(transaction.commit().await?)
}

/// Makes the first administrator when there is no user yet; returns whether it did.
///
/// The password may be the well-known one, because nothing is
/// allowed with it but to change it.
///
/// # Errors
/// When the database does not answer.
pub async fn ensure_first_admin(
    db: &DatabaseConnection,
    password: &SecretString,
    must_change_password: bool,
) -> Result<bool, ApiError> {
    if Entity::find().count(db).await? > 0 {
        return Ok(false);
    }
    let admin = NewUser {
        username: FIRST_USERNAME.to_owned(),
        email: None,
        full_name: Some("Administrator".to_owned()),
        password: password.clone(),
        role: Role::Admin,
        must_change_password,
    };
    match insert(db, &Actor::server(), Action::UserCreated, admin).await {
        Ok(_) => Ok(true),
        // Another instance that started at the same moment was quicker.
        Err(error) if error.kind() == ErrorKind::Duplicate => Ok(false),
        Err(error) => Err(error),
    }
}
