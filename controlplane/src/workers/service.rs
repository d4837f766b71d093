//! Takes a worker's report and answers what it is to run.

use std::time::Instant;

use chrono::Utc;
use sea_orm::sea_query::OnConflict;
use sea_orm::{ActiveValue::Set, DatabaseConnection, EntityTrait as _};
use vedette_events::{Heartbeat, HeartbeatReply, PipelineSettings};

use super::WorkerRegistry;
use crate::cameras::{self, CameraId};
use crate::entity::workers;
use crate::error::ApiError;

/// Keeps what a worker reports and answers the cameras it is to run.
pub(super) async fn heartbeat(
    db: &DatabaseConnection,
    registry: &WorkerRegistry,
    settings: &PipelineSettings,
    worker_id: &str,
    heartbeat: Heartbeat,
) -> Result<HeartbeatReply, ApiError> {
    // A worker's id follows the rules of a camera's.
    worker_id.parse::<CameraId>().map_err(|message| ApiError::validation("id", message))?;
    let now = Instant::now();
    let (host, version, pid) = (heartbeat.host, heartbeat.version, heartbeat.pid);
    let ended = registry.report(worker_id, heartbeat.cameras, now);
    for camera in ended {
        let run = camera.run.try_into().unwrap_or(i64::MAX);
        cameras::mark_ended(db, &camera.camera_id, run, camera.last_error.as_deref()).await?;
    }
    if registry.is_write_due(worker_id, now) {
        write_down(db, worker_id, host, version, pid).await?;
    }
    let wanted = cameras::assignments(db, settings).await?;
    Ok(HeartbeatReply { cameras: registry.assign(worker_id, wanted, now), errands: Vec::new() })
}

async fn write_down(
    db: &DatabaseConnection,
    id: &str,
    host: String,
    version: String,
    pid: u32,
) -> Result<(), ApiError> {
    use workers::Column;
    let now = Utc::now();
    let worker = workers::ActiveModel {
        id: Set(id.to_owned()),
        host: Set(host),
        version: Set(version),
        pid: Set(pid.into()),
        first_seen: Set(now),
        last_seen: Set(now),
    };
    let update = OnConflict::column(Column::Id)
        .update_columns([Column::Host, Column::Version, Column::Pid, Column::LastSeen])
        .to_owned();
    workers::Entity::insert(worker).on_conflict(update).exec_without_returning(db).await?;
    Ok(())
}
