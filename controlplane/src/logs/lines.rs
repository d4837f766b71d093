//! Warnings and errors as rows.

use sea_orm::sea_query::{Alias, Expr, ExprTrait as _, OnConflict};
use sea_orm::{
    ActiveValue::Set, ColumnTrait as _, Condition, ConnectionTrait, DbErr, EntityTrait as _, QueryFilter as _,
};
use serde_json::Value;
use vedette_events::LogLine;

use crate::database;
use crate::entity::system_logs::{ActiveModel, Column, Entity};

/// Source of entries about what was done.
pub const AUDIT: &str = "audit";
/// Source of warnings and errors.
pub const SYSTEM: &str = "system";

/// Writes lines of `origin`, such as `worker:host-2`. One that is there already stays as it is.
///
/// # Errors
/// When the database refuses.
pub async fn insert(db: &impl ConnectionTrait, origin: &str, lines: Vec<LogLine>) -> Result<(), DbErr> {
    if lines.is_empty() {
        return Ok(());
    }
    let row = |mut line: LogLine| {
        line.shorten();
        ActiveModel {
            id: Set(line.id),
            timestamp: Set(line.timestamp),
            source: Set(SYSTEM.to_owned()),
            level: Set(line.level.as_str().to_owned()),
            category: Set(line.target),
            action: Set(String::new()),
            message: Set(Some(line.message)),
            actor_id: Set(None),
            actor: Set(None),
            subject: Set(None),
            address: Set(None),
            origin: Set(Some(origin.to_owned())),
            details: Set((!line.fields.is_empty()).then_some(Value::Object(line.fields))),
        }
    };
    let unless_there = OnConflict::column(Column::Id).do_nothing().to_owned();
    let insert = Entity::insert_many(lines.into_iter().map(row)).on_conflict(unless_there);
    insert.exec_without_returning(db).await?;
    Ok(())
}

/// Removes every line that names `id`: of somebody who was erased, not even that stays.
///
/// # Errors
/// When the database refuses.
pub async fn remove_lines_naming(db: &impl ConnectionTrait, id: &str) -> Result<(), DbErr> {
    let details = Expr::col(Column::Details).cast_as(Alias::new("text"));
    let names_it = Condition::any()
        .add(database::contains(Expr::col(Column::Message), id))
        .add(database::contains(details, id));
    Entity::delete_many().filter(Column::Source.eq(SYSTEM)).filter(names_it).exec(db).await?;
    Ok(())
}
