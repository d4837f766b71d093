//! Making, changing, starting and stopping cameras.
//!
//! What the operator wants (`should_run`) is in the database and outlives the server; how a camera is doing is
//! what its worker reported last, in memory. Every start, and every change of what a running camera plays, makes
//! a new `run`, so that a report about an earlier one is never mistaken for news.

use chrono::Utc;
use sea_orm::entity::prelude::Json;
use sea_orm::sea_query::Expr;
use sea_orm::{
    ActiveModelTrait as _, ActiveValue::Set, ColumnTrait as _, ConnectionTrait, DatabaseConnection,
    EntityTrait as _, ExprTrait as _, IntoActiveModel as _, ModelTrait as _, PaginatorTrait as _,
    QueryFilter as _, QueryOrder as _, SqlErr,
};
use serde_json::json;
use vedette_events::{CameraAssignment, CameraState, PipelineSettings};

use super::model::{CameraChange, CameraView, NewCamera};
use super::settings::CameraSettings;
use super::{SourceUrl, files};
use crate::audit::{Action, Actor, Entry};
use crate::auth::CurrentUser;
use crate::config::CameraSource;
use crate::crypto::{Keys, Place, SealError};
use crate::database;
use crate::entity::cameras::{ActiveModel, Column, Entity, Model};
use crate::error::ApiError;
use crate::filters::{Page, PageRequest};
use crate::state::AppState;
use crate::workers::LiveStatus;

/// One page of all cameras, by id.
pub(super) async fn list(state: &AppState, page: PageRequest) -> Result<Page<CameraView>, ApiError> {
    let paginator = Entity::find().order_by_asc(Column::Id).paginate(&state.db, page.page_size());
    let total = paginator.num_items().await?;
    let cameras = paginator.fetch_page(page.index()).await?;
    let items = cameras.into_iter().map(|camera| view(state, camera)).collect::<Result<_, _>>()?;
    Ok(page.with(items, total))
}

/// Every camera, by id.
///
/// # Errors
/// When the database does not answer.
pub async fn all(state: &AppState) -> Result<Vec<CameraView>, ApiError> {
    let cameras = Entity::find().order_by_asc(Column::Id).all(&state.db).await?;
    cameras.into_iter().map(|camera| view(state, camera)).collect()
}

/// How every camera is doing, by id.
///
/// # Errors
/// When the database does not answer.
pub async fn statuses(state: &AppState) -> Result<Vec<(String, LiveStatus)>, ApiError> {
    let cameras = Entity::find().order_by_asc(Column::Id).all(&state.db).await?;
    let live = |camera: Model| {
        let status = state.workers.status(&camera);
        (camera.id, status)
    };
    Ok(cameras.into_iter().map(live).collect())
}

/// One camera.
pub(super) async fn get(state: &AppState, id: &str) -> Result<CameraView, ApiError> {
    view(state, find(&state.db, id).await?)
}

/// Makes a camera, stopped.
pub(super) async fn create(
    state: &AppState,
    user: &CurrentUser,
    new: NewCamera,
) -> Result<CameraView, ApiError> {
    files::check(&state.config, user, &new.url)?;
    let taken = format!("the camera id `{}` is taken", new.id);
    let transaction = database::begin_write(&state.db).await?;
    let inserted =
        new_row(&state.keys, new)?.insert(&transaction).await.map_err(|error| match error.sql_err() {
            Some(SqlErr::UniqueConstraintViolation(_)) => ApiError::duplicate(taken),
            _ => error.into(),
        });
    let camera = inserted?;
    entry(&state.keys, Action::CameraCreated, &Actor::from(user), &camera)?.write(&transaction).await?;
    transaction.commit().await?;
    view(state, camera)
}

/// What the audit log says of a camera: its source without credentials.
fn entry(keys: &Keys, action: Action, actor: &Actor, camera: &Model) -> Result<Entry, ApiError> {
    let url = source_url(keys, camera)?.redacted();
    let mut details = json!({ "name": camera.name, "url": url, "enabled": camera.enabled });
    if let Some(settings) = &camera.settings {
        details["settings"] = settings.clone();
    }
    Ok(Entry::new(action, actor).about("camera", &camera.id).with(details))
}

fn new_row(keys: &Keys, new: NewCamera) -> Result<ActiveModel, SealError> {
    let now = Utc::now();
    Ok(ActiveModel {
        stored_url: Set(seal_url(keys, new.id.as_str(), &new.url)?),
        id: Set(new.id.to_string()),
        name: Set(new.name),
        enabled: Set(new.enabled),
        looped: Set(new.looped),
        resolution: Set(new.resolution.map(|resolution| resolution.as_str().to_owned())),
        fps: Set(new.fps.and_then(|fps| fps.try_into().ok())),
        should_run: Set(false),
        run: Set(0),
        last_error: Set(None),
        settings: Set(stored(&new.settings)),
        created_at: Set(now),
        updated_at: Set(now),
    })
}

