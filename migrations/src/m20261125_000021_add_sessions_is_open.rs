//! Whether a visit still lasts, and the orders visits are listed in.

use sea_orm_migration::{prelude::*, schema::*};

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

const INDEXES: [(&str, &[&str]); 2] = [
    ("idx_sessions_entry_time", &["entry_time"]),
    ("idx_sessions_camera_id_entry_time", &["camera_id", "entry_time"]),
];

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let column = boolean("is_open").default(false).to_owned();
        manager.alter_table(Table::alter().table("sessions").add_column(column).to_owned()).await?;
        for (name, columns) in INDEXES {
            let mut index = Index::create().name(name).table("sessions").to_owned();
            columns.iter().for_each(|column| {
                index.col(*column);
            });
            manager.create_index(index).await?;
        }
        // Few visits last at any time: what the sweep reads stays small however long the history is.
        manager
            .create_index(
                Index::create()
                    .name("idx_sessions_entry_time_open")
                    .table("sessions")
                    .col("entry_time")
                    .cond_where(Expr::col("is_open"))
                    .to_owned(),
            )
            .await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let names = INDEXES.iter().map(|(name, _)| *name).chain(["idx_sessions_entry_time_open"]);
        for name in names {
            manager.drop_index(Index::drop().name(name).table("sessions").to_owned()).await?;
        }
        manager.alter_table(Table::alter().table("sessions").drop_column("is_open").to_owned()).await
    }
}
