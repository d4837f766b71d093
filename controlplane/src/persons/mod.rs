//! Enrolled people: their data, their photos and the templates made of them.

mod duplicates;
mod enrol;
mod erasure;
mod faces;
mod handler;
mod lookup;
mod model;
pub(crate) mod photo;
pub(crate) mod reembed;
pub(crate) mod sample;
mod service;
mod submission;
pub(crate) mod template;

pub(crate) use erasure::erased;
pub(crate) use lookup::{lock, names};

use utoipa::OpenApi;
use uuid::Uuid;
use warp::Filter as _;
use warp::filters::BoxedFilter;
use warp::filters::path::Peek;

use crate::auth::Role;
use crate::filters::{self, Route, respond};
use crate::state::State;
use crate::upload;

/// What the API's description says of them.
#[derive(OpenApi)]
#[openapi(paths(
    handler::register,
    handler::list,
    handler::get,
    handler::update,
    handler::delete,
    handler::list_faces,
    handler::add_faces,
    handler::get_face,
    handler::delete_face,
))]
pub struct Docs;

/// `/persons…`.
pub fn routes(state: &State) -> Route {
    let register = warp::path!("persons" / "register")
        .and(warp::post())
        .and(filters::with_state(state))
        .and(filters::authenticated(state, Role::Operator))
        .and(upload::multipart())
        .then(handler::register)
        .map(respond)
        .boxed();
    let list = warp::path!("persons")
        .and(warp::get())
        .and(filters::with_state(state))
        .and(filters::authenticated(state, Role::Viewer))
        .and(filters::query())
        .and(filters::page())
        .then(handler::list)
        .map(respond)
        .boxed();
    let get = person()
        .and(warp::get())
        .and(filters::with_state(state))
        .and(filters::authenticated(state, Role::Viewer))
        .then(handler::get)
        .map(respond)
        .boxed();
    let update = person()
        .and(warp::put())
        .and(filters::with_state(state))
        .and(filters::authenticated(state, Role::Operator))
        .and(filters::query())
        .and(filters::json_body())
        .then(handler::update)
        .map(respond)
        .boxed();
    let delete = person()
        .and(warp::delete())
        .and(filters::with_state(state))
        .and(filters::authenticated(state, Role::Operator))
        .and(filters::query())
        .then(handler::delete)
        .map(respond)
        .boxed();
    filters::any_of([register, list, get, update, delete, face_routes(state)])
}

/// `/persons/{id}/faces…`.
fn face_routes(state: &State) -> Route {
    let list = faces()
        .and(warp::path::end())
        .and(warp::get())
        .and(filters::with_state(state))
        .and(filters::authenticated(state, Role::Viewer))
        .then(handler::list_faces)
        .map(respond)
        .boxed();
    let add = faces()
        .and(warp::path::end())
        .and(warp::post())
        .and(filters::with_state(state))
        .and(filters::authenticated(state, Role::Operator))
        .and(upload::multipart())
        .then(handler::add_faces)
        .map(respond)
        .boxed();
    let get = faces()
        .and(filters::uuid_param("face"))
        .and(warp::path::end())
        .and(warp::get())
        .and(filters::with_state(state))
        .and(filters::authenticated(state, Role::Viewer))
        .then(handler::get_face)
        .map(respond)
        .boxed();
    let delete = faces()
        .and(filters::uuid_param("face"))
        .and(warp::path::end())
        .and(warp::delete())
        .and(filters::with_state(state))
        .and(filters::authenticated(state, Role::Operator))
        .then(handler::delete_face)
        .map(respond)
        .boxed();
    filters::any_of([list, add, get, delete])
}

fn person() -> BoxedFilter<(Uuid,)> {
    person_id().and(warp::path::end()).boxed()
}

fn faces() -> BoxedFilter<(Uuid,)> {
    person_id().and(warp::path("faces")).boxed()
}

/// `/persons/{id}`. `register` is no id to complain about: that would cover up why its own route refused.
fn person_id() -> BoxedFilter<(Uuid,)> {
    let is_id = |rest: Peek| async move {
        match rest.segments().next() {
            Some("register") => Err(warp::reject::not_found()),
            _ => Ok(()),
        }
    };
    let is_id = warp::path::peek().and_then(is_id).untuple_one();
    warp::path("persons").and(is_id).and(filters::uuid_param("person")).boxed()
}
