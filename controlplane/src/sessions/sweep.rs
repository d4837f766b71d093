//! Closes visits in the background: nobody reports that someone did not come back.

use std::time::Duration;

use chrono::Utc;
use tokio::sync::watch;

use super::{record, visits};
use crate::state::State;

const INTERVAL: Duration = Duration::from_secs(10);

/// Closes visits that are over, again and again until `stopped`. Any number of instances may do so at once.
pub async fn sweep(state: State, mut stopped: watch::Receiver<bool>) {
    let gap = visits::session_gap(&state.config.file.detection);
    loop {
        if let Err(error) = record::close_ended(&state.db, gap, Utc::now()).await {
            tracing::warn!(%error, "visits that are over cannot be closed; trying again");
        }
        let stop = stopped.wait_for(|is_stopping| *is_stopping);
        if tokio::time::timeout(INTERVAL, stop).await.is_ok() {
            return;
        }
    }
}
