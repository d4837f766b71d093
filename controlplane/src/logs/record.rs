//! Writes this server's warnings and errors into the database, a batch a second: whoever logs never waits for it.
//!
//! A database that is away loses what finds no room in the queue meanwhile, and the list says how many lines that
//! were. What goes wrong while writing is said once, to terminal and file alone.

use std::time::{Duration, Instant};

use tokio::sync::watch;
use tracing::Instrument as _;
use vedette_events::capture::{Captured, UNRECORDED};
use vedette_events::{LogLine, Severity};

use super::lines;
use crate::state::State;

/// How often lines are written.
const WRITE_EVERY: Duration = Duration::from_secs(1);
/// Lines written at once: no fault that repeats itself fills the database faster than this.
const BATCH: usize = 100;
/// How long the last lines may take when the server stops.
const LAST_LINES: Duration = Duration::from_secs(2);

/// Writes what is caught until `stopped`, then what is left.
pub async fn record(state: State, captured: Captured, stopped: watch::Receiver<bool>) {
    // The span keeps what is logged here out of the queue it is read from.
    Recorder::new(state, captured).run(stopped).instrument(tracing::error_span!(UNRECORDED)).await;
}

struct Recorder {
    state: State,
    captured: Captured,
    origin: String,
    /// Taken from the queue and not written yet.
    waiting: Vec<LogLine>,
    /// Whether the last attempt failed, which was said then.
    has_failed: bool,
}

impl Recorder {
    fn new(state: State, captured: Captured) -> Self {
        let host = nix::unistd::gethostname().ok().and_then(|name| name.into_string().ok());
        let origin = format!("server:{}", host.as_deref().unwrap_or("unknown"));
        Self { state, captured, origin, waiting: Vec::new(), has_failed: false }
    }

    async fn run(mut self, mut stopped: watch::Receiver<bool>) {
        while tokio::time::timeout(WRITE_EVERY, stopped.wait_for(|stop| *stop)).await.is_err() {
            self.write().await;
        }
        let give_up_at = Instant::now() + LAST_LINES;
        let last_lines = async { while self.write().await && Instant::now() < give_up_at {} };
        if tokio::time::timeout(LAST_LINES, last_lines).await.is_err() {
            tracing::warn!("the last warnings and errors could not be written into the database");
        }
    }

    /// Writes one batch; answers whether there was one and it went well.
    async fn write(&mut self) -> bool {
        self.fill();
        if self.waiting.is_empty() {
            return false;
        }
        match lines::insert(&self.state.db, &self.origin, self.waiting.clone()).await {
            Ok(()) => {
                self.waiting.iter().for_each(|line| self.state.metrics.log.count_recorded(line.level));
                self.waiting.clear();
                self.has_failed = false;
            }
            Err(error) if !self.has_failed => {
                tracing::warn!(%error, "warnings and errors cannot be written into the database; trying on");
                self.has_failed = true;
            }
            Err(_) => {}
        }
        !self.has_failed
    }

    fn fill(&mut self) {
        let room = BATCH.saturating_sub(self.waiting.len());
        self.waiting.extend(self.captured.take(room));
        if room == 0 {
            return;
        }
        let dropped = self.captured.take_dropped();
        if dropped > 0 {
            self.state.metrics.log.count_dropped(dropped);
            let gap = format!("{dropped} warnings and errors found no room and are missing here");
            self.waiting.push(LogLine::new(Severity::Warning, module_path!(), gap));
        }
    }
}
