//! Cameras. `stored_url` holds the source with its credentials, in a form only the camera service reads and writes.

use sea_orm_migration::{prelude::*, schema::*};

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager
            .create_table(
                Table::create()
                    .table("cameras")
                    .col(string("id").primary_key())
                    .col(string("name"))
                    .col(text("stored_url"))
                    .col(boolean("enabled").default(true))
                    .col(boolean("looped").default(false))
                    .col(string_null("resolution"))
                    .col(integer_null("fps"))
                    .col(boolean("should_run").default(false))
                    .col(big_integer("run").default(0))
                    .col(text_null("last_error"))
                    .col(timestamp_with_time_zone("created_at"))
                    .col(timestamp_with_time_zone("updated_at"))
                    .to_owned(),
            )
            .await?;
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.drop_table(Table::drop().table("cameras").to_owned()).await
    }
}
