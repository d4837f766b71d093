//! Embeddings of strangers are kept sealed from here on. Those kept before were not, nothing has used them yet, and a
//! migration has no key: they go. (A vector takes four bytes a number; what is sealed has an odd length.)

use sea_orm_migration::prelude::*;

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let statement = "UPDATE detections SET embedding = NULL WHERE embedding IS NOT NULL AND length(embedding) % 4 = 0";
        manager.get_connection().execute_unprepared(statement).await.map(drop)
    }

    async fn down(&self, _: &SchemaManager) -> Result<(), DbErr> {
        // What is gone is gone; the table is the same.
        Ok(())
    }
}
