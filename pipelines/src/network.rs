//! Cameras on the network: what their URLs say, parted into what is asked of whom, how, and as whom.

use std::fmt;
use std::net::IpAddr;

use percent_encoding::percent_decode_str;
use url::{Host, Url};
use vedette_events::address::is_allowed;

use crate::redact::{MASK, redact};
use crate::source::SourceError;

const RTSP_PORT: u16 = 554;
const RTSPS_PORT: u16 = 322;
/// What a URL's part after `#` may be: the fingerprint of a certificate nobody vouches for.
const CERTIFICATE_KEY: &str = "cert-sha256=";

/// User name and password, kept out of every `Debug`.
#[derive(Clone, PartialEq, Eq)]
pub struct Login {
    /// The user's name, decoded.
    pub user: String,
    /// The password, decoded.
    pub password: String,
}

impl fmt::Debug for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(MASK)
    }
}

/// How RTSP's pictures travel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    /// In the connection the stream is asked for in; by UDP if the camera refuses.
    Tcp,
    /// Beside it, by UDP.
    Udp,
}

/// A camera on the network.
#[derive(Clone, PartialEq, Eq)]
pub struct NetworkCamera {
    /// The URL without credentials before its host.
    pub location: String,
    /// Credentials that stood before the host.
    pub login: Option<Login>,
    /// The host's name or address, without brackets.
    pub host: String,
    /// The port, which need not stand in the URL.
    pub port: u16,
    /// How its pictures travel; of no meaning but for RTSP.
    pub transport: Transport,
    /// SHA-256 of the certificate that is taken though no authority vouches for it: 64 hexadecimal digits, in lower case.
    pub certificate: Option<String>,
}

impl fmt::Debug for NetworkCamera {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&redact(&self.location))
    }
}

impl NetworkCamera {
    /// Reads a URL that is one of `rtsp`, `rtspu`, `rtsps`, `http`, `https`.
    pub(crate) fn parse(text: &str) -> Result<Self, SourceError> {
        let mut url = Url::parse(text).map_err(|error| SourceError::Malformed(error.to_string()))?;
        let no_host = || SourceError::Malformed("no host name or address".into());
        let host = host(&url).ok_or_else(no_host)?;
        let certificate = certificate(&mut url)?;
        // Bytes that are no UTF-8 are replaced; no camera is known to take any.
        let decode = |text| percent_decode_str(text).decode_utf8_lossy().into_owned();
        let login = (!url.username().is_empty() || url.password().is_some()).then(|| Login {
            user: decode(url.username()),
            password: decode(url.password().unwrap_or_default()),
        });
        url.set_username("").and_then(|()| url.set_password(None)).map_err(|()| no_host())?;
        if url.scheme() == "rtsps" && url.port().is_none() {
            // GStreamer would take RTSP's own.
            url.set_port(Some(RTSPS_PORT)).map_err(|()| no_host())?;
        }
        let port = url.port_or_known_default().unwrap_or(RTSP_PORT);
        let udp = url.scheme() == "rtspu";
        let location = String::from(url);
        Ok(Self {
            location: if udp { location.replacen("rtspu://", "rtsp://", 1) } else { location },
            login,
            host,
            port,
            transport: if udp { Transport::Udp } else { Transport::Tcp },
            certificate,
        })
    }

    /// Whether its pictures come in pieces of seconds, as HLS's do.
    pub fn is_segmented(&self) -> bool {
        let path = self.location.split(['?', '#']).next().unwrap_or_default().to_ascii_lowercase();
        [".m3u8", ".mpd"].iter().any(|ending| path.ends_with(ending))
    }

    /// Its host and port, for people.
    pub fn address(&self) -> String {
        let Self { host, port, .. } = self;
        if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
    }
}

/// The host a URL names. Addresses in every spelling a resolver would take are written out.
fn host(url: &Url) -> Option<String> {
    let host = url.host_str().filter(|host| !host.is_empty())?;
    // Of schemes it does not know the URL parser leaves the host as it stands: 2852039166 is an address, too.
    Some(match Host::parse(host).ok()? {
        Host::Domain(name) => name,
        Host::Ipv4(address) => address.to_string(),
        Host::Ipv6(address) => address.to_string(),
    })
}

/// Takes the certificate's fingerprint off a URL's end.
fn certificate(url: &mut Url) -> Result<Option<String>, SourceError> {
    let Some(fragment) = url.fragment() else { return Ok(None) };
    // Neither protocol sends a fragment, so any other can only be part of a password that was not escaped.
    let Some(digits) = fragment.strip_prefix(CERTIFICATE_KEY) else {
        return Err(SourceError::Malformed("a # stands in it".into()));
    };
    let digits = digits.replace([':', '-'], "").to_ascii_lowercase();
    if url.scheme() != "rtsps" || digits.len() != 64 || !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Err(SourceError::Certificate);
    }
    url.set_fragment(None);
    Ok(Some(digits))
}

/// Whether `host`, if it is an address, is one anybody may be asked at.
pub(crate) fn is_allowed_host(host: &str) -> bool {
    host.parse::<IpAddr>().map_or(true, is_allowed)
}
