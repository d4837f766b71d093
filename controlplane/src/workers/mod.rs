//! Workers: what they report, and which cameras they are told to run.

mod errands;
mod handler;
mod leases;
mod registry;
mod service;

use utoipa::OpenApi;
use warp::Filter as _;

pub use errands::send as send_errand;
pub use registry::{LiveStatus, WorkerRegistry};
pub use service::keep_fresh;

use crate::filters::{self, Route, respond};
use crate::state::State;

/// A picture in base64, and what is said about it.
const MAX_OUTCOME_BYTES: usize = 2 * 1024 * 1024;

/// What the API's description says of them.
#[derive(OpenApi)]
#[openapi(paths(handler::heartbeat, handler::finish_errand, handler::camera, handler::show_picture))]
pub struct Docs;

/// `/workers/…`.
pub fn routes(state: &State) -> Route {
    let heartbeat = warp::path!("workers" / String / "heartbeat")
        .and(warp::post())
        .and(filters::with_state(state))
        .and(filters::worker(state))
        .and(filters::json_body())
        .then(handler::heartbeat)
        .map(respond)
        .boxed();
    let errand = warp::path("workers")
        .and(warp::path::param::<String>())
        .and(warp::path("errands"))
        .and(filters::uuid_param("errand"))
        .and(warp::path::end())
        .and(warp::post())
        .and(filters::with_state(state))
        .and(filters::worker(state))
        .and(filters::json_body_up_to(MAX_OUTCOME_BYTES))
        .then(handler::finish_errand)
        .map(respond)
        .boxed();
    let camera = warp::path!("workers" / "cameras" / String)
        .and(warp::get())
        .and(filters::with_state(state))
        .and(filters::worker(state))
        .then(handler::camera)
        .map(respond)
        .boxed();
    let live = warp::path!("workers" / String / "cameras" / String / "live")
        .and(warp::post())
        .and(filters::with_state(state))
        .and(filters::worker(state))
        .and(filters::json_body_up_to(MAX_OUTCOME_BYTES))
        .then(handler::show_picture)
        .map(respond)
        .boxed();
    filters::any_of([heartbeat, errand, camera, live])
}
