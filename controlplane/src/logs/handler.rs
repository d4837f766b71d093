//! HTTP side of the server's own log.

use serde::{Deserialize, Serialize};
use serde_json::json;
use warp::Reply;

use crate::audit::{Action, Actor, Entry};
use crate::auth::CurrentUser;
use crate::config::LogLevel;
use crate::error::ApiError;
use crate::logging;
use crate::state::State;

/// `PUT /api/logs/level`, and its answer.
#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(super) struct LevelSetting {
    level: LogLevel,
}

/// Sets the level of this process until it ends or re-reads its configuration.
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
