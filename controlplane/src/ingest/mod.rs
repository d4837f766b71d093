//! What workers saw: checked, written once however often it is sent, and never half. Events come as requests or,
//! where the settings name one, from a Redis stream; both end in [`take`].

mod batch;
mod handler;
mod service;
mod stream;

pub(crate) use batch::decode_snapshot;

use std::time::Instant;

use tracing::Instrument as _;
use utoipa::OpenApi;
use warp::Filter as _;

pub use stream::{consume as consume_stream, entries as stream_entries};

use crate::detections::DetectionView;
use crate::error::ApiError;
use crate::filters::{self, Route, respond};
use crate::state::State;

/// What the API's description says of them.
#[derive(OpenApi)]
#[openapi(paths(handler::ingest,))]
pub struct Docs;

/// `/ingest`.
pub fn routes(state: &State) -> Route {
    warp::path!("ingest")
        .and(warp::post())
        .and(filters::with_state(state))
        .and(filters::worker_or_api_key(state))
        .and(filters::body_bytes(handler::MAX_BODY_BYTES))
        .then(handler::ingest)
        .map(respond)
        .boxed()
}

/// Events of one batch that those who watch are told of: what a worker hands in after hours offline is no news.
const MAX_NEWS: usize = 100;

/// Stores events, however they came, counts them and tells everybody who watches or is to be told.
async fn take(state: &State, events: Vec<batch::CheckedEvent>) -> Result<service::Receipt, ApiError> {
    let begun = Instant::now();
    let span = tracing::info_span!("ingest", events = i64::try_from(events.len()).unwrap_or(i64::MAX));
    let service::Stored { receipt, rows, alerts } = service::store(state, events).instrument(span).await?;
    state.metrics.count_events(receipt.accepted, receipt.duplicates);
    state.metrics.count_batch(begun, rows.iter().map(|row| row.timestamp));
    let old = rows.len().saturating_sub(MAX_NEWS);
    for row in rows.into_iter().skip(old) {
        state.live.publish("event", &DetectionView::from(row));
    }
    state.alerts.announce(state, alerts);
    Ok(receipt)
}
