//! HTTP side of signing in and out.

use std::net::IpAddr;

use warp::Reply;
use warp::http::StatusCode;
use warp::reply::with_status;

use super::model::{ChangePasswordRequest, LoginAnswer, LoginRequest, RegisterRequest, Told};
use super::{CurrentUser, service};
use crate::audit::{Action, Actor};
use crate::error::{ApiError, ErrorBody};
use crate::state::{AppState, State};
use crate::users::{self, ProfileChange, UserView};

/// Make an account
///
/// The account has the role `viewer`. Where `security.registration` is `closed`, as it is in production, only
/// administrators make accounts: `POST /api/users`.
#[utoipa::path(
    post,
    path = "/api/auth/register",
    request_body = RegisterRequest,
    responses(
        (status = 201, description = "The account is made.", body = UserView),
        (status = 403, description = "Registration is closed.", body = ErrorBody),
        (status = 409, description = "The user name or the e-mail address is taken.", body = ErrorBody),
    )
)]
pub(super) async fn register(
    state: State,
    address: IpAddr,
    request: RegisterRequest,
) -> Result<impl Reply, ApiError> {
    if !state.config.is_registration_open() {
        return Err(ApiError::authorization("registration is closed: ask an administrator for an account"));
    }
    let actor = Actor::nobody(Some(address));
    let user = users::create(&state.db, &actor, Action::Registered, request.into()).await?;
    Ok(with_status(warp::reply::json(&user), StatusCode::CREATED))
}

/// Sign in
///
/// After some failures, further tries for the same user or from the same address are refused for a while
/// (429), longer each time.
#[utoipa::path(
    post,
    path = "/api/auth/login",
    request_body(content(
        (LoginRequest = "application/x-www-form-urlencoded"),
        (LoginRequest = "application/json"),
    )),
    responses(
        (status = 200, description = "Signed in.", body = LoginAnswer),
        (
            status = 401,
            description = "User name or password is wrong, or the account is not active.",
            body = ErrorBody,
        ),
    )
)]
pub(super) async fn login(
    state: State,
    address: IpAddr,
    request: LoginRequest,
) -> Result<impl Reply, ApiError> {
    let LoginRequest { username, password } = request;
    let AppState { db, tokens, login_throttle, .. } = &*state;
    let mut answer = service::login(db, tokens, login_throttle, &username, password, address).await?;
    answer.must_change_password &= state.config.file.security.force_password_change;
    Ok(warp::reply::json(&answer))
}

/// Sign out
///
/// The token that is shown is void from then on.
#[utoipa::path(
    post,
    path = "/api/auth/logout",
    responses((status = 204, description = "Signed out.")),
    security(("token" = []))
)]
pub(super) async fn logout(state: State, user: CurrentUser) -> Result<impl Reply, ApiError> {
    service::logout(&state.db, &user).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// See one's own account
#[utoipa::path(
    get,
    path = "/api/auth/me",
    responses((status = 200, description = "Who is signed in.", body = UserView)),
    security(("token" = []))
)]
pub(super) async fn me(state: State, user: CurrentUser) -> Result<impl Reply, ApiError> {
    let mut view = users::get(&state.db, user.id).await?;
    view.must_change_password = user.must_change_password;
    Ok(warp::reply::json(&view))
}

/// Change one's own account
///
/// What is not sent stays, `null` clears.
#[utoipa::path(
    put,
    path = "/api/auth/me",
    request_body = ProfileChange,
    responses(
        (status = 200, description = "The account as it is now.", body = UserView),
        (status = 409, description = "The e-mail address is taken.", body = ErrorBody),
    ),
    security(("token" = []))
)]
pub(super) async fn change_me(
    state: State,
    user: CurrentUser,
    change: ProfileChange,
) -> Result<impl Reply, ApiError> {
    let mut view = users::change_profile(&state.db, &user, change).await?;
    view.must_change_password = user.must_change_password;
    Ok(warp::reply::json(&view))
}

/// Change one's own password
///
/// All tokens made before are void afterwards; sign in again.
#[utoipa::path(
    post,
    path = "/api/auth/change-password",
    request_body = ChangePasswordRequest,
    responses((status = 200, description = "The password is changed.", body = Told)),
    security(("token" = []))
)]
pub(super) async fn change_password(
    state: State,
    user: CurrentUser,
    request: ChangePasswordRequest,
) -> Result<impl Reply, ApiError> {
    service::change_password(&state.db, &user, request.old_password, request.new_password).await?;
    Ok(warp::reply::json(&Told { message: "the password is changed; sign in again" }))
}
