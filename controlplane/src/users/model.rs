//! A user as clients see one.

use chrono::{DateTime, Utc};
use secrecy::SecretString;
use serde::Serialize;
use uuid::Uuid;

use crate::auth::Role;
use crate::entity::users;

/// A user as the API answers it: everything but the password's hash.
#[derive(Clone, Debug, Serialize)]
pub struct UserView {
    id: Uuid,
    username: String,
    email: Option<String>,
    full_name: Option<String>,
    role: String,
    is_active: bool,
    is_superuser: bool,
    pub(crate) must_change_password: bool,
    created_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
    last_login: Option<DateTime<Utc>>,
}

impl From<users::Model> for UserView {
    fn from(user: users::Model) -> Self {
        Self {
            id: user.id,
            username: user.username,
            email: user.email,
            full_name: user.full_name,
            is_superuser: user.role == Role::Admin.as_str(),
            role: user.role,
            is_active: user.is_active,
            must_change_password: user.must_change_password,
            created_at: user.created_at,
            updated_at: user.updated_at,
            last_login: user.last_login,
        }
    }
}

/// A user to be made.
#[derive(Clone, Debug)]
pub struct NewUser {
    /// Name to sign in with.
    pub username: String,
    /// Mail address.
    pub email: Option<String>,
    /// Name to show.
    pub full_name: Option<String>,
    /// First password.
    pub password: SecretString,
    /// What the user may do.
    pub role: Role,
    /// Whether the first password has to be changed.
    pub must_change_password: bool,
}
