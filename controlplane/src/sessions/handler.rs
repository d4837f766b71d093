//! HTTP side of visits.

use warp::Reply;

use super::model::{SessionFilter, SessionView};
use super::service;
use crate::auth::CurrentUser;
use crate::error::ApiError;
use crate::filters::{Page, PageQuery, PageRequest};
use crate::state::State;

/// List visits
///
/// A visit ends when its person was not seen by the camera for a while.
#[utoipa::path(
    get,
    path = "/api/sessions",
    params(SessionFilter, PageQuery),
    responses((
        status = 200,
        description = "One page, the latest first unless `sort` says otherwise.",
        body = Page<SessionView>,
    )),
    security(("token" = ["viewer"]))
)]
pub(super) async fn list(
    state: State,
    _user: CurrentUser,
    filter: SessionFilter,
    page: PageRequest,
) -> Result<impl Reply, ApiError> {
    Ok(warp::reply::json(&service::list(&state.db, &filter, page).await?))
}
