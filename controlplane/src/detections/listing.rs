//! One page of detections, without reading more than it takes, however many there are.

use sea_orm::{DatabaseConnection, DbErr, Order, QuerySelect as _};

use super::model::{DetectionFilter, DetectionView};
use super::query::{Lead, Reading};
use super::totals::{self, MOST_SKIPPED, Total, window};
use crate::entity::detections::{Column, Model};
use crate::error::ApiError;
use crate::filters::{Page, PageRequest};

/// Up to so many rows are looked up and sorted; with more, a page is found sooner in the index of its order.
const MOST_SORTED: u64 = 20_000;

/// One page of what `filter` lets through.
pub(super) async fn list(
    db: &DatabaseConnection,
    filter: &DetectionFilter,
    page: PageRequest,
) -> Result<Page<DetectionView>, ApiError> {
    filter.check()?;
    let (column, order) = filter.order()?;
    let total = Total::count(db, filter).await?;
    let (offset, limit) = (page.index() * page.page_size(), page.page_size());
    let rows = match column {
        Column::Timestamp => by_time(db, filter, &total, &order, offset, limit).await?,
        Column::Similarity | Column::PersonName => {
            strangers_last(db, filter, column, &order, offset, limit).await?
        }
        _ => by_value(db, filter, &total, column, &order, offset, limit).await?,
    };
    let items = rows.into_iter().map(DetectionView::from).collect();
    Ok(page.with(items, total.number()))
}

async fn by_time(
    db: &DatabaseConnection,
    filter: &DetectionFilter,
    total: &Total,
    order: &Order,
    offset: u64,
    limit: u64,
) -> Result<Vec<Model>, DbErr> {
    let is_near = filter.has_every_kind() && offset + limit <= MOST_SKIPPED;
    let stretches = match total {
        Total::Stretches(stretches) => stretches,
        Total::Kept(_) if !is_near => &totals::stretches(db, filter).await?,
        _ => {
            let lead = totals::lead_of_confidence(db, filter).await?;
            let query = Reading::new(db, lead).ordered(filter, Column::Timestamp, order);
            return query.offset(offset).limit(limit).all(db).await;
        }
    };
    let Some(window) = window(stretches, order, offset, limit) else {
        return Ok(Vec::new());
    };
    // Stretches reach beyond the filter's period only where that is open.
    let within = DetectionFilter { from: Some(window.start), to: Some(window.end), ..filter.clone() };
    let query = Reading::new(db, Lead::Time).ordered(&within, Column::Timestamp, order);
    query.offset(window.offset).limit(limit).all(db).await
}

async fn by_value(
    db: &DatabaseConnection,
    filter: &DetectionFilter,
    total: &Total,
    column: Column,
    order: &Order,
    offset: u64,
    limit: u64,
) -> Result<Vec<Model>, DbErr> {
    let lead = match total {
        _ if total.number() > MOST_SORTED => Lead::Order(column),
        Total::Number(_) if filter.person_id.is_none() => totals::lead_of_confidence(db, filter).await?,
        _ => Lead::Filter,
    };
    Reading::new(db, lead).ordered(filter, column, order).offset(offset).limit(limit).all(db).await
}

/// By something only known people have: strangers follow, the latest first.
async fn strangers_last(
    db: &DatabaseConnection,
    filter: &DetectionFilter,
    column: Column,
    order: &Order,
    offset: u64,
    limit: u64,
) -> Result<Vec<Model>, DbErr> {
    let of = |known: bool| DetectionFilter { known: Some(known), ..filter.clone() };
    let mut rows = Vec::new();
    let mut known = 0;
    if filter.known != Some(false) {
        let filter = of(true);
        let total = Total::count(db, &filter).await?;
        known = total.number();
        if offset < known {
            rows = by_value(db, &filter, &total, column, order, offset, limit).await?;
        }
    }
    let missing = limit - limit.min(rows.len() as u64);
    if missing > 0 && filter.known != Some(true) && filter.person_id.is_none() {
        let filter = of(false);
        let total = Total::count(db, &filter).await?;
        let offset = offset.saturating_sub(known);
        rows.extend(by_time(db, &filter, &total, &Order::Desc, offset, missing).await?);
    }
    Ok(rows)
}
