//! HTTP side of cameras.

use warp::Reply;
use warp::http::StatusCode;
use warp::reply::{json, with_status};

use super::model::{CameraView, CreateRequest, ProbeRequest, UpdateRequest};
use super::picture::{self as camera_picture, ProbeView};
use super::service;
use super::{SourceUrl, files};
use crate::audit::Actor;
use crate::auth::CurrentUser;
use crate::error::{ApiError, ErrorBody};
use crate::filters::{Page, PageQuery, PageRequest};
use crate::picture::{self, Jpeg};
use crate::state::State;

/// List cameras
#[utoipa::path(
    get,
    path = "/api/cameras",
    params(PageQuery),
    responses((
        status = 200,
        description = "One page, by id, and how each is doing.",
        body = Page<CameraView>,
    )),
    security(("token" = ["viewer"]))
)]
pub(super) async fn list(
    state: State,
    _user: CurrentUser,
    page: PageRequest,
) -> Result<impl Reply, ApiError> {
    Ok(json(&service::list(&state, page).await?))
}

/// Add a camera
///
/// It is `stopped` until it is started.
#[utoipa::path(
    post,
    path = "/api/cameras",
    request_body = CreateRequest,
    responses(
        (status = 201, description = "The camera.", body = CameraView),
        (status = 409, description = "There is a camera of that id.", body = ErrorBody),
    ),
    security(("token" = ["operator"]))
)]
pub(super) async fn create(
    state: State,
    user: CurrentUser,
    request: CreateRequest,
) -> Result<impl Reply, ApiError> {
    let camera = service::create(&state, &user, request.try_into()?).await?;
    Ok(with_status(json(&camera), StatusCode::CREATED))
}

/// See a camera
#[utoipa::path(
    get,
    path = "/api/cameras/{id}",
    params(("id" = String, Path, description = "The camera's short name.", example = "door")),
    responses((status = 200, description = "The camera, and how it is doing.", body = CameraView)),
    security(("token" = ["viewer"]))
)]
pub(super) async fn get(id: String, state: State, _user: CurrentUser) -> Result<impl Reply, ApiError> {
    Ok(json(&service::get(&state, &id).await?))
}

/// Change a camera
///
/// What is not sent stays, `null` clears. A `url` with `***` for the password keeps the password there is.
#[utoipa::path(
    put,
    path = "/api/cameras/{id}",
    params(("id" = String, Path, description = "The camera's short name.", example = "door")),
    request_body = UpdateRequest,
    responses((status = 200, description = "The camera as it is now.", body = CameraView)),
    security(("token" = ["operator"]))
)]
pub(super) async fn update(
    id: String,
    state: State,
    user: CurrentUser,
    request: UpdateRequest,
) -> Result<impl Reply, ApiError> {
    Ok(json(&service::update(&state, &user, &id, request.try_into()?).await?))
}

/// Remove a camera
///
/// What it saw stays.
#[utoipa::path(
    delete,
    path = "/api/cameras/{id}",
    params(("id" = String, Path, description = "The camera's short name.", example = "door")),
    responses((status = 204, description = "The camera is gone.")),
    security(("token" = ["operator"]))
)]
pub(super) async fn delete(id: String, state: State, user: CurrentUser) -> Result<impl Reply, ApiError> {
    service::delete(&state, &Actor::from(&user), &id).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Start a camera
///
/// A worker takes it up within a second or two; `status` says how that goes. Recorded material starts from
/// its beginning.
#[utoipa::path(
    post,
    path = "/api/cameras/{id}/start",
    params(("id" = String, Path, description = "The camera's short name.", example = "door")),
    responses(
        (status = 200, description = "The camera.", body = CameraView),
        (status = 409, description = "The camera is not enabled.", body = ErrorBody),
    ),
    security(("token" = ["operator"]))
)]
pub(super) async fn start(id: String, state: State, user: CurrentUser) -> Result<impl Reply, ApiError> {
    Ok(json(&service::start(&state, &Actor::from(&user), &id).await?))
}

/// Stop a camera
#[utoipa::path(
    post,
    path = "/api/cameras/{id}/stop",
    params(("id" = String, Path, description = "The camera's short name.", example = "door")),
    responses((status = 200, description = "The camera.", body = CameraView)),
    security(("token" = ["operator"]))
)]
pub(super) async fn stop(id: String, state: State, user: CurrentUser) -> Result<impl Reply, ApiError> {
    Ok(json(&service::stop(&state, &Actor::from(&user), &id).await?))
}

/// Try a camera that need not exist
///
/// A worker opens it and takes the first picture.
#[utoipa::path(
    post,
    path = "/api/cameras/probe",
    request_body = ProbeRequest,
    responses((status = 200, description = "What it is like, or why it cannot be opened.", body = ProbeView)),
    security(("token" = ["operator"]))
)]
pub(super) async fn probe(
    state: State,
    user: CurrentUser,
    request: ProbeRequest,
) -> Result<impl Reply, ApiError> {
    let url: SourceUrl = request.try_into()?;
    files::check(&state.config, &user, &url)?;
    Ok(json(&camera_picture::probe(&state, url).await?))
}

/// See what a running camera sees
#[utoipa::path(
    get,
    path = "/api/cameras/{id}/snapshot",
    params(("id" = String, Path, description = "The camera's short name.", example = "door")),
    responses(
        (status = 200, description = "Its next picture.", body = Jpeg, content_type = "image/jpeg"),
        (status = 409, description = "The camera does not run, or gives no picture.", body = ErrorBody),
    ),
    security(("token" = ["viewer"]))
)]
pub(super) async fn snapshot(id: String, state: State, _user: CurrentUser) -> Result<impl Reply, ApiError> {
    Ok(picture::reply(camera_picture::snapshot(&state, &id).await?))
}
