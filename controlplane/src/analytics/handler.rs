//! HTTP side of statistics.

use warp::Reply;

use super::model::Summary;
use super::period::SummaryQuery;
use super::service;
use crate::auth::CurrentUser;
use crate::error::ApiError;
use crate::state::State;

/// Sum up what cameras saw
///
/// It counts appearances: of the events of a track, the one that says who it is.
#[utoipa::path(
    get,
    path = "/api/analytics/summary",
    params(SummaryQuery),
    responses((status = 200, description = "The last 7 days, or what is asked for.", body = Summary)),
    security(("token" = ["viewer"]))
)]
pub(super) async fn summary(
    state: State,
    _user: CurrentUser,
    query: SummaryQuery,
) -> Result<impl Reply, ApiError> {
    Ok(warp::reply::json(&service::summary(&state.db, &query).await?))
}
