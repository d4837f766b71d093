//! Warnings and errors of servers and workers beside the entries of the audit log: what a line says, and where it was
//! logged.

use sea_orm_migration::sea_orm::ConnectionTrait as _;
use sea_orm_migration::{prelude::*, schema::*};

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

const TABLE: &str = "system_logs";
const INDEX: &str = "idx_system_logs_source_timestamp";

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        // Servers of the version before write audit entries and know nothing of the column.
        let source = string("source").default("audit").to_owned();
        for column in [source, text_null("message"), string_null("origin")] {
            manager.alter_table(Table::alter().table(TABLE).add_column(column).to_owned()).await?;
        }
        let index = Index::create().name(INDEX).table(TABLE).col("source").col("timestamp").to_owned();
        manager.create_index(index).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.drop_index(Index::drop().name(INDEX).table(TABLE).to_owned()).await?;
        // The version before would take them for deeds.
        manager
            .get_connection()
            .execute_unprepared("DELETE FROM system_logs WHERE source = 'system'")
            .await?;
        for column in ["origin", "message", "source"] {
            manager.alter_table(Table::alter().table(TABLE).drop_column(column).to_owned()).await?;
        }
        Ok(())
    }
}
