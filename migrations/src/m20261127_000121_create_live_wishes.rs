//! Which instance of the control plane looks at which camera, so that any of them can ask its worker for pictures.

use sea_orm_migration::{prelude::*, schema::*};

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let wishes = Table::create()
            .table("live_wishes")
            .col(string("instance"))
            .col(string("camera_id"))
            .col(integer("side"))
            .col(timestamp_with_time_zone("expires_at"))
            .primary_key(Index::create().col("instance").col("camera_id").col("side"))
            .to_owned();
        manager.create_table(wishes).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.drop_table(Table::drop().table("live_wishes").to_owned()).await
    }
}
