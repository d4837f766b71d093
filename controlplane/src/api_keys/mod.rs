//! API keys: what programs show, as `X-API-Key`, instead of signing in.
//!
//! A key is 285 random bits, shown once when it is made. Only its SHA-256 is kept: slow password hashes protect
//! what people can remember, and there is nothing to guess in a key, while a slow hash would cost every request
//! of every program tens of milliseconds. What a key may do is decided by its scopes, in `filters.rs`.

mod handler;
mod model;
mod service;

use utoipa::OpenApi;
use warp::Filter as _;

pub use model::{ApiKeyView, CreatedKey, NewKey, Scope};
pub use service::{Admitted, admit, create, delete};

use crate::auth::Role;
use crate::filters::{self, Route, respond};
use crate::state::State;

/// What the API's description says of them.
#[derive(OpenApi)]
#[openapi(paths(handler::list, handler::create, handler::delete,))]
pub struct Docs;

/// `/api-keys…`.
pub fn routes(state: &State) -> Route {
    let list = warp::path!("api-keys")
        .and(warp::get())
        .and(filters::with_state(state))
        .and(filters::authenticated(state, Role::Admin))
        .and(filters::page())
        .then(handler::list)
        .map(respond)
        .boxed();
    let create = warp::path!("api-keys")
        .and(warp::post())
        .and(filters::with_state(state))
        .and(filters::authenticated(state, Role::Admin))
        .and(filters::json_body())
        .then(handler::create)
        .map(respond)
        .boxed();
    let delete = warp::path("api-keys")
        .and(filters::uuid_param("API key"))
        .and(warp::path::end())
        .and(warp::delete())
        .and(filters::with_state(state))
        .and(filters::authenticated(state, Role::Admin))
        .then(handler::delete)
        .map(respond)
        .boxed();
    filters::any_of([list, create, delete])
}
