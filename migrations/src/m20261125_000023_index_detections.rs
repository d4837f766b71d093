//! Indexes for every filter and order of the list of detections. Those by time carry what filters look at, so
//! that counting reads the index and never the rows.

use sea_orm_migration::prelude::*;

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

const ADDED: [(&str, &[&str]); 7] = [
    ("idx_detections_by_time", &["timestamp", "kind", "person_id", "camera_id", "confidence"]),
    ("idx_detections_by_camera", &["camera_id", "timestamp", "kind", "person_id", "confidence"]),
    ("idx_detections_by_person", &["person_id", "timestamp", "kind", "camera_id", "confidence"]),
    ("idx_detections_by_confidence", &["confidence", "id"]),
    ("idx_detections_by_quality", &["quality", "id"]),
    ("idx_detections_by_similarity", &["similarity", "id"]),
    ("idx_detections_by_person_name", &["person_name", "id"]),
];

/// Each is the beginning of one that is added.
const REPLACED: [(&str, &[&str]); 3] = [
    ("idx_detections_timestamp", &["timestamp"]),
    ("idx_detections_camera_id_timestamp", &["camera_id", "timestamp"]),
    ("idx_detections_person_id_timestamp", &["person_id", "timestamp"]),
];

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        swap(manager, &REPLACED, &ADDED).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        swap(manager, &ADDED, &REPLACED).await
    }
}

async fn swap(
    manager: &SchemaManager<'_>,
    old: &[(&str, &[&str])],
    new: &[(&str, &[&str])],
) -> Result<(), DbErr> {
    for (name, columns) in new {
        let mut index = Index::create().name(*name).table("detections").to_owned();
        columns.iter().for_each(|column| {
            index.col((*column).to_owned());
        });
        manager.create_index(index).await?;
    }
    for (name, _) in old {
        manager.drop_index(Index::drop().name(*name).table("detections").to_owned()).await?;
    }
    Ok(())
}
