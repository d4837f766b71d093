//! HTTP side of the log.

use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::ToSchema;
use warp::Reply;

use super::model::{LogFilter, LogView};
use super::service;
use crate::audit::{Action, Actor, Entry};
use crate::auth::CurrentUser;
use crate::config::LogLevel;
use crate::error::ApiError;
use crate::filters::{Page, PageQuery, PageRequest};
use crate::logging;
use crate::state::State;

/// `PUT /api/logs/level`, and its answer.
#[derive(Clone, Copy, Debug, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(examples(json!({ "level": "debug" })))]
pub(super) struct LevelSetting {
    level: LogLevel,
}

/// Search the log
///
/// What users and programs did (`audit`), and warnings and errors of all servers and workers (`system`).
#[utoipa::path(
    get,
    path = "/api/logs",
    params(LogFilter, PageQuery),
    responses((status = 200, description = "One page, the latest first.", body = Page<LogView>)),
    security(("token" = ["admin"]))
)]
pub(super) async fn list(
    state: State,
    _user: CurrentUser,
    filter: LogFilter,
    page: PageRequest,
) -> Result<impl Reply, ApiError> {
    Ok(warp::reply::json(&service::list(&state.db, &filter, page).await?))
}

/// Set how much is logged
///
/// Of this process, until it ends or reads its configuration again.
#[utoipa::path(
    put,
    path = "/api/logs/level",
    request_body = LevelSetting,
    responses((status = 200, description = "The level from now on.", body = LevelSetting)),
    security(("token" = ["admin"]))
)]
pub(super) async fn set_level(
    state: State,
    user: CurrentUser,
    setting: LevelSetting,
) -> Result<impl Reply, ApiError> {
    // Written first: a log that was turned down must not go without a trace.
    let entry = Entry::new(Action::LogLevelChanged, &Actor::from(&user));
    entry.with(json!({ "level": setting.level })).write(&state.db).await?;
    logging::set_level(setting.level).map_err(|error| ApiError::internal(format!("{error:#}")))?;
    Ok(warp::reply::json(&setting))
}
