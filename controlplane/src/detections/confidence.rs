//! How many detections are at least so confident.
//!
//! `detection_confidences` counts each day's detections by steps of confidence. Whole days and whole steps are read off
//! it; only the step the limit lies in, and what a period begins and ends with inside a day, are counted row by row,
//! in an index. So the number is exact, at a cost that hardly grows with the detections.

use sea_orm::{
    ColumnTrait as _, DatabaseConnection, DbErr, EntityTrait as _, QueryFilter as _, QuerySelect as _, Select,
};

use super::model::DetectionFilter;
use super::query::{Lead, Reading};
use super::rollup::{ALL_CAMERAS, day_of, day_start};
use super::totals::{count_rows, counted, rows};
use crate::entity::{detection_confidences, detections};

/// Steps from 0 to 1: numbers of two decimals begin one, and those of three that end in 0 or 5 do, or lie in its middle.
const STEPS: f64 = 400.0;
/// A step begins a little earlier than its number says: 0.9 is stored as 0.89999998.
const ROUNDING: f64 = 1e-4;

/// The step a confidence is counted in. The migration that fills the table reckons just so.
pub(super) fn step_of(confidence: f32) -> i64 {
    (f64::from(confidence) * STEPS + ROUNDING).floor() as i64
}

/// The least confidence of a step.
fn start_of(step: i64) -> f32 {
    let mut start = ((step as f64 - ROUNDING) / STEPS) as f32;
    while step_of(start) >= step {
        start = start.next_down();
    }
    while step_of(start) < step {
        start = start.next_up();
    }
    start
}

/// How many detections `filter`, which names nobody, lets through that are at least as confident as `limit`.
pub(super) async fn count(
    db: &DatabaseConnection,
    filter: &DetectionFilter,
    limit: f32,
) -> Result<u64, DbErr> {
    let first = filter.from.map(first_whole_day);
    let end = filter.to.map(day_of);
    if let (Some(first), Some(end)) = (first, end)
        && first >= end
    {
        return count_rows(db, filter, Lead::Time).await;
    }
    let mut count = 0;
    let (from, to) = (first.map(day_start), end.map(day_start));
    for (from, to) in [(filter.from, from), (to, filter.to)] {
        if from < to && from.is_some() {
            count += count_rows(db, &DetectionFilter { from, to, ..filter.clone() }, Lead::Time).await?;
        }
    }
    let days = DetectionFilter { from, to, min_confidence: None, ..filter.clone() };
    Ok(count + count_days(db, &days, (first, end), limit).await?)
}

/// Of whole days, from the first to the one before the last if there are such.
async fn count_days(
    db: &DatabaseConnection,
    filter: &DetectionFilter,
    days: (Option<i64>, Option<i64>),
    limit: f32,
) -> Result<u64, DbErr> {
    let step = step_of(limit);
    let (start, next) = (start_of(step), start_of(step + 1));
    // The smaller part of the step is looked at.
    Ok(if limit - start <= next - limit {
        let excess = count_between(db, filter, start, limit).await?;
        count_steps(db, filter, days, step).await?.saturating_sub(excess)
    } else {
        count_steps(db, filter, days, step + 1).await? + count_between(db, filter, limit, next).await?
    })
}

async fn count_steps(
    db: &DatabaseConnection,
    filter: &DetectionFilter,
    (first, end): (Option<i64>, Option<i64>),
    least: i64,
) -> Result<u64, DbErr> {
    use detection_confidences::{Column, Entity};
    let camera_id = filter.camera_id.as_deref().unwrap_or(ALL_CAMERAS);
    let mut query = Entity::find()
        .select_only()
        .expr(counted(filter))
        .filter(Column::CameraId.eq(camera_id))
        .filter(Column::Step.gte(least));
    if let Some(first) = first {
        query = query.filter(Column::Day.gte(first));
    }
    if let Some(end) = end {
        query = query.filter(Column::Day.lt(end));
    }
    let count: Option<Option<i64>> = query.into_tuple().one(db).await?;
    Ok(count.flatten().unwrap_or(0).unsigned_abs())
}

/// Row by row, from `start` to below `end`.
async fn count_between(
    db: &DatabaseConnection,
    filter: &DetectionFilter,
    start: f32,
    end: f32,
) -> Result<u64, DbErr> {
    if start >= end {
        return Ok(0);
    }
    let between: Select<detections::Entity> = Reading::new(db, Lead::Confidence)
        .select(filter)
        .filter(detections::Column::Confidence.gte(start))
        .filter(detections::Column::Confidence.lt(end));
    rows(db, between).await
}

/// The first day that does not begin before `time`.
fn first_whole_day(time: sea_orm::prelude::DateTimeUtc) -> i64 {
    let day = day_of(time);
    if day_start(day) < time { day + 1 } else { day }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimals_begin_a_step_and_every_step_begins_where_it_says() {
        for hundredth in 0..=100_u8 {
            let number: f32 = f32::from(hundredth) / 100.0;
            assert_eq!(step_of(number), i64::from(hundredth) * 4);
            assert!(number - start_of(step_of(number)) < 1e-6, "{number}");
        }
        for step in 0..=400 {
            let start = start_of(step);
            assert_eq!((step_of(start), step_of(start.next_down())), (step, step - 1));
        }
        assert_eq!((step_of(0.9999), step_of(1.0)), (399, 400));
    }
}
