//! HTTP side of detections.

use uuid::Uuid;
use warp::Reply;
use warp::reply::{Response, json};

use super::model::{DetectionFilter, DetectionView, ListFormat};
use super::{csv, listing, service};
use crate::auth::CurrentUser;
use crate::error::ApiError;
use crate::filters::{Page, PageQuery, PageRequest};
use crate::picture::{self, Jpeg};
use crate::state::State;

/// List detections
///
/// With `format=csv`, everything that is asked for comes as one table, whatever its length.
#[utoipa::path(
    get,
    path = "/api/detections",
    params(DetectionFilter, PageQuery),
    responses((
        status = 200,
        description = "One page, the newest first unless `sort` says otherwise; or everything as CSV.",
        content((Page<DetectionView> = "application/json"), (String = "text/csv")),
    )),
    security(("token" = ["viewer"]))
)]
pub(super) async fn list(
    state: State,
    _user: CurrentUser,
    filter: DetectionFilter,
    page: PageRequest,
) -> Result<Response, ApiError> {
    match filter.format {
        ListFormat::Json => Ok(json(&listing::list(&state.db, &filter, page).await?).into_response()),
        ListFormat::Csv => csv::export(state, filter),
    }
}

/// See a detection
#[utoipa::path(
    get,
    path = "/api/detections/{id}",
    params(("id" = Uuid, Path, description = "The detection.")),
    responses((status = 200, description = "The detection.", body = DetectionView)),
    security(("token" = ["viewer"]))
)]
pub(super) async fn get(id: Uuid, state: State, _user: CurrentUser) -> Result<impl Reply, ApiError> {
    Ok(json(&service::get(&state.db, id).await?))
}

/// See a detection's picture
#[utoipa::path(
    get,
    path = "/api/detections/{id}/snapshot",
    params(("id" = Uuid, Path, description = "The detection.")),
    responses((
        status = 200,
        description = "The face with some surroundings.",
        body = Jpeg, content_type = "image/jpeg",
    )),
    security(("token" = ["viewer"]))
)]
pub(super) async fn snapshot(id: Uuid, state: State, _user: CurrentUser) -> Result<impl Reply, ApiError> {
    Ok(picture::reply(service::snapshot(&state, id).await?))
}
