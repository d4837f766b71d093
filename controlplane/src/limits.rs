//! How often one address may ask: so many requests a minute by class of request.
//!
//! A minute begins with the first request of an address and ends by itself; within it the limit is exact. Who
//! works for us is not counted: requests of workers count only when their token is refused.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use warp::http::Method;

use crate::config::RateLimitConfig;
use crate::counters::{Counters, Lifetime};
use crate::error::{ApiError, ErrorKind};
use crate::redis_link::RedisLink;

const MINUTE: Duration = Duration::from_secs(60);
/// Addresses counted in memory at the same time.
const MAX_KEYS: u64 = 100_000;
/// Resources that are sent pictures.
const UPLOADS: [&str; 4] = ["persons", "detect", "verify", "search"];

/// What a request counts as.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Class {
    /// Signing in.
    Login,
    /// Making an account.
    Registration,
    /// Sending pictures.
    Upload,
    /// Everything else of the API.
    Default,
    /// What workers ask: counted, as [`Class::Default`], only if it is refused.
    Worker,
}

impl Class {
    /// The class of a request; `None` for what has no limit: the dashboard's files, and what watches over us.
    pub fn of(method: &Method, path: &str) -> Option<Self> {
        let mut parts = path.strip_prefix("/api/")?.trim_end_matches('/').split('/');
        let (resource, last) = (parts.next()?, parts.next_back());
        match (resource, last) {
            ("health", None) => None,
            ("auth", Some("login")) => Some(Self::Login),
            ("auth", Some("register")) => Some(Self::Registration),
            ("ingest" | "gallery", None) | ("workers", Some("heartbeat" | "live")) => Some(Self::Worker),
            _ if method == Method::POST && UPLOADS.contains(&resource) => Some(Self::Upload),
            _ => Some(Self::Default),
        }
    }

    fn as_str(self) -> &'static str {
        match self {
            Self::Login => "login",
            Self::Registration => "registration",
            Self::Upload => "upload",
            Self::Default | Self::Worker => "default",
        }
    }
}

/// Counts requests by address.
#[derive(Debug)]
pub struct RateLimits {
    settings: RateLimitConfig,
    counters: Counters,
}

impl RateLimits {
    /// Nothing counted yet.
    pub fn new(settings: RateLimitConfig, redis: Option<Arc<RedisLink>>) -> Self {
        Self { settings, counters: Counters::new("requests", MAX_KEYS, redis) }
    }

    /// Counts a request.
    ///
    /// # Errors
    /// When it is one too many.
    pub async fn count(&self, class: Class, address: IpAddr) -> Result<(), ApiError> {
        let limit = match class {
            Class::Login => self.settings.login,
            Class::Registration => self.settings.registration,
            Class::Upload => self.settings.upload,
            Class::Default | Class::Worker => self.settings.default,
        };
        let limit = u64::from(limit.get());
        if limit == 0 {
            return Ok(());
        }
        let key = format!("{}:{}", class.as_str(), address_key(address));
        let count = self.counters.increment(&key, Lifetime::SinceFirst(MINUTE)).await;
        if count.number <= limit {
            return Ok(());
        }
        Err(too_many(format!("more than {limit} requests in a minute"), count.remaining))
    }
}

/// 429: what was too much, and when to come back.
pub fn too_many(what: impl std::fmt::Display, wait: Duration) -> ApiError {
    // Rounded up: whoever comes back then must not be too early.
    let retry_after_s = u32::try_from(wait.as_millis().div_ceil(1000)).unwrap_or(u32::MAX).max(1);
    let message = format!("{what}; try again in {retry_after_s} s");
    ApiError::new(ErrorKind::RateLimit { retry_after_s }, message)
}

/// What an address is counted by. Whoever has one address of IPv6 has all of its /64.
pub fn address_key(address: IpAddr) -> String {
    match address.to_canonical() {
        IpAddr::V4(address) => address.to_string(),
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            format!("{a:x}:{b:x}:{c:x}:{d:x}::/64")
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;
    use crate::config::Whole;

    #[test]
    fn every_request_has_its_class() {
        let class = |method: Method, path: &str| Class::of(&method, path);
        assert_eq!(class(Method::POST, "/api/auth/login"), Some(Class::Login));
        assert_eq!(class(Method::POST, "/api/auth/register"), Some(Class::Registration));
        assert_eq!(class(Method::POST, "/api/persons/register"), Some(Class::Upload));
        assert_eq!(class(Method::POST, "/api/persons/7/faces"), Some(Class::Upload));
        assert_eq!(class(Method::POST, "/api/detect"), Some(Class::Upload));
        assert_eq!(class(Method::GET, "/api/persons"), Some(Class::Default));
        assert_eq!(class(Method::POST, "/api/ingest"), Some(Class::Worker));
        assert_eq!(class(Method::GET, "/api/gallery"), Some(Class::Worker));
        assert_eq!(class(Method::POST, "/api/workers/local/heartbeat"), Some(Class::Worker));
        assert_eq!(class(Method::POST, "/api/workers/local/cameras/door/live"), Some(Class::Worker));
        assert_eq!(class(Method::GET, "/api/cameras/door/live"), Some(Class::Default));
        assert_eq!(class(Method::GET, "/api/workers/local"), Some(Class::Default));
        assert_eq!(class(Method::GET, "/api/nothing"), Some(Class::Default));
        assert_eq!(class(Method::GET, "/api/health"), None);
        assert_eq!(class(Method::GET, "/scripts/main.js"), None);
    }

    #[test]
    fn neighbours_of_one_network_are_one() {
        let key = |address: &str| address_key(address.parse().unwrap());
        assert_eq!(key("2001:db8:1:2::1"), key("2001:db8:1:2:ffff::2"));
        assert_ne!(key("2001:db8:1:2::1"), key("2001:db8:1:3::1"));
        assert_eq!(key("::ffff:10.0.0.7"), key("10.0.0.7"));
        assert_ne!(key("10.0.0.7"), key("10.0.0.8"));
    }

    #[tokio::test]
    async fn one_too_many_is_refused_and_told_when_to_come_back() {
        let settings = RateLimitConfig {
            login: Whole::new::<2>(),
            default: Whole::new::<0>(),
            ..RateLimitConfig::default()
        };
        let limits = RateLimits::new(settings, None);
        let (one, other) = ("10.0.0.1".parse().unwrap(), "10.0.0.2".parse().unwrap());
        limits.count(Class::Login, one).await.unwrap();
        limits.count(Class::Login, one).await.unwrap();
        let error = limits.count(Class::Login, one).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::RateLimit { retry_after_s: 60 });
        limits.count(Class::Login, other).await.unwrap();
        for _ in 0..100 {
            limits.count(Class::Default, one).await.unwrap();
        }
    }
}
