//! Rows counted beforehand, in tables of their own: how such a table is written.
//!
//! Who changes what is counted adds to the counts in the same transaction. All writers meet at a few rows, so every
//! transaction writes them last, table by table in one order and by ascending keys: they wait for each other, and
//! never in a circle. Counts of detections come before those of visits.

use sea_orm::sea_query::{
    Alias, DynIden, Expr, ExprTrait as _, IntoIden as _, OnConflict, Query, SimpleExpr,
};
use sea_orm::{Condition, ConnectionTrait, DbErr, EntityTrait};

/// Rows of one statement, below the limit of variables of both databases.
pub(crate) const ROWS_PER_STATEMENT: usize = 500;
/// Rows found by one query when each is a condition of its own.
pub(crate) const ROWS_PER_CONDITION: usize = 100;

/// Adds counts to the rows of `table` that have these keys, and removes those that count nothing any more: the tables
/// grow with what is kept, not with all there ever was.
pub(crate) async fn add_counts<T: EntityTrait, const K: usize, const C: usize>(
    db: &impl ConnectionTrait,
    table: T,
    keys: [&'static str; K],
    counts: [&'static str; C],
    rows: impl Iterator<Item = ([SimpleExpr; K], [i64; C])>,
) -> Result<(), DbErr> {
    let mut add = OnConflict::columns(keys);
    for column in counts {
        add.value(column, Expr::col((table, column)).add(Expr::col((excluded(), column))));
    }
    let rows: Vec<_> = rows.collect();
    for rows in rows.chunks(ROWS_PER_STATEMENT) {
        let mut insert = Query::insert();
        insert.into_table(table).on_conflict(add.clone()).columns(keys.into_iter().chain(counts));
        for (key, values) in rows {
            // As many values as columns: a key's and one for each that counts.
            insert.values_panic(key.iter().cloned().chain(values.map(Expr::val)));
        }
        db.execute(&insert).await?;
    }
    let counts_nothing =
        counts.into_iter().fold(Condition::all(), |all, column| all.add(Expr::col(column).eq(0)));
    let shrunk: Vec<_> = rows.iter().filter(|(_, values)| values.iter().any(|value| *value < 0)).collect();
    for rows in shrunk.chunks(ROWS_PER_CONDITION) {
        // Only rows this transaction holds already: it need not wait for anybody.
        let these =
            rows.iter().fold(Condition::any(), |any, (key, _)| {
                let columns = keys.iter().zip(key);
                any.add(columns.fold(Condition::all(), |all, (column, value)| {
                    all.add(Expr::col(*column).eq(value.clone()))
                }))
            });
        let delete =
            Query::delete().from_table(table).cond_where(these).cond_where(counts_nothing.clone()).to_owned();
        db.execute(&delete).await?;
    }
    Ok(())
}

/// The row that could not be inserted, as both databases call it.
pub(crate) fn excluded() -> DynIden {
    Alias::new("excluded").into_iden()
}
