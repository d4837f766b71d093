//! The counts of visits kept beside them, and how many visits a filter lets through by them.
//!
//! `session_hours` counts visits by the hour they began and by the hour they ended, `session_totals` all of a camera.
//! A visit lies in a period when it ended after the period began and began before the period ended. One that began
//! after it ended after it, too: so those within are those that ended after its beginning, less those that began after
//! its end. Whole hours are read off the table, only the rest of an hour is counted row by row.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use sea_orm::sea_query::{Expr, ExprTrait as _};
use sea_orm::{
    ColumnTrait as _, ConnectionTrait, DatabaseConnection, DbErr, EntityTrait as _, PaginatorTrait as _,
    QueryFilter as _, QueryOrder as _, QuerySelect as _,
};

use super::model::SessionFilter;
use super::query::{self, Moment};
use crate::counting::add_counts;
use crate::detections::rollup::{hour_of, hour_start};
use crate::detections::totals::{Stretch, first_whole_hour};
use crate::entity::{session_hours, session_totals};

/// Visits that come, change or go, counted as the tables count them.
#[derive(Debug, Default)]
pub(crate) struct Changes {
    /// Entries and exits by hour and camera.
    hours: BTreeMap<(i64, String), [i64; 2]>,
}

impl Changes {
    /// Counts a visit that is stored so.
    pub(super) fn add(&mut self, camera_id: &str, entry: DateTime<Utc>, exit: DateTime<Utc>) {
        self.count(camera_id, entry, exit, 1);
    }

    /// Counts a visit that is not stored so any more.
    pub(super) fn remove(&mut self, camera_id: &str, entry: DateTime<Utc>, exit: DateTime<Utc>) {
        self.count(camera_id, entry, exit, -1);
    }

    fn count(&mut self, camera_id: &str, entry: DateTime<Utc>, exit: DateTime<Utc>, change: i64) {
        for (place, time) in [entry, exit].into_iter().enumerate() {
            self.hours.entry((hour_of(time), camera_id.to_owned())).or_default()[place] += change;
        }
    }

    /// Writes the counts; within the transaction that writes or removes the visits.
    pub(crate) async fn apply(self, db: &impl ConnectionTrait) -> Result<(), DbErr> {
        // Most visits grow within an hour that has counted them.
        let changed = || self.hours.iter().filter(|(_, change)| **change != [0, 0]);
        let row = |((hour, camera_id), change): (&(i64, String), &[i64; 2])| {
            ([(*hour).into(), camera_id.as_str().into()], *change)
        };
        let (table, keys, counts) = (session_hours::Entity, ["hour", "camera_id"], ["entries", "exits"]);
        add_counts(db, table, keys, counts, changed().map(row)).await?;

        let mut totals: BTreeMap<&str, i64> = BTreeMap::new();
        for ((_, camera_id), [entries, _]) in changed() {
            *totals.entry(camera_id).or_default() += entries;
        }
        let rows = totals
            .into_iter()
            .filter(|(_, change)| *change != 0)
            .map(|(camera_id, change)| ([camera_id.into()], [change]));
        add_counts(db, session_totals::Entity, ["camera_id"], ["visits"], rows).await
    }
}

/// How many visits `filter` lets through.
pub(super) async fn total(db: &DatabaseConnection, filter: &SessionFilter) -> Result<u64, DbErr> {
    if filter.person_id.is_some() || filter.open == Some(true) {
        return query::select(db, filter, Moment::Entry).count(db).await;
    }
    let until_end = match filter.from {
        Some(from) => since(db, filter, Moment::Exit, from).await?,
        None => of_all_time(db, filter).await?,
    };
    let later = match filter.to {
        Some(to) => since(db, filter, Moment::Entry, to).await?,
        None => 0,
    };
    let open = match filter.open {
        Some(_) => {
            let open = SessionFilter { open: Some(true), ..filter.clone() };
            query::select(db, &open, Moment::Entry).count(db).await?
        }
        None => 0,
    };
    // Each is counted at a moment of its own.
    Ok(until_end.saturating_sub(later).saturating_sub(open))
}

async fn of_all_time(db: &DatabaseConnection, filter: &SessionFilter) -> Result<u64, DbErr> {
    use session_totals::{Column, Entity};
    let mut query = Entity::find().select_only().expr(Expr::col(Column::Visits).sum().cast_as("bigint"));
    if let Some(camera_id) = &filter.camera_id {
        query = query.filter(Column::CameraId.eq(camera_id.as_str()));
    }
    let count: Option<Option<i64>> = query.into_tuple().one(db).await?;
    Ok(count.flatten().unwrap_or(0).unsigned_abs())
}

/// How many visits of the camera asked for, if one is, began in each hour, the earliest first.
pub(super) async fn by_hour(db: &DatabaseConnection, camera_id: Option<&str>) -> Result<Vec<Stretch>, DbErr> {
    use session_hours::{Column, Entity};
    let mut query = Entity::find()
        .select_only()
        .column(Column::Hour)
        .expr(Expr::col(Column::Entries).sum().cast_as("bigint"))
        .group_by(Column::Hour)
        .order_by_asc(Column::Hour);
    if let Some(camera_id) = camera_id {
        query = query.filter(Column::CameraId.eq(camera_id));
    }
    let hours: Vec<(i64, i64)> = query.into_tuple().all(db).await?;
    Ok(hours.into_iter().map(Stretch::hour).collect())
}

/// Visits of the camera asked for that began, or ended, at `start` or later.
async fn since(
    db: &DatabaseConnection,
    filter: &SessionFilter,
    moment: Moment,
    start: DateTime<Utc>,
) -> Result<u64, DbErr> {
    use session_hours::{Column, Entity};
    let first = first_whole_hour(start);
    let counts = if moment == Moment::Entry { Column::Entries } else { Column::Exits };
    let mut hours = Entity::find()
        .select_only()
        .expr(Expr::col(counts).sum().cast_as("bigint"))
        .filter(Column::Hour.gte(first));
    if let Some(camera_id) = &filter.camera_id {
        hours = hours.filter(Column::CameraId.eq(camera_id.as_str()));
    }
    let count: Option<Option<i64>> = hours.into_tuple().one(db).await?;
    let rest = query::between(db, filter, moment, start, hour_start(first)).count(db).await?;
    Ok(count.flatten().unwrap_or(0).unsigned_abs() + rest)
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;

    use super::*;

    #[test]
    fn a_visit_that_grows_within_its_hour_changes_no_count() {
        let (mut changes, entry) = (Changes::default(), hour_start(5));
        changes.remove("door", entry, entry);
        changes.add("door", entry, entry + TimeDelta::minutes(59));
        assert!(changes.hours.values().all(|change| *change == [0, 0]));
        changes.remove("door", entry, entry + TimeDelta::minutes(59));
        changes.add("door", entry, entry + TimeDelta::minutes(60));
        let hours: Vec<_> = changes.hours.into_iter().map(|((hour, _), change)| (hour, change)).collect();
        assert_eq!(hours, [(5, [0, -1]), (6, [0, 1])]);
    }
}
