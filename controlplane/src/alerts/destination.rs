//! Where alerts may be sent: which URLs, which addresses behind them, which topics. Pure: nothing is looked up here.
//!
//! Door controllers live in private networks, so those addresses are let through; which are not is said in
//! [`vedette_events::address`].

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use url::{Host, Url};
use vedette_events::address::{REFUSED, is_allowed};

pub(super) const MAX_URL_CHARS: usize = 2_000;
pub(super) const MAX_TOPIC_CHARS: usize = 200;
/// Stands for what is not shown.
const HIDDEN: &str = "***";

/// A URL alerts may be posted to.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct WebhookUrl(Url);

impl fmt::Debug for WebhookUrl {
    /// Paths and queries hold tokens.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.shown())
    }
}

impl WebhookUrl {
    pub(super) fn as_url(&self) -> &Url {
        &self.0
    }

    /// The URL without what may be a token: all that follows the host.
    pub(super) fn shown(&self) -> String {
        let origin = self.0.origin().ascii_serialization();
        let is_bare = self.0.path() == "/" && self.0.query().is_none();
        if is_bare { format!("{origin}/") } else { format!("{origin}/{HIDDEN}") }
    }
}

impl FromStr for WebhookUrl {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let text = text.trim();
        if text.len() > MAX_URL_CHARS {
            return Err(format!("must not have more than {MAX_URL_CHARS} characters"));
        }
        let url =
            Url::parse(text).map_err(|_| "must be a URL, such as https://door.example/alerts".to_owned())?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err("must begin with http:// or https://".to_owned());
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err("must hold no user and password: the receiver knows us by the signature".to_owned());
        }
        if url.fragment().is_some() {
            return Err("must have no part after `#`, which is never sent".to_owned());
        }
        if url.path().ends_with(HIDDEN) {
            return Err(format!("must be given in full: `{HIDDEN}` stands for what is not shown"));
        }
        let address = match url.host() {
            Some(Host::Ipv4(address)) => Some(IpAddr::from(address)),
            Some(Host::Ipv6(address)) => Some(IpAddr::from(address)),
            Some(Host::Domain(_)) => None,
            None => return Err("must name a host".to_owned()),
        };
        if address.is_some_and(|address| !is_allowed(address)) {
            return Err(format!("cannot be used: {REFUSED}"));
        }
        Ok(Self(url))
    }
}

/// A topic alerts may be published under.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Topic(String);

impl Topic {
    pub(super) fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Topic {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if !(1..=MAX_TOPIC_CHARS).contains(&text.chars().count()) {
            return Err(format!("must have 1 to {MAX_TOPIC_CHARS} characters"));
        }
        if text.contains(['+', '#']) || text.contains(char::is_control) {
            return Err(
                "must hold no `+` and no `#`, which stand for other topics, and no control characters"
                    .to_owned(),
            );
        }
        if text.starts_with('$') {
            return Err("must not begin with `$`: those topics are the broker's own".to_owned());
        }
        Ok(Self(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    fn refusal(url: &str) -> String {
        url.parse::<WebhookUrl>().expect_err(url)
    }

    #[test]
    fn an_address_cannot_be_hidden_by_how_it_is_written() {
        for url in [
            "http://169.254.169.254/latest",
            "http://0xa9fea9fe/",
            "http://2852039166/",
            "http://0251.0376.0251.0376/",
            "http://169.254.43518/",
            "http://[::ffff:a9fe:a9fe]/",
            "http://[fe80::1]/",
            "http://169。254。169。254/",
        ] {
            assert!(refusal(url).contains("cannot be used"), "{url}");
        }
    }

    #[test]
    fn only_plain_web_addresses_are_urls_to_post_to() {
        for url in [
            "",
            "door",
            "ftp://door/",
            "file:///etc/passwd",
            "redis://10.0.0.7/",
            "http://",
            "http://user@door/",
            "http://:secret@door/",
            "http://door/#part",
            "https://door/***",
        ] {
            refusal(url);
        }
        assert!(refusal(&format!("http://door/{}", "x".repeat(MAX_URL_CHARS))).contains("2000"));
    }

    #[test]
    fn what_may_be_a_token_is_not_shown() {
        let shown = |url: &str| url.parse::<WebhookUrl>().unwrap().shown();
        assert_eq!(shown("https://Hooks.example:8443/T0/B0/secret?key=x"), "https://hooks.example:8443/***");
        assert_eq!(shown("http://10.0.0.7"), "http://10.0.0.7/");
        let url: WebhookUrl = "https://hooks.example/secret".parse().unwrap();
        assert!(!format!("{url:?}").contains("secret"));
    }

    #[test]
    fn a_topic_is_one_topic() {
        assert_eq!("vedette/alerts/door".parse::<Topic>().unwrap().as_str(), "vedette/alerts/door");
        for topic in ["", "a/+", "#", "a/#", "$SYS/x", "a\0b", "a\nb", &"x".repeat(MAX_TOPIC_CHARS + 1)] {
            assert!(topic.parse::<Topic>().is_err(), "{topic}");
        }
    }
}
