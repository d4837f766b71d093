//! One go through everything that may have been kept long enough.

use std::collections::HashSet;
use std::time::Instant;

use chrono::{DateTime, NaiveDate, TimeDelta, Utc};
use sea_orm::sea_query::ExprTrait as _;
use sea_orm::{
    ColumnTrait as _, Condition, DatabaseConnection, DatabaseTransaction, DbErr, EntityTrait as _,
    PaginatorTrait as _, QueryFilter as _, QuerySelect as _,
};

use super::cutoffs::Cutoffs;
use super::lease::Lease;
use super::pace::Pace;
use super::report::Report;
use crate::alerts;
use crate::database;
use crate::detections::{self, Part, Removed};
use crate::discards;
use crate::entity::detections::{Column, Entity};
use crate::entity::{self, sessions as visits, system_logs};
use crate::error::{ApiError, ErrorKind};
use crate::logs;
use crate::metrics::{Kept, RetentionFigures};
use crate::sessions;
use crate::storage::{ObjectKey, Storage};

/// A picture no row names is left alone for so long: its row may be on the way.
const ROW_COMES_WITHIN: TimeDelta = TimeDelta::hours(1);
/// Pictures looked up by one query.
const PICTURES_PER_QUERY: usize = 500;

/// What is gone through for rows, in this order.
#[derive(Clone, Copy, Debug)]
enum Step {
    Detections(DateTime<Utc>),
    Strangers(DateTime<Utc>),
    Snapshots(DateTime<Utc>),
    Visits(DateTime<Utc>),
    Alerts(DateTime<Utc>),
    /// Entries of a source.
    Log(&'static str, DateTime<Utc>),
}

impl Step {
    fn all(cutoffs: &Cutoffs) -> impl Iterator<Item = Self> {
        let steps = [
            cutoffs.detections.map(Self::Detections),
            cutoffs.strangers.map(Self::Strangers),
            cutoffs.snapshots.map(Self::Snapshots),
            cutoffs.detections.map(Self::Visits),
            cutoffs.alerts.map(Self::Alerts),
            cutoffs.system_log.map(|before| Self::Log(logs::SYSTEM, before)),
            cutoffs.audit_log.map(|before| Self::Log(logs::AUDIT, before)),
        ];
        steps.into_iter().flatten()
    }

    /// Removes some by one transaction.
    async fn remove_some(self, transaction: &DatabaseTransaction, limit: u64) -> Result<Removed, DbErr> {
        match self {
            Self::Detections(before) => detections::remove(transaction, seen(before), limit).await,
            Self::Strangers(before) => {
                detections::remove_part(transaction, Part::Face, strange_faces(before), limit).await
            }
            Self::Snapshots(before) => {
                detections::remove_part(transaction, Part::Picture, pictures(before), limit).await
            }
            Self::Visits(before) => {
                let rows = sessions::remove_ended(transaction, before, limit).await?;
                Ok(Removed { rows, ..Removed::default() })
            }
            Self::Alerts(before) => {
                let rows = alerts::remove_old(transaction, before, limit).await?;
                Ok(Removed { rows, ..Removed::default() })
            }
            Self::Log(source, before) => {
                let rows = logs::remove_old(transaction, source, before, limit).await?;
                Ok(Removed { rows, ..Removed::default() })
            }
        }
    }
}

/// Detections before a moment.
fn seen(before: DateTime<Utc>) -> Condition {
    Condition::all().add(Column::Timestamp.lt(before))
}

/// Those of strangers by which their faces can be seen or told again.
fn strange_faces(before: DateTime<Utc>) -> Condition {
    // As the condition of the index has it.
    let has_face = Column::Embedding.is_not_null().or(Column::SnapshotPath.is_not_null());
    seen(before).add(Column::PersonId.is_null()).add(has_face)
}

/// Those with a picture.
fn pictures(before: DateTime<Utc>) -> Condition {
    seen(before).add(Column::SnapshotPath.is_not_null())
}

/// How much a pass would find. Pictures that no row names are not looked for.
pub(super) async fn preview(db: &DatabaseConnection, cutoffs: &Cutoffs) -> Result<Report, DbErr> {
    let mut report = Report::default();
    for step in Step::all(cutoffs) {
        // What goes by an earlier step does not count again.
        let rows = |condition: Condition| {
            let rest = cutoffs.detections.map(|gone| Column::Timestamp.gte(gone));
            Entity::find().filter(condition.add_option(rest))
        };
        match step {
            Step::Detections(before) => {
                report.detections = Entity::find().filter(seen(before)).count(db).await?;
                report.pictures += Entity::find().filter(pictures(before)).count(db).await?;
            }
            Step::Strangers(before) => {
                report.strangers = rows(strange_faces(before)).count(db).await?;
                report.pictures +=
                    rows(strange_faces(before)).filter(Column::SnapshotPath.is_not_null()).count(db).await?;
            }
            Step::Snapshots(before) => {
                let gone = cutoffs.strangers.map(|gone| {
                    Condition::any().add(Column::PersonId.is_not_null()).add(Column::Timestamp.gte(gone))
                });
                report.snapshots = rows(pictures(before).add_option(gone)).count(db).await?;
                report.pictures += report.snapshots;
            }
            Step::Visits(before) => {
                report.visits = visits::Entity::find().filter(sessions::ended(db, before)).count(db).await?;
            }
            Step::Alerts(before) => {
                report.alerts = entity::alerts::Entity::find().filter(alerts::old(before)).count(db).await?;
            }
            Step::Log(source, before) => {
                let old = system_logs::Entity::find().filter(logs::old(source, before));
                report.log_entries += old.count(db).await?;
            }
        }
    }
    report.pictures += discards::backlog(db).await?;
    Ok(report)
}

/// A go through everything, and what it has done so far.
pub(super) struct Pass<'a> {
    db: &'a DatabaseConnection,
    storage: &'a Storage,
    cutoffs: Cutoffs,
    figures: &'a RetentionFigures,
    pace: Pace,
    /// Once pictures could not be removed, they stay on their list until the end: rows can go without them.
    storage_error: Option<ApiError>,
    pub(super) lease: Lease,
    pub(super) report: Report,
}

