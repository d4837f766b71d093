//! Retention: what was kept as long as the settings say is removed, a little at a time.
//!
//! Once an hour, and after each start, one instance goes through everything that has become too old ([`pass`]); every
//! minute it removes what waits on the list of pictures to be removed ([`crate::discards`]). Rows go in small
//! transactions with pauses in between ([`pace`]), so that events come in meanwhile. All it knows is in the database:
//! whoever takes over from an instance that died goes on where that one was.

mod cutoffs;
mod lease;
mod pace;
mod pass;
mod report;

use std::time::{Duration, Instant};

use chrono::TimeDelta;
use sea_orm::DatabaseConnection;
use uuid::Uuid;

pub use report::Report;

use crate::audit::{Action, Actor, Entry};
use crate::config::RetentionConfig;
use crate::database;
use crate::discards;
use crate::error::ApiError;
use crate::metrics::RetentionFigures;
use crate::state::State;
use crate::storage::Storage;
use cutoffs::Cutoffs;
use lease::Lease;
use pass::Pass;

/// How often it is looked whether there is something to do.
const INTERVAL: Duration = Duration::from_secs(60);
/// How often all there is is gone through.
const BETWEEN_PASSES: TimeDelta = TimeDelta::hours(1);

/// Removes what was kept long enough, for ever. Any number of instances may: one of them does it.
pub async fn keep(state: State) {
    let retention = Retention {
        db: &state.db,
        storage: &state.storage,
        config: &state.config.file.retention,
        figures: &state.metrics.retention,
        holder: Uuid::now_v7(),
    };
    // The settings may have changed since the last pass, whichever instance did it.
    let mut has_passed = false;
    loop {
        match retention.turn(has_passed, &Actor::server()).await {
            Ok(passed) => has_passed |= passed,
            Err(error) => {
                let cause = std::error::Error::source(&error).map(ToString::to_string);
                tracing::warn!(%error, cause, "retention cannot go on at the moment; it is tried again");
            }
        }
        tokio::time::sleep(INTERVAL).await;
    }
}

/// Runs retention once, for the command line; `None` if somebody else is at it.
///
/// # Errors
/// When database or storage do not answer.
pub(crate) async fn run(
    db: &DatabaseConnection,
    storage: &Storage,
    config: &RetentionConfig,
) -> Result<Option<Report>, ApiError> {
    let figures = RetentionFigures::default();
    let retention = Retention { db, storage, config, figures: &figures, holder: Uuid::now_v7() };
    let Some(lease) = Lease::claim(db, retention.holder).await? else { return Ok(None) };
    Ok(Some(retention.pass(lease, &Actor::command_line()).await?))
}

/// What would be removed now, for the command line.
///
/// # Errors
/// When the database does not answer.
pub(crate) async fn preview(db: &DatabaseConnection, config: &RetentionConfig) -> Result<Report, ApiError> {
    let cutoffs = Cutoffs::at(database::now(db).await?, config);
    Ok(pass::preview(db, &cutoffs).await?)
}

struct Retention<'a> {
    db: &'a DatabaseConnection,
    storage: &'a Storage,
    config: &'a RetentionConfig,
    figures: &'a RetentionFigures,
    /// This instance, among those that would do it.
    holder: Uuid,
}

impl Retention<'_> {
    /// Does what is to be done now, if anything; says whether it went through all there is.
    async fn turn(&self, has_passed: bool, actor: &Actor) -> Result<bool, ApiError> {
        self.figures.waiting(discards::backlog(self.db).await?);
        let due = discards::due(self.db).await?;
        let is_pass_due = !has_passed || self.is_pass_due().await?;
        if due.is_empty() && !is_pass_due {
            return Ok(false);
        }
        let Some(lease) = Lease::claim(self.db, self.holder).await? else { return Ok(false) };
        if is_pass_due {
            self.pass(lease, actor).await?;
            return Ok(true);
        }
        let mut pass = Pass::new(self.db, self.storage, Cutoffs::default(), self.figures, lease);
        let outcome = pass.remove_due_pictures().await;
        pass.lease.release(self.db, false).await?;
        outcome.map(|()| false)
    }

    async fn is_pass_due(&self) -> Result<bool, ApiError> {
        let done_at = lease::done_at(self.db).await?;
        let now = database::now(self.db).await?;
        Ok(done_at.is_none_or(|done_at| done_at + BETWEEN_PASSES <= now))
    }

    /// Goes through all there is, and says what came of it: in the log, the audit log and the figures.
    async fn pass(&self, lease: Lease, actor: &Actor) -> Result<Report, ApiError> {
        let started = Instant::now();
        let cutoffs = Cutoffs::at(database::now(self.db).await?, self.config);
        let mut pass = Pass::new(self.db, self.storage, cutoffs, self.figures, lease);
        let outcome = pass.run().await;
        let report = pass.report.clone();
        pass.lease.release(self.db, outcome.is_ok()).await?;
        let elapsed = started.elapsed();
        if !report.is_empty() {
            let Report { detections, strangers, snapshots, visits, alerts, log_entries, pictures, orphans } =
                &report;
            let duration_ms = u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX);
            tracing::info!(
                detections,
                strangers,
                snapshots,
                visits,
                alerts,
                log_entries,
                pictures,
                orphans,
                duration_ms,
                "retention removed what was kept long enough"
            );
            let entry = Entry::new(Action::RetentionRan, actor).with(report.to_json());
            entry.write_or_log(self.db).await;
        }
        outcome?;
        self.figures.passed(elapsed);
        self.figures.waiting(discards::backlog(self.db).await?);
        Ok(report)
    }
}
