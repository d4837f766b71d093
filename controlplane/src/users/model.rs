//! A user as clients send and see one.

use chrono::{DateTime, Utc};
use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa::openapi::ObjectBuilder;
use utoipa::openapi::schema::{Object, Type};
use uuid::Uuid;

use crate::auth::Role;
use crate::email;
use crate::entity::users;
use crate::error::FieldError;
use crate::filters::present;
use crate::openapi::texts;

const MAX_USERNAME_CHARS: usize = 64;
const MAX_EMAIL_CHARS: usize = 254;
const MAX_FULL_NAME_CHARS: usize = 200;

/// A user as the API answers it: everything but the password's hash.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = User, examples(json!({
    "id": "01920000-0000-7000-8000-000000000001", "username": "ada", "email": "ada@example.org",
    "full_name": "Ada Lovelace", "role": "operator", "is_active": true, "is_superuser": false,
    "must_change_password": false, "created_at": "2026-01-01T12:00:00Z", "updated_at": "2026-01-01T12:00:00Z",
    "last_login": null
})))]
pub struct UserView {
    pub(crate) id: Uuid,
    /// Name to sign in with.
    username: String,
    #[schema(required)]
    email: Option<String>,
    #[schema(required)]
    full_name: Option<String>,
    #[schema(value_type = Role)]
    role: String,
    is_active: bool,
    /// Whether the role is `admin`.
    is_superuser: bool,
    /// Whether nothing else works until the password is changed.
    pub(crate) must_change_password: bool,
    created_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
    #[schema(required)]
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

impl NewUser {
    /// Brings the texts into their stored form and says what does not hold.
    pub(super) fn normalise(&mut self) -> Vec<FieldError> {
        self.username = self.username.trim().to_lowercase();
        self.email = normalised_email(self.email.take());
        self.full_name = normalised(self.full_name.take());
        let wrong =
            [check_username(&self.username), check_email(&self.email), check_full_name(&self.full_name)];
        wrong.into_iter().flatten().collect()
    }
}

/// `POST /users`.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewUser, examples(json!({
    "username": "grace", "email": "grace@example.org", "password": "correct horse battery 9", "role": "operator",
    "must_change_password": true
})))]
pub(super) struct CreateRequest {
    #[schema(schema_with = username_schema)]
    username: String,
    #[schema(schema_with = texts::email_or_null)]
    email: Option<String>,
    #[schema(schema_with = texts::line_or_null::<MAX_FULL_NAME_CHARS>)]
    full_name: Option<String>,
    #[schema(value_type = String, format = Password, min_length = 8, max_length = 256, write_only)]
    password: SecretString,
    #[serde(default)]
    role: Role,
    /// Whether nothing else works until the password is changed.
    #[serde(default)]
    must_change_password: bool,
}

impl From<CreateRequest> for NewUser {
    fn from(request: CreateRequest) -> Self {
        Self {
            username: request.username,
            email: request.email,
            full_name: request.full_name,
            password: request.password,
            role: request.role,
            must_change_password: request.must_change_password,
        }
    }
}

/// `PUT /auth/me`: what users may change about themselves. What is absent stays, `null` clears.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(examples(json!({ "full_name": "Ada King" })))]
pub struct ProfileChange {
    #[serde(default, deserialize_with = "present")]
    #[schema(schema_with = texts::email_or_null)]
    pub(super) email: Option<Option<String>>,
    #[serde(default, deserialize_with = "present")]
    #[schema(schema_with = texts::line_or_null::<MAX_FULL_NAME_CHARS>)]
    pub(super) full_name: Option<Option<String>>,
}

impl ProfileChange {
    /// Brings the texts into their stored form and says what does not hold.
    pub(super) fn normalise(&mut self) -> Vec<FieldError> {
        self.email = self.email.take().map(normalised_email);
        self.full_name = self.full_name.take().map(normalised);
        let email = self.email.as_ref().and_then(check_email);
        let full_name = self.full_name.as_ref().and_then(check_full_name);
        [email, full_name].into_iter().flatten().collect()
    }
}

/// `PUT /users/{id}`: what is absent stays, `null` clears.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(examples(json!({ "role": "operator", "is_active": true })))]
pub(super) struct UserChange {
    pub(super) role: Option<Role>,
    pub(super) is_active: Option<bool>,
    #[serde(default, deserialize_with = "present")]
    #[schema(schema_with = texts::email_or_null)]
    email: Option<Option<String>>,
    #[serde(default, deserialize_with = "present")]
    #[schema(schema_with = texts::line_or_null::<MAX_FULL_NAME_CHARS>)]
    full_name: Option<Option<String>>,
    /// A new password, which has to be changed at the next login unless `must_change_password` says otherwise.
    #[schema(value_type = Option<String>, format = Password, min_length = 8, max_length = 256, write_only)]
    pub(super) password: Option<SecretString>,
    pub(super) must_change_password: Option<bool>,
}

impl UserChange {
    /// The part users may change about themselves, too.
    pub(super) fn take_profile(&mut self) -> ProfileChange {
        ProfileChange { email: self.email.take(), full_name: self.full_name.take() }
    }
}

fn normalised(text: Option<String>) -> Option<String> {
    text.map(|text| text.trim().to_owned()).filter(|text| !text.is_empty())
}

fn normalised_email(email: Option<String>) -> Option<String> {
    normalised(email).map(|email| email.to_lowercase())
}

/// What [`check_username`] lets pass.
pub(crate) fn username_schema() -> Object {
    ObjectBuilder::new()
        .schema_type(Type::String)
        .description(Some("Letters, digits, or any of . _ - @ +"))
        .min_length(Some(1))
        .max_length(Some(MAX_USERNAME_CHARS))
        .examples(["ada"])
        .build()
}

fn check_username(username: &str) -> Option<FieldError> {
    let is_good = |character: char| character.is_alphanumeric() || "._-@+".contains(character);
    if (1..=MAX_USERNAME_CHARS).contains(&username.chars().count()) && username.chars().all(is_good) {
        return None;
    }
    let message = format!("must be 1 to {MAX_USERNAME_CHARS} letters, digits or any of . _ - @ +");
    Some(FieldError::new("username", message))
}

fn check_email(email: &Option<String>) -> Option<FieldError> {
    let email = email.as_deref()?;
    if email.chars().count() <= MAX_EMAIL_CHARS && email::is_address(email) {
        return None;
    }
    Some(FieldError::new("email", "must be an address such as ada@example.org"))
}

fn check_full_name(full_name: &Option<String>) -> Option<FieldError> {
    let full_name = full_name.as_deref()?;
    if full_name.chars().count() <= MAX_FULL_NAME_CHARS && !full_name.chars().any(char::is_control) {
        return None;
    }
    let message = format!("must be one line of at most {MAX_FULL_NAME_CHARS} characters");
    Some(FieldError::new("full_name", message))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    #[test]
    fn texts_are_stored_in_one_form_and_all_that_is_wrong_is_said() {
        let mut change: ProfileChange =
            serde_json::from_str(r#"{"email":" Ada@Example.org ","full_name":" "}"#).unwrap();
        assert!(change.normalise().is_empty());
        assert_eq!((change.email, change.full_name), (Some(Some("ada@example.org".into())), Some(None)));
        let mut new = NewUser {
            username: "a b".into(),
            email: Some("ada".into()),
            full_name: Some("x\ny".into()),
            password: "unused".into(),
            role: Role::Viewer,
            must_change_password: false,
        };
        assert_eq!(new.normalise().len(), 3);
    }
}
