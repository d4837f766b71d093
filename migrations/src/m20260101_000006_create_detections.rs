//! What cameras saw. A row outlives its camera, so `camera_id` refers to no table; `event_id` is the key on which
//! ingest is idempotent.

use sea_orm_migration::{prelude::*, schema::*};

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager
            .create_table(
                Table::create()
                    .table("detections")
                    .col(pk_uuid("id"))
                    .col(uuid_uniq("event_id"))
                    .col(string("kind"))
                    .col(timestamp_with_time_zone("timestamp"))
                    .col(big_integer("stream_time_ms"))
                    .col(string("camera_id"))
                    .col(big_integer("track_id"))
                    .col(uuid_null("person_id"))
                    .col(string_null("person_name"))
                    .col(float_null("similarity"))
                    .col(float_null("margin"))
                    .col(float("confidence"))
                    .col(float("quality"))
                    .col(integer("box_x"))
                    .col(integer("box_y"))
                    .col(integer("box_width"))
                    .col(integer("box_height"))
                    .col(integer("frame_width"))
                    .col(integer("frame_height"))
                    .col(float_null("age"))
                    .col(string_null("gender"))
                    .col(string_null("snapshot_path"))
                    .col(blob_null("embedding"))
                    .col(timestamp_with_time_zone_null("first_seen"))
                    .col(timestamp_with_time_zone_null("last_seen"))
                    .col(timestamp_with_time_zone("created_at"))
                    .foreign_key(
                        ForeignKey::create()
                            .name("fk_detections_person_id")
                            .from("detections", "person_id")
                            .to("persons", "id")
                            .on_delete(ForeignKeyAction::SetNull),
                    )
                    .to_owned(),
            )
            .await?;
        manager
            .create_index(
                Index::create()
                    .name("idx_detections_timestamp")
                    .table("detections")
                    .col("timestamp")
                    .to_owned(),
            )
            .await?;
        manager
            .create_index(
                Index::create()
                    .name("idx_detections_camera_id_timestamp")
                    .table("detections")
                    .col("camera_id")
                    .col("timestamp")
                    .to_owned(),
            )
            .await?;
        manager
            .create_index(
                Index::create()
                    .name("idx_detections_person_id_timestamp")
                    .table("detections")
                    .col("person_id")
                    .col("timestamp")
                    .to_owned(),
            )
            .await?;
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.drop_table(Table::drop().table("detections").to_owned()).await
    }
}
