//! Detections counted beforehand, so that totals and statistics need not read them one by one: per hour and
//! camera, per day and person, and on which days a camera saw a person. Filled from the rows there are.
//!
//! Hours and days are whole numbers since 1970 in UTC. `visitor_days` holds every camera's counts and, under the
//! camera `''`, those of all cameras together. `camera_visitors` packs 32 days into the bits of one number.

use sea_orm_migration::sea_orm::{ConnectionTrait as _, DbBackend};
use sea_orm_migration::{prelude::*, schema::*};

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

const KINDS: [&str; 4] = ["recognized", "unknown", "updated", "left"];

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let mut hours = Table::create()
            .table("detection_hours")
            .col(big_integer("hour"))
            .col(string("camera_id"))
            .primary_key(Index::create().col("hour").col("camera_id"))
            .to_owned();
        for column in count_columns() {
            hours.col(big_integer(column).default(0));
        }
        let days = Table::create()
            .table("visitor_days")
            .col(string("camera_id"))
            .col(big_integer("day"))
            .col(uuid("person_id"))
            .col(big_integer("appearances"))
            .primary_key(Index::create().col("camera_id").col("day").col("person_id"))
            .to_owned();
        let visitors = Table::create()
            .table("camera_visitors")
            .col(big_integer("block"))
            .col(string("camera_id"))
            .col(uuid("person_id"))
            .col(big_integer("days"))
            .primary_key(Index::create().col("block").col("camera_id").col("person_id"))
            .to_owned();
        for mut table in [hours, days, visitors] {
            if manager.get_database_backend() == DbBackend::Sqlite {
                // Rows are kept where the primary key is, which is how they are read.
                table.extra("WITHOUT ROWID");
            }
            manager.create_table(table).await?;
        }
        // What is deleted with a person is found by the person.
        for table in ["visitor_days", "camera_visitors"] {
            let name = format!("idx_{table}_person_id");
            let index = Index::create().name(name).table(table).col("person_id").to_owned();
            manager.create_index(index).await?;
        }
        for statement in counts(manager.get_database_backend() == DbBackend::Postgres) {
            manager.get_connection().execute_unprepared(&statement).await?;
        }
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for table in ["camera_visitors", "visitor_days", "detection_hours"] {
            manager.drop_table(Table::drop().table(table).to_owned()).await?;
        }
        Ok(())
    }
}

/// A time in seconds since 1970.
pub(crate) fn seconds(is_postgres: bool, column: &str) -> String {
    if is_postgres {
        format!("CAST(floor(extract(epoch FROM {column})) AS bigint)")
    } else {
        format!("CAST(strftime('%s', {column}) AS integer)")
    }
}

/// Columns that count detections by whether the person is known and by kind.
pub(crate) fn count_columns() -> [String; 8] {
    std::array::from_fn(|place| {
        let who = if place < KINDS.len() { "known" } else { "stranger" };
        format!("{who}_{}", KINDS[place % KINDS.len()])
    })
}

/// What these columns count.
pub(crate) fn count_sums() -> String {
    let sums: [String; 8] = std::array::from_fn(|place| {
        let (is, kind) =
            (if place < KINDS.len() { "IS NOT NULL" } else { "IS NULL" }, KINDS[place % KINDS.len()]);
        format!("sum(CASE WHEN kind = '{kind}' AND person_id {is} THEN 1 ELSE 0 END)")
    });
    sums.join(", ")
}

/// Statements that count all detections there are into the empty tables.
pub(crate) fn counts(is_postgres: bool) -> [String; 4] {
    let seconds = seconds(is_postgres, "timestamp");
    [
        format!(
            "INSERT INTO detection_hours (hour, camera_id, {}) SELECT {seconds} / 3600, camera_id, {} \
             FROM detections GROUP BY 1, 2",
            count_columns().join(", "),
            count_sums()
        ),
        format!(
            "INSERT INTO visitor_days (camera_id, day, person_id, appearances) \
             SELECT camera_id, {seconds} / 86400, person_id, count(*) FROM detections \
             WHERE person_id IS NOT NULL AND kind IN ('recognized', 'unknown') GROUP BY 1, 2, 3"
        ),
        // The days of a block are distinct, so that their sum is their union.
        "INSERT INTO camera_visitors (block, camera_id, person_id, days) \
         SELECT day / 32, camera_id, person_id, sum(CAST(1 AS bigint) << CAST(day % 32 AS integer)) \
         FROM visitor_days GROUP BY 1, 2, 3"
            .to_owned(),
        "INSERT INTO visitor_days (camera_id, day, person_id, appearances) \
         SELECT '', day, person_id, sum(appearances) FROM visitor_days GROUP BY 2, 3"
            .to_owned(),
    ]
}
