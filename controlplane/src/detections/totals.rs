//! How many detections a filter lets through, and in which stretches of time they lie.
//!
//! Those of all time are read off `detection_totals`. Of a period, whole hours are read off `detection_hours`, and
//! only what it begins and ends with inside an hour is counted row by row: exact, at a cost that does not grow with
//! the detections. The counts know no single person and no confidence. One person's detections are counted in the
//! index; `min_confidence` has counts of its own (`confidence.rs`).

use chrono::{DateTime, Utc};
use sea_orm::sea_query::{Asterisk, Expr, ExprTrait as _, Query, SimpleExpr};
use sea_orm::{
    ColumnTrait as _, ConnectionTrait as _, DatabaseConnection, DbErr, EntityTrait as _, Order,
    QueryFilter as _, QueryOrder as _, QuerySelect as _, QueryTrait as _, Select,
};

use super::confidence;
use super::model::DetectionFilter;
use super::query::{Lead, Reading};
use super::rollup::{KINDS, column, hour_of, hour_start};
use crate::entity::{detection_hours, detection_totals, detections};

/// Up to so many rows are as confident that they are best looked up.
const FEW: u64 = 10_000;

/// Rows within a stretch of time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stretch {
    pub(crate) start: DateTime<Utc>,
    pub(crate) end: DateTime<Utc>,
    pub(crate) count: u64,
}

impl Stretch {
    /// That of an hour.
    pub(crate) fn hour((hour, count): (i64, i64)) -> Self {
        let end = hour_start(hour.saturating_add(1));
        Self { start: hour_start(hour), end, count: count.unsigned_abs() }
    }
}

/// How many detections there are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Total {
    /// So many of all time.
    Kept(u64),
    /// So many of a period, in these stretches, the earliest first.
    Stretches(Vec<Stretch>),
    /// So many.
    Number(u64),
}

impl Total {
    /// Counts what `filter` lets through.
    pub(super) async fn count(db: &DatabaseConnection, filter: &DetectionFilter) -> Result<Self, DbErr> {
        Ok(match filter.min_confidence {
            _ if filter.person_id.is_some() => Self::Number(count_rows(db, filter, Lead::Time).await?),
            Some(limit) => Self::Number(confidence::count(db, filter, limit).await?),
            None if filter.from.is_none() && filter.to.is_none() => Self::Kept(kept(db, filter).await?),
            None => Self::Stretches(stretches(db, filter).await?),
        })
    }

    /// The number.
    pub(super) fn number(&self) -> u64 {
        match self {
            Self::Stretches(stretches) => stretches.iter().map(|stretch| stretch.count).sum(),
            Self::Kept(number) | Self::Number(number) => *number,
        }
    }
}

/// What to read by when confidence is asked for: so few detections may be as confident that they are best looked
/// up, or so many that it is better to go through time.
pub(super) async fn lead_of_confidence(
    db: &DatabaseConnection,
    filter: &DetectionFilter,
) -> Result<Lead, DbErr> {
    if filter.person_id.is_some() || filter.min_confidence.is_none() {
        return Ok(Lead::Time);
    }
    let confidence_only =
        DetectionFilter { min_confidence: filter.min_confidence, ..DetectionFilter::default() };
    let some = Reading::new(db, Lead::Confidence)
        .select(&confidence_only)
        .select_only()
        .expr(Expr::val(1))
        .limit(FEW + 1);
    let counted =
        Query::select().expr(Expr::col(Asterisk).count()).from_subquery(some.into_query(), "some").to_owned();
    let row = db.query_one(&counted).await?;
    let count: i64 = row.map(|row| row.try_get_by_index(0)).transpose()?.unwrap_or(0);
    Ok(if count.unsigned_abs() > FEW { Lead::Time } else { Lead::Confidence })
}

/// Every row, looked at.
pub(super) async fn count_rows(
    db: &DatabaseConnection,
    filter: &DetectionFilter,
    lead: Lead,
) -> Result<u64, DbErr> {
    rows(db, Reading::new(db, lead).select(filter)).await
}

/// How many rows a statement lets through.
pub(super) async fn rows(
    db: &DatabaseConnection,
    statement: Select<detections::Entity>,
) -> Result<u64, DbErr> {
    let count: Option<i64> =
        statement.select_only().expr(Expr::col(Asterisk).count()).into_tuple().one(db).await?;
    Ok(count.unwrap_or(0).unsigned_abs())
}

async fn kept(db: &DatabaseConnection, filter: &DetectionFilter) -> Result<u64, DbErr> {
    use detection_totals::{Column, Entity};
    let mut query = Entity::find().select_only().expr(counted(filter));
    if let Some(camera_id) = &filter.camera_id {
        query = query.filter(Column::CameraId.eq(camera_id));
    }
    let count: Option<Option<i64>> = query.into_tuple().one(db).await?;
    Ok(count.flatten().unwrap_or(0).unsigned_abs())
}

/// Where those of a filter without person and confidence lie.
pub(super) async fn stretches(
    db: &DatabaseConnection,
    filter: &DetectionFilter,
) -> Result<Vec<Stretch>, DbErr> {
    let first = filter.from.map(first_whole_hour);
    let end = filter.to.map(hour_of);
    if let (Some(from), Some(to), Some(first), Some(end)) = (filter.from, filter.to, first, end)
        && first > end
    {
        let count = count_rows(db, filter, Lead::Time).await?;
        return Ok(vec![Stretch { start: from, end: to, count }]);
    }
    let mut stretches = Vec::new();
    if let (Some(from), Some(first)) = (filter.from, first) {
        stretches.extend(part(db, filter, from, hour_start(first)).await?);
    }
    stretches.extend(hours(db, filter, first, end).await?);
    if let (Some(to), Some(end)) = (filter.to, end) {
        stretches.extend(part(db, filter, hour_start(end), to).await?);
    }
    Ok(stretches)
}

