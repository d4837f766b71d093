//! Database migrations of Vedette, the same for SQLite and PostgreSQL.
//!
//! Tables are named by strings and no entity is imported: a migration stays what it was when entities move on.
//! Expand first, contract in a later release, so that the previous version keeps running meanwhile.

pub use sea_orm_migration::{MigrationTrait, MigratorTrait};

mod m20260101_000001_create_users;
mod m20260101_000002_create_revoked_tokens;
mod m20260101_000003_create_persons;
mod m20260101_000004_create_face_templates;
mod m20260101_000005_create_cameras;
mod m20260101_000006_create_detections;
mod m20260101_000007_create_sessions;
mod m20260101_000008_create_workers;
mod m20261125_000011_create_api_keys;
mod m20261125_000012_create_system_logs;
mod m20261125_000021_add_sessions_is_open;
mod m20261125_000022_create_detection_rollups;
mod m20261125_000023_index_detections;
mod m20261125_000031_create_camera_leases;
mod m20261125_000032_create_detection_confidences;
mod m20261125_000041_create_detection_totals;
mod m20261125_000051_forget_unsealed_embeddings;
mod m20261125_000052_create_erasures;
mod m20261125_000061_create_alerts;
mod m20261125_000071_record_log_lines;
mod m20261125_000072_add_workers_spooled_events;
mod m20261125_000081_create_discarded_pictures;
mod m20261125_000082_create_task_leases;
mod m20261125_000091_count_sessions;
mod m20261125_000092_create_gallery_changes;
mod m20261126_000101_index_face_templates_photo;
mod m20261126_000111_add_cameras_settings;
mod m20261127_000121_create_live_wishes;

/// All migrations, oldest first.
#[derive(Debug)]
pub struct Migrator;

#[sea_orm_migration::async_trait::async_trait]
impl MigratorTrait for Migrator {
    fn migrations() -> Vec<Box<dyn MigrationTrait>> {
        vec![
            Box::new(m20260101_000001_create_users::Migration),
            Box::new(m20260101_000002_create_revoked_tokens::Migration),
            Box::new(m20260101_000003_create_persons::Migration),
            Box::new(m20260101_000004_create_face_templates::Migration),
            Box::new(m20260101_000005_create_cameras::Migration),
            Box::new(m20260101_000006_create_detections::Migration),
            Box::new(m20260101_000007_create_sessions::Migration),
            Box::new(m20260101_000008_create_workers::Migration),
            Box::new(m20261125_000011_create_api_keys::Migration),
            Box::new(m20261125_000012_create_system_logs::Migration),
            Box::new(m20261125_000021_add_sessions_is_open::Migration),
            Box::new(m20261125_000022_create_detection_rollups::Migration),
            Box::new(m20261125_000023_index_detections::Migration),
            Box::new(m20261125_000031_create_camera_leases::Migration),
            Box::new(m20261125_000032_create_detection_confidences::Migration),
            Box::new(m20261125_000041_create_detection_totals::Migration),
            Box::new(m20261125_000051_forget_unsealed_embeddings::Migration),
            Box::new(m20261125_000052_create_erasures::Migration),
            Box::new(m20261125_000061_create_alerts::Migration),
            Box::new(m20261125_000071_record_log_lines::Migration),
            Box::new(m20261125_000072_add_workers_spooled_events::Migration),
            Box::new(m20261125_000081_create_discarded_pictures::Migration),
            Box::new(m20261125_000082_create_task_leases::Migration),
            Box::new(m20261125_000091_count_sessions::Migration),
            Box::new(m20261125_000092_create_gallery_changes::Migration),
            Box::new(m20261126_000101_index_face_templates_photo::Migration),
            Box::new(m20261126_000111_add_cameras_settings::Migration),
            Box::new(m20261127_000121_create_live_wishes::Migration),
        ]
    }
}

/// Statements that count all detections and visits into the empty tables of counts: for tools that fill `detections`
/// and `sessions` by hand.
pub fn counts(is_postgres: bool) -> Vec<String> {
    let by_time = m20261125_000022_create_detection_rollups::counts(is_postgres);
    let by_confidence = m20261125_000032_create_detection_confidences::counts(is_postgres);
    let in_all = [m20261125_000041_create_detection_totals::sums()];
    let visits = m20261125_000091_count_sessions::counts(is_postgres);
    by_time.into_iter().chain(by_confidence).chain(in_all).chain(visits).collect()
}
