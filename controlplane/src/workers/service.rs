//! Takes a worker's report, answers what it is to run, and keeps every server's picture of all workers fresh.

use std::collections::{HashMap, HashSet};
use std::time::{Duration, Instant};

use chrono::{TimeDelta, Utc};
use sea_orm::sea_query::OnConflict;
use sea_orm::{
    ActiveValue::Set, ColumnTrait as _, DatabaseConnection, EntityTrait as _, QueryFilter as _,
    QuerySelect as _,
};
use vedette_events::{CameraReport, CameraState, Heartbeat, HeartbeatReply, LogLine};

use super::registry::FRESH_FOR;
use super::{WorkerRegistry, errands, leases};
use crate::cameras::{self, CameraId};
use crate::database;
use crate::entity::{self, camera_leases, workers};
use crate::error::ApiError;
use crate::logs;
use crate::state::{AppState, State};

/// Lines of its log that are taken with one heartbeat; workers send fewer.
const MAX_LINES: usize = 50;
/// No line is older: its clock is wrong.
const OLDEST_LINE: TimeDelta = TimeDelta::days(3650);
/// How often the picture of all workers is refreshed.
const REFRESH_EVERY: Duration = Duration::from_secs(1);

/// Keeps what a worker reports and answers the cameras it is to run.
pub(super) async fn heartbeat(
    state: &AppState,
    worker_id: &str,
    heartbeat: Heartbeat,
) -> Result<HeartbeatReply, ApiError> {
    let AppState { db, keys, workers: registry, .. } = state;
    // A worker's id follows the rules of a camera's.
    worker_id.parse::<CameraId>().map_err(|message| ApiError::validation("id", message))?;
    let ended = heartbeat.cameras.iter().filter(|report| report.state == CameraState::Stopped);
    for camera in ended {
        let run = camera.run.try_into().unwrap_or(i64::MAX);
        cameras::mark_ended(db, &camera.camera_id, run, camera.last_error.as_deref()).await?;
    }
    write_down(db, worker_id, &heartbeat).await?;
    keep_lines(db, worker_id, heartbeat.log).await?;
    let mut wanted = cameras::assignments(db, keys, &state.pipeline_settings()).await?;
    let held = leases::claim(db, worker_id, wanted.iter().map(|camera| camera.camera_id.as_str())).await?;
    wanted.retain(|camera| held.contains(&camera.camera_id));
    let held = wanted.iter().map(|camera| camera.camera_id.clone());
    registry.report(worker_id, heartbeat.cameras, heartbeat.spooled_events, held, Instant::now());
    let live = state.views.wishes(wanted.iter().map(|camera| camera.camera_id.as_str()));
    Ok(HeartbeatReply { errands: errands::take(state, worker_id).await?, live, cameras: wanted })
}

async fn write_down(db: &DatabaseConnection, id: &str, heartbeat: &Heartbeat) -> Result<(), ApiError> {
    use workers::Column;
    let now = database::now(db).await?;
    let worker = workers::ActiveModel {
        id: Set(id.to_owned()),
        host: Set(heartbeat.host.clone()),
        version: Set(heartbeat.version.clone()),
        pid: Set(heartbeat.pid.into()),
        first_seen: Set(now),
        last_seen: Set(now),
        reports: Set(serde_json::to_string(&heartbeat.cameras).map_err(ApiError::internal)?),
        spooled_events: Set(heartbeat.spooled_events.try_into().unwrap_or(i64::MAX)),
    };
    let update = OnConflict::column(Column::Id)
        .update_columns([
            Column::Host,
            Column::Version,
            Column::Pid,
            Column::LastSeen,
            Column::Reports,
            Column::SpooledEvents,
        ])
        .to_owned();
    workers::Entity::insert(worker).on_conflict(update).exec_without_returning(db).await?;
    Ok(())
}

/// Keeps a worker's warnings and errors among those of everybody else.
async fn keep_lines(
    db: &DatabaseConnection,
    worker_id: &str,
    mut lines: Vec<LogLine>,
) -> Result<(), ApiError> {
    lines.truncate(MAX_LINES);
    let now = Utc::now();
    // A clock that is ahead must not keep a line at the list's head for good, and no database knows every year.
    lines.iter_mut().for_each(|line| line.timestamp = line.timestamp.clamp(now - OLDEST_LINE, now));
    logs::insert(db, &format!("worker:{worker_id}"), lines).await?;
    Ok(())
}

/// Keeps the picture of all workers fresh, for as long as the server runs.
pub async fn keep_fresh(state: State) {
    let mut was_reached = true;
    loop {
        match refresh(&state.db, &state.workers).await {
            Ok(()) => was_reached = true,
            Err(error) if was_reached => {
                tracing::warn!(%error, "what workers reported to other servers cannot be read");
                was_reached = false;
            }
            Err(_) => (),
        }
        tokio::time::sleep(REFRESH_EVERY).await;
    }
}

async fn refresh(db: &DatabaseConnection, registry: &WorkerRegistry) -> Result<(), ApiError> {
    let now = database::now(db).await?;
    let recent = now - TimeDelta::from_std(FRESH_FOR).unwrap_or_default();
    let rows = workers::Entity::find().filter(workers::Column::LastSeen.gt(recent)).all(db).await?;
    let workers = rows.into_iter().map(|row| {
        let age = (now - row.last_seen).to_std().unwrap_or_default();
        // What a worker of another version wrote may not be read here; it counts as a worker without cameras.
        let reports: Vec<CameraReport> = serde_json::from_str(&row.reports).unwrap_or_default();
        (row.id, age, reports, row.spooled_events.try_into().unwrap_or_default())
    });
    let workers = workers.collect();
    let mut leases = camera_leases::Entity::find().all(db).await?;
    let wanted: Vec<String> = entity::cameras::Entity::find()
        .select_only()
        .column(entity::cameras::Column::Id)
        .filter(entity::cameras::Column::ShouldRun.eq(true))
        .into_tuple()
        .all(db)
        .await?;
    let wanted: HashSet<String> = wanted.into_iter().collect();
    let is_over = |lease: &camera_leases::Model| !wanted.contains(&lease.camera_id);
    leases::release(db, leases.extract_if(.., |lease| is_over(lease)).map(|lease| lease.camera_id)).await?;
    leases.retain(|lease| lease.expires_at > now);
    let holders: HashMap<String, String> =
        leases.into_iter().map(|lease| (lease.camera_id, lease.worker_id)).collect();
    registry.refresh(workers, holders, |camera_id| wanted.contains(camera_id), Instant::now());
    Ok(())
}
