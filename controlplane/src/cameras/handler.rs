//! HTTP side of cameras.

use warp::Reply;
use warp::http::StatusCode;
use warp::reply::{json, with_status};

use super::model::{CameraView, CreateRequest, LiveQuery, LiveTicket, ProbeRequest, UpdateRequest};
use super::picture::{self as camera_picture, ProbeView};
use super::service;
use super::{SourceUrl, files};
use crate::audit::Actor;
use crate::auth::CurrentUser;
use crate::error::{ApiError, ErrorBody};
use crate::filters::{Credentials, Page, PageQuery, PageRequest};
use crate::picture::{self, Jpeg};
use crate::state::State;
use crate::viewing;

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

/// Look at a camera
///
/// JPEGs that follow each other as `multipart/x-mixed-replace`, which browsers show in any `<img>`: boxes and names drawn, masks
/// black, at most ten a second, and each with the time of its frame (`X-Timestamp`). Whose connection is slow gets fewer,
/// then smaller ones, never older ones. While the camera gives none, a picture says so. Nothing is made while nobody looks.
#[utoipa::path(
    get,
    path = "/api/cameras/{id}/live",
    params(("id" = String, Path, description = "The camera's short name.", example = "door"), LiveQuery),
    responses((
        status = 200,
        description = "One JPEG after the other, for as long as the camera runs.",
        body = Jpeg,
        content_type = "multipart/x-mixed-replace",
    )),
    security(("token" = ["viewer"]))
)]
pub(super) async fn live(
    id: String,
    state: State,
    mut shown: Credentials,
    query: LiveQuery,
) -> Result<impl Reply, ApiError> {
    if let Some(ticket) = &query.ticket {
        shown = viewing::redeem(&state.keys, &id, ticket, shown)?;
    }
    viewing::watch(state, shown, &id, query.most_px()?).await
}

/// Get a ticket to look at a camera
///
/// For web pages, whose `<img src="…/live?ticket=…">` cannot sign in. It opens nothing but this camera's live pictures, for a
/// minute; who looks by then goes on for as long as the token or key holds that the ticket was asked for with.
#[utoipa::path(
    post,
    path = "/api/cameras/{id}/live/ticket",
    params(("id" = String, Path, description = "The camera's short name.", example = "door")),
    responses((status = 200, description = "The ticket.", body = LiveTicket)),
    security(("token" = ["viewer"]))
)]
pub(super) async fn live_ticket(
    id: String,
    state: State,
    _user: CurrentUser,
    shown: Credentials,
) -> Result<impl Reply, ApiError> {
    service::find(&state.db, &id).await?;
    let ticket = viewing::issue(&state.keys, &id, &shown)?;
    Ok(json(&LiveTicket { ticket, expires_in: viewing::LIFETIME_S }))
}
