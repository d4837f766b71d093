//! HTTP side of API keys, for administrators.

use uuid::Uuid;
use warp::Reply;
use warp::http::StatusCode;
use warp::reply::{json, with_status};

use super::model::{ApiKeyView, CreateRequest, CreatedKey, NewKey};
use super::service;
use crate::audit::Actor;
use crate::auth::CurrentUser;
use crate::error::ApiError;
use crate::filters::{Page, PageQuery, PageRequest};
use crate::state::State;

/// List API keys
///
/// The keys themselves are not shown again; `prefix` tells them apart.
#[utoipa::path(
    get,
    path = "/api/api-keys",
    params(PageQuery),
    responses((status = 200, description = "One page, the newest first.", body = Page<ApiKeyView>)),
    security(("token" = ["admin"]))
)]
pub(super) async fn list(
    state: State,
    _user: CurrentUser,
    page: PageRequest,
) -> Result<impl Reply, ApiError> {
    Ok(json(&service::list(&state.db, page).await?))
}

/// Make an API key
///
/// The answer is the only one that holds the key. Without `scopes` it may `read` and `ingest`.
#[utoipa::path(
    post,
    path = "/api/api-keys",
    request_body = CreateRequest,
    responses((status = 201, description = "The key, shown once.", body = CreatedKey)),
    security(("token" = ["admin"]))
)]
pub(super) async fn create(
    state: State,
    user: CurrentUser,
    request: CreateRequest,
) -> Result<impl Reply, ApiError> {
    let new = NewKey::try_from(request)?;
    let created = service::create(&state.db, &Actor::from(&user), Some(user.id), new).await?;
    Ok(with_status(json(&created), StatusCode::CREATED))
}

/// Remove an API key
///
/// It opens nothing from then on.
#[utoipa::path(
    delete,
    path = "/api/api-keys/{id}",
    params(("id" = Uuid, Path, description = "The key's id.")),
    responses((status = 204, description = "The key is gone.")),
    security(("token" = ["admin"]))
)]
pub(super) async fn delete(id: Uuid, state: State, user: CurrentUser) -> Result<impl Reply, ApiError> {
    service::delete(&state.db, &Actor::from(&user), id).await?;
    Ok(StatusCode::NO_CONTENT)
}
