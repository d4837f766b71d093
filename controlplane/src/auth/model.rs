//! What signing in takes and gives.

use secrecy::SecretString;
use serde::{Deserialize, Serialize};

use super::Role;
use crate::users::NewUser;

/// `POST /auth/register`.
#[derive(Deserialize)]
pub(super) struct RegisterRequest {
    username: String,
    email: String,
    full_name: Option<String>,
    password: SecretString,
}

impl From<RegisterRequest> for NewUser {
    /// Whatever else is sent, who makes an account for oneself may look and no more.
    fn from(request: RegisterRequest) -> Self {
        Self {
            username: request.username,
            email: Some(request.email),
            full_name: request.full_name,
            password: request.password,
            role: Role::Viewer,
            must_change_password: false,
        }
    }
}

/// `POST /auth/login`.
#[derive(Deserialize)]
pub(super) struct LoginRequest {
    pub(super) username: String,
    pub(super) password: String,
}

/// Answer to `POST /auth/login`.
#[derive(Debug, Serialize)]
pub(super) struct LoginAnswer {
    pub(super) access_token: String,
    pub(super) token_type: &'static str,
    /// Seconds.
    pub(super) expires_in: u64,
    pub(super) must_change_password: bool,
}

/// `POST /auth/change-password`.
#[derive(Deserialize)]
pub(super) struct ChangePasswordRequest {
    pub(super) old_password: String,
    pub(super) new_password: String,
}
