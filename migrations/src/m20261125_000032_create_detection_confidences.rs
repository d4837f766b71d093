//! Detections counted by confidence: per day, camera and step of a four-hundredth, so that a total with a limit of
//! confidence need not read them one by one. Filled from the rows there are. `''` stands for all cameras together.
//!
//! The one step a limit lies in is counted in the index of confidence, which now carries what filters look at.

use sea_orm_migration::sea_orm::{ConnectionTrait as _, DbBackend};
use sea_orm_migration::{prelude::*, schema::*};

use crate::m20261125_000022_create_detection_rollups::{count_columns, count_sums, seconds};

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

const TABLE: &str = "detection_confidences";
const INDEX: &str = "idx_detections_by_confidence";

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let mut table = Table::create()
            .table(TABLE)
            .col(string("camera_id"))
            .col(big_integer("day"))
            .col(big_integer("step"))
            .primary_key(Index::create().col("camera_id").col("day").col("step"))
            .to_owned();
        for column in count_columns() {
            table.col(big_integer(column).default(0));
        }
        if manager.get_database_backend() == DbBackend::Sqlite {
            // Rows are kept where the primary key is, which is how they are read.
            table.extra("WITHOUT ROWID");
        }
        manager.create_table(table).await?;
        for statement in counts(manager.get_database_backend() == DbBackend::Postgres) {
            manager.get_connection().execute_unprepared(&statement).await?;
        }
        index(manager, &["confidence", "id", "kind", "person_id", "camera_id", "timestamp"]).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        index(manager, &["confidence", "id"]).await?;
        manager.drop_table(Table::drop().table(TABLE).to_owned()).await
    }
}

/// Makes the index of confidence anew, of these columns.
async fn index(manager: &SchemaManager<'_>, columns: &[&'static str]) -> Result<(), DbErr> {
    manager.drop_index(Index::drop().name(INDEX).table("detections").to_owned()).await?;
    let mut index = Index::create().name(INDEX).table("detections").to_owned();
    columns.iter().for_each(|column| {
        index.col(*column);
    });
    manager.create_index(index).await
}

/// Statements that count all detections there are into the empty table.
pub(crate) fn counts(is_postgres: bool) -> [String; 2] {
    let step = if is_postgres {
        "CAST(floor(CAST(confidence AS double precision) * 400 + 0.0001) AS bigint)"
    } else {
        "CAST(confidence * 400 + 0.0001 AS integer)"
    };
    let columns = count_columns().join(", ");
    let sums = count_columns().map(|column| format!("sum({column})")).join(", ");
    [
        format!(
            "INSERT INTO {TABLE} (camera_id, day, step, {columns}) \
             SELECT camera_id, {} / 86400, {step}, {} FROM detections GROUP BY 1, 2, 3",
            seconds(is_postgres, "timestamp"),
            count_sums(),
        ),
        format!(
            "INSERT INTO {TABLE} (camera_id, day, step, {columns}) \
             SELECT '', day, step, {sums} FROM {TABLE} GROUP BY 2, 3"
        ),
    ]
}
