//! Traces of requests, and of what they have the models and the database do, for a collector that speaks OTLP over HTTP.
//! Nothing of it happens unless `OTEL_EXPORTER_OTLP_ENDPOINT` names one.
//!
//! Spans wait in a queue of fixed length and are sent by a thread of their own: a collector that is away holds nobody
//! up, and spans are lost. They hold no query, no header and no values of statements.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;

use anyhow::{Context as _, Result};
use async_trait::async_trait;
use bytes::Bytes;
use opentelemetry::propagation::TextMapPropagator as _;
use opentelemetry::trace::{Status, TraceContextExt as _, TracerProvider as _};
use opentelemetry_http::{HeaderExtractor, HttpClient, HttpError};
use opentelemetry_otlp::{SpanExporter, WithExportConfig as _, WithHttpConfig as _};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::trace::SdkTracerProvider;
use tracing::{Span, Subscriber};
use tracing_opentelemetry::OpenTelemetrySpanExt as _;
use tracing_subscriber::Layer;
use tracing_subscriber::filter::dynamic_filter_fn;
use tracing_subscriber::registry::LookupSpan;
use vedette_events::capture::UNRECORDED;
use warp::http::{HeaderMap, Method, Request, Response, StatusCode};

/// Where a collector takes traces, below its address.
const PATH: &str = "/v1/traces";
/// How long the collector may take.
const TIMEOUT: Duration = Duration::from_secs(5);
/// How long the last spans may take when the process ends.
const LAST_SPANS: Duration = Duration::from_secs(2);

/// Reads whose trace a request belongs to; empty without a collector.
static PROPAGATOR: OnceLock<TraceContextPropagator> = OnceLock::new();

/// Sends what spans are left when it goes.
#[derive(Debug)]
pub struct Traces(SdkTracerProvider);

impl Drop for Traces {
    fn drop(&mut self) {
        // The collector is away, then, which was said before.
        let _ = self.0.shutdown_with_timeout(LAST_SPANS);
    }
}

/// A layer that sends spans to the collector at `endpoint`.
///
/// # Errors
/// When that is no address.
pub(super) fn start<S>(endpoint: &str) -> Result<(Box<dyn Layer<S> + Send + Sync>, Traces)>
where
    S: Subscriber + for<'span> LookupSpan<'span> + Send + Sync + 'static,
{
    let exporter = SpanExporter::builder()
        .with_http()
        .with_http_client(Sender::new())
        .with_endpoint(format!("{}{PATH}", endpoint.trim_end_matches('/')))
        .build()
        .context(
            "OTEL_EXPORTER_OTLP_ENDPOINT must be a collector's address, such as http://127.0.0.1:4318",
        )?;
    let resource = Resource::builder().with_service_name("vedette").build();
    let provider = SdkTracerProvider::builder().with_batch_exporter(exporter).with_resource(resource).build();
    let layer = tracing_opentelemetry::layer()
        .with_tracer(provider.tracer("vedette"))
        .with_location(false)
        .with_threads(false);
    // Statements that belong to no request, as the server makes them every second, are no traces.
    let belongs = dynamic_filter_fn(|metadata, context| {
        let is_statement = metadata.is_span() && metadata.target().starts_with("sea_orm");
        metadata.name() != UNRECORDED && (!is_statement || context.lookup_current().is_some())
    });
    let _ = PROPAGATOR.set(TraceContextPropagator::new());
    Ok((layer.with_filter(belongs).boxed(), Traces(provider)))
}

/// Makes a request part of the trace its client began, if there is one (W3C Trace Context, `traceparent`).
pub fn adopt(span: &Span, headers: &HeaderMap) {
    let Some(propagator) = PROPAGATOR.get() else { return };
    let context = propagator.extract(&HeaderExtractor(headers));
    if context.span().span_context().is_valid() {
        // Fails only for a span nobody sees.
        let _ = span.set_parent(context);
    }
}

/// Says of a request's span what it was and how it ended.
pub fn describe(span: &Span, method: &Method, path: &str, status: StatusCode) {
    if PROPAGATOR.get().is_none() {
        return;
    }
    span.set_attribute("http.request.method", method.as_str().to_owned());
    span.set_attribute("url.path", path.to_owned());
    span.set_attribute("http.response.status_code", i64::from(status.as_u16()));
    if status.is_server_error() {
        span.set_status(Status::error(""));
    }
}

/// Sends spans; that it cannot is said once.
#[derive(Debug)]
struct Sender {
    agent: ureq::Agent,
    has_failed: AtomicBool,
}

impl Sender {
    fn new() -> Self {
        let config = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .timeout_global(Some(TIMEOUT))
            .user_agent(concat!("vedette/", env!("CARGO_PKG_VERSION")));
        Self { agent: config.build().into(), has_failed: AtomicBool::new(false) }
    }

    fn tell(&self, fault: Option<String>) {
        let had_failed = self.has_failed.swap(fault.is_some(), Relaxed);
        match fault {
            Some(fault) if !had_failed => {
                tracing::warn!(fault, "the collector takes no traces; they are lost")
            }
            None if had_failed => tracing::info!("the collector takes traces again"),
            _ => {}
        }
    }
}

#[async_trait]
impl HttpClient for Sender {
    /// Blocks: it is awaited by the exporter's own thread and nobody else.
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let sent = self.agent.run(request.map(|body| body.to_vec()));
        let answer = sent.and_then(|mut answer| {
            let body = answer.body_mut().read_to_vec()?;
            Ok(answer.map(|_| Bytes::from(body)))
        });
        self.tell(match &answer {
            Ok(answer) if answer.status().is_success() => None,
            Ok(answer) => Some(format!("it answers {}", answer.status())),
            Err(error) => Some(error.to_string()),
        });
        Ok(answer?)
    }
}
