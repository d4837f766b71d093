//! The counts of detections kept beside them, in the transaction that stores or removes the rows.
//!
//! Five tables: `detection_hours` for time lines and totals of a period, `detection_totals` for those of all time,
//! `detection_confidences` for totals by confidence, `visitor_days` for who came how often, and `camera_visitors` for
//! how many people each camera saw. What changes detections makes a [`Changes`] of the rows and applies it before it
//! commits; nothing else writes these tables. Rows are written table by table and in the order of their keys, so that
//! transactions which meet wait for each other and never in a circle.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use sea_orm::sea_query::{Expr, ExprTrait as _, OnConflict};
use sea_orm::{
    ColumnTrait as _, Condition, ConnectionTrait, DbErr, EntityTrait as _, IdenStatic as _, QueryFilter as _,
    Set,
};
use uuid::Uuid;
use vedette_events::EventKind;

use super::confidence::step_of;
use crate::counting::{ROWS_PER_CONDITION, ROWS_PER_STATEMENT, add_counts, excluded};
use crate::entity::{
    camera_visitors, detection_confidences, detection_hours, detection_totals, visitor_days,
};

/// Kinds that begin an appearance: a track gives several events, statistics count the first.
pub(crate) const APPEARANCES: [EventKind; 2] = [EventKind::Recognized, EventKind::Unknown];
/// Stands for all cameras together in `visitor_days` and `detection_confidences`.
pub(crate) const ALL_CAMERAS: &str = "";
/// Days in a row of `camera_visitors`.
pub(crate) const DAYS_PER_BLOCK: i64 = 32;

const SECONDS_PER_HOUR: i64 = 3600;
const SECONDS_PER_DAY: i64 = 86_400;

/// Every kind, in the order of the columns.
pub(crate) const KINDS: [EventKind; 4] =
    [EventKind::Recognized, EventKind::Unknown, EventKind::Updated, EventKind::Left];

/// The hour of a moment, counted from 1970.
pub(crate) fn hour_of(time: DateTime<Utc>) -> i64 {
    time.timestamp().div_euclid(SECONDS_PER_HOUR)
}

/// The day of a moment, counted from 1970.
pub(crate) fn day_of(time: DateTime<Utc>) -> i64 {
    time.timestamp().div_euclid(SECONDS_PER_DAY)
}

/// When an hour begins; the ends of time for hours no calendar reaches.
pub(crate) fn hour_start(hour: i64) -> DateTime<Utc> {
    start(hour, SECONDS_PER_HOUR)
}

/// When a day begins.
pub(crate) fn day_start(day: i64) -> DateTime<Utc> {
    start(day, SECONDS_PER_DAY)
}

fn start(number: i64, seconds: i64) -> DateTime<Utc> {
    let ends = (DateTime::<Utc>::MIN_UTC, DateTime::<Utc>::MAX_UTC);
    let end = if number < 0 { ends.0 } else { ends.1 };
    number.checked_mul(seconds).and_then(|second| DateTime::from_timestamp(second, 0)).unwrap_or(end)
}

/// The column that counts these.
pub(crate) fn column(kind: EventKind, is_known: bool) -> detection_hours::Column {
    use detection_hours::Column;
    match (is_known, kind) {
        (true, EventKind::Recognized) => Column::KnownRecognized,
        (true, EventKind::Unknown) => Column::KnownUnknown,
        (true, EventKind::Updated) => Column::KnownUpdated,
        (true, EventKind::Left) => Column::KnownLeft,
        (false, EventKind::Recognized) => Column::StrangerRecognized,
        (false, EventKind::Unknown) => Column::StrangerUnknown,
        (false, EventKind::Updated) => Column::StrangerUpdated,
        (false, EventKind::Left) => Column::StrangerLeft,
    }
}

/// What of a detection decides where it is counted.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Counted<'a> {
    pub(crate) time: DateTime<Utc>,
    pub(crate) camera_id: &'a str,
    pub(crate) kind: EventKind,
    pub(crate) person_id: Option<Uuid>,
    pub(crate) confidence: f32,
}

/// The columns that count, in the order of [`Counts`].
fn counting() -> [&'static str; 2 * KINDS.len()] {
    std::array::from_fn(|place| column(KINDS[place % KINDS.len()], place < KINDS.len()).as_str())
}

/// Of someone known by kind, then of strangers by kind.
type Counts = [i64; 2 * KINDS.len()];

/// Detections that come or go, counted as the tables count them.
#[derive(Debug, Default)]
pub(crate) struct Changes {
    hours: BTreeMap<(i64, String), Counts>,
    confidences: BTreeMap<(String, i64, i64), Counts>,
    days: BTreeMap<(String, i64, Uuid), i64>,
}

impl Changes {
    /// Counts a detection that is stored.
    pub(crate) fn add(&mut self, detection: Counted<'_>) {
        self.count(detection, 1);
    }

