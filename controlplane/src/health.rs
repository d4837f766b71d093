//! `GET /api/health`: whether this instance can do its work, for people and load balancers.

use serde_json::json;
use warp::Filter as _;
use warp::Reply;
use warp::http::StatusCode;

use crate::database;
use crate::filters::{self, Route, respond};
use crate::state::State;

/// `/health`.
pub fn routes(state: &State) -> Route {
    warp::path!("health").and(warp::get()).and(filters::with_state(state)).then(health).map(respond).boxed()
}

async fn health(state: State) -> impl Reply {
    let is_available = database::is_available(&state.db, &state.config.environment).await;
    let body = json!({
        "status": if is_available { "healthy" } else { "unhealthy" },
        "database": if is_available { "connected" } else { "unavailable" },
        "face_detector": state.vision.status(),
        "api": "running",
        "cache": state.redis.as_ref().map_or_else(|| "in-process".to_owned(), |redis| redis.status()),
        "workers": { "local": *state.local_worker.borrow(), "connected": state.workers.fresh_workers() },
        "version": env!("CARGO_PKG_VERSION"),
    });
    let status = if is_available { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    warp::reply::with_status(warp::reply::json(&body), status)
}
