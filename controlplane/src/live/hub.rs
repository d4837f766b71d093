//! Passes every piece of news to everybody who watches, here and, through Redis, at other instances.

use std::sync::Arc;

use serde::Serialize;
use tokio::sync::{Notify, broadcast};

use crate::redis_link::{RedisLink, Topic};

/// News a client may be behind before it is dropped.
const MAX_BEHIND: usize = 256;

/// A message as clients get it.
#[derive(Serialize)]
struct Line<'a, T> {
    #[serde(rename = "type")]
    kind: &'a str,
    data: &'a T,
}

/// Where news meet those who watch.
#[derive(Debug)]
pub struct Hub {
    lines: broadcast::Sender<Arc<str>>,
    redis: Option<Arc<RedisLink>>,
    cameras: Notify,
}

impl Hub {
    /// Nobody watches yet.
    pub fn new(redis: Option<Arc<RedisLink>>) -> Self {
        Self { lines: broadcast::Sender::new(MAX_BEHIND), redis, cameras: Notify::new() }
    }

    /// Tells everybody who watches. Never waits.
    pub fn publish(&self, kind: &str, data: &impl Serialize) {
        if !self.is_anyone_there() {
            return;
        }
        let Ok(line) = serde_json::to_string(&Line { kind, data }) else { return };
        if let Some(redis) = &self.redis {
            redis.tell(Topic::Live, line.clone());
        }
        self.relay(&line);
    }

    /// Tells those who watch here what another instance said.
    pub fn relay(&self, line: &str) {
        // An error means that nobody is there.
        let _ = self.lines.send(line.into());
    }

    /// Says that cameras may have changed.
    pub fn look_at_cameras(&self) {
        self.cameras.notify_one();
    }

    /// Clients connected here.
    pub fn clients(&self) -> usize {
        self.lines.receiver_count()
    }

    pub(super) fn subscribe(&self) -> broadcast::Receiver<Arc<str>> {
        self.lines.subscribe()
    }

    pub(super) async fn cameras_may_have_changed(&self) {
        self.cameras.notified().await;
    }

    /// Whether other instances hear what is published.
    pub(super) fn is_shared(&self) -> bool {
        self.redis.as_ref().is_some_and(|redis| redis.is_connected())
    }

    pub(super) fn is_anyone_there(&self) -> bool {
        self.clients() > 0 || self.is_shared()
    }
}
