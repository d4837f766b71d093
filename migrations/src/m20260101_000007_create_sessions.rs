//! Visits: how long a person stayed before a camera.

use sea_orm_migration::{prelude::*, schema::*};

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager
            .create_table(
                Table::create()
                    .table("sessions")
                    .col(pk_uuid("id"))
                    .col(uuid("person_id"))
                    .col(string("camera_id"))
                    .col(timestamp_with_time_zone("entry_time"))
                    .col(timestamp_with_time_zone("exit_time"))
                    .col(integer("detection_count").default(1))
                    .foreign_key(
                        ForeignKey::create()
                            .name("fk_sessions_person_id")
                            .from("sessions", "person_id")
                            .to("persons", "id")
                            .on_delete(ForeignKeyAction::Cascade),
                    )
                    .to_owned(),
            )
            .await?;
        manager
            .create_index(
                Index::create()
                    .name("idx_sessions_person_id_camera_id_exit_time")
                    .table("sessions")
                    .col("person_id")
                    .col("camera_id")
                    .col("exit_time")
                    .to_owned(),
            )
            .await?;
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.drop_table(Table::drop().table("sessions").to_owned()).await
    }
}
