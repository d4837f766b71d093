//! Which instance does what only one may do at a time, and when it was last done.

use sea_orm_migration::{prelude::*, schema::*};

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let table = Table::create()
            .table("task_leases")
            .col(string("task").primary_key())
            .col(uuid("holder"))
            .col(timestamp_with_time_zone("expires_at"))
            .col(timestamp_with_time_zone_null("done_at"))
            .to_owned();
        manager.create_table(table).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.drop_table(Table::drop().table("task_leases").to_owned()).await
    }
}
