//! The log as administrators see it: what was done (`audit.rs` writes it down) and what went wrong, on all servers and
//! workers, in one list; and how much a server logs.
//!
//! Warnings and errors get into the database here: those of this server by a queue ([`record`]), those of workers with
//! their heartbeats ([`insert`]). What is less stays in the files (`logging.rs`).

mod handler;
mod lines;
mod model;
mod record;
mod retention;
mod service;

use utoipa::OpenApi;
use warp::Filter as _;

pub use lines::{AUDIT, SYSTEM, insert, remove_lines_naming};
pub use record::record;
pub(crate) use retention::{old, remove_old};

use crate::auth::Role;
use crate::filters::{self, Route, respond};
use crate::state::State;

/// What the API's description says of them.
#[derive(OpenApi)]
#[openapi(paths(handler::list, handler::set_level,))]
pub struct Docs;

/// `/logs…`.
pub fn routes(state: &State) -> Route {
    let list = warp::path!("logs")
        .and(warp::get())
        .and(filters::with_state(state))
        .and(filters::authenticated(state, Role::Admin))
        .and(filters::query())
        .and(filters::page())
        .then(handler::list)
        .map(respond)
        .boxed();
    let set_level = warp::path!("logs" / "level")
        .and(warp::put())
        .and(filters::with_state(state))
        .and(filters::authenticated(state, Role::Admin))
        .and(filters::json_body())
        .then(handler::set_level)
        .map(respond)
        .boxed();
    filters::any_of([list, set_level])
}