/// Settings as they are kept; those that set nothing are not.
fn stored(settings: &CameraSettings) -> Option<Json> {
    (*settings != CameraSettings::default()).then(|| json!(settings))
}

/// Changes a camera. One that runs is stopped if it is disabled, and begun afresh if it is to play something else; with
/// other settings it goes on.
pub(super) async fn update(
    state: &AppState,
    user: &CurrentUser,
    id: &str,
    change: CameraChange,
) -> Result<CameraView, ApiError> {
    let transaction = database::begin_write(&state.db).await?;
    let present = find(&transaction, id).await?;
    let present_url = source_url(&state.keys, &present)?;
    let url = change.url.map(|url| url.with_hidden_parts_of(&present_url));
    let url = url.filter(|url| url.expose() != present_url.expose());
    let mut row = present.clone().into_active_model();
    if let Some(url) = &url {
        files::check(&state.config, user, url)?;
        row.stored_url = Set(seal_url(&state.keys, id, url)?);
    }
    if let Some(name) = change.name {
        row.name = Set(name);
    }
    if let Some(enabled) = change.enabled {
        row.enabled = Set(enabled);
        row.should_run = Set(present.should_run && enabled);
    }
    if let Some(resolution) = change.resolution {
        row.resolution = Set(resolution.map(|resolution| resolution.as_str().to_owned()));
    }
    if let Some(fps) = change.fps {
        row.fps = Set(fps.and_then(|fps| fps.try_into().ok()));
    }
    if let Some(looped) = change.looped {
        row.looped = Set(looped);
    }
    if let Some(settings) = change.settings {
        row.settings = Set(stored(&settings));
    }
    if url.is_some() || plays_otherwise(&row, &present) {
        row.run = Set(present.run + 1);
        row.last_error = Set(None);
    }
    row.updated_at = Set(Utc::now());
    let camera = row.update(&transaction).await?;
    entry(&state.keys, Action::CameraChanged, &Actor::from(user), &camera)?.write(&transaction).await?;
    transaction.commit().await?;
    view(state, camera)
}

/// Whether the same source is to be played in another way.
fn plays_otherwise(row: &ActiveModel, present: &Model) -> bool {
    row.looped.as_ref() != &present.looped
        || row.resolution.as_ref() != &present.resolution
        || row.fps.as_ref() != &present.fps
}

/// Removes a camera; what it saw stays.
pub(super) async fn delete(state: &AppState, actor: &Actor, id: &str) -> Result<(), ApiError> {
    let transaction = database::begin_write(&state.db).await?;
    let camera = find(&transaction, id).await?;
    let entry = entry(&state.keys, Action::CameraDeleted, actor, &camera)?;
    camera.delete(&transaction).await?;
    entry.write(&transaction).await?;
    Ok(transaction.commit().await?)
}

/// Has a camera run. One that runs already goes on; one that was given up is tried again.
pub(super) async fn start(state: &AppState, actor: &Actor, id: &str) -> Result<CameraView, ApiError> {
    let transaction = database::begin_write(&state.db).await?;
    let camera = find(&transaction, id).await?;
    if !camera.enabled {
        let message = format!("camera `{id}` is disabled: enable it first");
        return Err(ApiError::validation("enabled", message));
    }
    let is_given_up = state.workers.status(&camera).state == CameraState::Error;
    if !camera.should_run || is_given_up {
        // The condition keeps two requests at the same moment from starting it twice.
        let started = Entity::update_many()
            .col_expr(Column::ShouldRun, true.into())
            .col_expr(Column::Run, Expr::col(Column::Run).add(1))
            .col_expr(Column::LastError, Option::<String>::None.into())
            .col_expr(Column::UpdatedAt, Utc::now().into())
            .filter(Column::Id.eq(id))
            .filter(Column::Run.eq(camera.run))
            .exec(&transaction)
            .await?;
        if started.rows_affected > 0 {
            Entry::new(Action::CameraStarted, actor).about("camera", id).write(&transaction).await?;
        }
    }
    transaction.commit().await?;
    get(state, id).await
}

/// Has a camera stop.
pub(super) async fn stop(state: &AppState, actor: &Actor, id: &str) -> Result<CameraView, ApiError> {
    let transaction = database::begin_write(&state.db).await?;
    find(&transaction, id).await?;
    let stopped = Entity::update_many()
        .col_expr(Column::ShouldRun, false.into())
        .col_expr(Column::UpdatedAt, Utc::now().into())
        .filter(Column::Id.eq(id))
        .filter(Column::ShouldRun.eq(true))
        .exec(&transaction)
        .await?;
    if stopped.rows_affected > 0 {
        Entry::new(Action::CameraStopped, actor).about("camera", id).write(&transaction).await?;
    }
    transaction.commit().await?;
    get(state, id).await
}

