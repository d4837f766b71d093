//! HTTP side of workers.

use vedette_events::Heartbeat;
use warp::Reply;

use super::service;
use crate::error::ApiError;
use crate::state::State;

pub(super) async fn heartbeat(
    id: String,
    state: State,
    heartbeat: Heartbeat,
) -> Result<impl Reply, ApiError> {
    let settings = state.pipeline_settings();
    let reply = service::heartbeat(&state.db, &state.workers, &settings, &id, heartbeat).await?;
    Ok(warp::reply::json(&reply))
}
