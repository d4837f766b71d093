//! What signing in takes and gives.

use serde::{Deserialize, Serialize};

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
