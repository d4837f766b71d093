//! Finding visits.

use sea_orm::{DatabaseConnection, QuerySelect as _};

use super::model::{SessionFilter, SessionView};
use super::{counts, query};
use crate::entity::sessions::Model;
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
    let sessions = query::ordered(db, filter, column, order, total)
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
