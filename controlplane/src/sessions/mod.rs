//! Visits: when a person came before a camera and when they were seen there last.
//!
//! Ingest records them event by event ([`Sightings`]), a sweep in the background closes those whose person was not
//! seen for the gap ([`session_gap`]). The end of a track (`left`) does not close a visit: people turn away and
//! come back. It tells exactly how long the track lasted, though, however few events there were in between.

mod counts;
mod handler;
mod model;
mod query;
mod record;
mod service;
mod sweep;
mod visits;

use utoipa::OpenApi;
use warp::Filter as _;

use crate::auth::Role;
use crate::filters::{self, Route, respond};
use crate::state::State;

pub(crate) use record::{Sightings, ended, remove_ended, remove_of};
pub use sweep::sweep;
pub(crate) use visits::{Visit, session_gap};

/// What the API's description says of them.
#[derive(OpenApi)]
#[openapi(paths(handler::list,))]
pub struct Docs;

/// `/sessions`.
pub fn routes(state: &State) -> Route {
    warp::path!("sessions")
        .and(warp::get())
        .and(filters::with_state(state))
        .and(filters::authenticated(state, Role::Viewer))
        .and(filters::query())
        .and(filters::page())
        .then(handler::list)
        .map(respond)
        .boxed()
}
