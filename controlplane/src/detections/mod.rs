//! What cameras saw, for people: lists, single events, their pictures.

mod confidence;
mod csv;
mod handler;
mod listing;
mod model;
mod query;
mod removal;
pub(crate) mod rollup;
mod service;
pub(crate) mod totals;

pub(crate) use model::DetectionView;

use utoipa::OpenApi;
use uuid::Uuid;
use warp::Filter as _;
use warp::filters::BoxedFilter;

use crate::auth::Role;
use crate::filters::{self, Route, respond};
use crate::state::State;

pub(crate) use removal::{Part, Removed, remove, remove_part};

/// What the API's description says of them.
#[derive(OpenApi)]
#[openapi(paths(handler::list, handler::get, handler::snapshot,))]
pub struct Docs;

/// `/detections…`.
pub fn routes(state: &State) -> Route {
    let list = warp::path!("detections")
        .and(warp::get())
        .and(filters::with_state(state))
        .and(filters::authenticated(state, Role::Viewer))
        .and(filters::query())
        .and(filters::page())
        .then(handler::list)
        .map(respond)
        .boxed();
    let get = detection()
        .and(warp::path::end())
        .and(warp::get())
        .and(filters::with_state(state))
        .and(filters::authenticated(state, Role::Viewer))
        .then(handler::get)
        .map(respond)
        .boxed();
    let snapshot = detection()
        .and(warp::path!("snapshot"))
        .and(warp::get())
        .and(filters::with_state(state))
        .and(filters::authenticated(state, Role::Viewer))
        .then(handler::snapshot)
        .map(respond)
        .boxed();
    filters::any_of([list, get, snapshot])
}

fn detection() -> BoxedFilter<(Uuid,)> {
    warp::path("detections").and(filters::uuid_param("detection")).boxed()
}