    /// Counts a detection that is removed.
    pub(crate) fn remove(&mut self, detection: Counted<'_>) {
        self.count(detection, -1);
    }

    fn count(&mut self, detection: Counted<'_>, change: i64) {
        let Counted { time, camera_id, kind, person_id, confidence } = detection;
        let place = KINDS.iter().position(|other| *other == kind).unwrap_or_default();
        let place = if person_id.is_some() { place } else { place + KINDS.len() };
        let (hour, day, step) = (hour_of(time), day_of(time), step_of(confidence));
        self.hours.entry((hour, camera_id.to_owned())).or_default()[place] += change;
        for camera_id in [camera_id, ALL_CAMERAS] {
            self.confidences.entry((camera_id.to_owned(), day, step)).or_default()[place] += change;
            if let Some(person_id) = person_id.filter(|_| APPEARANCES.contains(&kind)) {
                *self.days.entry((camera_id.to_owned(), day, person_id)).or_default() += change;
            }
        }
    }

    /// Writes the counts; within the transaction that writes or removes the detections.
    pub(crate) async fn apply(self, db: &impl ConnectionTrait) -> Result<(), DbErr> {
        self.write_visitors(db).await?;
        self.write_days(db).await?;
        self.drop_empty_days(db).await?;
        // Last, because every writer of the present hour meets here, and every one of a camera.
        self.write_confidences(db).await?;
        self.write_hours(db).await?;
        self.write_totals(db).await
    }

    async fn write_totals(&self, db: &impl ConnectionTrait) -> Result<(), DbErr> {
        let mut totals: BTreeMap<&str, Counts> = BTreeMap::new();
        for ((_, camera_id), counts) in &self.hours {
            let total = totals.entry(camera_id).or_default();
            total.iter_mut().zip(counts).for_each(|(total, count)| *total += count);
        }
        let rows = totals.into_iter().map(|(camera_id, counts)| ([camera_id.into()], counts));
        add_counts(db, detection_totals::Entity, ["camera_id"], counting(), rows).await
    }

    async fn write_hours(&self, db: &impl ConnectionTrait) -> Result<(), DbErr> {
        let row = |((hour, camera_id), counts): (&(i64, String), &Counts)| {
            ([(*hour).into(), camera_id.as_str().into()], *counts)
        };
        let (table, keys) = (detection_hours::Entity, ["hour", "camera_id"]);
        add_counts(db, table, keys, counting(), self.hours.iter().map(row)).await
    }

    async fn write_confidences(&self, db: &impl ConnectionTrait) -> Result<(), DbErr> {
        let row = |((camera_id, day, step), counts): (&(String, i64, i64), &Counts)| {
            ([camera_id.as_str().into(), (*day).into(), (*step).into()], *counts)
        };
        let (table, keys) = (detection_confidences::Entity, ["camera_id", "day", "step"]);
        add_counts(db, table, keys, counting(), self.confidences.iter().map(row)).await
    }

    async fn write_days(&self, db: &impl ConnectionTrait) -> Result<(), DbErr> {
        use visitor_days::{ActiveModel, Column, Entity};
        let sum = Expr::col((Entity, Column::Appearances)).add(Expr::col((excluded(), Column::Appearances)));
        let add = OnConflict::columns([Column::CameraId, Column::Day, Column::PersonId])
            .value(Column::Appearances, sum)
            .to_owned();
        let rows: Vec<ActiveModel> = self
            .days
            .iter()
            .map(|((camera_id, day, person_id), change)| ActiveModel {
                camera_id: Set(camera_id.clone()),
                day: Set(*day),
                person_id: Set(*person_id),
                appearances: Set(*change),
            })
            .collect();
        for rows in rows.chunks(ROWS_PER_STATEMENT) {
            Entity::insert_many(rows.to_vec()).on_conflict(add.clone()).exec_without_returning(db).await?;
        }
        Ok(())
    }

    /// Days on which people appeared.
    async fn write_visitors(&self, db: &impl ConnectionTrait) -> Result<(), DbErr> {
        use camera_visitors::{ActiveModel, Column, Entity};
        let mut blocks: BTreeMap<(i64, &str, Uuid), i64> = BTreeMap::new();
        for ((camera_id, day, person_id), _) in self.of_one_camera().filter(|(_, change)| **change > 0) {
            let (block, bit) = block_of(*day);
            *blocks.entry((block, camera_id, *person_id)).or_default() |= bit;
        }
        let union = Expr::col((Entity, Column::Days)).bit_or(Expr::col((excluded(), Column::Days)));
        let add = OnConflict::columns([Column::Block, Column::CameraId, Column::PersonId])
            .value(Column::Days, union)
            .to_owned();
        let rows: Vec<ActiveModel> = blocks
            .into_iter()
            .map(|((block, camera_id, person_id), days)| ActiveModel {
                block: Set(block),
                camera_id: Set(camera_id.to_owned()),
                person_id: Set(person_id),
                days: Set(days),
            })
            .collect();
        for rows in rows.chunks(ROWS_PER_STATEMENT) {
            Entity::insert_many(rows.to_vec()).on_conflict(add.clone()).exec_without_returning(db).await?;
        }
        Ok(())
    }

