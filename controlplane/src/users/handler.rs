//! HTTP side of accounts, for administrators.

use uuid::Uuid;
use warp::Reply;
use warp::http::StatusCode;
use warp::reply::{json, with_status};

use super::model::{CreateRequest, UserChange, UserView};
use super::service::{self, UserFilter};
use crate::audit::{Action, Actor};
use crate::auth::CurrentUser;
use crate::error::{ApiError, ErrorBody};
use crate::filters::{Page, PageQuery, PageRequest};
use crate::state::State;

/// List accounts
#[utoipa::path(
    get,
    path = "/api/users",
    params(UserFilter, PageQuery),
    responses((status = 200, description = "One page, by name.", body = Page<UserView>)),
    security(("token" = ["admin"]))
)]
pub(super) async fn list(
    state: State,
    _user: CurrentUser,
    filter: UserFilter,
    page: PageRequest,
) -> Result<impl Reply, ApiError> {
    Ok(json(&service::list(&state.db, filter, page).await?))
}

/// Make an account for somebody
#[utoipa::path(
    post,
    path = "/api/users",
    request_body = CreateRequest,
    responses(
        (status = 201, description = "The account is made.", body = UserView),
        (status = 409, description = "The user name or the e-mail address is taken.", body = ErrorBody),
    ),
    security(("token" = ["admin"]))
)]
pub(super) async fn create(
    state: State,
    user: CurrentUser,
    request: CreateRequest,
) -> Result<impl Reply, ApiError> {
    let actor = Actor::from(&user);
    let created = service::create(&state.db, &actor, Action::UserCreated, request.into()).await?;
    Ok(with_status(json(&created), StatusCode::CREATED))
}

/// Change somebody's account
///
/// What is not sent stays, `null` clears. Another role, another password or `is_active: false` makes all
/// tokens of the user void. The last administrator stays one.
#[utoipa::path(
    put,
    path = "/api/users/{id}",
    params(("id" = Uuid, Path, description = "The account.")),
    request_body = UserChange,
    responses(
        (status = 200, description = "The account as it is now.", body = UserView),
        (
            status = 409,
            description = "The e-mail address is taken, or nobody would be left to administer.",
            body = ErrorBody,
        ),
    ),
    security(("token" = ["admin"]))
)]
pub(super) async fn update(
    id: Uuid,
    state: State,
    user: CurrentUser,
    change: UserChange,
) -> Result<impl Reply, ApiError> {
    Ok(json(&service::update(&state.db, &user, id, change).await?))
}

/// Remove an account
#[utoipa::path(
    delete,
    path = "/api/users/{id}",
    params(("id" = Uuid, Path, description = "The account.")),
    responses(
        (status = 204, description = "The account is gone."),
        (status = 409, description = "Nobody would be left to administer.", body = ErrorBody),
    ),
    security(("token" = ["admin"]))
)]
pub(super) async fn delete(id: Uuid, state: State, user: CurrentUser) -> Result<impl Reply, ApiError> {
    service::delete(&state.db, &user, id).await?;
    Ok(StatusCode::NO_CONTENT)
}
