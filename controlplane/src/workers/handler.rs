//! HTTP side of workers.

use uuid::Uuid;
use vedette_events::{Heartbeat, HeartbeatReply, Outcome};
use warp::Reply;
use warp::http::StatusCode;

use super::{errands, service};
use crate::error::ApiError;
use crate::state::State;

/// Report, and learn what to run
///
/// Once a second. The answer lists every camera this worker is to run, and nothing else.
#[utoipa::path(
    post,
    path = "/api/workers/{id}/heartbeat",
    params(("id" = String, Path, description = "The worker's name, unlike that of any other.", example = "host-2")),
    request_body = Heartbeat,
    responses((status = 200, description = "What to do.", body = HeartbeatReply)),
    security(("worker" = []))
)]
pub(super) async fn heartbeat(
    id: String,
    state: State,
    heartbeat: Heartbeat,
) -> Result<impl Reply, ApiError> {
    let reply = service::heartbeat(&state, &id, heartbeat).await?;
    Ok(warp::reply::json(&reply))
}

/// Tell how an errand ended
#[utoipa::path(
    post,
    path = "/api/workers/{id}/errands/{errand_id}",
    params(
        ("id" = String, Path, description = "The worker's name.", example = "host-2"),
        ("errand_id" = Uuid, Path, description = "The errand, from the answer to a heartbeat."),
    ),
    request_body = Outcome,
    responses((status = 204, description = "Taken, whether or not somebody still waits for it.")),
    security(("worker" = []))
)]
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
