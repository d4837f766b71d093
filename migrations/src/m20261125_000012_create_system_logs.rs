//! The audit log. Actors are kept by name as well as by id and without a foreign key: an entry outlives its actor.

use sea_orm_migration::{prelude::*, schema::*};

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager
            .create_table(
                Table::create()
                    .table("system_logs")
                    .col(pk_uuid("id"))
                    .col(timestamp_with_time_zone("timestamp"))
                    .col(string("level"))
                    .col(string("category"))
                    .col(string("action"))
                    .col(uuid_null("actor_id"))
                    .col(string_null("actor"))
                    .col(string_null("subject"))
                    .col(string_null("address"))
                    .col(json_null("details"))
                    .to_owned(),
            )
            .await?;
        let index = |name: &str, columns: &[&'static str]| {
            let mut index = Index::create().name(name).table("system_logs").to_owned();
            for column in columns {
                index.col(*column);
            }
            index
        };
        manager.create_index(index("idx_system_logs_timestamp", &["timestamp"])).await?;
        manager.create_index(index("idx_system_logs_actor", &["actor", "timestamp"])).await?;
        // Erasing a person looks for the entries about that person.
        manager.create_index(index("idx_system_logs_subject", &["subject"])).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.drop_table(Table::drop().table("system_logs").to_owned()).await
    }
}
