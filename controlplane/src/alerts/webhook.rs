//! Posts alerts to webhooks: signed, to addresses that were looked at, and without following anybody elsewhere.
//!
//! A connection is made for each, by hyper, to an address that was checked after the name was looked up: a client that
//! looks names up by itself could be led elsewhere between the two. Redirects are answers like others that are no success.

use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use hmac::{Hmac, Mac as _};
use http_body_util::Full;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use sha2::Sha256;
use thiserror::Error;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::ServerName;
use url::{Host, Url};
use uuid::Uuid;
use vedette_events::address::{REFUSED, is_allowed};
use warp::http::header::{CONTENT_TYPE, HOST, RETRY_AFTER, USER_AGENT};
use warp::http::{Method, Request, Response, StatusCode};

use super::rules::Webhook;
use super::tls::{self, Authorities};

/// What a receiver checks: `sha256=` and the HMAC-SHA256, in hexadecimal digits, of the timestamp, a dot and the body.
const SIGNATURE: &str = "X-Vedette-Signature";
/// When it was signed, in seconds since 1970: what is old is somebody's repetition.
const TIMESTAMP: &str = "X-Vedette-Timestamp";
/// The same for each attempt at one delivery.
const DELIVERY: &str = "X-Vedette-Delivery";
/// Longest pause a receiver can ask for.
const LONGEST_PAUSE: Duration = Duration::from_secs(3600);

/// Why an alert was not told.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub(super) enum Failure {
    /// It may do later.
    #[error("{reason}")]
    Passing {
        /// What happened; nothing secret, for it is shown.
        reason: String,
        /// For how long the receiver wants to be left alone.
        pause: Option<Duration>,
    },
    /// The receiver does not want it.
    #[error("{0}")]
    Refused(String),
}

impl Failure {
    pub(super) fn passing(reason: impl Into<String>) -> Self {
        Self::Passing { reason: reason.into(), pause: None }
    }
}

/// Sends what webhooks are told.
pub(super) struct WebhookClient {
    tls: TlsConnector,
}

impl std::fmt::Debug for WebhookClient {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("WebhookClient").finish_non_exhaustive()
    }
}

impl WebhookClient {
    /// Whoever vouches for receivers: the public authorities, and those of `ca_file`.
    ///
    /// # Errors
    /// When the file cannot be read or holds no certificate.
    pub(super) fn open(ca_file: Option<&Path>) -> anyhow::Result<Self> {
        let authorities = Authorities { public: true, file: ca_file.map(|file| ("alerts.ca_file", file)) };
        Ok(Self { tls: TlsConnector::from(Arc::new(tls::client_config(&authorities)?)) })
    }

    /// Posts `body`; `timestamp_s` are seconds since 1970. Takes as long as the receiver does.
    pub(super) async fn post(
        &self,
        webhook: &Webhook,
        delivery_id: Uuid,
        timestamp_s: i64,
        body: Vec<u8>,
    ) -> Result<(), Failure> {
        let url = webhook.url().map_err(|_| Failure::Refused("the stored URL does not hold".to_owned()))?;
        let url = url.as_url();
        let signature = sign(&webhook.secret, timestamp_s, &body);
        let request = Request::builder()
            .method(Method::POST)
            .uri(&url[url::Position::BeforePath..url::Position::AfterQuery])
            .header(HOST, &url[url::Position::BeforeHost..url::Position::AfterPort])
            .header(CONTENT_TYPE, "application/json")
            .header(USER_AGENT, concat!("Vedette/", env!("CARGO_PKG_VERSION")))
            .header(SIGNATURE, format!("sha256={signature}"))
            .header(TIMESTAMP, timestamp_s)
            .header(DELIVERY, delivery_id.to_string())
            .body(Full::new(Bytes::from(body)))
            .map_err(|_| Failure::Refused("the stored URL does not hold".to_owned()))?;
        let stream = connect(url).await?;
        if url.scheme() == "https" {
            let name = url.host_str().unwrap_or_default().trim_matches(['[', ']']).to_owned();
            let name = ServerName::try_from(name)
                .map_err(|_| Failure::Refused("the host's name cannot be in a certificate".to_owned()))?;
            let stream = self.tls.connect(name, stream).await;
            let stream = stream.map_err(|error| Failure::passing(format!("no TLS: {error}")))?;
            exchange(stream, request).await
        } else {
            exchange(stream, request).await
        }
    }
}

/// The HMAC-SHA256 of timestamp and body in hexadecimal digits.
fn sign(secret: &str, timestamp_s: i64, body: &[u8]) -> String {
    // HMAC takes keys of any length; the type of its constructor is that of all such algorithms.
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(secret.as_bytes()) else { return String::new() };
    mac.update(format!("{timestamp_s}.").as_bytes());
    mac.update(body);
    hex::encode(mac.finalize().into_bytes())
}

