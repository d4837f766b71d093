//! The route table: one line for each resource, in the order of the API's description.

use std::convert::Infallible;

use warp::{Filter as _, Rejection};

use crate::filters::{Route, any_of};
use crate::state::State;
use crate::{assets, auth, cameras, detect, detections, error, gallery, health, ingest, persons, workers};

/// Everything the server answers. Errors are still without body: the server fills them in.
pub fn all(state: &State) -> Route {
    let resources = any_of([
        auth::routes(state),
        persons::routes(state),
        detect::routes(state),
        detections::routes(state),
        cameras::routes(state),
        ingest::routes(state),
        gallery::routes(state),
        workers::routes(state),
        health::routes(state),
    ]);
    let recover = |rejection: Rejection| async move { Ok::<_, Infallible>(error::recover(&rejection)) };
    let api = warp::path("api").and(resources).boxed();
    any_of([api, assets::routes()]).recover(recover).unify().boxed()
}
