//! Which worker runs which camera, what each worker reported last, and what workers are asked to do: shared by all
//! control planes of one database, so that it does not matter which of them a worker or a client talks to.

use sea_orm_migration::{prelude::*, schema::*};

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let leases = Table::create()
            .table("camera_leases")
            .col(string("camera_id").primary_key())
            .col(string("worker_id"))
            .col(timestamp_with_time_zone("expires_at"))
            .to_owned();
        let errands = Table::create()
            .table("errands")
            .col(uuid("id").primary_key())
            .col(string("worker_id"))
            .col(text("task"))
            .col(boolean("is_taken").default(false))
            .col(text_null("outcome"))
            .col(timestamp_with_time_zone("created_at"))
            .to_owned();
        for table in [leases, errands] {
            manager.create_table(table).await?;
        }
        for table in ["camera_leases", "errands"] {
            let index = Index::create()
                .name(format!("idx_{table}_worker_id"))
                .table(table)
                .col("worker_id")
                .to_owned();
            manager.create_index(index).await?;
        }
        let reports = text("reports").default("[]").to_owned();
        manager.alter_table(Table::alter().table("workers").add_column(reports).to_owned()).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.alter_table(Table::alter().table("workers").drop_column("reports").to_owned()).await?;
        for table in ["errands", "camera_leases"] {
            manager.drop_table(Table::drop().table(table).to_owned()).await?;
        }
        Ok(())
    }
}
