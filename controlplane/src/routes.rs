//! The route table: one line for each resource, in the order of the API's description.

use std::convert::Infallible;

use warp::http::Method;
use warp::path::FullPath;
use warp::reply::Response;
use warp::{Filter as _, Rejection};

use crate::filters::{Route, any_of};
use crate::state::State;
use crate::{
    alerts, analytics, api_keys, assets, auth, cameras, detect, detections, error, gallery, health, ingest,
    live, logs, metrics, openapi, persons, sessions, users, workers,
};

/// Everything the server answers. Errors are still without body: the server fills them in.
pub fn all(state: &State) -> Route {
    let resources = any_of([
        auth::routes(state),
        users::routes(state),
        api_keys::routes(state),
        persons::routes(state),
        detect::routes(state),
        detections::routes(state),
        sessions::routes(state),
        analytics::routes(state),
        cameras::routes(state),
        alerts::routes(state),
        ingest::routes(state),
        gallery::routes(state),
        workers::routes(state),
        live::routes(state),
        logs::routes(state),
        health::routes(state),
        openapi::routes(),
    ]);
    let recover = |rejection: Rejection| async move { Ok::<_, Infallible>(error::recover(&rejection)) };
    let api = announce_changes(state, warp::path("api").and(resources).boxed());
    any_of([api, metrics::routes(state), assets::routes()]).recover(recover).unify().boxed()
}

/// Tells whoever remembers or watches something when a request may have changed it, before it is answered.
fn announce_changes(state: &State, api: Route) -> Route {
    let state = State::clone(state);
    warp::method()
        .and(warp::path::full())
        .and(api)
        .map(move |method: Method, path: FullPath, response: Response| {
            let resource = path.as_str().split('/').nth(2);
            match resource.filter(|_| method != Method::GET) {
                Some("auth" | "users") => state.sessions.changed(),
                // Live pictures, many a second, change nothing.
                Some("cameras" | "workers") if !path.as_str().ends_with("/live") => {
                    state.live.look_at_cameras();
                }
                _ => {}
            }
            response
        })
        .boxed()
}
