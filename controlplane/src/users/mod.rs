//! User accounts.

mod handler;
mod model;
mod service;

use utoipa::OpenApi;
use warp::Filter as _;

pub(crate) use model::username_schema;
pub use model::{NewUser, ProfileChange, UserView};
pub use service::{change_profile, create, ensure_first_admin, find_by_username, get, set_password};

use crate::auth::Role;
use crate::filters::{self, Route, respond};
use crate::state::State;

/// What the API's description says of them.
#[derive(OpenApi)]
#[openapi(paths(handler::list, handler::create, handler::update, handler::delete,))]
pub struct Docs;

/// `/users…`.
pub fn routes(state: &State) -> Route {
    let list = warp::path!("users")
        .and(warp::get())
        .and(filters::with_state(state))
        .and(filters::authenticated(state, Role::Admin))
        .and(filters::query())
        .and(filters::page())
        .then(handler::list)
        .map(respond)
        .boxed();
    let create = warp::path!("users")
        .and(warp::post())
        .and(filters::with_state(state))
        .and(filters::authenticated(state, Role::Admin))
        .and(filters::json_body())
        .then(handler::create)
        .map(respond)
        .boxed();
    let user = warp::path("users").and(filters::uuid_param("user")).and(warp::path::end());
    let update = user
        .clone()
        .and(warp::put())
        .and(filters::with_state(state))
        .and(filters::authenticated(state, Role::Admin))
        .and(filters::json_body())
        .then(handler::update)
        .map(respond)
        .boxed();
    let delete = user
        .and(warp::delete())
        .and(filters::with_state(state))
        .and(filters::authenticated(state, Role::Admin))
        .then(handler::delete)
        .map(respond)
        .boxed();
    filters::any_of([list, create, update, delete])
}
