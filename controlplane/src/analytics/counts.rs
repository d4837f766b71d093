//! Appearances over time and per camera: whole hours as they were counted beforehand, the rest row by row.

use std::collections::BTreeMap;

use sea_orm::sea_query::{Expr, ExprTrait as _, SimpleExpr};
use sea_orm::{
    ColumnTrait as _, Condition, DatabaseConnection, DbErr, EntityTrait as _, QueryFilter as _,
    QuerySelect as _, Select,
};

use super::period::{Part, Period, WholeHours};
use crate::detections::rollup::{APPEARANCES, column, hour_start};
use crate::entity::{detection_hours, detections};

/// Appearances of people who are enrolled and of strangers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Count {
    pub(super) known: u64,
    pub(super) unknown: u64,
}

impl Count {
    /// All of them.
    pub(super) fn sum(self) -> u64 {
        self.known + self.unknown
    }

    fn add(&mut self, known: i64, unknown: i64) {
        self.known += known.unsigned_abs();
        self.unknown += unknown.unsigned_abs();
    }
}

/// What was counted.
#[derive(Debug)]
pub(super) struct Counts {
    /// One for each bar of the period.
    pub(super) bars: Vec<Count>,
    /// Cameras that saw anyone.
    pub(super) cameras: BTreeMap<String, Count>,
}

/// Counts the appearances of a period, at one camera or at all.
pub(super) async fn count(
    db: &DatabaseConnection,
    period: &Period,
    camera_id: Option<&str>,
) -> Result<Counts, DbErr> {
    let whole = period.whole_hours();
    let mut bars = vec![Count::default(); period.starts.len()];
    let mut cameras: BTreeMap<String, Count> = BTreeMap::new();
    for (hour, known, unknown) in by_hour(db, &whole, camera_id).await? {
        if let Some(bar) = bars.get_mut(period.bar_of(hour_start(hour))) {
            bar.add(known, unknown);
        }
    }
    for (camera, known, unknown) in by_camera(db, &whole, camera_id).await? {
        cameras.entry(camera).or_default().add(known, unknown);
    }
    for part in whole.parts {
        for (camera, known, unknown) in in_part(db, part, camera_id).await? {
            if let Some(bar) = bars.get_mut(period.bar_of(part.0)) {
                bar.add(known, unknown);
            }
            cameras.entry(camera).or_default().add(known, unknown);
        }
    }
    Ok(Counts { bars, cameras })
}

async fn by_hour(
    db: &DatabaseConnection,
    whole: &WholeHours,
    camera_id: Option<&str>,
) -> Result<Vec<(i64, i64, i64)>, DbErr> {
    use detection_hours::Column;
    let query = hours(whole, camera_id).column(Column::Hour).group_by(Column::Hour);
    query.expr(sum(true)).expr(sum(false)).into_tuple().all(db).await
}

async fn by_camera(
    db: &DatabaseConnection,
    whole: &WholeHours,
    camera_id: Option<&str>,
) -> Result<Vec<(String, i64, i64)>, DbErr> {
    use detection_hours::Column;
    let query = hours(whole, camera_id).column(Column::CameraId).group_by(Column::CameraId);
    query.expr(sum(true)).expr(sum(false)).into_tuple().all(db).await
}

fn hours(whole: &WholeHours, camera_id: Option<&str>) -> Select<detection_hours::Entity> {
    use detection_hours::{Column, Entity};
    let mut query = Entity::find()
        .select_only()
        .filter(Column::Hour.gte(whole.hours.0))
        .filter(Column::Hour.lt(whole.hours.1));
    if !whole.split.is_empty() {
        query = query.filter(Column::Hour.is_not_in(whole.split.iter().copied()));
    }
    if let Some(camera_id) = camera_id {
        query = query.filter(Column::CameraId.eq(camera_id));
    }
    query
}

/// The sum of the columns that count appearances.
fn sum(is_known: bool) -> SimpleExpr {
    let columns = APPEARANCES.map(|kind| column(kind, is_known));
    let each = columns.into_iter().fold(Expr::val(0_i64), |sum, column| sum.add(Expr::col(column)));
    // PostgreSQL answers sums in a type of their own.
    each.sum().cast_as("bigint")
}

async fn in_part(
    db: &DatabaseConnection,
    part: Part,
    camera_id: Option<&str>,
) -> Result<Vec<(String, i64, i64)>, DbErr> {
    use detections::{Column, Entity};
    let known = Expr::col(Column::PersonId).count();
    let all = Expr::col(Column::CameraId).count();
    Entity::find()
        .select_only()
        .column(Column::CameraId)
        .expr(known.clone())
        .expr(all.sub(known))
        .filter(appearances(part, camera_id))
        .group_by(Column::CameraId)
        .into_tuple()
        .all(db)
        .await
}

/// Appearances within a part of time, at one camera or at all.
pub(super) fn appearances((start, end): Part, camera_id: Option<&str>) -> Condition {
    use detections::Column;
    Condition::all()
        .add(Column::Timestamp.gte(start))
        .add(Column::Timestamp.lt(end))
        .add(Column::Kind.is_in(APPEARANCES.map(|kind| kind.as_str())))
        .add_option(camera_id.map(|camera_id| Column::CameraId.eq(camera_id)))
}
