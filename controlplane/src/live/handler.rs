//! Lets in who may watch: signed in, and from a page of ours.
//!
//! Browsers cannot set headers for a WebSocket, so the token may come as a sub-protocol instead:
//! `new WebSocket(url, ["bearer", token])`. Never in the address, which ends up in logs.

use url::Url;
use warp::Reply as _;
use warp::http::header::{HOST, HeaderMap, HeaderValue, ORIGIN, SEC_WEBSOCKET_PROTOCOL};
use warp::reply::Response;
use warp::ws::Ws;

use super::socket;
use crate::auth::Role;
use crate::config::Origin;
use crate::error::{ApiError, ErrorBody, ErrorKind};
use crate::filters::{self, Credentials};
use crate::server::IsHttps;
use crate::state::State;

/// The sub-protocol whose companion is a token.
const BEARER: &str = "bearer";
/// Clients at the same time.
const MAX_CLIENTS: usize = 500;
/// Clients send nothing but control frames.
const MAX_MESSAGE_BYTES: usize = 4096;
/// What is buffered for a client beyond what the network takes.
const MAX_BUFFERED_BYTES: usize = 1024 * 1024;

/// Watch
///
/// A WebSocket. Every message is one JSON object: `{"type":"event","data":…}` with a detection,
/// `{"type":"camera","data":…}` with a camera, `{"type":"alert","data":…}` with an alert; other types may come. Programs sign in as everywhere, web
/// pages by the sub-protocols `bearer` and the token. Pages of other origins than the server's own need to be
/// listed in `security.cors_origins`.
#[utoipa::path(
    get,
    path = "/api/live",
    responses(
        (status = 101, description = "The WebSocket is open."),
        (status = 400, description = "This is no WebSocket handshake.", body = ErrorBody),
    ),
    security(("token" = ["viewer"]))
)]
pub(super) async fn live(
    state: State,
    mut shown: Credentials,
    headers: HeaderMap,
    is_https: Option<IsHttps>,
    ws: Ws,
) -> Result<Response, ApiError> {
    let is_https = is_https.is_some_and(|IsHttps(is_https)| is_https);
    check_origin(&headers, is_https, &state.config.file.security.cors_origins)?;
    let as_protocol = text(&headers, SEC_WEBSOCKET_PROTOCOL.as_str()).and_then(token_of_protocols);
    shown.token = shown.token.or(as_protocol.map(str::to_owned));
    let user = filters::admit(&shown, &state, Role::Viewer).await?;
    if state.live.clients() >= MAX_CLIENTS {
        let busy = ErrorKind::RateLimit { retry_after_s: 30 };
        return Err(ApiError::new(busy, format!("{MAX_CLIENTS} clients watch already; try again later")));
    }
    // From here on nothing is missed.
    let news = state.live.subscribe();
    let upgrade = ws.max_message_size(MAX_MESSAGE_BYTES).max_frame_size(MAX_MESSAGE_BYTES);
    let upgrade = upgrade.max_write_buffer_size(MAX_BUFFERED_BYTES);
    let mut response =
        upgrade.on_upgrade(move |socket| socket::serve(socket, news, state, shown, user)).into_response();
    if as_protocol.is_some() {
        response.headers_mut().insert(SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static(BEARER));
    }
    Ok(response)
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

/// The TOKEN of `bearer, TOKEN`.
fn token_of_protocols(header: &str) -> Option<&str> {
    let (protocol, token) = header.split_once(',')?;
    (protocol.trim() == BEARER).then(|| token.trim())
}

/// Browsers let any page open a WebSocket to any server; it is for the server to refuse. Programs send no origin.
fn check_origin(headers: &HeaderMap, is_https: bool, others: &[Origin]) -> Result<(), ApiError> {
    let Some(origin) = headers.get(ORIGIN) else { return Ok(()) };
    let origin = origin.to_str().unwrap_or_default();
    let is_listed = others.iter().any(|other| other.as_str() == origin);
    if is_listed || is_own(origin, text(headers, HOST.as_str()), is_https) {
        return Ok(());
    }
    let message = "pages of this origin may not connect; to let them, add it to security.cors_origins, or have the \
                   proxy in front pass the header `Host` on";
    Err(ApiError::authorization(message))
}

fn is_own(origin: &str, host: Option<&str>, is_https: bool) -> bool {
    let Some(url) = Url::parse(origin).ok().filter(|url| matches!(url.scheme(), "http" | "https")) else {
        return false;
    };
    // Over HTTPS, a page without could be anybody's.
    let is_scheme_fine = !is_https || url.scheme() == "https";
    let authority = url.port().map_or_else(
        || url.host_str().unwrap_or_default().to_owned(),
        |port| format!("{}:{port}", url.host_str().unwrap_or_default()),
    );
    is_scheme_fine && !authority.is_empty() && host.is_some_and(|host| host.eq_ignore_ascii_case(&authority))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    #[test]
    fn only_pages_of_ours_are_our_own() {
        assert!(is_own("http://door:8000", Some("door:8000"), false));
        assert!(is_own("https://Door.example", Some("door.example"), true));
        assert!(
            is_own("https://door.example", Some("door.example"), false),
            "a proxy we do not know speaks HTTPS"
        );
        assert!(!is_own("http://door.example", Some("door.example"), true));
        assert!(!is_own("http://door:8001", Some("door:8000"), false));
        assert!(!is_own("http://evil.example", Some("door:8000"), false));
        assert!(!is_own("null", Some("door:8000"), false));
        assert!(!is_own("http://door:8000", None, false));
    }

    #[test]
    fn a_token_may_be_a_sub_protocol() {
        assert_eq!(token_of_protocols("bearer, a.b.c"), Some("a.b.c"));
        assert_eq!(token_of_protocols("bearer"), None);
        assert_eq!(token_of_protocols("chat, a.b.c"), None);
    }
}
