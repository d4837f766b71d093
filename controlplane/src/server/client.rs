//! Who is asking: the other end of the connection or, behind a proxy we trust, whom that says it speaks for.

use std::net::{IpAddr, SocketAddr};

use warp::http::HeaderMap;
use warp::http::header::HeaderName;

use crate::config::Network;

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
/// Identifies a request in the logs of everything it passes through.
pub(super) const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// Longest request id taken over.
const MAX_REQUEST_ID_BYTES: usize = 64;

/// The client's address; every request carries it as an extension. Behind a proxy the port is 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PeerAddress(pub SocketAddr);

/// Whether the client speaks HTTPS, to us or to a proxy; every request carries it as an extension.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IsHttps(pub bool);

/// What is known of a client.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Client {
    pub(super) address: SocketAddr,
    pub(super) is_https: bool,
    /// The id a trusted proxy gave the request.
    pub(super) request_id: Option<String>,
}

impl Client {
    /// What the connection and, from one of `proxies`, the headers tell. Everybody else's headers are hearsay.
    pub(super) fn of(peer: SocketAddr, is_tls: bool, headers: &HeaderMap, proxies: &[Network]) -> Self {
        let is_trusted = |address: IpAddr| proxies.iter().any(|network| network.contains(address));
        if !is_trusted(peer.ip()) {
            return Self { address: peer, is_https: is_tls, request_id: None };
        }
        let last_scheme = headers.get_all(X_FORWARDED_PROTO).iter().next_back();
        let last_scheme = last_scheme.and_then(|value| value.to_str().ok()?.rsplit(',').next());
        Self {
            address: forwarded_for(headers, is_trusted).map_or(peer, |address| SocketAddr::new(address, 0)),
            is_https: last_scheme.map_or(is_tls, |scheme| scheme.trim().eq_ignore_ascii_case("https")),
            request_id: request_id(headers),
        }
    }
}

/// The right-most address that is no proxy of ours: each proxy appends whom it was asked by, so that everything
/// further left is what a stranger wrote. The left-most one if all are ours.
fn forwarded_for(headers: &HeaderMap, is_trusted: impl Fn(IpAddr) -> bool) -> Option<IpAddr> {
    let lines: Vec<&str> =
        headers.get_all(X_FORWARDED_FOR).iter().map(|value| value.to_str().unwrap_or_default()).collect();
    let mut left_most = None;
    for entry in lines.iter().rev().flat_map(|line| line.rsplit(',')) {
        // What cannot be read was not written by a proxy of ours: nothing beyond it counts.
        let Some(address) = parse_address(entry.trim()) else { return left_most };
        left_most = Some(address);
        if !is_trusted(address) {
            break;
        }
    }
    left_most
}

fn parse_address(text: &str) -> Option<IpAddr> {
    let with_port = || text.parse::<SocketAddr>().ok().map(|address| address.ip());
    let bare = text.trim_start_matches('[').trim_end_matches(']');
    bare.parse().ok().or_else(with_port)
}

fn request_id(headers: &HeaderMap) -> Option<String> {
    let id = headers.get(X_REQUEST_ID)?.to_str().ok()?;
    let is_good = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    let is_well_formed = (1..=MAX_REQUEST_ID_BYTES).contains(&id.len()) && id.bytes().all(is_good);
    is_well_formed.then(|| id.to_owned())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    fn client(peer: &str, lines: &[(&str, &str)]) -> Client {
        let proxies: Vec<Network> = ["10.0.0.0/8", "fd00::/8"].map(|text| text.parse().unwrap()).into();
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            headers.append(HeaderName::from_bytes(name.as_bytes()).unwrap(), value.parse().unwrap());
        }
        Client::of(SocketAddr::new(peer.parse().unwrap(), 4711), false, &headers, &proxies)
    }

    fn address(peer: &str, forwarded_for: &[&str]) -> String {
        let lines: Vec<(&str, &str)> =
            forwarded_for.iter().map(|value| ("x-forwarded-for", *value)).collect();
        client(peer, &lines).address.ip().to_string()
    }

    #[test]
    fn the_right_most_stranger_is_the_client() {
        assert_eq!(address("10.0.0.1", &["203.0.113.9"]), "203.0.113.9");
        assert_eq!(address("10.0.0.1", &["6.6.6.6, 203.0.113.9, 10.0.0.2"]), "203.0.113.9");
        assert_eq!(address("10.0.0.1", &["6.6.6.6", "203.0.113.9", "10.0.0.2"]), "203.0.113.9");
        assert_eq!(address("10.0.0.1", &["10.0.0.3, 10.0.0.2"]), "10.0.0.3");
        assert_eq!(address("fd00::1", &["[2001:db8::7]:443"]), "2001:db8::7");
        assert_eq!(address("::ffff:10.0.0.1", &["203.0.113.9:1234"]), "203.0.113.9");
    }

    #[test]
    fn nonsense_stops_the_search() {
        assert_eq!(address("10.0.0.1", &["203.0.113.9, unknown"]), "10.0.0.1");
        assert_eq!(address("10.0.0.1", &["203.0.113.9, <script>, 10.0.0.2"]), "10.0.0.2");
        assert_eq!(address("10.0.0.1", &[""]), "10.0.0.1");
        assert_eq!(address("10.0.0.1", &[]), "10.0.0.1");
    }

    #[test]
    fn strangers_are_not_believed() {
        let lies = [("x-forwarded-for", "1.2.3.4"), ("x-forwarded-proto", "https"), ("x-request-id", "mine")];
        let stranger = client("203.0.113.9", &lies);
        assert_eq!(stranger.address.to_string(), "203.0.113.9:4711");
        assert_eq!((stranger.is_https, stranger.request_id), (false, None));
        let through_proxy = client("10.0.0.1", &lies);
        assert_eq!((through_proxy.is_https, through_proxy.request_id.as_deref()), (true, Some("mine")));
        assert_eq!(client("10.0.0.1", &[("x-request-id", "a b")]).request_id, None);
        assert_eq!(client("10.0.0.1", &[("x-request-id", &"x".repeat(65))]).request_id, None);
    }
}