/// A connection to an address of the URL's host that may be sent to.
async fn connect(url: &Url) -> Result<TcpStream, Failure> {
    let port = url.port_or_known_default().unwrap_or_default();
    let addresses: Vec<IpAddr> = match url.host() {
        Some(Host::Ipv4(address)) => vec![address.into()],
        Some(Host::Ipv6(address)) => vec![address.into()],
        Some(Host::Domain(name)) => tokio::net::lookup_host((name, port))
            .await
            .map_err(|_| Failure::passing("the host's name is not known"))?
            .map(|address| address.ip())
            .collect(),
        None => Vec::new(),
    };
    let mut failure = Failure::passing("nobody is there");
    for address in allowed(&addresses)? {
        match TcpStream::connect(SocketAddr::new(address, port)).await {
            Ok(stream) => {
                // One request in one piece; an error leaves it a little slower.
                let _ = stream.set_nodelay(true);
                return Ok(stream);
            }
            Err(error) => failure = Failure::passing(format!("no connection: {}", error.kind())),
        }
    }
    Err(failure)
}

/// Those of a host's addresses that may be sent to.
fn allowed(addresses: &[IpAddr]) -> Result<Vec<IpAddr>, Failure> {
    let allowed: Vec<IpAddr> = addresses.iter().copied().filter(|address| is_allowed(*address)).collect();
    if allowed.is_empty() { Err(Failure::Refused(REFUSED.to_owned())) } else { Ok(allowed) }
}

/// Sends the request and judges the head of the answer; what follows is not read.
async fn exchange(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    request: Request<Full<Bytes>>,
) -> Result<(), Failure> {
    let broken = |_| Failure::passing("the connection broke, or what came was no HTTP");
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(broken)?;
    // Ends with us, however we end.
    let mut driver = JoinSet::new();
    driver.spawn(connection);
    judge(&sender.send_request(request).await.map_err(broken)?)
}

fn judge<B>(answer: &Response<B>) -> Result<(), Failure> {
    let status = answer.status();
    if status.is_success() {
        return Ok(());
    }
    let reason = format!("the receiver answers {}", status.as_u16());
    let may_do_later = status.is_server_error()
        || matches!(status, StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_MANY_REQUESTS);
    if !may_do_later {
        return Err(Failure::Refused(reason));
    }
    let pause = answer.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok()?.parse().ok());
    Err(Failure::Passing {
        reason,
        pause: pause.map(|seconds| Duration::from_secs(seconds).min(LONGEST_PAUSE)),
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    #[test]
    fn the_signature_is_that_of_openssl() {
        // printf '1767268800.{"a":1}' | openssl dgst -sha256 -hmac 'a secret of the tests'
        let expected = "e64e113deb60b99aba2b7938e57bbacacb2f84efbacc105d2190eb97445e0309";
        assert_eq!(sign("a secret of the tests", 1_767_268_800, br#"{"a":1}"#), expected);
    }

    #[test]
    fn a_name_that_leads_to_a_metadata_service_leads_nowhere() {
        let addresses =
            |texts: &[&str]| texts.iter().map(|text| text.parse().unwrap()).collect::<Vec<IpAddr>>();
        let both = addresses(&["169.254.169.254", "10.0.0.7"]);
        assert_eq!(allowed(&both), Ok(addresses(&["10.0.0.7"])));
        let neither = addresses(&["169.254.169.254", "fe80::1"]);
        assert_eq!(allowed(&neither), Err(Failure::Refused(REFUSED.to_owned())));
    }

    fn judged(status: u16, retry_after: Option<&str>) -> Result<(), Failure> {
        let mut answer = Response::builder().status(status);
        if let Some(pause) = retry_after {
            answer = answer.header(RETRY_AFTER, pause);
        }
        judge(&answer.body(()).unwrap())
    }

    #[test]
    fn only_a_success_is_one() {
        assert_eq!([200, 202, 204].map(|status| judged(status, None)), [Ok(()), Ok(()), Ok(())]);
        for status in [301, 302, 307, 308, 400, 401, 404, 410] {
            assert!(matches!(judged(status, None), Err(Failure::Refused(_))), "{status}");
        }
        for status in [408, 429, 500, 502, 503] {
            assert!(matches!(judged(status, None), Err(Failure::Passing { pause: None, .. })), "{status}");
        }
        let pause = |text| match judged(429, Some(text)) {
            Err(Failure::Passing { pause, .. }) => pause,
            other => panic!("{other:?}"),
        };
        assert_eq!(pause("7"), Some(Duration::from_secs(7)));
        assert_eq!(pause("999999999"), Some(LONGEST_PAUSE));
        assert_eq!(pause("Wed, 21 Oct 2026 07:28:00 GMT"), None);
    }
}
