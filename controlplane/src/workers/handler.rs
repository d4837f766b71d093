//! HTTP side of workers.

use uuid::Uuid;
use vedette_events::{Heartbeat, Outcome};
use warp::Reply;
use warp::http::StatusCode;

use super::{errands, service};
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

pub(super) async fn finish_errand(
    worker_id: String,
    id: Uuid,
    state: State,
    outcome: Outcome,
) -> Result<impl Reply, ApiError> {
    if !errands::finish(&state.db, &worker_id, id, &outcome).await? {
        tracing::debug!(worker_id, %id, "nobody waits for this errand any more");
    }
    Ok(StatusCode::NO_CONTENT)
}
