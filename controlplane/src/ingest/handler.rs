//! `POST /api/ingest`.

use bytes::Bytes;
use warp::Reply;

use super::batch;
use crate::error::ApiError;
use crate::state::State;

/// Body of one request: a full batch of events with ordinary snapshots, several times over.
pub(super) const MAX_BODY_BYTES: usize = 64 * 1024 * 1024;

pub(super) async fn ingest(state: State, body: Bytes) -> Result<impl Reply, ApiError> {
    // Megabytes of JSON and base64 are no work for the threads that answer requests.
    let parsed = tokio::task::spawn_blocking(move || batch::parse(&body)).await;
    let events = parsed.map_err(ApiError::internal)??;
    let receipt = super::take(&state, events).await?;
    Ok(warp::reply::json(&receipt))
}
