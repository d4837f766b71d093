//! Statistics of what cameras saw, from counts kept beside the detections ([`crate::detections::rollup`]).
//!
//! Every figure is exact, whatever the period: whole hours and days are read off the counts, and what a period cuts
//! off at its ends, or a time zone in the middle of an hour, is counted row by row.

mod buckets;
mod counts;
mod handler;
mod model;
mod period;
mod service;
mod visitors;

use utoipa::OpenApi;
use warp::Filter as _;

use crate::auth::Role;
use crate::filters::{self, Route, respond};
use crate::state::State;

/// What the API's description says of them.
#[derive(OpenApi)]
#[openapi(paths(handler::summary,))]
pub struct Docs;

/// `/analytics…`.
pub fn routes(state: &State) -> Route {
    warp::path!("analytics" / "summary")
        .and(warp::get())
        .and(filters::with_state(state))
        .and(filters::authenticated(state, Role::Viewer))
        .and(filters::query())
        .then(handler::summary)
        .map(respond)
        .boxed()
}
