//! What was looked up for a token a moment ago, so that a page that asks for fifty pictures does not ask the
//! database a hundred times who is asking.
//!
//! It is never stale for a second: that is all an entry lives, whatever becomes of messages between instances.
//! A change made here, or told by another instance, voids everything at once.

use std::sync::Arc;
use std::time::Duration;

use moka::sync::Cache;
use tokio::sync::watch;
use uuid::Uuid;

use super::CurrentUser;
use crate::redis_link::{RedisLink, Topic};

/// How long a look-up counts; with the time it takes, less than a second.
const KEPT: Duration = Duration::from_millis(800);
/// Tokens remembered at the same time.
const MAX_TOKENS: u64 = 10_000;

/// Who is behind which token.
#[derive(Debug)]
pub struct Sessions {
    /// Keyed by the epoch a look-up began in, too: one that was overtaken by a change is never found.
    known: Cache<(u64, Uuid), KnownSession>,
    epoch: watch::Sender<u64>,
    redis: Option<Arc<RedisLink>>,
}

/// A token and its user, as the database had them.
#[derive(Clone, Debug)]
pub(super) struct KnownSession {
    pub(super) user: CurrentUser,
    /// Version of the user's tokens.
    pub(super) token_version: i64,
}

impl Sessions {
    /// Nothing known yet.
    pub fn new(redis: Option<Arc<RedisLink>>) -> Self {
        let known = Cache::builder().max_capacity(MAX_TOKENS).time_to_live(KEPT).build();
        Self { known, epoch: watch::Sender::new(0), redis }
    }

    /// Accounts or tokens may have changed here: everything is looked up anew, on other instances too.
    pub fn changed(&self) {
        self.forget();
        if let Some(redis) = &self.redis {
            redis.tell(Topic::Accounts, String::new());
        }
    }

    /// Accounts or tokens may have changed elsewhere.
    pub fn forget(&self) {
        self.epoch.send_modify(|epoch| *epoch += 1);
    }

    /// Tells when something was voided.
    pub fn subscribe(&self) -> watch::Receiver<u64> {
        self.epoch.subscribe()
    }

    pub(super) fn epoch(&self) -> u64 {
        *self.epoch.borrow()
    }

    pub(super) fn get(&self, token_id: Uuid) -> Option<KnownSession> {
        self.known.get(&(self.epoch(), token_id))
    }

    /// Remembers what was looked up since `epoch`.
    pub(super) fn insert(&self, epoch: u64, token_id: Uuid, session: KnownSession) {
        self.known.insert((epoch, token_id), session);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;
    use crate::auth::Role;

    #[test]
    fn a_look_up_that_a_change_overtook_is_not_believed() {
        let sessions = Sessions::new(None);
        let token_id = Uuid::new_v4();
        let user = CurrentUser {
            id: Uuid::new_v4(),
            username: "ada".to_owned(),
            role: Role::Viewer,
            must_change_password: false,
            token_id,
            token_expires_at: chrono::Utc::now(),
            address: None,
        };
        let session = KnownSession { user, token_version: 0 };
        sessions.insert(sessions.epoch(), token_id, session.clone());
        assert!(sessions.get(token_id).is_some());

        let begun = sessions.epoch();
        sessions.changed();
        assert!(sessions.get(token_id).is_none());
        sessions.insert(begun, token_id, session);
        assert!(sessions.get(token_id).is_none());
    }
}
