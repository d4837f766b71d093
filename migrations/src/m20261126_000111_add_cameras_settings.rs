//! What is set for one camera alone: hours, masks, regions, thresholds. As JSON: it is read and written as a whole.

use sea_orm_migration::{prelude::*, schema::*};

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let column = json_null("settings");
        manager.alter_table(Table::alter().table("cameras").add_column(column).to_owned()).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.alter_table(Table::alter().table("cameras").drop_column("settings").to_owned()).await
    }
}
