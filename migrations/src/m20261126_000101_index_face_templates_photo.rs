//! A photo has one template of each pack, whoever makes them.

use sea_orm_migration::prelude::*;

const INDEX: &str = "idx_face_templates_photo_path_pack";

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let index = Index::create()
            .name(INDEX)
            .table("face_templates")
            .col("photo_path")
            .col("pack")
            .unique()
            .to_owned();
        manager.create_index(index).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.drop_index(Index::drop().name(INDEX).table("face_templates").to_owned()).await
    }
}
