//! The front door: TCP connections in, HTTP requests to the routes.
//!
//! `crowd` keeps one address from taking every connection, `tls` speaks HTTPS, `client` says who is asking, `body`
//! keeps slow senders from holding on to us, `leftover` lets those who are refused finish, `door` does what all requests
//! have in common, `headers` tells browsers what they may do. What every answer gets on its way out (permission for
//! other origins, compression) is put around them here.

mod body;
mod client;
mod crowd;
mod door;
mod headers;
mod leftover;
mod tls;

use std::convert::Infallible;
use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use hyper_util::service::TowerToHyperService;
use nix::sys::socket::{setsockopt, sockopt};
use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tower::{Layer as _, ServiceExt as _};
use tower_http::CompressionLevel;
use tower_http::compression::Compression;
use tower_http::compression::predicate::{Predicate as _, SizeAbove};
use tower_http::cors::{AllowOrigin, CorsLayer};
use warp::http::header::{self, HeaderMap, HeaderName, HeaderValue};
use warp::http::{Extensions, Method, Request, Response, StatusCode, Version};

pub use client::{IsHttps, PeerAddress};
pub use door::Door;
pub use tls::Tls;

use self::body::PacedBody;
use self::crowd::Crowd;
use self::leftover::{Answer, Leftover};
use crate::config::Origin;

/// Connections at the same time; further ones wait in the kernel's queue.
const MAX_CONNECTIONS: usize = 1024;
/// Those of them that one address may hold; further ones are closed.
const MAX_CONNECTIONS_EACH: usize = 256;
/// Time a client gets to send the head of a request, and to ask again on a connection kept open.
const HEADER_TIMEOUT: Duration = Duration::from_secs(15);
/// Time a client gets to agree on encryption.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);
/// A client that takes nothing of an answer for so long is gone.
const SEND_TIMEOUT: Duration = Duration::from_secs(30);
/// What the kernel takes of an answer before it can send it: what lies there is late by the time it arrives, which matters
/// to live pictures.
const MAX_UNSENT_BYTES: u32 = 32 * 1024;
/// Largest head of a request.
const MAX_HEAD_BYTES: usize = 64 * 1024;
/// Time requests under way get to end when the server stops.
const SHUTDOWN_GRACE: Duration = Duration::from_secs(2);
/// Pause after the system refused a connection, say for want of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// Below this, compressing saves no packet.
const MIN_COMPRESSED_BYTES: u64 = 1024;
/// How long a browser may go by the answer to a preflight.
const PREFLIGHT_KEPT: Duration = Duration::from_secs(600);

/// A socket that listens, and how it is spoken to.
#[derive(Debug)]
pub struct Listener {
    /// The socket.
    pub tcp: TcpListener,
    /// HTTPS; `None` = HTTP.
    pub tls: Option<Tls>,
}

