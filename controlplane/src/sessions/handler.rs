//! HTTP side of visits.

use warp::Reply;

use super::model::SessionFilter;
use super::service;
use crate::auth::CurrentUser;
use crate::error::ApiError;
use crate::filters::PageRequest;
use crate::state::State;

pub(super) async fn list(
    state: State,
    _user: CurrentUser,
    filter: SessionFilter,
    page: PageRequest,
) -> Result<impl Reply, ApiError> {
    Ok(warp::reply::json(&service::list(&state.db, &filter, page).await?))
}
