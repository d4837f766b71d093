//! Where a camera's frames come from, and how that is shown without its credentials.

use std::fmt;
use std::net::IpAddr;
use std::path::PathBuf;
use std::str::FromStr;

use url::{Host, Url};
use vedette_events::address::{REFUSED, is_allowed};

/// What stands in for anything secret.
const HIDDEN: &str = "***";
const MAX_CHARS: usize = 2048;
const MAX_WEBCAM_NUMBER: u32 = 63;
/// Names of query parameters that hold credentials in the cameras seen in the field.
const SECRET_PARAMETERS: [&str; 12] = [
    "user", "username", "usr", "login", "password", "passwd", "pass", "pwd", "token", "auth", "key", "secret",
];

/// A checked source: `rtsp(s)://`, `rtspu://`, `http(s)://`, `file:///…`, `test://` or a webcam's number.
#[derive(Clone, PartialEq, Eq)]
pub struct SourceUrl(String);

impl fmt::Debug for SourceUrl {
    /// Without credentials.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SourceUrl({})", self.redacted())
    }
}

impl FromStr for SourceUrl {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let text = text.trim();
        if let Ok(number) = text.parse::<u32>() {
            if number <= MAX_WEBCAM_NUMBER {
                return Ok(Self(number.to_string()));
            }
            return Err(format!("a webcam's number is at most {MAX_WEBCAM_NUMBER}"));
        }
        if text.len() > MAX_CHARS {
            return Err(format!("must have at most {MAX_CHARS} characters"));
        }
        if text.chars().any(|character| character.is_control() || character.is_whitespace()) {
            return Err("must not contain blanks; write a blank as %20".to_owned());
        }
        check(text)?;
        Ok(Self(text.to_owned()))
    }
}

/// No message repeats the text: it may hold a password.
fn check(text: &str) -> Result<(), String> {
    let url = Url::parse(text).map_err(|error| format!("is no URL and no webcam's number: {error}"))?;
    let has_host = url.host_str().is_some_and(|host| !host.is_empty());
    match url.scheme() {
        "rtsp" | "rtsps" | "rtspu" | "http" | "https" if has_host => check_host(&url),
        "rtsp" | "rtsps" | "rtspu" | "http" | "https" => Err("names no host".to_owned()),
        "file" if has_host || url.path().len() < 2 => {
            Err("must name a file of this host by its full path, such as file:///srv/clip.mp4".to_owned())
        }
        "file" | "test" => Ok(()),
        scheme => Err(format!(
            "`{scheme}` is not supported: use rtsp(s)://, rtspu://, http(s)://, file:///, test:// or a webcam's number"
        )),
    }
}

/// What a name stands for, the worker looks at before it connects.
fn check_host(url: &Url) -> Result<(), String> {
    // Of schemes it does not know the URL parser leaves the host as it stands: 2852039166 is an address, too.
    let host = Host::parse(url.host_str().unwrap_or_default());
    let address = match host.map_err(|error| format!("names no host: {error}"))? {
        Host::Domain(_) => return Ok(()),
        Host::Ipv4(address) => IpAddr::from(address),
        Host::Ipv6(address) => IpAddr::from(address),
    };
    if is_allowed(address) { Ok(()) } else { Err(format!("cannot be a camera: {REFUSED}")) }
}

impl SourceUrl {
    /// What was checked before it was stored, by the rules of then: the worker says so if it takes it no more.
    pub(super) fn stored(text: String) -> Self {
        Self(text)
    }

    /// The whole URL, credentials too: for the worker and the database only.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Whether it is recorded material.
    pub fn is_file(&self) -> bool {
        self.0.get(..5).is_some_and(|scheme| scheme.eq_ignore_ascii_case("file:"))
    }

    /// The path of recorded material.
    pub fn file_path(&self) -> Option<PathBuf> {
        self.is_file().then(|| Url::parse(&self.0).ok()?.to_file_path().ok()).flatten()
    }

    /// The URL with every credential hidden.
    pub fn redacted(&self) -> String {
        let Some((scheme, rest)) = self.0.split_once("://") else { return self.0.clone() };
        let (authority, tail) = split_at_any(rest, &['/', '?', '#']);
        let host = authority.rsplit_once('@').map(|(_, host)| host);
        let authority = host.map_or_else(|| authority.to_owned(), |host| format!("{HIDDEN}@{host}"));
        let (path, query) = split_at_any(tail, &['?']);
        let query: Vec<String> = query.split('&').map(redact_parameter).collect();
        format!("{scheme}://{authority}{path}{}", query.join("&"))
    }

