//! Signing in and out, and who may do what.

mod handler;
mod model;
mod password;
mod service;
mod sessions;
mod throttle;
mod token;

use std::net::IpAddr;
use std::str::FromStr;
use utoipa::{OpenApi, ToSchema};

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use uuid::Uuid;
use warp::Filter as _;

pub use password::{hash as hash_password, validate as validate_password};
pub use service::{authenticate, has_api_key, is_worker};
pub use sessions::Sessions;
pub use throttle::LoginThrottle;
pub use token::{TokenSigner, TokenTerms};

use crate::filters::{self, Route, respond};
use crate::state::State;

/// What a user may do; each role may do what those before it may.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Looks.
    #[default]
    Viewer,
    /// Enrols people and runs cameras.
    Operator,
    /// Everything.
    Admin,
}

impl Role {
    /// The name used on the wire and in the database.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Viewer => "viewer",
            Self::Operator => "operator",
            Self::Admin => "admin",
        }
    }
}

impl FromStr for Role {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "viewer" => Ok(Self::Viewer),
            "operator" => Ok(Self::Operator),
            "admin" => Ok(Self::Admin),
            _ => Err(format!("`{text}` is no role: choose viewer, operator or admin")),
        }
    }
}

/// Who sent the request: a user, or a program by its API key.
#[derive(Clone, Debug)]
pub struct CurrentUser {
    /// The user, or the key.
    pub id: Uuid,
    /// Name to sign in with; `key:NAME` for a key, which no user name can be.
    pub username: String,
    /// What the user may do.
    pub role: Role,
    /// Whether nothing else is allowed until the password was changed.
    pub must_change_password: bool,
    /// Id of the token that was shown, or of the key.
    pub token_id: Uuid,
    /// When that ends.
    pub token_expires_at: DateTime<Utc>,
    /// Where the request came from.
    pub address: Option<IpAddr>,
}

/// What the API's description says of them.
#[derive(OpenApi)]
#[openapi(paths(
    handler::register,
    handler::login,
    handler::logout,
    handler::me,
    handler::change_me,
    handler::change_password,
))]
pub struct Docs;

/// `/auth/…`.
pub fn routes(state: &State) -> Route {
    let auth = warp::path("auth");
    let register = auth
        .and(warp::path!("register"))
        .and(warp::post())
        .and(filters::with_state(state))
        .and(filters::client_address())
        .and(filters::json_body())
        .then(handler::register)
        .map(respond)
        .boxed();
    let login = auth
        .and(warp::path!("login"))
        .and(warp::post())
        .and(filters::with_state(state))
        .and(filters::client_address())
        .and(filters::json_or_form())
        .then(handler::login)
        .map(respond)
        .boxed();
    let logout = auth
        .and(warp::path!("logout"))
        .and(warp::post())
        .and(filters::with_state(state))
        .and(filters::signed_in(state))
        .then(handler::logout)
        .map(respond)
        .boxed();
    let me = auth
        .and(warp::path!("me"))
        .and(warp::get())
        .and(filters::with_state(state))
        .and(filters::signed_in(state))
        .then(handler::me)
        .map(respond)
        .boxed();
    let change_me = auth
        .and(warp::path!("me"))
        .and(warp::put())
        .and(filters::with_state(state))
        .and(filters::signed_in(state))
        .and(filters::json_body())
        .then(handler::change_me)
        .map(respond)
        .boxed();
    let change_password = auth
        .and(warp::path!("change-password"))
        .and(warp::post())
        .and(filters::with_state(state))
        .and(filters::signed_in(state))
        .and(filters::json_body())
        .then(handler::change_password)
        .map(respond)
        .boxed();
    filters::any_of([register, login, logout, me, change_me, change_password])
}