/// The first hour that does not begin before `time`.
pub(crate) fn first_whole_hour(time: DateTime<Utc>) -> i64 {
    let hour = hour_of(time);
    if hour_start(hour) < time { hour + 1 } else { hour }
}

/// Part of an hour, if it is not empty.
async fn part(
    db: &DatabaseConnection,
    filter: &DetectionFilter,
    start: DateTime<Utc>,
    end: DateTime<Utc>,
) -> Result<Option<Stretch>, DbErr> {
    if start >= end {
        return Ok(None);
    }
    let filter = DetectionFilter { from: Some(start), to: Some(end), ..filter.clone() };
    let count = count_rows(db, &filter, Lead::Time).await?;
    Ok(Some(Stretch { start, end, count }))
}

async fn hours(
    db: &DatabaseConnection,
    filter: &DetectionFilter,
    first: Option<i64>,
    end: Option<i64>,
) -> Result<Vec<Stretch>, DbErr> {
    use detection_hours::{Column, Entity};
    let mut query = Entity::find()
        .select_only()
        .column(Column::Hour)
        .expr(counted(filter))
        .group_by(Column::Hour)
        .order_by(Column::Hour, Order::Asc);
    if let Some(camera_id) = &filter.camera_id {
        query = query.filter(Column::CameraId.eq(camera_id));
    }
    if let Some(first) = first {
        query = query.filter(Column::Hour.gte(first));
    }
    if let Some(end) = end {
        query = query.filter(Column::Hour.lt(end));
    }
    let hours: Vec<(i64, i64)> = query.into_tuple().all(db).await?;
    Ok(hours.into_iter().map(Stretch::hour).filter(|stretch| stretch.count > 0).collect())
}

/// The sum of the columns that count what `filter` lets through.
pub(super) fn counted(filter: &DetectionFilter) -> SimpleExpr {
    let kinds = KINDS.into_iter().filter(|kind| filter.kind.is_none_or(|wanted| wanted == *kind));
    let is_wanted = |known: &bool| filter.known.is_none_or(|wanted| wanted == *known);
    kinds
        .flat_map(|kind| [true, false].into_iter().filter(is_wanted).map(move |known| column(kind, known)))
        .fold(Expr::val(0_i64), |sum, column| sum.add(Expr::col(column)))
        .sum()
        // PostgreSQL answers sums in a type of their own.
        .cast_as("bigint")
}

/// Where a page lies: what to read, and how many rows of it to skip.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Window {
    pub(crate) start: DateTime<Utc>,
    pub(crate) end: DateTime<Utc>,
    pub(crate) offset: u64,
}

/// A page that begins after more rows than this is found sooner by the hours it lies in.
pub(crate) const MOST_SKIPPED: u64 = 2_000;

/// The stretches that hold `limit` rows from `offset` on, in that order of time; `None` if there are no rows.
pub(crate) fn window(stretches: &[Stretch], order: &Order, offset: u64, limit: u64) -> Option<Window> {
    let in_order: Vec<&Stretch> = match order {
        Order::Desc => stretches.iter().rev().collect(),
        _ => stretches.iter().collect(),
    };
    let mut skipped = 0;
    let mut window: Option<Window> = None;
    let mut missing = limit;
    for stretch in in_order.into_iter().filter(|stretch| stretch.count > 0) {
        let found = match &mut window {
            None if skipped + stretch.count <= offset => {
                skipped += stretch.count;
                continue;
            }
            None => {
                let offset = offset - skipped;
                window = Some(Window { start: stretch.start, end: stretch.end, offset });
                stretch.count - offset
            }
            Some(window) => {
                window.start = Ord::min(window.start, stretch.start);
                window.end = Ord::max(window.end, stretch.end);
                stretch.count
            }
        };
        missing = missing.saturating_sub(found);
        if missing == 0 {
            break;
        }
    }
    window
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hours(counts: &[u64]) -> Vec<Stretch> {
        counts.iter().enumerate().map(|(hour, count)| Stretch::hour((hour as i64, *count as i64))).collect()
    }

    fn window_of(order: Order, offset: u64, limit: u64) -> Option<(i64, i64, u64)> {
        let window = window(&hours(&[10, 0, 5, 20]), &order, offset, limit)?;
        Some((hour_of(window.start), hour_of(window.end), window.offset))
    }

    #[test]
    fn a_page_is_looked_for_where_it_lies() {
        assert_eq!(window_of(Order::Asc, 0, 10), Some((0, 1, 0)));
        assert_eq!(window_of(Order::Asc, 0, 11), Some((0, 3, 0)));
        assert_eq!(window_of(Order::Asc, 12, 3), Some((2, 3, 2)));
        assert_eq!(window_of(Order::Desc, 0, 20), Some((3, 4, 0)));
        assert_eq!(window_of(Order::Desc, 19, 3), Some((2, 4, 19)));
        assert_eq!(window_of(Order::Desc, 25, 50), Some((0, 1, 0)));
        assert_eq!(window_of(Order::Desc, 35, 50), None);
    }

    #[test]
    fn an_hour_is_whole_when_it_does_not_begin_before() {
        assert_eq!(first_whole_hour(hour_start(5)), 5);
        assert_eq!(first_whole_hour(hour_start(5) + chrono::TimeDelta::milliseconds(1)), 6);
    }
}
