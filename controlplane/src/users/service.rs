//! Making and changing user accounts.

use chrono::Utc;
use sea_orm::sea_query::Expr;
use sea_orm::{
    ActiveModelTrait as _, ActiveValue::Set, ColumnTrait as _, DatabaseConnection, EntityTrait as _,
    ExprTrait as _, PaginatorTrait as _, QueryFilter as _, SqlErr,
};
use secrecy::{ExposeSecret as _, SecretString};
use uuid::Uuid;

use super::model::{NewUser, UserView};
use crate::auth::{Role, hash_password, validate_password};
use crate::entity::users;
use crate::error::{ApiError, FieldError};

/// Name of the first user.
const FIRST_USERNAME: &str = "admin";
const MAX_NAME_CHARS: usize = 64;
const MAX_EMAIL_CHARS: usize = 254;

/// One user.
///
/// # Errors
/// When there is none.
pub async fn get(db: &DatabaseConnection, id: Uuid) -> Result<UserView, ApiError> {
    let user = users::Entity::find_by_id(id).one(db).await?;
    user.map(UserView::from).ok_or_else(|| ApiError::not_found("user", id))
}

/// The user of a name, in whatever case it is written.
///
/// # Errors
/// When the database does not answer.
pub async fn find_by_username(
    db: &DatabaseConnection,
    username: &str,
) -> Result<Option<users::Model>, ApiError> {
    let username = username.trim().to_lowercase();
    Ok(users::Entity::find().filter(users::Column::Username.eq(username)).one(db).await?)
}

/// Makes a user.
///
/// # Errors
/// When a field does not hold, or the name or mail address is taken.
pub async fn create(db: &DatabaseConnection, new: NewUser) -> Result<UserView, ApiError> {
    let username = new.username.trim().to_lowercase();
    let email =
        new.email.as_deref().map(|email| email.trim().to_lowercase()).filter(|email| !email.is_empty());
    let wrong: Vec<FieldError> =
        [check_username(&username), email.as_deref().and_then(check_email)].into_iter().flatten().collect();
    if !wrong.is_empty() {
        return Err(ApiError::validations(wrong));
    }
    validate_password("password", new.password.expose_secret())?;
    insert(db, username, email, new).await
}

async fn insert(
    db: &DatabaseConnection,
    username: String,
    email: Option<String>,
    new: NewUser,
) -> Result<UserView, ApiError> {
    let now = Utc::now();
    let user = users::ActiveModel {
        id: Set(Uuid::now_v7()),
        username: Set(username),
        email: Set(email),
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
    match user.insert(db).await {
        Ok(user) => Ok(user.into()),
        Err(error) if matches!(error.sql_err(), Some(SqlErr::UniqueConstraintViolation(_))) => {
            Err(ApiError::duplicate("the user name or the e-mail address is taken"))
        }
        Err(error) => Err(error.into()),
    }
}

/// Sets a password; every token given out before is void.
///
/// # Errors
/// When the password is not good enough or there is no such user.
pub async fn set_password(
    db: &DatabaseConnection,
    id: Uuid,
    password: String,
    must_change_password: bool,
) -> Result<(), ApiError> {
    validate_password("password", &password)?;
    let hash = hash_password(password).await?;
    let next_version = Expr::col(users::Column::TokenVersion).add(1);
    let result = users::Entity::update_many()
        .col_expr(users::Column::PasswordHash, hash.into())
        .col_expr(users::Column::TokenVersion, next_version)
        .col_expr(users::Column::MustChangePassword, must_change_password.into())
        .col_expr(users::Column::UpdatedAt, Utc::now().into())
        .filter(users::Column::Id.eq(id))
        .exec(db)
        .await?;
    if result.rows_affected == 0 {
        return Err(ApiError::not_found("user", id));
    }
    Ok(())
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
    if users::Entity::find().count(db).await? > 0 {
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
    insert(db, FIRST_USERNAME.to_owned(), None, admin).await?;
    Ok(true)
}

fn check_username(username: &str) -> Option<FieldError> {
    let is_good = |character: char| character.is_alphanumeric() || "._-@+".contains(character);
    if (1..=MAX_NAME_CHARS).contains(&username.chars().count()) && username.chars().all(is_good) {
        return None;
    }
    let message = format!("must be 1 to {MAX_NAME_CHARS} letters, digits or any of . _ - @ +");
    Some(FieldError::new("username", message))
}

fn check_email(email: &str) -> Option<FieldError> {
    let is_address = |email: &str| {
        let (local, domain) = email.rsplit_once('@')?;
        let is_good = |part: &str| !part.is_empty() && !part.contains(char::is_whitespace);
        (is_good(local) && is_good(domain)).then_some(())
    };
    if email.len() <= MAX_EMAIL_CHARS && is_address(email).is_some() {
        return None;
    }
    Some(FieldError::new("email", "must be an e-mail address"))
}
