//! The statement behind a list of detections, and by which index it is read.
//!
//! PostgreSQL chooses by its statistics; SQLite, which has none, is told ([`database::unindexed`]).

use sea_orm::sea_query::{Expr, ExprTrait as _, SimpleExpr};
use sea_orm::{
    DatabaseConnection, EntityTrait as _, IdenStatic as _, Order, QueryFilter as _, QueryOrder as _, Select,
};

use super::model::DetectionFilter;
use crate::database;
use crate::entity::detections::{Column, Entity};

/// What a statement is read by.
#[derive(Clone, Copy, Debug)]
pub(super) enum Lead {
    /// Time, within a camera or a person if the filter names one.
    Time,
    /// Confidence: so few are as confident that the rest is looked up and sorted.
    Confidence,
    /// The filter: it lets so few through that they are looked up and sorted.
    Filter,
    /// The order asked for: the filter lets so many through that a page is soon full.
    Order(Column),
}

/// How one statement is read.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reading<'a> {
    db: &'a DatabaseConnection,
    lead: Lead,
}

impl<'a> Reading<'a> {
    /// A statement read by `lead`.
    pub(super) fn new(db: &'a DatabaseConnection, lead: Lead) -> Self {
        Self { db, lead }
    }

    /// The rows `filter` lets through, in no order.
    pub(super) fn select(self, filter: &DetectionFilter) -> Select<Entity> {
        let mut query = Entity::find();
        if let Some(person_id) = filter.person_id {
            query = query.filter(self.column(Column::PersonId).eq(person_id));
        }
        if let Some(camera_id) = &filter.camera_id {
            query = query.filter(self.column(Column::CameraId).eq(camera_id.as_str()));
        }
        if let Some(from) = filter.from {
            query = query.filter(self.column(Column::Timestamp).gte(from));
        }
        if let Some(to) = filter.to {
            query = query.filter(self.column(Column::Timestamp).lt(to));
        }
        match filter.known {
            Some(true) => query = query.filter(self.column(Column::PersonId).is_not_null()),
            Some(false) => query = query.filter(self.column(Column::PersonId).is_null()),
            None => {}
        }
        if let Some(confidence) = filter.min_confidence {
            query = query.filter(self.column(Column::Confidence).gte(confidence));
        }
        if let Some(kind) = filter.kind {
            query = query.filter(Expr::col((Entity, Column::Kind)).eq(kind.as_str()));
        }
        query
    }

    /// The same in this order; equal ones by time if the index has them so, then by id.
    pub(super) fn ordered(self, filter: &DetectionFilter, column: Column, order: &Order) -> Select<Entity> {
        let mut query = self.select(filter);
        match column {
            // What has no value is listed apart. Written as a range, which both databases begin an index at.
            Column::Similarity => query = query.filter(self.column(column).gte(-1.0_f32)),
            Column::PersonName => query = query.filter(self.column(column).gte("")),
            _ => {}
        }
        let key = match self.lead {
            Lead::Confidence | Lead::Filter => database::unindexed(self.db, Entity, column),
            Lead::Time | Lead::Order(_) => Expr::col((Entity, column)),
        };
        query = query.order_by(key, order.clone());
        if matches!(column, Column::CameraId) {
            query = query.order_by(Column::Timestamp, order.clone());
        }
        query.order_by(Column::Id, order.clone())
    }

    /// A column of the filter.
    fn column(self, column: Column) -> SimpleExpr {
        let is_led_by = match self.lead {
            Lead::Time | Lead::Filter => {
                !matches!(column, Column::Confidence | Column::Similarity | Column::PersonName)
            }
            Lead::Confidence => matches!(column, Column::Confidence),
            Lead::Order(order) => column.as_str() == order.as_str(),
        };
        if is_led_by { Expr::col((Entity, column)) } else { database::unindexed(self.db, Entity, column) }
    }
}
