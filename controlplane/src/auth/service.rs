//! Who is it, and is the password right.

use std::net::IpAddr;

use chrono::Utc;
use sea_orm::sea_query::OnConflict;
use sea_orm::{
    ActiveModelTrait as _, ActiveValue::Set, ColumnTrait as _, DatabaseConnection, EntityTrait as _,
    QueryFilter as _,
};
use secrecy::{ExposeSecret as _, SecretString};
use sha2::{Digest as _, Sha256};

use super::model::LoginAnswer;
use super::sessions::{KnownSession, Sessions};
use super::throttle::{Attempt, LoginThrottle};
use super::token::{Claims, TokenSigner};
use super::{CurrentUser, password};
use crate::audit::{Action, Actor, Entry};
use crate::database;
use crate::entity::{revoked_tokens, users};
use crate::error::ApiError;
use crate::users as user_accounts;

/// The same words whether the name or the password is wrong: names are not to be found out.
const WRONG_LOGIN: &str = "the user name or the password is wrong";
const BAD_TOKEN: &str = "the access token is missing, expired or void; sign in";

/// Checks a name and password and gives out a token, unless there were too many wrong ones before.
pub(super) async fn login(
    db: &DatabaseConnection,
    tokens: &TokenSigner,
    throttle: &LoginThrottle,
    username: &str,
    password: String,
    address: IpAddr,
) -> Result<LoginAnswer, ApiError> {
    let attempt = Attempt::new(username, address);
    throttle.admit(&attempt).await?;
    let user = user_accounts::find_by_username(db, username).await?;
    let hash = user.as_ref().map(|user| user.password_hash.clone());
    let is_right = password::verify(password, hash).await?;
    // A name nobody has is not written down: it may be a password typed into the wrong field.
    let known = user.as_ref().map(|user| Actor::named(user.id, user.username.as_str(), Some(address)));
    let actor = known.unwrap_or_else(|| Actor::nobody(Some(address)));
    let Some(user) = user.filter(|user| is_right && user.is_active) else {
        throttle.failed(&attempt).await;
        Entry::new(Action::LoginFailed, &actor).write_or_log(db).await;
        return Err(ApiError::authentication(WRONG_LOGIN));
    };
    throttle.succeeded(&attempt).await;
    let answer = LoginAnswer {
        access_token: tokens.sign(user.id, user.token_version)?,
        token_type: "bearer",
        expires_in: tokens.lifetime().as_secs(),
        must_change_password: user.must_change_password,
    };
    let mut change: users::ActiveModel = user.into();
    change.last_login = Set(Some(Utc::now()));
    let transaction = database::begin_write(db).await?;
    change.update(&transaction).await?;
    Entry::new(Action::Login, &actor).write(&transaction).await?;
    transaction.commit().await?;
    Ok(answer)
}

/// The user behind a token.
///
/// # Errors
/// When the token is not ours, has expired or was revoked, or its user is gone.
pub async fn authenticate(
    db: &DatabaseConnection,
    tokens: &TokenSigner,
    sessions: &Sessions,
    token: Option<&str>,
) -> Result<CurrentUser, ApiError> {
    let refused = || ApiError::authentication(BAD_TOKEN);
    let claims = token.and_then(|token| tokens.verify(token)).ok_or_else(refused)?;
    let session = match sessions.get(claims.jti) {
        Some(session) => session,
        None => {
            let epoch = sessions.epoch();
            let session = look_up(db, &claims).await?;
            sessions.insert(epoch, claims.jti, session.clone());
            session
        }
    };
    if session.user.id != claims.sub || session.token_version != claims.ver {
        return Err(refused());
    }
    Ok(session.user)
}

async fn look_up(db: &DatabaseConnection, claims: &Claims) -> Result<KnownSession, ApiError> {
    let refused = || ApiError::authentication(BAD_TOKEN);
    let user = users::Entity::find_by_id(claims.sub).one(db).await?.ok_or_else(refused)?;
    let is_revoked = revoked_tokens::Entity::find_by_id(claims.jti).one(db).await?.is_some();
    if !user.is_active || is_revoked {
        return Err(refused());
    }
    let token_version = user.token_version;
    let user = CurrentUser {
        id: user.id,
        role: user.role.parse().map_err(|error: String| ApiError::internal(error))?,
        username: user.username,
        must_change_password: user.must_change_password,
        token_id: claims.jti,
        token_expires_at: claims.expires_at(),
        address: None,
    };
    Ok(KnownSession { user, token_version })
}

/// Makes the token of this request void.
pub(super) async fn logout(db: &DatabaseConnection, user: &CurrentUser) -> Result<(), ApiError> {
    let transaction = database::begin_write(db).await?;
    let expired = revoked_tokens::Column::ExpiresAt.lt(Utc::now());
    revoked_tokens::Entity::delete_many().filter(expired).exec(&transaction).await?;
    let revoked =
        revoked_tokens::ActiveModel { jti: Set(user.token_id), expires_at: Set(user.token_expires_at) };
    let is_there_already = OnConflict::column(revoked_tokens::Column::Jti).do_nothing().to_owned();
    let insert = revoked_tokens::Entity::insert(revoked).on_conflict(is_there_already);
    insert.exec_without_returning(&transaction).await?;
    Entry::new(Action::Logout, &user.into()).write(&transaction).await?;
    Ok(transaction.commit().await?)
}

/// Sets a new password, after which all tokens given out before are void.
pub(super) async fn change_password(
    db: &DatabaseConnection,
    user: &CurrentUser,
    old_password: String,
    new_password: String,
) -> Result<(), ApiError> {
    let present = users::Entity::find_by_id(user.id).one(db).await?;
    let present = present.ok_or_else(|| ApiError::not_found("user", user.id))?;
    if !password::verify(old_password.clone(), Some(present.password_hash.clone())).await? {
        return Err(ApiError::validation("old_password", "is not the present password"));
    }
    let names = [Some(present.username.as_str()), present.email.as_deref()];
    password::validate("new_password", &new_password, &names).await?;
    if new_password == old_password {
        return Err(ApiError::validation("new_password", "must differ from the present one"));
    }
    let is_first = present.must_change_password;
    let action = if is_first { Action::FirstPasswordChanged } else { Action::PasswordChanged };
    user_accounts::set_password(db, &user.into(), action, &present, new_password).await
}

/// Whether `shown` is `secret`, in a time that tells nothing about it.
fn is_same_secret(shown: &str, secret: &SecretString) -> bool {
    Sha256::digest(shown) == Sha256::digest(secret.expose_secret())
}

/// Whether `shown` is the token of the workers.
pub fn is_worker(shown: Option<&str>, worker_token: &SecretString) -> bool {
    shown.is_some_and(|shown| is_same_secret(shown, worker_token))
}

/// Whether `shown` is the API key of the environment.
pub fn has_api_key(shown: Option<&str>, api_key: Option<&SecretString>) -> bool {
    shown.zip(api_key).is_some_and(|(shown, key)| is_same_secret(shown, key))
}
