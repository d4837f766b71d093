//! Workers: what they report, and which cameras they are told to run.

mod handler;
mod registry;
mod service;

use warp::Filter as _;

pub use registry::{LiveStatus, WorkerRegistry};

use crate::filters::{self, Route, respond};
use crate::state::State;

/// `/workers/…`.
pub fn routes(state: &State) -> Route {
    warp::path!("workers" / String / "heartbeat")
        .and(warp::post())
        .and(filters::with_state(state))
        .and(filters::worker(state))
        .and(filters::json_body())
        .then(handler::heartbeat)
        .map(respond)
        .boxed()
}