    /// What a client means that sends back what it was shown: the credentials it could not see stay as they
    /// are. They are never carried over to another host, or an operator could have them sent to one of their own.
    pub fn with_hidden_parts_of(self, present: &Self) -> Self {
        if !self.0.contains(HIDDEN) {
            return self;
        }
        if self.0 == present.redacted() {
            return present.clone();
        }
        let split = |url: &Self| {
            let (scheme, rest) = url.0.split_once("://")?;
            let (authority, tail) = split_at_any(rest, &['/', '?', '#']);
            let (credentials, host) = authority.rsplit_once('@')?;
            Some((
                format!("{scheme}://").to_lowercase(),
                credentials.to_owned(),
                host.to_lowercase(),
                tail.to_owned(),
            ))
        };
        match (split(&self), split(present)) {
            (Some((scheme, hidden, host, tail)), Some((present_scheme, credentials, present_host, _)))
                if hidden == HIDDEN && scheme == present_scheme && host == present_host =>
            {
                Self(format!("{scheme}{credentials}@{host}{tail}"))
            }
            _ => self,
        }
    }
}

/// `text` before the first of `marks`, and the rest from there on.
fn split_at_any<'a>(text: &'a str, marks: &[char]) -> (&'a str, &'a str) {
    text.split_at(text.find(marks).unwrap_or(text.len()))
}

/// `name=value` with the value hidden if the name says it is a credential; `?` of the first one is kept.
fn redact_parameter(parameter: &str) -> String {
    let Some((name, _)) = parameter.split_once('=') else { return parameter.to_owned() };
    let bare_name = name.trim_start_matches('?').to_ascii_lowercase();
    if SECRET_PARAMETERS.contains(&bare_name.as_str()) {
        return format!("{name}={HIDDEN}");
    }
    parameter.to_owned()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    fn url(text: &str) -> SourceUrl {
        text.parse().unwrap()
    }

    #[test]
    fn every_kind_of_source_is_taken() {
        for text in [
            "rtsp://10.0.0.7/stream1",
            "rtsps://user:p%40ss@cam.example:322/a?b=c",
            "rtspu://10.0.0.7/stream1",
            "rtsp://[fd12::7]/stream1",
            "http://cam.example/mjpeg",
            "https://cam.example/live.m3u8",
            "file:///srv/clip.mp4",
            "test://",
            "test://faces",
            "0",
            "3",
        ] {
            assert_eq!(url(text).expose(), text);
        }
    }

    #[test]
    fn other_sources_are_refused_without_being_repeated() {
        for text in [
            "",
            "camera",
            "rtsp://",
            "rtsp:///stream",
            "ftp://user:secret@host/x",
            "file://host/clip.mp4",
            "file:///",
            "clip.mp4",
            "64",
            "-1",
            "rtsp://user:sec ret@host/",
            "javascript:alert(1)",
            "rtsp://user:secret@host:99999/",
            "--url=rtsp://user:secret@host/",
            "rtsp://user:secret@169.254.169.254/latest",
            "rtsp://user:secret@2852039166/",
            "http://user:secret@0xa9fea9fe/",
            "rtspu://user:secret@[fe80::1]/",
            "https://user:secret@[::ffff:169.254.169.254]/",
        ] {
            let error = text.parse::<SourceUrl>().unwrap_err();
            assert!(!error.contains("secret"), "{error}");
        }
        assert!("x".repeat(3000).parse::<SourceUrl>().is_err());
    }

    #[test]
    fn credentials_are_hidden() {
        let cases = [
            ("rtsp://user:secret@10.0.0.7:554/a@b?x=1", "rtsp://***@10.0.0.7:554/a@b?x=1"),
            ("rtsp://user:sec@ret@host/a", "rtsp://***@host/a"),
            ("http://host/v?user=a&Password=b&size=1", "http://host/v?user=***&Password=***&size=1"),
            ("http://host?pwd=secret", "http://host?pwd=***"),
            ("file:///srv/clip@home.mp4", "file:///srv/clip@home.mp4"),
            ("0", "0"),
        ];
        for (text, shown) in cases {
            assert_eq!(url(text).redacted(), shown);
            assert!(!format!("{:?}", url(text)).contains("secret"));
        }
    }

    #[test]
    fn what_was_shown_may_be_sent_back() {
        let present = url("rtsp://user:secret@host:554/one");
        assert_eq!(url("rtsp://***@host:554/one").with_hidden_parts_of(&present), present);
        let moved = url("rtsp://***@host:554/two").with_hidden_parts_of(&present);
        assert_eq!(moved.expose(), "rtsp://user:secret@host:554/two");
        let query = url("http://host/v?pwd=secret");
        assert_eq!(url("http://host/v?pwd=***").with_hidden_parts_of(&query), query);
    }

    #[test]
    fn credentials_never_move_to_another_host() {
        let present = url("rtsp://user:secret@host/one");
        for elsewhere in ["rtsp://***@evil/one", "http://***@host/one", "rtsp://***@host:1/one"] {
            let meant = url(elsewhere).with_hidden_parts_of(&present);
            assert!(!meant.expose().contains("secret"), "{elsewhere}");
        }
    }
}
