//! Guessing passwords made slow: after some failures, the next attempt has to wait, longer each time.
//!
//! Failures count by the address they come from and by the name they are about, so that neither many names from
//! one address nor one name from many addresses gets far. No wait is longer than a minute, and an address its
//! owner has signed in from before is not kept waiting for what strangers do to the name: nobody can be locked
//! out for good. A success clears the name; it clears the address only of failures about that same name, so that
//! an account of one's own is no way to go on guessing at others.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use sha2::{Digest as _, Sha256};

use crate::counters::{Counters, Lifetime};
use crate::error::ApiError;
use crate::limits::{address_key, too_many};
use crate::redis_link::RedisLink;

/// Failures about one name that cost nothing: people mistype.
const FREE_BY_NAME: u64 = 5;
/// Failures from one address that cost nothing: several people may share it.
const FREE_BY_ADDRESS: u64 = 10;
/// Longest wait.
const MAX_WAIT: Duration = Duration::from_secs(60);
/// Failures are forgotten when there was none for this long.
const FAILURES_KEPT: Duration = Duration::from_secs(15 * 60);
/// An address is its owner's for this long after a success.
const OWN_ADDRESS_KEPT: Duration = Duration::from_secs(30 * 24 * 3600);
/// Names and addresses kept in memory at the same time.
const MAX_KEYS: u64 = 50_000;

/// Failures of signing in, by name and by address.
#[derive(Debug)]
pub struct LoginThrottle {
    failures: Counters,
    waits: Counters,
    own_addresses: Counters,
}

/// One attempt, as it is counted: names are kept as hashes, for people type passwords into the wrong field.
#[derive(Debug)]
pub(super) struct Attempt {
    name: String,
    address: String,
    pair: String,
}

impl Attempt {
    pub(super) fn new(username: &str, address: IpAddr) -> Self {
        let hash = Sha256::digest(username.trim().to_lowercase());
        let (name, address) = (hex::encode(&hash[..16]), address_key(address));
        Self {
            pair: format!("pair:{name}:{address}"),
            name: format!("name:{name}"),
            address: format!("from:{address}"),
        }
    }
}

impl LoginThrottle {
    /// No failures yet.
    pub fn new(redis: Option<Arc<RedisLink>>) -> Self {
        let counters = |name| Counters::new(name, MAX_KEYS, redis.clone());
        Self {
            failures: counters("login-failures"),
            waits: counters("login-waits"),
            own_addresses: counters("login-addresses"),
        }
    }

    /// Lets an attempt pass, or not yet.
    pub(super) async fn admit(&self, attempt: &Attempt) -> Result<(), ApiError> {
        let by_address = self.waits.get(&attempt.address).await;
        let by_name = match self.waits.get(&attempt.name).await {
            Some(wait) if self.own_addresses.get(&attempt.pair).await.is_none() => Some(wait),
            _ => None,
        };
        let longest = by_address.into_iter().chain(by_name).map(|wait| wait.remaining).max();
        longest.map_or(Ok(()), |wait| Err(too_many("too many failed attempts to sign in", wait)))
    }

    pub(super) async fn failed(&self, attempt: &Attempt) {
        let kept = Lifetime::SinceLast(FAILURES_KEPT);
        self.failures.increment(&attempt.pair, kept).await;
        for (key, free) in [(&attempt.name, FREE_BY_NAME), (&attempt.address, FREE_BY_ADDRESS)] {
            let failures = self.failures.increment(key, kept).await.number;
            if let Some(wait) = wait_after(failures, free) {
                self.waits.increment(key, Lifetime::SinceLast(wait)).await;
            }
        }
    }

    pub(super) async fn succeeded(&self, attempt: &Attempt) {
        self.own_addresses.increment(&attempt.pair, Lifetime::SinceLast(OWN_ADDRESS_KEPT)).await;
        let number = |count: Option<crate::counters::Count>| count.map_or(0, |count| count.number);
        let from_here = number(self.failures.get(&attempt.address).await);
        let about_this_name = number(self.failures.get(&attempt.pair).await);
        let mut clean = vec![&attempt.name, &attempt.pair];
        if about_this_name >= from_here {
            clean.push(&attempt.address);
        }
        for key in clean {
            self.failures.forget(key).await;
            self.waits.forget(key).await;
        }
    }
}

/// How long to wait after so many failures, of which `free` cost nothing: 1 s, 2 s, 4 s…
fn wait_after(failures: u64, free: u64) -> Option<Duration> {
    let doublings = failures.checked_sub(free)?;
    let seconds = 1_u64.checked_shl(u32::try_from(doublings).unwrap_or(u32::MAX)).unwrap_or(u64::MAX);
    Some(Duration::from_secs(seconds).min(MAX_WAIT))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    fn attempt(username: &str, address: &str) -> Attempt {
        Attempt::new(username, address.parse().unwrap())
    }

    #[test]
    fn waits_grow_up_to_a_minute() {
        let seconds = |failures| wait_after(failures, 5).map(|wait| wait.as_secs());
        assert_eq!(seconds(4), None);
        assert_eq!([5, 6, 7, 8].map(seconds), [Some(1), Some(2), Some(4), Some(8)]);
        assert_eq!([11, 70, u64::MAX].map(seconds), [Some(60); 3]);
    }

    #[tokio::test]
    async fn strangers_cannot_keep_the_owner_out() {
        let throttle = LoginThrottle::new(None);
        let owner = attempt("admin", "10.0.0.1");
        throttle.succeeded(&owner).await;
        for number in 0..100 {
            throttle.failed(&attempt("Admin ", &format!("192.0.2.{number}"))).await;
        }
        assert!(throttle.admit(&attempt("admin", "192.0.2.200")).await.is_err(), "a stranger waits");
        throttle.admit(&owner).await.unwrap();
        throttle.admit(&attempt("someone", "192.0.2.7")).await.unwrap();
    }

    #[tokio::test]
    async fn one_address_cannot_try_many_names() {
        let throttle = LoginThrottle::new(None);
        for number in 0..FREE_BY_ADDRESS {
            throttle.admit(&attempt("someone", "10.0.0.1")).await.unwrap();
            throttle.failed(&attempt(&format!("user{number}"), "10.0.0.1")).await;
        }
        assert!(throttle.admit(&attempt("someone", "10.0.0.1")).await.is_err());
        throttle.succeeded(&attempt("mine", "10.0.0.1")).await;
        assert!(
            throttle.admit(&attempt("someone", "10.0.0.1")).await.is_err(),
            "one's own account is no help"
        );
        throttle.admit(&attempt("someone", "10.0.0.2")).await.unwrap();
    }

    #[tokio::test]
    async fn a_success_forgets_what_was_mistyped() {
        let throttle = LoginThrottle::new(None);
        let owner = attempt("admin", "10.0.0.1");
        for _ in 0..FREE_BY_NAME + 3 {
            throttle.failed(&owner).await;
        }
        assert!(throttle.admit(&owner).await.is_err());
        throttle.succeeded(&owner).await;
        throttle.admit(&owner).await.unwrap();
        assert_eq!(throttle.failures.get(&owner.address).await, None);
    }
}
