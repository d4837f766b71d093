//! `GET /api/health`: whether this instance can do its work, for people and load balancers.

use serde::Serialize;
use utoipa::{OpenApi, ToSchema};
use vedette_events::release;
use warp::Filter as _;
use warp::Reply;
use warp::http::StatusCode;

use crate::filters::{self, Route, respond};
use crate::persons::reembed::Progress;
use crate::state::State;
use crate::supervisor::LocalWorkerStatus;
use crate::vision::VisionStatus;

/// What the API's description says of it.
#[derive(OpenApi)]
#[openapi(paths(health))]
pub struct Docs;

/// `/health`.
pub fn routes(state: &State) -> Route {
    warp::path!("health").and(warp::get()).and(filters::with_state(state)).then(health).map(respond).boxed()
}

/// How this instance is doing.
#[derive(Serialize, ToSchema)]
#[schema(examples(json!({
    "status": "healthy", "database": "connected", "storage": "connected", "face_detector": "initialized", "api": "running",
    "cache": "in-process", "workers": { "local": "running", "connected": 1 }, "version": "0.1.0",
    "commit": "1f0c2d7", "build_date": "2026-11-25"
})))]
struct Health {
    /// `healthy`, or `unhealthy` without its database.
    status: &'static str,
    /// `connected` or `unavailable`.
    database: &'static str,
    /// Where pictures are kept: `connected` or `unavailable`. Without it no events with pictures come in, and workers
    /// keep them; all else works.
    storage: &'static str,
    face_detector: VisionStatus,
    /// While everybody's photos are embedded anew for another model pack: how far that is. The former pack is in use.
    #[serde(skip_serializing_if = "Option::is_none")]
    reembedding: Option<Progress>,
    /// `running`.
    api: &'static str,
    /// `in-process`, or how Redis is doing.
    cache: String,
    workers: Workers,
    version: &'static str,
    /// What it was built from, with a `+` behind it if files had been changed since; `RELEASE` outside a checkout.
    commit: &'static str,
    /// The commit's date; outside a checkout that of the sources.
    build_date: &'static str,
}

/// Who analyses cameras.
#[derive(Serialize, ToSchema)]
#[schema(as = WorkersHealth)]
struct Workers {
    /// The worker of this host.
    local: LocalWorkerStatus,
    /// Workers that report.
    connected: usize,
}

/// See how the server is doing
///
/// For load balancers, too.
#[utoipa::path(
    get,
    path = "/api/health",
    responses(
        (status = 200, description = "It can do its work.", body = Health),
        (status = 503, description = "The database is gone.", body = Health),
    )
)]
async fn health(state: State) -> impl Reply {
    let told = |is_available| if is_available { "connected" } else { "unavailable" };
    let (is_available, is_storage_available) = tokio::join!(
        state.database_probe.is_available(&state.db, &state.config.environment),
        state.storage.is_available(),
    );
    let body = Health {
        status: if is_available { "healthy" } else { "unhealthy" },
        database: told(is_available),
        storage: told(is_storage_available),
        face_detector: state.vision.status(),
        reembedding: state.reembedding.borrow().clone(),
        api: "running",
        cache: state.redis.as_ref().map_or_else(|| "in-process".to_owned(), |redis| redis.status()),
        workers: Workers { local: *state.local_worker.borrow(), connected: state.workers.fresh_workers() },
        version: release::VERSION,
        commit: release::COMMIT,
        build_date: release::DATE,
    };
    let status = if is_available { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    warp::reply::with_status(warp::reply::json(&body), status)
}
