//! HTTP side of people.

use serde::Deserialize;
use uuid::Uuid;
use warp::Reply;
use warp::filters::multipart::FormData;
use warp::http::StatusCode;
use warp::reply::{json, with_status};

use super::model::PersonChange;
use super::service::PersonFilter;
use super::{enrol, faces, service};
use crate::audit::Actor;
use crate::auth::{CurrentUser, Role};
use crate::error::ApiError;
use crate::filters::PageRequest;
use crate::picture;
use crate::state::State;

/// Query of `DELETE /api/persons/{id}`.
#[derive(Clone, Copy, Debug, Deserialize)]
pub(super) struct DeleteQuery {
    #[serde(default)]
    erase: bool,
}

pub(super) async fn register(
    state: State,
    user: CurrentUser,
    form: Option<FormData>,
) -> Result<impl Reply, ApiError> {
    let registered = enrol::register(&state, Actor::from(&user), form).await?;
    Ok(with_status(json(&registered), StatusCode::CREATED))
}

pub(super) async fn list(
    state: State,
    _user: CurrentUser,
    filter: PersonFilter,
    page: PageRequest,
) -> Result<impl Reply, ApiError> {
    Ok(json(&service::list(&state.db, filter, page).await?))
}

pub(super) async fn get(id: Uuid, state: State, _user: CurrentUser) -> Result<impl Reply, ApiError> {
    Ok(json(&service::details(&state.db, id).await?))
}

pub(super) async fn update(
    id: Uuid,
    state: State,
    user: CurrentUser,
    change: PersonChange,
) -> Result<impl Reply, ApiError> {
    Ok(json(&service::update(&state, &Actor::from(&user), id, change).await?))
}

pub(super) async fn delete(
    id: Uuid,
    state: State,
    user: CurrentUser,
    query: DeleteQuery,
) -> Result<impl Reply, ApiError> {
    let actor = Actor::from(&user);
    if !query.erase {
        service::deactivate(&state, &actor, id).await?;
    } else if user.role < Role::Admin {
        return Err(ApiError::authorization("erasing someone for good needs the role admin"));
    } else {
        service::erase(&state, &actor, id).await?;
    }
    Ok(StatusCode::NO_CONTENT)
}

pub(super) async fn list_faces(id: Uuid, state: State, _user: CurrentUser) -> Result<impl Reply, ApiError> {
    service::find(&state.db, id).await?;
    Ok(json(&faces::list(&state.db, id).await?))
}

pub(super) async fn add_faces(
    id: Uuid,
    state: State,
    user: CurrentUser,
    form: Option<FormData>,
) -> Result<impl Reply, ApiError> {
    let added = enrol::add_faces(&state, Actor::from(&user), id, form).await?;
    Ok(with_status(json(&added), StatusCode::CREATED))
}

pub(super) async fn get_face(
    id: Uuid,
    face_id: Uuid,
    state: State,
    _user: CurrentUser,
) -> Result<impl Reply, ApiError> {
    Ok(picture::reply(faces::photo(&state, id, face_id).await?))
}

pub(super) async fn delete_face(
    id: Uuid,
    face_id: Uuid,
    state: State,
    user: CurrentUser,
) -> Result<impl Reply, ApiError> {
    faces::delete(&state, &Actor::from(&user), id, face_id).await?;
    Ok(StatusCode::NO_CONTENT)
}
