//! HTTP side of alerts and their rules.

use uuid::Uuid;
use warp::Reply;
use warp::http::StatusCode;
use warp::reply::{json, with_status};

use super::model::{AlertFilter, AlertView};
use super::rule::{CreateRequest, RuleView, UpdateRequest, WrittenRule};
use super::{rules, service};
use crate::audit::Actor;
use crate::auth::CurrentUser;
use crate::error::ApiError;
use crate::filters::{Page, PageQuery, PageRequest};
use crate::state::State;

/// List alerts
#[utoipa::path(
    get,
    path = "/api/alerts",
    params(AlertFilter, PageQuery),
    responses((status = 200, description = "One page, the newest first.", body = Page<AlertView>)),
    security(("token" = ["viewer"]))
)]
pub(super) async fn list(
    state: State,
    _user: CurrentUser,
    filter: AlertFilter,
    page: PageRequest,
) -> Result<impl Reply, ApiError> {
    Ok(json(&service::list(&state, &filter, page).await?))
}

/// Acknowledge an alert
///
/// Who was first stays.
#[utoipa::path(
    post,
    path = "/api/alerts/{id}/acknowledge",
    params(("id" = Uuid, Path, description = "The alert.")),
    responses((status = 200, description = "The alert as it is now.", body = AlertView)),
    security(("token" = ["viewer"]))
)]
pub(super) async fn acknowledge(id: Uuid, state: State, user: CurrentUser) -> Result<impl Reply, ApiError> {
    Ok(json(&service::acknowledge(&state, &Actor::from(&user), &user.username, id).await?))
}

/// List alert rules
#[utoipa::path(
    get,
    path = "/api/alerts/rules",
    params(PageQuery),
    responses((status = 200, description = "One page, the oldest first.", body = Page<RuleView>)),
    security(("token" = ["viewer"]))
)]
pub(super) async fn list_rules(
    state: State,
    _user: CurrentUser,
    page: PageRequest,
) -> Result<impl Reply, ApiError> {
    Ok(json(&rules::list(&state, page).await?))
}

/// Make an alert rule
///
/// `webhook_secret`, made up unless it is given, is answered this once: the receiver checks signatures with it.
#[utoipa::path(
    post,
    path = "/api/alerts/rules",
    request_body = CreateRequest,
    responses((status = 201, description = "The rule.", body = WrittenRule)),
    security(("token" = ["operator"]))
)]
pub(super) async fn create_rule(
    state: State,
    user: CurrentUser,
    request: CreateRequest,
) -> Result<impl Reply, ApiError> {
    let rule = rules::create(&state, &Actor::from(&user), request.try_into()?).await?;
    Ok(with_status(json(&rule), StatusCode::CREATED))
}

/// Change an alert rule
///
/// What is not sent stays; `null` takes webhook or topic away. A secret that is new is answered this once.
#[utoipa::path(
    put,
    path = "/api/alerts/rules/{id}",
    params(("id" = Uuid, Path, description = "The rule.")),
    request_body = UpdateRequest,
    responses((status = 200, description = "The rule as it is now.", body = WrittenRule)),
    security(("token" = ["operator"]))
)]
pub(super) async fn update_rule(
    id: Uuid,
    state: State,
    user: CurrentUser,
    request: UpdateRequest,
) -> Result<impl Reply, ApiError> {
    Ok(json(&rules::update(&state, &Actor::from(&user), id, request.try_into()?).await?))
}

/// Remove an alert rule
///
/// Its alerts stay; what it had still to tell is told no more.
#[utoipa::path(
    delete,
    path = "/api/alerts/rules/{id}",
    params(("id" = Uuid, Path, description = "The rule.")),
    responses((status = 204, description = "The rule is gone.")),
    security(("token" = ["operator"]))
)]
pub(super) async fn delete_rule(id: Uuid, state: State, user: CurrentUser) -> Result<impl Reply, ApiError> {
    rules::delete(&state, &Actor::from(&user), id).await?;
    Ok(StatusCode::NO_CONTENT)
}
