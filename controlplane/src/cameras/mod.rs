//! Cameras: what there is, what is to run, and how each is doing.

mod files;
mod handler;
mod model;
mod picture;
mod service;
mod settings;
mod source_url;

use utoipa::OpenApi;
use warp::Filter as _;

pub use model::{CameraId, CameraView, Resolution};
pub use picture::is_on;
pub use service::{all, apply_configured, assignment, assignments, mark_ended, statuses};
pub(crate) use settings::inactive_reason;
pub use source_url::SourceUrl;

use crate::auth::Role;
use crate::filters::{self, Route, respond};
use crate::state::State;

/// What the API's description says of them.
#[derive(OpenApi)]
#[openapi(paths(
    handler::list,
    handler::create,
    handler::get,
    handler::update,
    handler::delete,
    handler::start,
    handler::stop,
    handler::probe,
    handler::snapshot,
    handler::live,
    handler::live_ticket,
))]
pub struct Docs;

/// `/cameras…`.
pub fn routes(state: &State) -> Route {
    let cameras = warp::path("cameras");
    let list = cameras
        .and(warp::path::end())
        .and(warp::get())
        .and(filters::with_state(state))
        .and(filters::authenticated(state, Role::Viewer))
        .and(filters::page())
        .then(handler::list)
        .map(respond)
        .boxed();
    let create = cameras
        .and(warp::path::end())
        .and(warp::post())
        .and(filters::with_state(state))
        .and(filters::authenticated(state, Role::Operator))
        .and(filters::json_body())
        .then(handler::create)
        .map(respond)
        .boxed();
    let get = cameras
        .and(warp::path!(String))
        .and(warp::get())
        .and(filters::with_state(state))
        .and(filters::authenticated(state, Role::Viewer))
        .then(handler::get)
        .map(respond)
        .boxed();
    let update = cameras
        .and(warp::path!(String))
        .and(warp::put())
        .and(filters::with_state(state))
        .and(filters::authenticated(state, Role::Operator))
        .and(filters::json_body())
        .then(handler::update)
        .map(respond)
        .boxed();
    let delete = cameras
        .and(warp::path!(String))
        .and(warp::delete())
        .and(filters::with_state(state))
        .and(filters::authenticated(state, Role::Operator))
        .then(handler::delete)
        .map(respond)
        .boxed();
    let start = cameras
        .and(warp::path!(String / "start"))
        .and(warp::post())
        .and(filters::with_state(state))
        .and(filters::authenticated(state, Role::Operator))
        .then(handler::start)
        .map(respond)
        .boxed();
    let stop = cameras
        .and(warp::path!(String / "stop"))
        .and(warp::post())
        .and(filters::with_state(state))
        .and(filters::authenticated(state, Role::Operator))
        .then(handler::stop)
        .map(respond)
        .boxed();
    filters::any_of([list, create, get, update, delete, start, stop, picture_routes(state)])
}

/// `/cameras/probe`, `/cameras/{id}/snapshot`, `/cameras/{id}/live…`.
fn picture_routes(state: &State) -> Route {
    let probe = warp::path!("cameras" / "probe")
        .and(warp::post())
        .and(filters::with_state(state))
        .and(filters::authenticated(state, Role::Operator))
        .and(filters::json_body())
        .then(handler::probe)
        .map(respond)
        .boxed();
    let snapshot = warp::path!("cameras" / String / "snapshot")
        .and(warp::get())
        .and(filters::with_state(state))
        .and(filters::authenticated(state, Role::Viewer))
        .then(handler::snapshot)
        .map(respond)
        .boxed();
    let live = warp::path!("cameras" / String / "live")
        .and(warp::get())
        .and(filters::with_state(state))
        .and(filters::credentials())
        .and(filters::query())
        .then(handler::live)
        .map(respond)
        .boxed();
    let live_ticket = warp::path!("cameras" / String / "live" / "ticket")
        .and(warp::post())
        .and(filters::with_state(state))
        .and(filters::authenticated(state, Role::Viewer))
        .and(filters::credentials())
        .then(handler::live_ticket)
        .map(respond)
        .boxed();
    filters::any_of([probe, snapshot, live, live_ticket])
}
