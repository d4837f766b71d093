//! Pictures that are to be removed, and what finds rows whose picture or face has been kept long enough.

use sea_orm_migration::{prelude::*, schema::*};

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

/// Few rows are in them once retention has run: what it looks at stays small however long the history is.
const INDEXES: [(&str, &str); 2] = [
    ("idx_detections_with_snapshot", "(timestamp) WHERE snapshot_path IS NOT NULL"),
    (
        "idx_detections_with_face",
        "(person_id, timestamp) WHERE embedding IS NOT NULL OR snapshot_path IS NOT NULL",
    ),
];

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let table = Table::create()
            .table("discarded_pictures")
            .col(string("key").primary_key())
            .col(timestamp_with_time_zone("due_at"))
            .to_owned();
        manager.create_table(table).await?;
        let index = Index::create()
            .name("idx_discarded_pictures_due_at")
            .table("discarded_pictures")
            .col("due_at")
            .to_owned();
        manager.create_index(index).await?;
        for (name, rest) in INDEXES {
            let create = format!("CREATE INDEX {name} ON detections {rest}");
            manager.get_connection().execute_unprepared(&create).await?;
        }
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for (name, _) in INDEXES {
            manager.drop_index(Index::drop().name(name).table("detections").to_owned()).await?;
        }
        manager.drop_table(Table::drop().table("discarded_pictures").to_owned()).await
    }
}
