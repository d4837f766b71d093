//! What is counted, and its text.
//!
//! Every label is one of a fixed few, or an id an operator gave, of which there are figures for a number at most.

use std::sync::atomic::AtomicU64;
use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};

use prometheus_client::encoding::{EncodeLabelSet, prometheus_text};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::{Registry, Unit};
use warp::http::header::HeaderValue;
use warp::http::{Method, StatusCode};

use super::alerts::AlertFigures;
use super::cameras::{self, CAMERA_STATES};
use super::figures::{InferenceFigures, LogFigures, StatementFigures};
use super::retention::RetentionFigures;
use crate::database::{self, PoolSize};
use crate::error::{self, ApiError};
use crate::workers::LiveStatus;

/// Upper ends of the classes of durations, in seconds: from a look-up to a photo on a slow machine.
const DURATION_BUCKETS: [f64; 10] = [0.001, 0.0025, 0.01, 0.025, 0.1, 0.25, 1.0, 2.5, 10.0, 60.0];

/// Upper ends of the classes of an event's way, in seconds: from a frame just seen to what a worker kept for days.
const DELAY_BUCKETS: [f64; 10] = [0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 30.0, 300.0, 3600.0, 86_400.0];

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

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct StateLabels {
    state: &'static str,
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
    /// Entries of the stream of events; `None` without one, or when it cannot be asked.
    pub(super) stream_entries: Option<u64>,
    pub(super) pool: PoolSize,
    pub(super) workers: usize,
    pub(super) cameras: Vec<(String, LiveStatus)>,
    /// Events that wait on the disks of workers.
    pub(super) spooled_events: Vec<(String, u64)>,
    pub(super) live_clients: usize,
    /// Who looks at cameras.
    pub(super) live_viewers: usize,
}

/// Figures about this instance since it started.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    /// Warnings and errors of this process.
    pub log: LogFigures,
    in_flight: Gauge,
    requests: Family<RequestLabels, Counter>,
    durations: Family<RouteLabels, Histogram, fn() -> Histogram>,
    events: Family<OutcomeLabels, Counter>,
    batches: Histogram,
    delays: Histogram,
    stream_entries: Family<NoLabels, Gauge<u64, AtomicU64>>,
    database_up: Gauge,
    storage_up: Gauge,
    /// What retention did.
    pub(crate) retention: RetentionFigures,
    connections: Family<StateLabels, Gauge>,
    max_connections: Gauge,
    redis_up: Family<NoLabels, Gauge>,
    workers: Gauge,
    cameras: Family<StatusLabels, Gauge>,
    live_clients: Gauge<u64, AtomicU64>,
    live_viewers: Gauge<u64, AtomicU64>,
    /// Live pictures workers made for somebody.
    pub live_pictures: Counter,
    /// Alerts.
    pub(crate) alerts: AlertFigures,
}

impl Metrics {
    /// Nothing counted yet, but what these parts count.
    pub fn new(inference: &InferenceFigures, statements: &StatementFigures) -> Self {
        let durations: fn() -> Histogram = || Histogram::new(DURATION_BUCKETS);
        let mut metrics = Self {
            registry: Registry::with_prefix("vedette"),
            log: LogFigures::default(),
            in_flight: Gauge::default(),
            requests: Family::default(),
            durations: Family::new_with_constructor(durations),
            events: Family::default(),
            batches: Histogram::new(DURATION_BUCKETS),
            delays: Histogram::new(DELAY_BUCKETS),
            stream_entries: Family::default(),
            database_up: Gauge::default(),
            storage_up: Gauge::default(),
            retention: RetentionFigures::default(),
            connections: Family::default(),
            max_connections: Gauge::default(),
            redis_up: Family::default(),
            workers: Gauge::default(),
            cameras: Family::default(),
            live_clients: Gauge::default(),
            live_viewers: Gauge::default(),
            live_pictures: Counter::default(),
            alerts: AlertFigures::default(),
        };
        metrics.register();
        inference.register(&mut metrics.registry);
        statements.register(&mut metrics.registry);
        metrics.log.register(&mut metrics.registry);
        metrics
    }

