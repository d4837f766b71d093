//! How many connections one address may hold, so that no single one can shut the door on all others.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

use crate::config::Network;
use crate::limits::address_key;

/// Connections by address.
#[derive(Debug)]
pub(super) struct Crowd {
    max_each: usize,
    inside: Mutex<HashMap<String, usize>>,
}

/// A place in the crowd, given back when dropped.
#[derive(Debug)]
pub(super) struct Place {
    crowd: Arc<Crowd>,
    /// `None` for whom is not counted.
    key: Option<String>,
}

impl Crowd {
    /// Nobody yet; at most `max_each` connections from one address.
    pub(super) fn new(max_each: usize) -> Arc<Self> {
        Arc::new(Self { max_each, inside: Mutex::default() })
    }

    /// A place for a connection from `address`, unless it has enough. Those who speak for many, our proxies and
    /// whatever runs on this host, are not counted.
    pub(super) fn enter(self: &Arc<Self>, address: IpAddr, proxies: &[Network]) -> Option<Place> {
        let speaks_for_many =
            address.to_canonical().is_loopback() || proxies.iter().any(|network| network.contains(address));
        if speaks_for_many {
            return Some(Place { crowd: Arc::clone(self), key: None });
        }
        let key = address_key(address);
        let mut inside = self.inside.lock().unwrap_or_else(PoisonError::into_inner);
        let count = inside.entry(key.clone()).or_default();
        if *count >= self.max_each {
            return None;
        }
        *count += 1;
        Some(Place { crowd: Arc::clone(self), key: Some(key) })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let Some(key) = self.key.take() else { return };
        let mut inside = self.crowd.inside.lock().unwrap_or_else(PoisonError::into_inner);
        if let Entry::Occupied(mut count) = inside.entry(key) {
            *count.get_mut() -= 1;
            if *count.get() == 0 {
                count.remove();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    #[test]
    fn one_address_cannot_take_every_place() {
        let crowd = Crowd::new(2);
        let proxies = ["10.0.0.0/8".parse().unwrap()];
        let enter = |address: &str| crowd.enter(address.parse().unwrap(), &proxies);
        let first = enter("203.0.113.1").unwrap();
        let _second = enter("203.0.113.1").unwrap();
        assert!(enter("203.0.113.1").is_none());
        let _other = enter("203.0.113.2").unwrap();
        drop(first);
        let _third = enter("203.0.113.1").unwrap();
        let _many: Vec<Place> =
            ["127.0.0.1", "10.0.0.7"].repeat(10).into_iter().map(|a| enter(a).unwrap()).collect();
        assert_eq!(crowd.inside.lock().unwrap().len(), 2);
    }

    #[test]
    fn nothing_is_kept_of_those_who_left() {
        let crowd = Crowd::new(2);
        drop(crowd.enter("203.0.113.1".parse().unwrap(), &[]));
        assert!(crowd.inside.lock().unwrap().is_empty());
    }
}
