//! HTTP side of accounts, for administrators.

use uuid::Uuid;
use warp::Reply;
use warp::http::StatusCode;
use warp::reply::{json, with_status};

use super::model::{CreateRequest, UserChange};
use super::service::{self, UserFilter};
use crate::audit::{Action, Actor};
use crate::auth::CurrentUser;
use crate::error::ApiError;
use crate::filters::PageRequest;
use crate::state::State;

pub(super) async fn list(
    state: State,
    _user: CurrentUser,
    filter: UserFilter,
    page: PageRequest,
) -> Result<impl Reply, ApiError> {
    Ok(json(&service::list(&state.db, filter, page).await?))
}

pub(super) async fn create(
    state: State,
    user: CurrentUser,
    request: CreateRequest,
) -> Result<impl Reply, ApiError> {
    let actor = Actor::from(&user);
    let created = service::create(&state.db, &actor, Action::UserCreated, request.into()).await?;
    Ok(with_status(json(&created), StatusCode::CREATED))
}

pub(super) async fn update(
    id: Uuid,
    state: State,
    user: CurrentUser,
    change: UserChange,
) -> Result<impl Reply, ApiError> {
    Ok(json(&service::update(&state.db, &user, id, change).await?))
}

pub(super) async fn delete(id: Uuid, state: State, user: CurrentUser) -> Result<impl Reply, ApiError> {
    service::delete(&state.db, &user, id).await?;
    Ok(StatusCode::NO_CONTENT)
}