    /// Days on which no appearance is left.
    async fn drop_empty_days(&self, db: &impl ConnectionTrait) -> Result<(), DbErr> {
        use visitor_days::{Column, Entity, Model};
        let shrunk: Vec<_> =
            self.days.iter().filter(|(_, change)| **change < 0).map(|(key, _)| key).collect();
        for keys in shrunk.chunks(ROWS_PER_CONDITION) {
            let these = keys.iter().fold(Condition::any(), |any, (camera_id, day, person_id)| {
                let this = Condition::all()
                    .add(Column::CameraId.eq(camera_id.as_str()))
                    .add(Column::Day.eq(*day))
                    .add(Column::PersonId.eq(*person_id));
                any.add(this)
            });
            let empty: Vec<Model> =
                Entity::find().filter(these).filter(Column::Appearances.lte(0)).all(db).await?;
            for Model { camera_id, day, person_id, .. } in empty {
                if camera_id != ALL_CAMERAS {
                    clear_day(db, &camera_id, day, person_id).await?;
                }
                Entity::delete_by_id((camera_id, day, person_id)).exec(db).await?;
            }
        }
        Ok(())
    }

    fn of_one_camera(&self) -> impl Iterator<Item = (&(String, i64, Uuid), &i64)> {
        self.days.iter().filter(|((camera_id, ..), _)| camera_id != ALL_CAMERAS)
    }
}

async fn clear_day(
    db: &impl ConnectionTrait,
    camera_id: &str,
    day: i64,
    person_id: Uuid,
) -> Result<(), DbErr> {
    use camera_visitors::{Column, Entity};
    let (block, bit) = block_of(day);
    let this = Condition::all()
        .add(Column::Block.eq(block))
        .add(Column::CameraId.eq(camera_id))
        .add(Column::PersonId.eq(person_id));
    Entity::update_many()
        .col_expr(Column::Days, Expr::col(Column::Days).bit_and(!bit))
        .filter(this.clone())
        .exec(db)
        .await?;
    Entity::delete_many().filter(this).filter(Column::Days.eq(0)).exec(db).await?;
    Ok(())
}

/// The row of `camera_visitors` a day is in, and its bit there.
pub(crate) fn block_of(day: i64) -> (i64, i64) {
    (day.div_euclid(DAYS_PER_BLOCK), 1 << day.rem_euclid(DAYS_PER_BLOCK))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hours_and_days_begin_where_they_say() {
        let time = DateTime::from_timestamp(1_767_268_800 + 59 * 60, 5).unwrap_or_default();
        assert_eq!(hour_start(hour_of(time)).timestamp(), 1_767_268_800);
        assert_eq!(day_start(day_of(time)).timestamp() % SECONDS_PER_DAY, 0);
        assert_eq!(
            (hour_start(i64::MAX), hour_start(i64::MIN)),
            (DateTime::<Utc>::MAX_UTC, DateTime::<Utc>::MIN_UTC)
        );
        assert_eq!(hour_of(DateTime::from_timestamp(-1, 0).unwrap_or_default()), -1);
    }

    #[test]
    fn every_day_has_a_bit_of_its_own() {
        assert_eq!(block_of(0), (0, 1));
        assert_eq!(block_of(31), (0, 1 << 31));
        assert_eq!(block_of(32), (1, 1));
        assert_eq!(block_of(-1), (-1, 1 << 31));
    }

    #[test]
    fn what_comes_and_goes_leaves_nothing() {
        let mut changes = Changes::default();
        let time = DateTime::<Utc>::UNIX_EPOCH;
        let detections = [(EventKind::Recognized, Some(Uuid::from_u128(7))), (EventKind::Left, None)]
            .map(|(kind, person_id)| Counted { time, camera_id: "door", kind, person_id, confidence: 0.9 });
        detections.into_iter().for_each(|detection| changes.add(detection));
        let expected = [1, 0, 0, 0, 0, 0, 0, 1];
        assert_eq!(changes.hours[&(0, "door".to_owned())], expected);
        assert_eq!(changes.confidences[&(ALL_CAMERAS.to_owned(), 0, 360)], expected);
        assert_eq!((changes.days.len(), changes.confidences.len()), (2, 2), "of the camera and of all");
        detections.into_iter().for_each(|detection| changes.remove(detection));
        let counts = changes.hours.values().chain(changes.confidences.values()).flatten();
        assert!(counts.chain(changes.days.values()).all(|count| *count == 0));
    }
}
