//! Face templates: what a person is recognised by, one row per accepted photo.

use sea_orm_migration::{prelude::*, schema::*};

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager
            .create_table(
                Table::create()
                    .table("face_templates")
                    .col(pk_uuid("id"))
                    .col(uuid("person_id"))
                    .col(string("pack"))
                    .col(integer("dimension"))
                    .col(blob("template"))
                    .col(float("quality"))
                    .col(string_null("filename"))
                    .col(string_null("photo_path"))
                    .col(timestamp_with_time_zone("created_at"))
                    .foreign_key(
                        ForeignKey::create()
                            .name("fk_face_templates_person_id")
                            .from("face_templates", "person_id")
                            .to("persons", "id")
                            .on_delete(ForeignKeyAction::Cascade),
                    )
                    .to_owned(),
            )
            .await?;
        manager
            .create_index(
                Index::create()
                    .name("idx_face_templates_person_id")
                    .table("face_templates")
                    .col("person_id")
                    .to_owned(),
            )
            .await?;
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.drop_table(Table::drop().table("face_templates").to_owned()).await
    }
}
