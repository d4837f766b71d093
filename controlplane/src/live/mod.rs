//! `GET /api/live`: news as they happen, over a WebSocket: detections, alerts, and what becomes of cameras.
//!
//! Every message is one JSON object, `{"type":"event","data":…}` (a detection, as `GET /api/detections` answers it)
//! or `{"type":"camera","data":…}` (a camera, as `GET /api/cameras` does) or `{"type":"alert","data":…}` (an alert, as
//! `GET /api/alerts` does); other types may come. Clients have nothing
//! to say after the handshake. Those that are behind are dropped, not waited for: they reconnect and read the
//! lists. `hub` passes news on, `cameras` finds those about cameras, `socket` is one client,
//! `admission` says for how long.

mod admission;
mod cameras;
mod handler;
mod hub;
mod socket;

use utoipa::OpenApi;
use warp::Filter as _;

pub use admission::until_void;
pub use cameras::watch_cameras;
pub use hub::Hub;

use crate::filters::{self, Route, respond};
use crate::server::IsHttps;
use crate::state::State;

/// What the API's description says of them.
#[derive(OpenApi)]
#[openapi(paths(handler::live,))]
pub struct Docs;

/// `/live`.
pub fn routes(state: &State) -> Route {
    warp::path!("live")
        .and(warp::get())
        .and(filters::with_state(state))
        .and(filters::credentials())
        .and(warp::header::headers_cloned())
        .and(warp::ext::optional::<IsHttps>())
        .and(warp::ws())
        .then(handler::live)
        .map(respond)
        .boxed()
}
