//! HTTP side of signing in and out.

use warp::Reply;
use warp::http::StatusCode;

use super::model::{ChangePasswordRequest, LoginRequest};
use super::{CurrentUser, service};
use crate::error::ApiError;
use crate::state::State;
use crate::users;

pub(super) async fn login(state: State, request: LoginRequest) -> Result<impl Reply, ApiError> {
    let mut answer = service::login(&state.db, &state.tokens, &request.username, request.password).await?;
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

pub(super) async fn change_password(
    state: State,
    user: CurrentUser,
    request: ChangePasswordRequest,
) -> Result<impl Reply, ApiError> {
    service::change_password(&state.db, &user, request.old_password, request.new_password).await?;
    let message = "the password is changed; sign in again";
    Ok(warp::reply::json(&serde_json::json!({ "message": message })))
}
