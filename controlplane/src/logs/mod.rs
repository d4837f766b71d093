//! The server's own log, as administrators see and set it while it runs.

mod handler;

use warp::Filter as _;

use crate::auth::Role;
use crate::filters::{self, Route, respond};
use crate::state::State;

/// `/logs…`.
pub fn routes(state: &State) -> Route {
    warp::path!("logs" / "level")
        .and(warp::put())
        .and(filters::with_state(state))
        .and(filters::authenticated(state, Role::Admin))
        .and(filters::json_body())
        .then(handler::set_level)
        .map(respond)
        .boxed()
}
