//! What signing in takes and gives.

use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::Role;
use crate::openapi::texts;
use crate::users::{NewUser, username_schema};

/// `POST /auth/register`.
#[derive(Deserialize, ToSchema)]
#[schema(as = Registration, examples(json!({
    "username": "ada", "email": "ada@example.org", "full_name": "Ada Lovelace", "password": "correct horse battery 9"
})))]
pub(super) struct RegisterRequest {
    #[schema(schema_with = username_schema)]
    username: String,
    #[schema(schema_with = texts::email)]
    email: String,
    #[schema(schema_with = texts::line_or_null::<200>)]
    full_name: Option<String>,
    #[schema(value_type = String, format = Password, min_length = 8, max_length = 256, write_only)]
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
#[derive(Deserialize, ToSchema)]
#[schema(as = Login, examples(json!({ "username": "ada", "password": "correct horse battery 9" })))]
pub(super) struct LoginRequest {
    pub(super) username: String,
    #[schema(format = Password, write_only)]
    pub(super) password: String,
}

/// Answer to `POST /auth/login`.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = SignedIn, examples(json!({
    "access_token": "eyJ0eXAiOiJKV1Qi…", "token_type": "bearer", "expires_in": 3600, "must_change_password": false
})))]
pub(super) struct LoginAnswer {
    /// Goes into `Authorization: Bearer …`.
    pub(super) access_token: String,
    #[schema(examples("bearer"))]
    pub(super) token_type: &'static str,
    /// Seconds.
    pub(super) expires_in: u64,
    /// Whether nothing else works until the password is changed.
    pub(super) must_change_password: bool,
}

/// `POST /auth/change-password`.
#[derive(Deserialize, ToSchema)]
#[schema(as = PasswordChange, examples(json!({
    "old_password": "admin123", "new_password": "correct horse battery 9"
})))]
pub(super) struct ChangePasswordRequest {
    #[schema(format = Password, write_only)]
    pub(super) old_password: String,
    #[schema(format = Password, min_length = 8, max_length = 256, write_only)]
    pub(super) new_password: String,
}

/// Says that something is done.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Told {
    /// What is done, and what comes next.
    #[schema(examples("the password is changed; sign in again"))]
    pub(super) message: &'static str,
}