impl<'a> Pass<'a> {
    pub(super) fn new(
        db: &'a DatabaseConnection,
        storage: &'a Storage,
        cutoffs: Cutoffs,
        figures: &'a RetentionFigures,
        lease: Lease,
    ) -> Self {
        let (pace, report) = (Pace::default(), Report::default());
        Self { db, storage, cutoffs, figures, pace, storage_error: None, lease, report }
    }

    /// Goes through everything.
    pub(super) async fn run(&mut self) -> Result<(), ApiError> {
        for step in Step::all(&self.cutoffs.clone()) {
            self.go(step).await?;
        }
        alerts::forget_cooldowns(self.db, database::now(self.db).await?).await?;
        match self.storage_error.take() {
            Some(error) => return Err(error),
            None => self.remove_due_pictures().await?,
        }
        if let Some(cutoff) = self.cutoffs.pictures() {
            self.remove_orphans(cutoff.date_naive()).await?;
        }
        Ok(())
    }

    /// Takes one step to its end, transaction by transaction.
    async fn go(&mut self, step: Step) -> Result<(), ApiError> {
        loop {
            self.hold().await?;
            let limit = self.pace.rows();
            let transaction = database::begin_write(self.db).await?;
            let began = Instant::now();
            let Removed { rows, pictures } = step.remove_some(&transaction, limit).await?;
            transaction.commit().await?;
            let held = began.elapsed();
            self.count(step, rows);
            self.remove_pictures(pictures).await?;
            if rows < limit {
                return Ok(());
            }
            let pause = self.pace.after(held);
            tokio::time::sleep(pause).await;
        }
    }

    /// Removes what is on the list of pictures to be removed.
    pub(super) async fn remove_due_pictures(&mut self) -> Result<(), ApiError> {
        loop {
            self.hold().await?;
            let due = discards::due(self.db).await?;
            if due.is_empty() {
                return Ok(());
            }
            self.remove_pictures(due).await?;
            if let Some(error) = self.storage_error.take() {
                return Err(error);
            }
        }
    }

    /// Removes pictures of old days which no row names: their rows never came.
    async fn remove_orphans(&mut self, end: NaiveDate) -> Result<(), ApiError> {
        let written_before = Utc::now() - ROW_COMES_WITHIN;
        let mut days = self.storage.snapshot_days().await?;
        days.retain(|day| *day < end);
        for day in days {
            for keys in self.storage.snapshots_of(day, written_before).await?.chunks(PICTURES_PER_QUERY) {
                self.hold().await?;
                let named = self.named(keys).await?;
                let orphans: Vec<ObjectKey> =
                    keys.iter().filter(|key| !named.contains(key.as_str())).cloned().collect();
                let number = orphans.len() as u64;
                self.storage.remove(orphans).await?;
                self.report.orphans += number;
                self.report.pictures += number;
                self.figures.removed(Kept::Orphans, number);
                self.figures.removed(Kept::Pictures, number);
            }
        }
        Ok(())
    }

    /// Which of these pictures have a row.
    async fn named(&self, keys: &[ObjectKey]) -> Result<HashSet<String>, DbErr> {
        let event_ids = keys.iter().filter_map(ObjectKey::event_id);
        let paths: Vec<Option<String>> = Entity::find()
            .select_only()
            .column(Column::SnapshotPath)
            .filter(Column::EventId.is_in(event_ids))
            .into_tuple()
            .all(self.db)
            .await?;
        Ok(paths.into_iter().flatten().collect())
    }

    /// Removes listed pictures, unless that failed before.
    async fn remove_pictures(&mut self, keys: Vec<ObjectKey>) -> Result<(), ApiError> {
        if keys.is_empty() || self.storage_error.is_some() {
            return Ok(());
        }
        let number = keys.len() as u64;
        match discards::remove(self.db, self.storage, keys).await {
            Ok(()) => {
                self.report.pictures += number;
                self.figures.removed(Kept::Pictures, number);
                Ok(())
            }
            Err(error) if error.kind() == ErrorKind::Storage => {
                self.storage_error = Some(error);
                Ok(())
            }
            Err(error) => Err(error),
        }
    }

    fn count(&mut self, step: Step, rows: u64) {
        let (sum, kept) = match step {
            Step::Detections(_) => (&mut self.report.detections, Kept::Detections),
            Step::Strangers(_) => (&mut self.report.strangers, Kept::Strangers),
            Step::Snapshots(_) => (&mut self.report.snapshots, Kept::Snapshots),
            Step::Visits(_) => (&mut self.report.visits, Kept::Visits),
            Step::Alerts(_) => (&mut self.report.alerts, Kept::Alerts),
            Step::Log(..) => (&mut self.report.log_entries, Kept::LogEntries),
        };
        *sum += rows;
        self.figures.removed(kept, rows);
    }

    /// Goes on only as long as nobody else has taken over.
    async fn hold(&mut self) -> Result<(), ApiError> {
        if self.lease.renew(self.db).await? {
            return Ok(());
        }
        Err(ApiError::internal("another instance has taken over"))
    }
}
