//! HTTP side of workers.

use uuid::Uuid;
use vedette_events::{CameraAssignment, Heartbeat, HeartbeatReply, LivePicture, LiveWish, Outcome};
use warp::Reply;
use warp::http::StatusCode;

use super::{errands, service};
use crate::error::ApiError;
use crate::state::State;
use crate::{cameras, viewing};

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

/// See how a camera would be run
///
/// With credentials, whether or not it is to run. Asking takes it from nobody: `vedette-worker --dry-run` does.
#[utoipa::path(
    get,
    path = "/api/workers/cameras/{id}",
    params(("id" = String, Path, description = "The camera's short name.", example = "door")),
    responses((status = 200, description = "What a worker would be told.", body = CameraAssignment)),
    security(("worker" = []))
)]
pub(super) async fn camera(id: String, state: State) -> Result<impl Reply, ApiError> {
    let settings = state.pipeline_settings();
    Ok(warp::reply::json(&cameras::assignment(&state.db, &state.keys, &settings, &id).await?))
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

/// Hand in a live picture
///
/// For cameras the answer to a heartbeat names under `live`, about ten times a second and in each of the sizes it asks for.
/// The answer says what is asked for now.
#[utoipa::path(
    post,
    path = "/api/workers/{id}/cameras/{camera_id}/live",
    params(
        ("id" = String, Path, description = "The worker's name.", example = "host-2"),
        ("camera_id" = String, Path, description = "The camera's short name.", example = "door"),
    ),
    request_body = LivePicture,
    responses((status = 200, description = "In which sizes somebody looks at the camera now.", body = LiveWish)),
    security(("worker" = []))
)]
pub(super) async fn show_picture(
    _worker_id: String,
    camera_id: String,
    state: State,
    picture: LivePicture,
) -> Result<impl Reply, ApiError> {
    Ok(warp::reply::json(&viewing::take(&state, camera_id, picture).await?))
}
