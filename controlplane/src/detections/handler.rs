//! HTTP side of detections.

use uuid::Uuid;
use warp::Reply;
use warp::reply::{Response, json};

use super::model::{DetectionFilter, ListFormat};
use super::{csv, listing, service};
use crate::auth::CurrentUser;
use crate::error::ApiError;
use crate::filters::PageRequest;
use crate::picture;
use crate::state::State;

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

pub(super) async fn get(id: Uuid, state: State, _user: CurrentUser) -> Result<impl Reply, ApiError> {
    Ok(json(&service::get(&state.db, id).await?))
}

pub(super) async fn snapshot(id: Uuid, state: State, _user: CurrentUser) -> Result<impl Reply, ApiError> {
    Ok(picture::reply(service::snapshot(&state, id).await?))
}
