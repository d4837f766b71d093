//! Detections counted by camera alone, for lists of no period: their totals need not be summed up over every hour
//! there has been. Filled from the hours there are.

use sea_orm_migration::sea_orm::{ConnectionTrait as _, DbBackend};
use sea_orm_migration::{prelude::*, schema::*};

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

const COUNTS: [&str; 8] = [
    "known_recognized",
    "known_unknown",
    "known_updated",
    "known_left",
    "stranger_recognized",
    "stranger_unknown",
    "stranger_updated",
    "stranger_left",
];

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let mut totals = Table::create()
            .table("detection_totals")
            .col(string("camera_id"))
            .primary_key(Index::create().col("camera_id"))
            .to_owned();
        COUNTS.iter().for_each(|count| {
            totals.col(big_integer(*count).default(0));
        });
        if manager.get_database_backend() == DbBackend::Sqlite {
            totals.extra("WITHOUT ROWID");
        }
        manager.create_table(totals).await?;
        manager.get_connection().execute_unprepared(&sums()).await?;
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.drop_table(Table::drop().table("detection_totals").to_owned()).await
    }
}

/// A statement that sums all hours there are up into the empty table.
pub(crate) fn sums() -> String {
    let sums = COUNTS.map(|count| format!("sum({count})"));
    format!(
        "INSERT INTO detection_totals (camera_id, {}) SELECT camera_id, {} FROM detection_hours GROUP BY camera_id",
        COUNTS.join(", "),
        sums.join(", ")
    )
}
