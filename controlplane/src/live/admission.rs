//! For how long somebody who was let in may watch.

use std::time::Duration;

use chrono::Utc;
use tokio::time::{MissedTickBehavior, interval, sleep};

use crate::auth::{CurrentUser, Role};
use crate::error::ErrorKind;
use crate::filters::{self, Credentials};
use crate::state::State;

/// How often the token is looked at without any sign of a change.
const TOKEN_INTERVAL: Duration = Duration::from_secs(5);

/// Waits until the token or key that `user` showed holds no longer, and answers why.
pub async fn until_void(state: &State, shown: &Credentials, user: &CurrentUser) -> &'static str {
    let mut accounts = state.sessions.subscribe();
    let lifetime = (user.token_expires_at - Utc::now()).to_std().unwrap_or_default();
    let mut token_ends = std::pin::pin!(sleep(lifetime));
    let mut token_check = interval(TOKEN_INTERVAL);
    token_check.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = &mut token_ends => return "the token has expired",
            _ = accounts.changed() => {}
            _ = token_check.tick() => {}
        }
        if is_void(state, shown).await {
            return "the token or key is void";
        }
    }
}

/// A database that is away for a moment is no reason to send anybody away.
async fn is_void(state: &State, shown: &Credentials) -> bool {
    let refusal = filters::admit(shown, state, Role::Viewer).await.err();
    refusal.is_some_and(|error| matches!(error.kind(), ErrorKind::Authentication | ErrorKind::Authorization))
}
