//! Finding visits.

use sea_orm::sea_query::{Expr, ExprTrait as _, SimpleExpr};
use sea_orm::{
    ColumnTrait as _, DatabaseConnection, DbBackend, EntityTrait as _, Order, PaginatorTrait as _,
    QueryFilter as _, QueryOrder as _, QuerySelect as _,
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
    let (column, order) = sort_order(db.get_database_backend(), filter.sort.as_deref())?;
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
        .order_by(column, order.clone())
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

/// The order asked for; latest entry first if none is.
fn sort_order(backend: DbBackend, sort: Option<&str>) -> Result<(SimpleExpr, Order), ApiError> {
    let sort = sort.unwrap_or("-entry_time");
    let (name, order) = sort.strip_prefix('-').map_or((sort, Order::Asc), |name| (name, Order::Desc));
    let column = match (name, backend) {
        ("entry_time", _) => Expr::col(Column::EntryTime),
        ("exit_time", _) => Expr::col(Column::ExitTime),
        ("camera_id", _) => Expr::col(Column::CameraId),
        ("detection_count", _) => Expr::col(Column::DetectionCount),
        ("duration_s", DbBackend::Sqlite) => Expr::cust("julianday(exit_time) - julianday(entry_time)"),
        ("duration_s", _) => Expr::col(Column::ExitTime).sub(Expr::col(Column::EntryTime)),
        _ => {
            let known = "entry_time, exit_time, duration_s, detection_count or camera_id, `-` before it for descending";
            return Err(ApiError::validation("sort", format!("must be {known}")));
        }
    };
    Ok((column, order))
}
