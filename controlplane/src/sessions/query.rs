//! The statement behind a list of visits, and by which index it is read.
//!
//! Visits within a period are those that ended after it began and began before it ended, which no index knows. Few
//! are looked up by when they ended, and sorted; of many, a page is soon full when they are read in their order.

use chrono::{DateTime, Utc};
use sea_orm::sea_query::{Expr, ExprTrait as _, SimpleExpr};
use sea_orm::{
    ColumnTrait as _, DatabaseConnection, DbBackend, EntityTrait as _, Order, QueryFilter as _,
    QueryOrder as _, Select,
};

use super::model::SessionFilter;
use crate::database;
use crate::entity::sessions::{Column, Entity};

/// Up to so many visits are looked up and sorted.
const MOST_SORTED: u64 = 10_000;

/// What of a visit a statement is read by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Moment {
    /// When it began, within a person or a camera if the filter names one.
    Entry,
    /// When it ended.
    Exit,
}

/// The visits `filter` lets through, in no order.
pub(super) fn select(db: &DatabaseConnection, filter: &SessionFilter, lead: Moment) -> Select<Entity> {
    let column = |column| led_by(db, lead, column);
    let mut query = Entity::find();
    if let Some(person_id) = filter.person_id {
        query = query.filter(Expr::col(Column::PersonId).eq(person_id));
    }
    if let Some(camera_id) = &filter.camera_id {
        query = query.filter(column(Column::CameraId).eq(camera_id.as_str()));
    }
    if let Some(from) = filter.from {
        query = query.filter(column(Column::ExitTime).gte(from));
    }
    if let Some(to) = filter.to {
        query = query.filter(column(Column::EntryTime).lt(to));
    }
    if let Some(open) = filter.open {
        // As the condition of the index has it: neither database looks behind a parameter for it.
        let is_open = Expr::col(Column::IsOpen);
        query = query.filter(if open { is_open } else { is_open.not() });
    }
    query
}

/// Visits of the camera asked for that began, or ended, within a stretch of time.
pub(super) fn between(
    db: &DatabaseConnection,
    filter: &SessionFilter,
    moment: Moment,
    start: DateTime<Utc>,
    end: DateTime<Utc>,
) -> Select<Entity> {
    let camera = SessionFilter { camera_id: filter.camera_id.clone(), ..SessionFilter::default() };
    let column = if moment == Moment::Entry { Column::EntryTime } else { Column::ExitTime };
    select(db, &camera, moment).filter(column.gte(start)).filter(column.lt(end))
}

/// The visits of [`select`] by `sort`, their length if that is none, and then by id. They are `total`.
pub(super) fn ordered(
    db: &DatabaseConnection,
    filter: &SessionFilter,
    sort: Option<Column>,
    order: Order,
    total: u64,
) -> Select<Entity> {
    let is_of_few = filter.person_id.is_some() || filter.open == Some(true);
    let are_few = filter.from.is_some() && total <= MOST_SORTED && !is_of_few;
    let is_by_exit = matches!(sort, Some(Column::ExitTime)) && !is_of_few;
    let lead = if are_few || is_by_exit { Moment::Exit } else { Moment::Entry };
    let key = match (sort, db.get_database_backend()) {
        (Some(column), _) => led_by(db, lead, column),
        (None, DbBackend::Sqlite) => Expr::cust("julianday(exit_time) - julianday(entry_time)"),
        (None, _) => Expr::col(Column::ExitTime).sub(Expr::col(Column::EntryTime)),
    };
    select(db, filter, lead).order_by(key, order.clone()).order_by(Column::Id, order)
}

/// Visits that began within a stretch of time, by when they began.
pub(super) fn ordered_within(
    db: &DatabaseConnection,
    filter: &SessionFilter,
    stretch: (DateTime<Utc>, DateTime<Utc>),
    order: Order,
) -> Select<Entity> {
    let query = between(db, filter, Moment::Entry, stretch.0, stretch.1);
    query.order_by(Column::EntryTime, order.clone()).order_by(Column::Id, order)
}

/// A column, hidden from SQLite's choice of an index if that is not to be read by it.
fn led_by(db: &DatabaseConnection, lead: Moment, column: Column) -> SimpleExpr {
    let is_led_by = match lead {
        Moment::Entry => !matches!(column, Column::ExitTime),
        Moment::Exit => matches!(column, Column::ExitTime),
    };
    if is_led_by { Expr::col(column) } else { database::unindexed(db, Entity, column) }
}
