//! What is counted, and its text.

use std::sync::atomic::AtomicU64;
use std::time::Duration;

use prometheus_client::encoding::{EncodeLabelSet, prometheus_text};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::{Registry, Unit};
use vedette_events::CameraState;
use warp::http::header::HeaderValue;
use warp::http::{Method, StatusCode};

use super::alerts::AlertFigures;
use super::retention::RetentionFigures;
use crate::error::{self, ApiError};

/// Upper ends of the classes of durations, in seconds: from a look-up to a photo on a slow machine.
const DURATION_BUCKETS: [f64; 10] = [0.001, 0.0025, 0.01, 0.025, 0.1, 0.25, 1.0, 2.5, 10.0, 60.0];

/// The API's resources. What else is asked for counts together: labels must not be made up by strangers.
const RESOURCES: [&str; 20] = [
    "alerts",
    "analytics",
    "api-keys",
    "auth",
    "cameras",
    "detect",
    "detections",
    "gallery",
    "health",
    "ingest",
    "live",
    "logs",
    "openapi.json",
    "persons",
    "search",
    "sessions",
    "unknowns",
    "users",
    "verify",
    "workers",
];

const CAMERA_STATES: [CameraState; 5] = [
    CameraState::Stopped,
    CameraState::Starting,
    CameraState::Running,
    CameraState::Reconnecting,
    CameraState::Error,
];

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RequestLabels {
    route: &'static str,
    method: &'static str,
    status: u16,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RouteLabels {
    route: &'static str,
    method: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OutcomeLabels {
    outcome: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct StatusLabels {
    status: &'static str,
}

/// Of a figure that is there or not, but only once.
type NoLabels = [(&'static str, &'static str); 0];

/// What is looked at when somebody asks.
#[derive(Debug)]
pub(super) struct Readings {
    pub(super) is_database_up: bool,
    pub(super) is_storage_up: bool,
    /// `None` without Redis.
    pub(super) is_redis_up: Option<bool>,
    pub(super) workers: usize,
    pub(super) cameras: Vec<CameraState>,
    pub(super) live_clients: usize,
}

/// Figures about this instance since it started.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    requests: Family<RequestLabels, Counter>,
    durations: Family<RouteLabels, Histogram, fn() -> Histogram>,
    events: Family<OutcomeLabels, Counter>,
    database_up: Gauge,
    storage_up: Gauge,
    /// What retention did.
    pub(crate) retention: RetentionFigures,
    redis_up: Family<NoLabels, Gauge>,
    workers: Gauge,
    cameras: Family<StatusLabels, Gauge>,
    live_clients: Gauge<u64, AtomicU64>,
    /// Alerts.
    pub(crate) alerts: AlertFigures,
}

impl Default for Metrics {
    fn default() -> Self {
        let durations: fn() -> Histogram = || Histogram::new(DURATION_BUCKETS);
        let mut metrics = Self {
            registry: Registry::with_prefix("vedette"),
            requests: Family::default(),
            durations: Family::new_with_constructor(durations),
            events: Family::default(),
            database_up: Gauge::default(),
            storage_up: Gauge::default(),
            retention: RetentionFigures::default(),
            redis_up: Family::default(),
            workers: Gauge::default(),
            cameras: Family::default(),
            live_clients: Gauge::default(),
            alerts: AlertFigures::default(),
        };
        metrics.register();
        metrics
    }
}

impl Metrics {
    fn register(&mut self) {
        let registry = &mut self.registry;
        registry.register("build", "Version", Info::new([("version", env!("CARGO_PKG_VERSION"))]));
        registry.register("http_requests", "Requests answered", self.requests.clone());
        let help = "Time from a request to the head of its answer";
        registry.register_with_unit("http_request_duration", help, Unit::Seconds, self.durations.clone());
        registry.register("ingest_events", "Face events taken in", self.events.clone());
        registry.register("database_up", "Whether the database answers", self.database_up.clone());
        registry.register("storage_up", "Whether pictures can be read and written", self.storage_up.clone());
        self.retention.register(registry);
        registry.register("redis_up", "Whether Redis answers; absent without Redis", self.redis_up.clone());
        registry.register("workers", "Workers that report to this instance", self.workers.clone());
        registry.register("cameras", "Cameras by status, as this instance sees them", self.cameras.clone());
        registry.register("live_clients", "Clients that watch live", self.live_clients.clone());
        self.alerts.register(registry);
    }

    /// What [`Metrics::render`] makes.
    pub(super) fn content_type() -> HeaderValue {
        HeaderValue::from_static(prometheus_text::CONTENT_TYPE)
    }

    /// Counts a request that was answered.
    pub fn count_request(&self, method: &Method, path: &str, status: StatusCode, elapsed: Duration) {
        let (route, method) = (route_class(path), method_name(method));
        self.requests.get_or_create(&RequestLabels { route, method, status: status.as_u16() }).inc();
        self.durations.get_or_create(&RouteLabels { route, method }).observe(elapsed.as_secs_f64());
    }

    /// Counts events that were taken in.
    pub fn count_events(&self, accepted: u64, duplicates: u64) {
        for (outcome, number) in [("accepted", accepted), ("duplicate", duplicates)] {
            self.events.get_or_create(&OutcomeLabels { outcome }).inc_by(number);
        }
    }

    /// Everything as text.
    pub(super) fn render(&self, readings: Readings) -> Result<String, ApiError> {
        self.database_up.set(readings.is_database_up.into());
        self.storage_up.set(readings.is_storage_up.into());
        if let Some(is_up) = readings.is_redis_up {
            self.redis_up.get_or_create(&[]).set(is_up.into());
        }
        self.workers.set(readings.workers.try_into().unwrap_or(i64::MAX));
        self.live_clients.set(readings.live_clients as u64);
        for state in CAMERA_STATES {
            let number = readings.cameras.iter().filter(|camera| **camera == state).count();
            let status = state.as_str();
            self.cameras.get_or_create(&StatusLabels { status }).set(number.try_into().unwrap_or(i64::MAX));
        }
        let mut text = String::new();
        prometheus_text::encode(&mut text, &self.registry).map_err(ApiError::internal)?;
        Ok(text)
    }
}

/// What a path counts as.
fn route_class(path: &str) -> &'static str {
    if !error::is_api(path) {
        return if path == "/metrics" { "metrics" } else { "assets" };
    }
    let resource = path.split('/').nth(2).unwrap_or_default();
    RESOURCES.into_iter().find(|known| *known == resource).unwrap_or("other")
}

fn method_name(method: &Method) -> &'static str {
    let known = ["GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS"];
    known.into_iter().find(|known| method == known).unwrap_or("other")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_a_client_makes_up_becomes_a_label() {
        assert_eq!(route_class("/api/persons/0f1e/faces"), "persons");
        assert_eq!(route_class("/api/%00"), "other");
        assert_eq!(route_class("/api"), "other");
        assert_eq!(route_class("/anything"), "assets");
        assert_eq!(route_class("/metrics"), "metrics");
        assert_eq!(Method::from_bytes(b"BREW").as_ref().map(method_name).ok(), Some("other"));
    }
}
