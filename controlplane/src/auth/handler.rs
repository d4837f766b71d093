//! HTTP side of signing in and out.

use std::net::IpAddr;

use warp::Reply;
use warp::http::StatusCode;
use warp::reply::with_status;

use super::model::{ChangePasswordRequest, LoginRequest, RegisterRequest};
use super::{CurrentUser, service};
use crate::audit::{Action, Actor};
use crate::error::ApiError;
use crate::state::{AppState, State};
use crate::users::{self, ProfileChange};

pub(super) async fn register(
    state: State,
    address: IpAddr,
    request: RegisterRequest,
) -> Result<impl Reply, ApiError> {
    if !state.config.is_registration_open() {
        return Err(ApiError::authorization("registration is closed: ask an administrator for an account"));
    }
    let actor = Actor::nobody(Some(address));
    let user = users::create(&state.db, &actor, Action::Registered, request.into()).await?;
    Ok(with_status(warp::reply::json(&user), StatusCode::CREATED))
}

pub(super) async fn login(
    state: State,
    address: IpAddr,
    request: LoginRequest,
) -> Result<impl Reply, ApiError> {
    let LoginRequest { username, password } = request;
    let AppState { db, tokens, login_throttle, .. } = &*state;
    let mut answer = service::login(db, tokens, login_throttle, &username, password, address).await?;
    answer.must_change_password &= state.config.file.security.force_password_change;
    Ok(warp::reply::json(&answer))
}

pub(super) async fn logout(state: State, user: CurrentUser) -> Result<impl Reply, ApiError> {
    service::logout(&state.db, &user).await?;
    Ok(StatusCode::NO_CONTENT)
}

pub(super) async fn me(state: State, user: CurrentUser) -> Result<impl Reply, ApiError> {
    let mut view = users::get(&state.db, user.id).await?;
    view.must_change_password = user.must_change_password;
    Ok(warp::reply::json(&view))
}

pub(super) async fn change_me(
    state: State,
    user: CurrentUser,
    change: ProfileChange,
) -> Result<impl Reply, ApiError> {
    let mut view = users::change_profile(&state.db, &user, change).await?;
    view.must_change_password = user.must_change_password;
    Ok(warp::reply::json(&view))
}

pub(super) async fn change_password(
    state: State,
    user: CurrentUser,
    request: ChangePasswordRequest,
) -> Result<impl Reply, ApiError> {
    service::change_password(&state.db, &user, request.old_password, request.new_password).await?;
    let message = "the password is changed; sign in again";
    Ok(warp::reply::json(&serde_json::json!({ "message": message })))
}
