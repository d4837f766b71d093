//! Visits counted beforehand, per hour and camera and of all time, and the indexes their lists are read by.
//!
//! Hours are whole numbers since 1970 in UTC. A visit counts in the hour it began and in the hour its person was last
//! seen: of a period, these are all one has to know. Filled from the rows there are.

use sea_orm_migration::sea_orm::{ConnectionTrait as _, DbBackend};
use sea_orm_migration::{prelude::*, schema::*};

use crate::m20261125_000022_create_detection_rollups::seconds;

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

const INDEXES: [(&str, &[&str]); 2] = [
    ("idx_sessions_person_id_entry_time", &["person_id", "entry_time"]),
    ("idx_sessions_exit_time_camera_id", &["exit_time", "camera_id"]),
];

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for (name, columns) in INDEXES {
            let mut index = Index::create().name(name).table("sessions").to_owned();
            columns.iter().for_each(|column| {
                index.col(*column);
            });
            manager.create_index(index).await?;
        }
        let hours = Table::create()
            .table("session_hours")
            .col(big_integer("hour"))
            .col(string("camera_id"))
            .col(big_integer("entries").default(0))
            .col(big_integer("exits").default(0))
            .primary_key(Index::create().col("hour").col("camera_id"))
            .to_owned();
        let totals = Table::create()
            .table("session_totals")
            .col(string("camera_id"))
            .col(big_integer("visits").default(0))
            .primary_key(Index::create().col("camera_id"))
            .to_owned();
        for mut table in [hours, totals] {
            if manager.get_database_backend() == DbBackend::Sqlite {
                table.extra("WITHOUT ROWID");
            }
            manager.create_table(table).await?;
        }
        for statement in counts(manager.get_database_backend() == DbBackend::Postgres) {
            manager.get_connection().execute_unprepared(&statement).await?;
        }
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for table in ["session_totals", "session_hours"] {
            manager.drop_table(Table::drop().table(table).to_owned()).await?;
        }
        for (name, _) in INDEXES {
            manager.drop_index(Index::drop().name(name).table("sessions").to_owned()).await?;
        }
        Ok(())
    }
}

/// Statements that count all visits there are into the empty tables.
pub(crate) fn counts(is_postgres: bool) -> [String; 2] {
    let hour = |column| format!("{} / 3600", seconds(is_postgres, column));
    [
        format!(
            "INSERT INTO session_hours (hour, camera_id, entries, exits) \
             SELECT hour, camera_id, sum(entry), sum(leave) FROM (\
             SELECT {} AS hour, camera_id, 1 AS entry, 0 AS leave FROM sessions \
             UNION ALL SELECT {}, camera_id, 0, 1 FROM sessions) AS moments GROUP BY hour, camera_id",
            hour("entry_time"),
            hour("exit_time")
        ),
        "INSERT INTO session_totals (camera_id, visits) \
         SELECT camera_id, sum(entries) FROM session_hours GROUP BY camera_id HAVING sum(entries) > 0"
            .to_owned(),
    ]
}
