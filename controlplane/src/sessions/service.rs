//! Finding visits.

use sea_orm::{DatabaseConnection, QuerySelect as _};

use super::model::{SessionFilter, SessionView};
use super::{counts, query};
use crate::detections::totals::{MOST_SKIPPED, window};
use crate::entity::sessions::{Column, Model};
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
    let total = counts::total(db, filter).await?;
    let (offset, limit) = (page.index() * page.page_size(), page.page_size());
    let is_of_all_time = matches!(column, Some(Column::EntryTime)) && filter.is_of_camera();
    let sessions = if is_of_all_time && offset + limit > MOST_SKIPPED {
        let hours = counts::by_hour(db, filter.camera_id.as_deref()).await?;
        let Some(window) = window(&hours, &order, offset, limit) else {
            return Ok(page.with(Vec::new(), total));
        };
        query::ordered_within(db, filter, (window.start, window.end), order)
            .offset(window.offset)
            .limit(limit)
            .all(db)
            .await?
    } else {
        query::ordered(db, filter, column, order, total).offset(offset).limit(limit).all(db).await?
    };
    let names = persons::names(db, sessions.iter().map(|session| session.person_id)).await?;
    let view = |session: Model| {
        let name = names.get(&session.person_id).cloned();
        SessionView::new(session, name)
    };
    Ok(page.with(sessions.into_iter().map(view).collect(), total))
}
