//! `GET /metrics`: figures about this instance, as Prometheus reads them. Nothing about any person.
//!
//! They tell how busy a place is, so not everybody may read them: programs on this host may, those that show
//! `METRICS_TOKEN` may, and with `metrics.public: true` anybody may.

mod alerts;
mod cameras;
mod figures;
mod registry;
mod retention;

use std::net::IpAddr;
use utoipa::OpenApi;

use secrecy::SecretString;
use warp::Filter as _;
use warp::http::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap};
use warp::reply::Response;

pub(crate) use alerts::Outcome;
pub use figures::{InferenceFigures, LogFigures, StatementFigures, write_wait_histogram};
use registry::Readings;
pub use registry::{Metrics, UnderWay};
pub(crate) use retention::{Kept, RetentionFigures};

use crate::error::ApiError;
use crate::filters::{self, Route, respond};
use crate::state::State;
use crate::{auth, database, ingest};

/// What proxies add. A proxy of this host speaks for others, known to us as a proxy or not.
const SIGNS_OF_A_PROXY: [&str; 3] = ["x-forwarded-for", "forwarded", "via"];

/// What the API's description says of them.
#[derive(OpenApi)]
#[openapi(paths(metrics,))]
pub struct Docs;

/// `/metrics`.
pub fn routes(state: &State) -> Route {
    warp::path!("metrics")
        .and(warp::get())
        .and(filters::with_state(state))
        .and(filters::client_address())
        .and(warp::header::headers_cloned())
        .then(metrics)
        .map(respond)
        .boxed()
}

/// Read the figures of this instance
///
/// For programs on the server's own host, those that show `METRICS_TOKEN` as `Authorization: Bearer …` and,
/// with `metrics.public: true`, for anybody.
#[utoipa::path(
    get,
    path = "/metrics",
    responses(
        (status = 200, description = "Prometheus text.", body = String, content_type = "text/plain"),
        (status = 401, description = "Not for everybody.", body = String, content_type = "text/plain"),
    )
)]
async fn metrics(state: State, address: IpAddr, headers: HeaderMap) -> Result<Response, ApiError> {
    let token = state.config.environment.metrics_token.as_ref();
    if !state.config.file.metrics.public && !is_local(address, &headers) && !shows(&headers, token) {
        let message = "metrics are for programs on the server's own host, or show METRICS_TOKEN as \
                       `Authorization: Bearer TOKEN`";
        return Err(ApiError::authentication(message));
    }
    let is_available = state.database_probe.is_available(&state.db, &state.config.environment).await;
    let cameras = crate::cameras::statuses(&state).await.unwrap_or_default();
    // Figures of a moment ago are better than none.
    if let Ok(backlog) = crate::alerts::backlog(&state.db).await {
        state.metrics.alerts.set_backlog(backlog);
    }
    let text = state.metrics.render(Readings {
        is_database_up: is_available,
        is_storage_up: state.storage.is_available().await,
        is_redis_up: state.redis.as_ref().map(|redis| redis.is_connected()),
        stream_entries: ingest::stream_entries(&state).await,
        pool: database::pool_size(&state.db),
        workers: state.workers.fresh_workers(),
        cameras,
        spooled_events: state.workers.spooled_events(),
        live_clients: state.live.clients(),
        live_viewers: state.views.viewers(),
    })?;
    let mut response = Response::new(text.into());
    response.headers_mut().insert(CONTENT_TYPE, Metrics::content_type());
    Ok(response)
}

fn is_local(address: IpAddr, headers: &HeaderMap) -> bool {
    address.to_canonical().is_loopback() && !SIGNS_OF_A_PROXY.iter().any(|name| headers.contains_key(*name))
}

fn shows(headers: &HeaderMap, token: Option<&SecretString>) -> bool {
    let header = headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok());
    token.is_some_and(|token| auth::is_worker(filters::bearer(header), token))
}
