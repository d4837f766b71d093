//! Alerts for people: lists, and who took note.

use std::collections::HashMap;

use sea_orm::sea_query::Expr;
use sea_orm::{
    ColumnTrait as _, ConnectionTrait, DbErr, EntityTrait as _, PaginatorTrait as _, QueryFilter as _,
    QueryOrder as _, QuerySelect as _,
};
use uuid::Uuid;

use super::model::{AlertFilter, AlertView};
use crate::audit::{Action, Actor, Entry};
use crate::database;
use crate::entity::alert_deliveries;
use crate::entity::alerts::{Column, Entity, Model};
use crate::error::ApiError;
use crate::filters::{Page, PageRequest};
use crate::state::AppState;

/// One page of what `filter` lets through, the newest first.
pub(super) async fn list(
    state: &AppState,
    filter: &AlertFilter,
    page: PageRequest,
) -> Result<Page<AlertView>, ApiError> {
    filter.check()?;
    let mut query = Entity::find();
    if let Some(rule_id) = filter.rule_id {
        query = query.filter(Column::RuleId.eq(rule_id));
    }
    if let Some(kind) = filter.kind {
        query = query.filter(Column::Kind.eq(kind.as_str()));
    }
    if let Some(camera_id) = &filter.camera_id {
        query = query.filter(Column::CameraId.eq(camera_id.as_str()));
    }
    if let Some(person_id) = filter.person_id {
        query = query.filter(Column::PersonId.eq(person_id));
    }
    match filter.acknowledged {
        Some(true) => query = query.filter(Column::AcknowledgedAt.is_not_null()),
        Some(false) => query = query.filter(Column::AcknowledgedAt.is_null()),
        None => {}
    }
    if let Some(from) = filter.from {
        query = query.filter(Column::Timestamp.gte(from));
    }
    if let Some(to) = filter.to {
        query = query.filter(Column::Timestamp.lt(to));
    }
    let total = query.clone().count(&state.db).await?;
    let alerts = query
        .order_by_desc(Column::Timestamp)
        .order_by_desc(Column::Id)
        .offset(page.index() * page.page_size())
        .limit(page.page_size())
        .all(&state.db)
        .await?;
    Ok(page.with(views(&state.db, alerts).await?, total))
}

/// Writes down that somebody took note of an alert. The first to do so stays.
pub(super) async fn acknowledge(
    state: &AppState,
    actor: &Actor,
    username: &str,
    id: Uuid,
) -> Result<AlertView, ApiError> {
    let transaction = database::begin_write(&state.db).await?;
    let now = database::now(&transaction).await?;
    let acknowledged = Entity::update_many()
        .col_expr(Column::AcknowledgedAt, Expr::value(Some(now)))
        .col_expr(Column::AcknowledgedBy, Expr::value(Some(username.to_owned())))
        .filter(Column::Id.eq(id))
        .filter(Column::AcknowledgedAt.is_null())
        .exec(&transaction)
        .await?;
    let alert = Entity::find_by_id(id).one(&transaction).await?;
    let alert = alert.ok_or_else(|| ApiError::not_found("alert", id))?;
    if acknowledged.rows_affected > 0 {
        // Only the id, which leads nowhere once a person the alert is about is erased.
        Entry::new(Action::AlertAcknowledged, actor).about("alert", id).write(&transaction).await?;
    }
    let deliveries = deliveries_of(&transaction, [id]).await?.remove(&id).unwrap_or_default();
    transaction.commit().await?;
    Ok(AlertView::new(alert, deliveries))
}

async fn views(db: &impl ConnectionTrait, alerts: Vec<Model>) -> Result<Vec<AlertView>, DbErr> {
    let mut deliveries = deliveries_of(db, alerts.iter().map(|alert| alert.id)).await?;
    let view = |alert: Model| {
        let deliveries = deliveries.remove(&alert.id).unwrap_or_default();
        AlertView::new(alert, deliveries)
    };
    Ok(alerts.into_iter().map(view).collect())
}

/// Deliveries by alert.
async fn deliveries_of(
    db: &impl ConnectionTrait,
    alert_ids: impl IntoIterator<Item = Uuid>,
) -> Result<HashMap<Uuid, Vec<alert_deliveries::Model>>, DbErr> {
    let rows = alert_deliveries::Entity::find()
        .filter(alert_deliveries::Column::AlertId.is_in(alert_ids))
        .order_by_asc(alert_deliveries::Column::Id)
        .all(db)
        .await?;
    let mut deliveries: HashMap<Uuid, Vec<alert_deliveries::Model>> = HashMap::new();
    for row in rows {
        deliveries.entry(row.alert_id).or_default().push(row);
    }
    Ok(deliveries)
}
