//! The accept loop: TCP connections in, HTTP requests to the routes, and what every response has in common.

use std::convert::Infallible;
use std::future::Future;
use std::net::SocketAddr;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::FutureExt as _;
use hyper::body::Incoming;
use hyper::service::{Service as _, service_fn};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tracing::Instrument as _;
use uuid::Uuid;
use warp::Reply as _;
use warp::http::header::{self, HeaderMap, HeaderName, HeaderValue};
use warp::http::{Method, Request};
use warp::reply::Response;

use crate::error::{self, ApiError};
use crate::filters::Route;

/// Connections at the same time; further ones wait in the kernel's queue.
const MAX_CONNECTIONS: usize = 1024;
/// Time a client gets to send the head of a request.
const HEADER_TIMEOUT: Duration = Duration::from_secs(15);
/// Time requests under way get to end when the server stops.
const SHUTDOWN_GRACE: Duration = Duration::from_secs(2);
/// Pause after the system refused a connection, say for want of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// No script but our own files, none inside pages, and nobody may frame us.
const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; \
     img-src 'self' data: blob:; media-src 'self' blob:; font-src 'self'; connect-src 'self'; manifest-src 'self'; \
     base-uri 'none'; form-action 'self'; frame-ancestors 'none'";

const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Who is at the other end of the connection; every request carries it as an extension.
#[derive(Clone, Copy, Debug)]
pub struct PeerAddress(pub SocketAddr);

/// Serves `routes` until `shutdown` completes; requests under way get a moment to end.
pub async fn serve(listener: TcpListener, routes: Route, shutdown: impl Future<Output = ()>) {
    let connections = GracefulShutdown::new();
    let permits = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    let mut shutdown = std::pin::pin!(shutdown);
    loop {
        let accept = async {
            let permit = Arc::clone(&permits).acquire_owned().await;
            (listener.accept().await, permit)
        };
        let (accepted, permit) = tokio::select! {
            accepted = accept => accepted,
            () = &mut shutdown => break,
        };
        match accepted {
            Ok((stream, peer)) => {
                let connection = serve_connection(stream, peer, routes.clone(), connections.watcher());
                tokio::spawn(async move {
                    connection.await;
                    drop(permit);
                });
            }
            Err(error) => {
                tracing::warn!(%error, "a connection could not be accepted");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
    drop(listener);
    if tokio::time::timeout(SHUTDOWN_GRACE, connections.shutdown()).await.is_err() {
        tracing::info!("some requests did not end in time and are cut short");
    }
}

async fn serve_connection(
    stream: TcpStream,
    peer: SocketAddr,
    routes: Route,
    watcher: hyper_util::server::graceful::Watcher,
) {
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "TCP_NODELAY cannot be set");
    }
    let service = service_fn(move |request| {
        let routes = routes.clone();
        async move { Ok::<_, Infallible>(respond(request, peer, routes).await) }
    });
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder.http1().timer(TokioTimer::new()).header_read_timeout(HEADER_TIMEOUT);
    builder.http2().timer(TokioTimer::new()).max_concurrent_streams(100);
    let connection = builder.serve_connection_with_upgrades(TokioIo::new(stream), service).into_owned();
    if let Err(error) = watcher.watch(connection).await {
        // Clients come and go as they like.
        tracing::debug!(%error, "a connection ended early");
    }
}

async fn respond(mut request: Request<Incoming>, peer: SocketAddr, routes: Route) -> Response {
    let started = Instant::now();
    let request_id = Uuid::new_v4().simple().to_string();
    let (method, path) = (request.method().clone(), request.uri().path().to_owned());
    if method == Method::HEAD {
        // Answered like GET; the HTTP layer leaves the body out.
        *request.method_mut() = Method::GET;
    }
    request.extensions_mut().insert(PeerAddress(peer));

    let span = tracing::info_span!("request", id = %request_id);
    let routed = AssertUnwindSafe(route(request, routes)).catch_unwind().instrument(span.clone());
    let response = routed
        .await
        .unwrap_or_else(|_| ApiError::internal("the handler of a request panicked").into_response());

    let _entered = span.enter();
    let mut response = error::render(response, &path);
    add_headers(response.headers_mut(), &path, &request_id);
    log(&method, &path, &response, started.elapsed());
    response
}

async fn route(request: Request<Incoming>, routes: Route) -> Response {
    let service = TowerToHyperService::new(warp::service(routes));
    match service.call(request).await {
        Ok(response) => response,
        Err(never) => match never {},
    }
}

fn add_headers(headers: &mut HeaderMap, path: &str, request_id: &str) {
    let fixed = [
        (header::CONTENT_SECURITY_POLICY, CONTENT_SECURITY_POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::X_FRAME_OPTIONS, "DENY"),
        (header::REFERRER_POLICY, "no-referrer"),
        (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
        (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
        (HeaderName::from_static("permissions-policy"), "camera=(), microphone=(), geolocation=()"),
    ];
    for (name, value) in fixed {
        headers.entry(name).or_insert(HeaderValue::from_static(value));
    }
    if error::is_api(path) {
        // Answers hold personal data, which no cache on the way is to keep.
        headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    }
    if let Ok(request_id) = HeaderValue::from_str(request_id) {
        headers.insert(X_REQUEST_ID, request_id);
    }
}

/// One line a request: never the query nor a header, which may hold secrets. What programs ask every second is
/// for debugging only.
fn log(method: &Method, path: &str, response: &Response, elapsed: Duration) {
    let status = response.status().as_u16();
    let ms = (elapsed.as_secs_f64() * 1e5).round() / 100.0;
    let is_chatter = path.ends_with("/heartbeat") || path == "/api/health" || !error::is_api(path);
    if is_chatter && status < 400 {
        tracing::debug!(%method, path, status, ms, "request");
    } else {
        tracing::info!(%method, path, status, ms, "request");
    }
}
