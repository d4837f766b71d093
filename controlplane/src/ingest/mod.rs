//! What workers saw: checked, written once however often it is sent, and never half.

mod batch;
mod handler;
mod service;

pub(crate) use batch::decode_snapshot;

use warp::Filter as _;

use crate::filters::{self, Route, respond};
use crate::state::State;

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
