//! `POST /api/ingest`.

use bytes::Bytes;
use vedette_events::FaceEvent;
use warp::Reply;

use super::batch;
use super::service::Receipt;
use crate::error::ApiError;
use crate::state::State;

/// Body of one request: a full batch of events with ordinary snapshots, several times over.
pub(super) const MAX_BODY_BYTES: usize = 64 * 1024 * 1024;

/// Hand in events
///
/// An array, or one event a line. All are stored or none; an event that was handed in before is counted in
/// `duplicates` and changes nothing, so that a batch may be sent again whenever its answer was lost.
#[utoipa::path(
    post,
    path = "/api/ingest",
    request_body(content((Vec<FaceEvent> = "application/json"), (String = "application/x-ndjson"))),
    responses((status = 200, description = "What became of them.", body = Receipt)),
    security(("worker" = []), ("api_key" = ["ingest"]))
)]
pub(super) async fn ingest(state: State, body: Bytes) -> Result<impl Reply, ApiError> {
    // Megabytes of JSON and base64 are no work for the threads that answer requests.
    let parsed = tokio::task::spawn_blocking(move || batch::parse(&body)).await;
    let events = parsed.map_err(ApiError::internal)??;
    let receipt = super::take(&state, events).await?;
    Ok(warp::reply::json(&receipt))
}
