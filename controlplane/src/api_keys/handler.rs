//! HTTP side of API keys, for administrators.

use uuid::Uuid;
use warp::Reply;
use warp::http::StatusCode;
use warp::reply::{json, with_status};

use super::model::{CreateRequest, NewKey};
use super::service;
use crate::audit::Actor;
use crate::auth::CurrentUser;
use crate::error::ApiError;
use crate::filters::PageRequest;
use crate::state::State;

pub(super) async fn list(
    state: State,
    _user: CurrentUser,
    page: PageRequest,
) -> Result<impl Reply, ApiError> {
    Ok(json(&service::list(&state.db, page).await?))
}

pub(super) async fn create(
    state: State,
    user: CurrentUser,
    request: CreateRequest,
) -> Result<impl Reply, ApiError> {
    let new = NewKey::try_from(request)?;
    let created = service::create(&state.db, &Actor::from(&user), Some(user.id), new).await?;
    Ok(with_status(json(&created), StatusCode::CREATED))
}

pub(super) async fn delete(id: Uuid, state: State, user: CurrentUser) -> Result<impl Reply, ApiError> {
    service::delete(&state.db, &Actor::from(&user), id).await?;
    Ok(StatusCode::NO_CONTENT)
}
