//! How many events wait on a worker's disk, so that every server can tell and not only the one it reports to.

use sea_orm_migration::{prelude::*, schema::*};

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let column = big_integer("spooled_events").default(0).to_owned();
        manager.alter_table(Table::alter().table("workers").add_column(column).to_owned()).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.alter_table(Table::alter().table("workers").drop_column("spooled_events").to_owned()).await
    }
}