    fn register(&mut self) {
        let registry = &mut self.registry;
        registry.register("build", "Version", Info::new([("version", env!("CARGO_PKG_VERSION"))]));
        registry.register("http_requests", "Requests answered", self.requests.clone());
        registry.register("http_requests_in_flight", "Requests under way", self.in_flight.clone());
        let help = "Time from a request to the head of its answer";
        registry.register_with_unit("http_request_duration", help, Unit::Seconds, self.durations.clone());
        registry.register("ingest_events", "Face events taken in", self.events.clone());
        let help = "Time a batch of events takes to be stored";
        registry.register_with_unit("ingest_batch_duration", help, Unit::Seconds, self.batches.clone());
        let help = "Time from what an event tells to its being stored";
        registry.register_with_unit("ingest_delay", help, Unit::Seconds, self.delays.clone());
        let help = "Events in the Redis stream that are not stored yet; absent without one";
        registry.register("ingest_stream_entries", help, self.stream_entries.clone());
        registry.register("database_up", "Whether the database answers", self.database_up.clone());
        registry.register("storage_up", "Whether pictures can be read and written", self.storage_up.clone());
        self.retention.register(registry);
        let help = "Connections to the database, by whether somebody uses them";
        registry.register("database_connections", help, self.connections.clone());
        let help = "Connections to the database there may be";
        registry.register("database_connections_max", help, self.max_connections.clone());
        let help = "Time a change waits for a connection, and on SQLite for other writers";
        registry.register_with_unit("database_write_wait", help, Unit::Seconds, database::write_waits());
        registry.register("redis_up", "Whether Redis answers; absent without Redis", self.redis_up.clone());
        registry.register("workers", "Workers that report to this instance", self.workers.clone());
        registry.register("cameras", "Cameras by status, as this instance sees them", self.cameras.clone());
        registry.register("live_clients", "Clients that watch live", self.live_clients.clone());
        registry.register("live_viewers", "Viewers of cameras' live pictures", self.live_viewers.clone());
        let help = "Live pictures handed in by workers, which make none that nobody looks at";
        registry.register("live_pictures", help, self.live_pictures.clone());
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

    /// Counts a request as under way until what it answers is dropped.
    pub fn begin_request(&self) -> UnderWay<'_> {
        self.in_flight.inc();
        UnderWay(&self.in_flight)
    }

    /// Counts a batch of events that was begun at `begun` and is stored now; `told` are the times of its new events.
    pub fn count_batch(&self, begun: Instant, told: impl IntoIterator<Item = DateTime<Utc>>) {
        self.batches.observe(begun.elapsed().as_secs_f64());
        let now = Utc::now();
        for time in told {
            self.delays.observe((now - time).as_seconds_f64().max(0.0));
        }
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
        if let Some(entries) = readings.stream_entries {
            self.stream_entries.get_or_create(&[]).set(entries);
        }
        let PoolSize { idle, in_use, max } = readings.pool;
        for (state, number) in [("idle", idle), ("in_use", in_use)] {
            self.connections.get_or_create(&StateLabels { state }).set(number.into());
        }
        self.max_connections.set(max.into());
        self.workers.set(readings.workers.try_into().unwrap_or(i64::MAX));
        self.live_clients.set(readings.live_clients as u64);
        self.live_viewers.set(readings.live_viewers as u64);
        for state in CAMERA_STATES {
            let number = readings.cameras.iter().filter(|(_, camera)| camera.state == state).count();
            let status = state.as_str();
            self.cameras.get_or_create(&StatusLabels { status }).set(number.try_into().unwrap_or(i64::MAX));
        }
        let mut text = String::new();
        prometheus_text::encode(&mut text, &self.registry).map_err(ApiError::internal)?;
        let cameras = cameras::registry(&readings.cameras, &readings.spooled_events);
        prometheus_text::encode(&mut text, &cameras).map_err(ApiError::internal)?;
        Ok(text)
    }
}

/// A request under way.
#[derive(Debug)]
pub struct UnderWay<'a>(&'a Gauge);

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        self.0.dec();
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
