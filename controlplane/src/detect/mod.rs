//! Faces in a picture that is sent: who they are, and whether two pictures show one person.

mod handler;
mod model;
mod service;

use utoipa::OpenApi;
use warp::Filter as _;

use crate::auth::Role;
use crate::filters::{self, Route, respond};
use crate::state::State;
use crate::upload;

/// What the API's description says of them.
#[derive(OpenApi)]
#[openapi(paths(handler::detect, handler::verify,))]
pub struct Docs;

/// `/detect` and `/verify`.
pub fn routes(state: &State) -> Route {
    let detect = warp::path!("detect")
        .and(warp::post())
        .and(filters::with_state(state))
        .and(filters::authenticated(state, Role::Viewer))
        .and(upload::multipart())
        .then(handler::detect)
        .map(respond)
        .boxed();
    let verify = warp::path!("verify")
        .and(warp::post())
        .and(filters::with_state(state))
        .and(filters::authenticated(state, Role::Viewer))
        .and(upload::multipart())
        .then(handler::verify)
        .map(respond)
        .boxed();
    filters::any_of([detect, verify])
}
