//! HTTP side of cameras.

use warp::Reply;
use warp::http::StatusCode;
use warp::reply::{json, with_status};

use super::model::{CreateRequest, ProbeRequest, UpdateRequest};
use super::{picture as camera_picture, service};
use crate::audit::Actor;
use crate::auth::CurrentUser;
use crate::error::ApiError;
use crate::filters::PageRequest;
use crate::picture;
use crate::state::State;

pub(super) async fn list(
    state: State,
    _user: CurrentUser,
    page: PageRequest,
) -> Result<impl Reply, ApiError> {
    Ok(json(&service::list(&state.db, &state.workers, page).await?))
}

pub(super) async fn create(
    state: State,
    user: CurrentUser,
    request: CreateRequest,
) -> Result<impl Reply, ApiError> {
    let camera = service::create(&state.db, &state.workers, &Actor::from(&user), request.try_into()?).await?;
    Ok(with_status(json(&camera), StatusCode::CREATED))
}

pub(super) async fn get(id: String, state: State, _user: CurrentUser) -> Result<impl Reply, ApiError> {
    Ok(json(&service::get(&state.db, &state.workers, &id).await?))
}

pub(super) async fn update(
    id: String,
    state: State,
    user: CurrentUser,
    request: UpdateRequest,
) -> Result<impl Reply, ApiError> {
    let (actor, change) = (Actor::from(&user), request.try_into()?);
    Ok(json(&service::update(&state.db, &state.workers, &actor, &id, change).await?))
}

pub(super) async fn delete(id: String, state: State, user: CurrentUser) -> Result<impl Reply, ApiError> {
    service::delete(&state.db, &Actor::from(&user), &id).await?;
    Ok(StatusCode::NO_CONTENT)
}

pub(super) async fn start(id: String, state: State, user: CurrentUser) -> Result<impl Reply, ApiError> {
    Ok(json(&service::start(&state.db, &state.workers, &Actor::from(&user), &id).await?))
}

pub(super) async fn stop(id: String, state: State, user: CurrentUser) -> Result<impl Reply, ApiError> {
    Ok(json(&service::stop(&state.db, &state.workers, &Actor::from(&user), &id).await?))
}

pub(super) async fn probe(
    state: State,
    _user: CurrentUser,
    request: ProbeRequest,
) -> Result<impl Reply, ApiError> {
    Ok(json(&camera_picture::probe(&state, request.try_into()?).await?))
}

pub(super) async fn snapshot(id: String, state: State, _user: CurrentUser) -> Result<impl Reply, ApiError> {
    Ok(picture::reply(camera_picture::snapshot(&state, &id).await?))
}