/// Stops a camera whose recorded material ended in this run.
///
/// # Errors
/// When the database does not answer.
pub async fn mark_ended(
    db: &DatabaseConnection,
    id: &str,
    run: i64,
    last_error: Option<&str>,
) -> Result<(), ApiError> {
    Entity::update_many()
        .col_expr(Column::ShouldRun, false.into())
        .col_expr(Column::LastError, last_error.map(str::to_owned).into())
        .col_expr(Column::UpdatedAt, Utc::now().into())
        .filter(Column::Id.eq(id))
        .filter(Column::Run.eq(run))
        .filter(Column::ShouldRun.eq(true))
        .exec(db)
        .await?;
    Ok(())
}

/// Every camera that is to run now, as a worker is told: one outside of its hours is not.
///
/// # Errors
/// When the database does not answer.
pub async fn assignments(
    db: &DatabaseConnection,
    keys: &Keys,
    settings: &PipelineSettings,
) -> Result<Vec<CameraAssignment>, ApiError> {
    let wanted = Entity::find().filter(Column::ShouldRun.eq(true)).filter(Column::Enabled.eq(true));
    let cameras = wanted.order_by_asc(Column::Id).all(db).await?;
    let now = database::now(db).await?;
    let mut assignments = Vec::new();
    for camera in cameras {
        let own = CameraSettings::of(&camera)?;
        if own.inactive_reason(now).is_none() {
            assignments.push(assign(keys, camera, &own, settings)?);
        }
    }
    Ok(assignments)
}

/// A camera as a worker would be told to run it, whether or not it is to run.
///
/// # Errors
/// When there is none, or the database does not answer.
pub async fn assignment(
    db: &DatabaseConnection,
    keys: &Keys,
    settings: &PipelineSettings,
    id: &str,
) -> Result<CameraAssignment, ApiError> {
    let camera = find(db, id).await?;
    let own = CameraSettings::of(&camera)?;
    assign(keys, camera, &own, settings)
}

fn assign(
    keys: &Keys,
    camera: Model,
    own: &CameraSettings,
    all: &PipelineSettings,
) -> Result<CameraAssignment, ApiError> {
    Ok(CameraAssignment {
        url: source_url(keys, &camera)?.expose().to_owned(),
        run: camera.run.try_into().unwrap_or_default(),
        looped: camera.looped,
        settings: own.applied_to(all),
        camera_id: camera.id,
    })
}

/// Makes or updates the cameras of the configuration and starts those that are enabled.
///
/// # Errors
/// When the database does not answer.
pub async fn apply_configured(
    db: &DatabaseConnection,
    keys: &Keys,
    sources: &[CameraSource],
) -> Result<(), ApiError> {
    for source in sources {
        let new = NewCamera {
            id: source.id.clone(),
            url: source.url.clone(),
            name: source.name.clone().unwrap_or_else(|| source.id.to_string()),
            enabled: source.enabled,
            resolution: source.resolution.clone(),
            fps: source.fps.map(|fps| fps.get()),
            looped: source.looped,
            settings: CameraSettings::default(),
        };
        let transaction = database::begin_write(db).await?;
        let present = Entity::find_by_id(source.id.as_str()).one(&transaction).await?;
        let mut row = new_row(keys, new)?;
        row.should_run = Set(source.enabled);
        row.run = Set(present.as_ref().map_or(1, |present| present.run + 1));
        match present {
            Some(present) => {
                row.created_at = Set(present.created_at);
                row.settings = Set(present.settings.clone());
                let is_other = source_url(keys, &present)?.expose() != source.url.expose()
                    || plays_otherwise(&row, &present)
                    || row.name.as_ref() != &present.name
                    || row.enabled.as_ref() != &present.enabled;
                let camera = row.update(&transaction).await?;
                if is_other {
                    entry(keys, Action::CameraChanged, &Actor::server(), &camera)?
                        .write(&transaction)
                        .await?;
                }
            }
            None => {
                let camera = row.insert(&transaction).await?;
                entry(keys, Action::CameraCreated, &Actor::server(), &camera)?.write(&transaction).await?;
            }
        }
        transaction.commit().await?;
    }
    Ok(())
}

pub(super) async fn find(db: &impl ConnectionTrait, id: &str) -> Result<Model, ApiError> {
    Entity::find_by_id(id).one(db).await?.ok_or_else(|| ApiError::not_found("camera", id))
}

fn view(state: &AppState, camera: Model) -> Result<CameraView, ApiError> {
    let live = state.workers.status(&camera);
    let url = source_url(&state.keys, &camera)?;
    let settings = CameraSettings::of(&camera)?;
    Ok(CameraView::new(camera, &url, settings, live))
}

/// What to keep of a source.
fn seal_url(keys: &Keys, id: &str, url: &SourceUrl) -> Result<String, SealError> {
    keys.seal_text(Place::CameraUrl(id), url.expose())
}

/// The source behind the column.
fn source_url(keys: &Keys, camera: &Model) -> Result<SourceUrl, ApiError> {
    Ok(SourceUrl::stored(keys.open_text(Place::CameraUrl(&camera.id), &camera.stored_url)?))
}
