//! Finding visits.

use sea_orm::sea_query::{Expr, ExprTrait as _, SimpleExpr};
use sea_orm::{
    ColumnTrait as _, DatabaseConnection, DbBackend, EntityTrait as _, PaginatorTrait as _, QueryFilter as _,
    QueryOrder as _, QuerySelect as _,
};

use super::model::{SessionFilter, SessionView};
use crate::entity::sessions::{Column, Entity, Model};
use crate::error::ApiError;
use crate::filters::{Page, PageRequest};
use crate::persons;

/// One page of the visits `filter` lets through.
pub(super) async fn list(
    db: &DatabaseConnection,
    filter: &SessionFilter,
    page: PageRequest,
) -> Result<Page<SessionView>, ApiError> {
    filter.check()?;
    let (column, order) = filter.order()?;
    let mut query = Entity::find();
    if let Some(person_id) = filter.person_id {
        query = query.filter(Column::PersonId.eq(person_id));
    }
    if let Some(camera_id) = &filter.camera_id {
        query = query.filter(Column::CameraId.eq(camera_id));
    }
    if let Some(from) = filter.from {
        query = query.filter(Column::ExitTime.gte(from));
    }
    if let Some(to) = filter.to {
        query = query.filter(Column::EntryTime.lt(to));
    }
    if let Some(open) = filter.open {
        // As the condition of the index has it: neither database looks behind a parameter for it.
        let is_open = Expr::col(Column::IsOpen);
        query = query.filter(if open { is_open } else { is_open.not() });
    }
    let total = query.clone().count(db).await?;
    let sessions = query
        .order_by(sort_key(db.get_database_backend(), column), order.clone())
        .order_by(Column::Id, order)
        .offset(page.index() * page.page_size())
        .limit(page.page_size())
        .all(db)
        .await?;
    let names = persons::names(db, sessions.iter().map(|session| session.person_id)).await?;
    let view = |session: Model| {
        let name = names.get(&session.person_id).cloned();
        SessionView::new(session, name)
    };
    Ok(page.with(sessions.into_iter().map(view).collect(), total))
}

/// What is sorted by: a column, or how long the visit was.
fn sort_key(backend: DbBackend, column: Option<Column>) -> SimpleExpr {
    match (column, backend) {
        (Some(column), _) => Expr::col(column),
        (None, DbBackend::Sqlite) => Expr::cust("julianday(exit_time) - julianday(entry_time)"),
        (None, _) => Expr::col(Column::ExitTime).sub(Expr::col(Column::EntryTime)),
    }
}
