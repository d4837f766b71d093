//! Who came, and how many people each camera saw: whole days as they were counted beforehand, the rest row by row.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use sea_orm::sea_query::{Expr, ExprTrait as _, Query, SelectStatement, SimpleExpr, UnionType};
use sea_orm::{
    ColumnTrait as _, Condition, ConnectionTrait as _, DatabaseConnection, DbErr, EntityTrait as _, Order,
    QueryFilter as _, QueryOrder as _, QuerySelect as _, TryGetable,
};
use uuid::Uuid;

use super::counts::appearances;
use super::model::TopVisitor;
use super::period::{Part, Period, WholeDays};
use crate::detections::rollup::{ALL_CAMERAS, block_of};
use crate::entity::{camera_visitors, detections, visitor_days};
use crate::persons;

/// How many visitors are named.
const TOP: usize = 10;

/// The first and the last moment anything was seen.
pub(super) async fn seen(db: &DatabaseConnection) -> Result<Option<(DateTime<Utc>, DateTime<Utc>)>, DbErr> {
    use detections::{Column, Entity};
    let end = |order: Order| {
        let query = Entity::find().select_only().column(Column::Timestamp);
        query.order_by(Column::Timestamp, order).into_tuple::<DateTime<Utc>>()
    };
    let (first, last) = tokio::try_join!(end(Order::Asc).one(db), end(Order::Desc).one(db))?;
    Ok(first.zip(last))
}

/// How often each person appeared.
pub(super) async fn appearances_of_each(
    db: &DatabaseConnection,
    whole: &WholeDays,
    camera_id: Option<&str>,
) -> Result<HashMap<Uuid, u64>, DbErr> {
    let mut counts: HashMap<Uuid, u64> = HashMap::new();
    let (first, end) = whole.days;
    let days: Vec<(Uuid, i64)> = {
        use visitor_days::{Column, Entity};
        Entity::find()
            .select_only()
            .column(Column::PersonId)
            .expr(Expr::col(Column::Appearances).sum().cast_as("bigint"))
            .filter(Column::CameraId.eq(camera_id.unwrap_or(ALL_CAMERAS)))
            .filter(Column::Day.gte(first))
            .filter(Column::Day.lt(end))
            .group_by(Column::PersonId)
            .into_tuple()
            .all(db)
            .await?
    };
    let mut add = |(person_id, count): (Uuid, i64)| {
        *counts.entry(person_id).or_default() += count.unsigned_abs();
    };
    days.into_iter().for_each(&mut add);
    for part in &whole.parts {
        use detections::{Column, Entity};
        let rows: Vec<(Uuid, i64)> = Entity::find()
            .select_only()
            .column(Column::PersonId)
            .expr(Expr::col(Column::PersonId).count())
            .filter(appearances(*part, camera_id))
            .filter(Column::PersonId.is_not_null())
            .group_by(Column::PersonId)
            .into_tuple()
            .all(db)
            .await?;
        rows.into_iter().for_each(&mut add);
    }
    Ok(counts)
}

/// Those who appeared most often.
pub(super) async fn top(
    db: &DatabaseConnection,
    counts: HashMap<Uuid, u64>,
    period: &Period,
    camera_id: Option<&str>,
) -> Result<Vec<TopVisitor>, DbErr> {
    let mut ranking: Vec<(Uuid, u64)> = counts.into_iter().collect();
    ranking.sort_unstable_by_key(|(person_id, count)| (std::cmp::Reverse(*count), *person_id));
    ranking.truncate(TOP);
    let names = persons::names(db, ranking.iter().map(|(person_id, _)| *person_id)).await?;
    let mut top = Vec::with_capacity(ranking.len());
    for (person_id, count) in ranking {
        let last_seen = last_seen(db, person_id, (period.from, period.to), camera_id).await?;
        // Someone who was erased in between is not named any more.
        if let (Some(name), Some(last_seen)) = (names.get(&person_id), last_seen) {
            top.push(TopVisitor { person_id, name: name.clone(), count, last_seen });
        }
    }
    Ok(top)
}

async fn last_seen(
    db: &DatabaseConnection,
    person_id: Uuid,
    part: Part,
    camera_id: Option<&str>,
) -> Result<Option<DateTime<Utc>>, DbErr> {
    use detections::{Column, Entity};
    let query = Entity::find()
        .select_only()
        .column(Column::Timestamp)
        .filter(Column::PersonId.eq(person_id))
        .filter(appearances(part, camera_id));
    query.order_by_desc(Column::Timestamp).into_tuple().one(db).await
}

/// How many different people each camera saw.
pub(super) async fn of_each_camera(
    db: &DatabaseConnection,
    whole: &WholeDays,
) -> Result<HashMap<String, u64>, DbErr> {
    use camera_visitors::Column;
    let mut pairs = Query::select()
        .columns([Column::CameraId, Column::PersonId])
        .distinct()
        .from(camera_visitors::Entity)
        .cond_where(on_days(whole.days))
        .to_owned();
    for part in &whole.parts {
        pairs.union(UnionType::Distinct, in_part(*part));
    }
    let counts = Query::select()
        .column(Column::CameraId)
        .expr(Expr::col(Column::PersonId).count())
        .from_subquery(pairs, "visitors")
        .group_by_col(Column::CameraId)
        .to_owned();
    let rows = db.query_all(&counts).await?;
    rows.iter()
        .map(|row| Ok((String::try_get_by_index(row, 0)?, i64::try_get_by_index(row, 1)?.unsigned_abs())))
        .collect()
}

fn in_part(part: Part) -> SelectStatement {
    use detections::Column;
    Query::select()
        .columns([Column::CameraId, Column::PersonId])
        .from(detections::Entity)
        .cond_where(appearances(part, None))
        .and_where(Expr::col(Column::PersonId).is_not_null())
        .to_owned()
}

/// Rows of `camera_visitors` with any of these days.
fn on_days((first, end): (i64, i64)) -> Condition {
    use camera_visitors::Column;
    if first >= end {
        return Condition::all().add(SimpleExpr::from(Expr::val(1)).eq(0));
    }
    let ((first_block, first_bit), (last_block, last_bit)) = (block_of(first), block_of(end - 1));
    // The first day's bit and all above; the last day's and all below.
    let (from_first, to_last) = (-first_bit, last_bit | (last_bit - 1));
    let with = |days: i64| Expr::col(Column::Days).bit_and(days).ne(0_i64);
    if first_block == last_block {
        return Condition::all().add(Column::Block.eq(first_block)).add(with(from_first & to_last));
    }
    // One range of the primary key, and what its ends leave out.
    Condition::all()
        .add(Column::Block.gte(first_block))
        .add(Column::Block.lte(last_block))
        .add(Condition::any().add(Column::Block.gt(first_block)).add(with(from_first)))
        .add(Condition::any().add(Column::Block.lt(last_block)).add(with(to_last)))
}
