//! Who is known, for those who look: workers fetch it over HTTP, `/detect` and registration search it here.

pub(crate) mod build;
mod handler;
mod service;

use utoipa::OpenApi;
use warp::Filter as _;

pub(crate) use service::count_change;
pub use service::{BuiltGallery, LiveGallery};

use crate::filters::{self, Route, respond};
use crate::state::State;

/// What the API's description says of them.
#[derive(OpenApi)]
#[openapi(paths(handler::get,))]
pub struct Docs;

/// `/gallery`.
pub fn routes(state: &State) -> Route {
    warp::path!("gallery")
        .and(warp::get())
        .and(filters::with_state(state))
        .and(filters::worker_or_api_key(state))
        .and(warp::header::optional("if-none-match"))
        .and(filters::query())
        .then(handler::get)
        .map(respond)
        .boxed()
}
