//! The server's own log, as administrators see and set it while it runs.

mod handler;

use utoipa::OpenApi;
use warp::Filter as _;

use crate::auth::Role;
use crate::filters::{self, Route, respond};
use crate::state::State;

/// What the API's description says of them.
#[derive(OpenApi)]
#[openapi(paths(handler::set_level,))]
pub struct Docs;

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
