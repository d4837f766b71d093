//! What all requests have in common: who asks, how often, for how long; errors, headers and one line in the log.

use std::net::SocketAddr;
use std::panic::AssertUnwindSafe;
use std::time::{Duration, Instant};

use futures_util::FutureExt as _;
use hyper::body::Incoming;
use tower::ServiceExt as _;
use tracing::Instrument as _;
use uuid::Uuid;
use warp::Reply as _;
use warp::http::{Method, Request, StatusCode};
use warp::reply::Response;

use super::body::{PacedBody, Progress};
use super::client::{Client, IsHttps, PeerAddress};
use super::headers;
use crate::config::{Network, Origin};
use crate::error::{self, ApiError};
use crate::filters::Route;
use crate::limits::Class;
use crate::logging::traces;
use crate::state::State;

/// Longest time between the last of a request's body and the head of its answer. What waits on purpose waits less.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(120);

/// The routes, and what stands before them.
pub struct Door {
    routes: Route,
    state: State,
}

impl std::fmt::Debug for Door {
    /// Routes are closures.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Door").finish_non_exhaustive()
    }
}

impl Door {
    /// A door to `routes`.
    pub fn new(routes: Route, state: State) -> Self {
        Self { routes, state }
    }

    /// Origins of other web pages that may call.
    pub(super) fn origins(&self) -> &[Origin] {
        &self.state.config.file.security.cors_origins
    }

    /// Whom we believe about others.
    pub(super) fn proxies(&self) -> &[Network] {
        &self.state.config.file.server.trusted_proxies
    }

    /// Answers one request, whatever happens.
    pub(super) async fn respond(
        &self,
        mut request: Request<PacedBody<Incoming>>,
        peer: SocketAddr,
        is_tls: bool,
    ) -> Response {
        let started = Instant::now();
        let _under_way = self.state.metrics.begin_request();
        let client = Client::of(peer, is_tls, request.headers(), self.proxies());
        let request_id = client.request_id.unwrap_or_else(|| Uuid::new_v4().simple().to_string());
        let (method, path) = (request.method().clone(), request.uri().path().to_owned());
        if method == Method::HEAD {
            // Answered like GET; the HTTP layer leaves the body out.
            *request.method_mut() = Method::GET;
        }
        request.extensions_mut().insert(PeerAddress(client.address));
        request.extensions_mut().insert(IsHttps(client.is_https));

        let span = tracing::info_span!("request", id = %request_id);
        traces::adopt(&span, request.headers());
        let admitted = AssertUnwindSafe(self.admit(request, client.address)).catch_unwind();
        let response = admitted
            .instrument(span.clone())
            .await
            .unwrap_or_else(|_| ApiError::internal("the handler of a request panicked").into_response());

        let _entered = span.enter();
        let mut response = error::render(response, &path);
        headers::add(&mut response, &path, &request_id);
        let elapsed = started.elapsed();
        self.state.metrics.count_request(&method, &path, response.status(), elapsed);
        traces::describe(&span, &method, &path, response.status());
        log(&method, &path, &response, elapsed);
        response
    }

    /// Answers a request unless its address asks too often.
    async fn admit(&self, request: Request<PacedBody<Incoming>>, client: SocketAddr) -> Response {
        let limits = &self.state.limits;
        let class = Class::of(request.method(), request.uri().path());
        if let Some(class) = class.filter(|class| *class != Class::Worker)
            && let Err(error) = limits.count(class, client.ip()).await
        {
            return error.into_response();
        }
        let response = self.route(request).await;
        if class == Some(Class::Worker)
            && response.status() == StatusCode::UNAUTHORIZED
            && let Err(error) = limits.count(Class::Worker, client.ip()).await
        {
            return error.into_response();
        }
        response
    }

    async fn route(&self, request: Request<PacedBody<Incoming>>) -> Response {
        let progress = request.body().progress();
        let answer = warp::service(self.routes.clone()).oneshot(request);
        match in_time(answer, &progress, ANSWER_TIMEOUT).await {
            Some(Ok(response)) => response,
            Some(Err(never)) => match never {},
            None => ApiError::internal("the handler of a request took too long").into_response(),
        }
    }
}

/// What `answer` comes to, unless `patience` passes after the last of the body arrived.
async fn in_time<T>(answer: impl Future<Output = T>, progress: &Progress, patience: Duration) -> Option<T> {
    let mut answer = std::pin::pin!(answer);
    loop {
        match tokio::time::timeout_at(progress.last() + patience, &mut answer).await {
            Ok(answer) => return Some(answer),
            Err(_) if progress.last() + patience > tokio::time::Instant::now() => {}
            Err(_) => return None,
        }
    }
}

/// One line a request: never the query nor a header, which may hold secrets. What programs ask every second is
/// for debugging only.
fn log(method: &Method, path: &str, response: &Response, elapsed: Duration) {
    let status = response.status().as_u16();
    let ms = (elapsed.as_secs_f64() * 1e5).round() / 100.0;
    let is_of_worker =
        path.starts_with("/api/workers/") && (path.ends_with("/heartbeat") || path.ends_with("/live"));
    let is_chatter = is_of_worker || path == "/api/health" || !error::is_api(path);
    if is_chatter && status < 400 {
        tracing::debug!(%method, path, status, ms, "request");
    } else {
        tracing::info!(%method, path, status, ms, "request");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::pending;

    #[tokio::test]
    async fn patience_lasts_as_long_as_the_body_comes() {
        let patience = Duration::from_millis(20);
        assert_eq!(in_time(pending::<()>(), &Progress::new(), patience).await, None);
        let progress = Progress::new();
        let upload = async {
            // As if more of the body came all the time from here on.
            progress.note(tokio::time::Instant::now() + Duration::from_secs(3600));
            tokio::time::sleep(patience * 3).await;
        };
        assert_eq!(in_time(upload, &progress, patience).await, Some(()), "it took three times the patience");
    }
}
