//! How often the gallery was changed: by this, servers on one database see what another of them changed.

use sea_orm_migration::sea_orm::ConnectionTrait as _;
use sea_orm_migration::{prelude::*, schema::*};

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let table = Table::create()
            .table("gallery_changes")
            .col(integer("id").primary_key())
            .col(big_integer("changes"))
            .to_owned();
        manager.create_table(table).await?;
        // The only row there ever is.
        let row = "INSERT INTO gallery_changes (id, changes) VALUES (1, 0)";
        manager.get_connection().execute_unprepared(row).await?;
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.drop_table(Table::drop().table("gallery_changes").to_owned()).await
    }
}
