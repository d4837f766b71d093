//! Finding entries.

use sea_orm::sea_query::{Alias, Expr, ExprTrait as _, Func};
use sea_orm::{
    ColumnTrait as _, Condition, DatabaseConnection, EntityTrait as _, PaginatorTrait as _, QueryFilter as _,
    QueryOrder as _, QuerySelect as _, Select,
};
use uuid::Uuid;

use super::model::{LogFilter, LogView};
use crate::database;
use crate::entity::system_logs::{Column, Entity};
use crate::error::ApiError;
use crate::filters::{Page, PageRequest};

/// One page of the entries `filter` lets through, the latest first.
pub(super) async fn list(
    db: &DatabaseConnection,
    filter: &LogFilter,
    page: PageRequest,
) -> Result<Page<LogView>, ApiError> {
    filter.check()?;
    let query = select(filter);
    let total = query.clone().count(db).await?;
    let rows = query
        .order_by_desc(Column::Timestamp)
        .order_by_desc(Column::Id)
        .offset(page.index() * page.page_size())
        .limit(page.page_size())
        .all(db)
        .await?;
    Ok(page.with(rows.into_iter().map(LogView::from).collect(), total))
}

fn select(filter: &LogFilter) -> Select<Entity> {
    let mut query = Entity::find();
    if let Some(source) = filter.source {
        query = query.filter(Column::Source.eq(source.as_str()));
    }
    if let Some(level) = filter.level {
        query = query.filter(Column::Level.eq(level.as_str()));
    }
    if let Some(from) = filter.from {
        query = query.filter(Column::Timestamp.gte(from));
    }
    if let Some(to) = filter.to {
        query = query.filter(Column::Timestamp.lt(to));
    }
    if let Some(user) = filled(&filter.user) {
        query = query.filter(by(user));
    }
    if let Some(action) = filled(&filter.action) {
        query = query.filter(doing(action));
    }
    if let Some(search) = filled(&filter.search) {
        query = query.filter(saying(search));
    }
    query
}

fn filled(text: &Option<String>) -> Option<&str> {
    text.as_deref().map(str::trim).filter(|text| !text.is_empty())
}

/// Entries about what a user or a program did.
fn by(user: &str) -> Condition {
    let name = Expr::expr(Func::lower(Expr::col(Column::Actor))).eq(user.to_lowercase());
    let id = user.parse::<Uuid>().ok();
    Condition::any().add(name).add_option(id.map(|id| Column::ActorId.eq(id)))
}

/// Entries about something that was done: `auth.login`, or all of `auth`, or every `login`.
fn doing(action: &str) -> Condition {
    // Lines of the system have no action; their category is no half of one.
    match action.split_once('.') {
        Some((category, action)) => {
            Condition::all().add(Column::Category.eq(category)).add(Column::Action.eq(action))
        }
        None => Condition::all()
            .add(Column::Action.ne(""))
            .add(Condition::any().add(Column::Category.eq(action)).add(Column::Action.eq(action))),
    }
}

/// Entries with this text in them.
fn saying(search: &str) -> Condition {
    let texts = [
        Column::Message,
        Column::Category,
        Column::Action,
        Column::Actor,
        Column::Subject,
        Column::Address,
        Column::Origin,
    ];
    let details = Expr::col(Column::Details).cast_as(Alias::new("text"));
    // An action is shown with its category before it, so it is looked for that way, too.
    let action = Expr::cust("category || '.' || action");
    database::any_contains(texts, search)
        .add(database::contains(details, search))
        .add(database::contains(action, search))
}
