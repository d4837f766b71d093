//! HTTP side of statistics.

use warp::Reply;

use super::period::SummaryQuery;
use super::service;
use crate::auth::CurrentUser;
use crate::error::ApiError;
use crate::state::State;

pub(super) async fn summary(
    state: State,
    _user: CurrentUser,
    query: SummaryQuery,
) -> Result<impl Reply, ApiError> {
    Ok(warp::reply::json(&service::summary(&state.db, &query).await?))
}