/// Serves until `shutdown` completes; requests under way get a moment to end.
pub async fn serve(listener: Listener, door: Arc<Door>, shutdown: impl Future<Output = ()>) {
    let Listener { tcp, tls } = listener;
    let connections = GracefulShutdown::new();
    let permits = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    let crowd = Crowd::new(MAX_CONNECTIONS_EACH);
    let mut shutdown = std::pin::pin!(shutdown);
    loop {
        let accept = async {
            let permit = Arc::clone(&permits).acquire_owned().await;
            (tcp.accept().await, permit)
        };
        let (accepted, permit) = tokio::select! {
            accepted = accept => accepted,
            () = &mut shutdown => break,
        };
        match accepted {
            Ok((stream, peer)) => {
                let Some(place) = crowd.enter(peer.ip(), door.proxies()) else {
                    tracing::debug!("an address holds too many connections");
                    continue;
                };
                let connection = welcome(stream, peer, tls.clone(), Arc::clone(&door), connections.watcher());
                tokio::spawn(async move {
                    connection.await;
                    drop((permit, place));
                });
            }
            Err(error) => {
                tracing::warn!(%error, "a connection could not be accepted");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
    drop(tcp);
    if tokio::time::timeout(SHUTDOWN_GRACE, connections.shutdown()).await.is_err() {
        tracing::info!("some requests did not end in time and are cut short");
    }
}

async fn welcome(stream: TcpStream, peer: SocketAddr, tls: Option<Tls>, door: Arc<Door>, watcher: Watcher) {
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "TCP_NODELAY cannot be set");
    }
    let send_timeout_ms = u32::try_from(SEND_TIMEOUT.as_millis()).unwrap_or(u32::MAX);
    if let Err(error) = setsockopt(&stream, sockopt::TcpUserTimeout, &send_timeout_ms) {
        tracing::debug!(%error, "TCP_USER_TIMEOUT cannot be set");
    }
    if let Err(error) = SockRef::from(&stream).set_tcp_notsent_lowat(MAX_UNSENT_BYTES) {
        tracing::debug!(%error, "TCP_NOTSENT_LOWAT cannot be set");
    }
    let Some(tls) = tls else { return serve_connection(stream, peer, false, door, watcher).await };
    match tokio::time::timeout(HANDSHAKE_TIMEOUT, tls.accept(stream)).await {
        Ok(Ok(stream)) => serve_connection(stream, peer, true, door, watcher).await,
        Ok(Err(error)) => tracing::debug!(%error, "a client and we could not agree on encryption"),
        Err(_) => tracing::debug!("a client took too long to agree on encryption"),
    }
}

async fn serve_connection<S>(stream: S, peer: SocketAddr, is_tls: bool, door: Arc<Door>, watcher: Watcher)
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let cors = tower::util::option_layer(cors(door.origins()));
    let respond = tower::service_fn(move |request: Request<Incoming>| {
        let (door, leftover) = (Arc::clone(&door), Leftover::default());
        async move {
            let request = request.map(|body| PacedBody::new(body, leftover.clone()));
            let response = door.respond(request, peer, is_tls).await;
            Ok::<_, Infallible>(response.map(|body| Answer::new(body, leftover)))
        }
    });
    let service = Compression::new(cors.layer(respond))
        .quality(CompressionLevel::Fastest)
        .compress_when(SizeAbove::new(MIN_COMPRESSED_BYTES).and(is_compressible))
        .map_response(weaken_validator);

    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder.http1().timer(TokioTimer::new()).header_read_timeout(HEADER_TIMEOUT).max_buf_size(MAX_HEAD_BYTES);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(100)
        .keep_alive_interval(SEND_TIMEOUT)
        .keep_alive_timeout(SEND_TIMEOUT);
    let service = TowerToHyperService::new(service);
    let connection = builder.serve_connection_with_upgrades(TokioIo::new(stream), service).into_owned();
    if let Err(error) = watcher.watch(connection).await {
        // Clients come and go as they like.
        tracing::debug!(%error, "a connection ended early");
    }
}

/// What web pages of other origins may do: everything a program may, with a token they were given. Browsers send
/// them no credentials of their own accord, for we have no cookies.
fn cors(origins: &[Origin]) -> Option<CorsLayer> {
    let origins: Vec<HeaderValue> =
        origins.iter().filter_map(|origin| HeaderValue::from_str(origin.as_str()).ok()).collect();
    let layer = CorsLayer::new()
        .allow_methods([Method::GET, Method::HEAD, Method::POST, Method::PUT, Method::DELETE])
        .allow_headers([
            header::AUTHORIZATION,
            header::CONTENT_TYPE,
            header::IF_NONE_MATCH,
            HeaderName::from_static("x-api-key"),
        ])
        .expose_headers([
            header::CONTENT_DISPOSITION,
            header::ETAG,
            header::RETRY_AFTER,
            HeaderName::from_static("x-request-id"),
        ])
        .max_age(PREFLIGHT_KEPT);
    (!origins.is_empty()).then(|| layer.allow_origin(AllowOrigin::list(origins)))
}

/// Text. Pictures are compressed already.
fn is_compressible(_: StatusCode, _: Version, headers: &HeaderMap, _: &Extensions) -> bool {
    let content_type = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let essence = content_type.and_then(|value| value.split(';').next()).unwrap_or_default().trim();
    let is_text = ["text/", "application/json", "application/javascript", "image/svg+xml"]
        .iter()
        .any(|kind| essence.starts_with(kind));
    is_text || essence.ends_with("+json")
}

/// A compressed body is not byte for byte what its validator was made for.
fn weaken_validator<B>(mut response: Response<B>) -> Response<B> {
    let headers = response.headers_mut();
    let strong = headers.get(header::ETAG).filter(|etag| etag.as_bytes().starts_with(b"\""));
    if headers.contains_key(header::CONTENT_ENCODING)
        && let Some(Ok(weak)) = strong.map(|etag| HeaderValue::from_bytes(&[b"W/", etag.as_bytes()].concat()))
    {
        headers.insert(header::ETAG, weak);
    }
    response
}
