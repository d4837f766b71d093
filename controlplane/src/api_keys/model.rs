//! API keys as clients send and see them.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::auth::Role;
use crate::entity::api_keys;
use crate::error::{ApiError, FieldError};
use crate::openapi::texts;

const MAX_NAME_CHARS: usize = 100;

/// What a key may do. None makes an administrator: accounts and keys are for people who sign in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Scope {
    /// What a viewer may: read people, cameras, detections; have pictures looked at.
    Read,
    /// What a worker may: hand in events, and fetch the gallery with everybody's templates.
    Ingest,
    /// What an operator may: enrol people, run cameras; and read.
    Operate,
}

impl Scope {
    /// All of them.
    pub(crate) const ALL: [Self; 3] = [Self::Read, Self::Ingest, Self::Operate];

    /// The name used on the wire and in the database.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Ingest => "ingest",
            Self::Operate => "operate",
        }
    }

    /// The role whose routes this scope opens; `ingest` opens those of workers instead.
    pub fn role(self) -> Option<Role> {
        match self {
            Self::Read => Some(Role::Viewer),
            Self::Ingest => None,
            Self::Operate => Some(Role::Operator),
        }
    }

    /// The column's text.
    pub(super) fn to_stored(scopes: &[Self]) -> String {
        let listed = Self::ALL.into_iter().filter(|scope| scopes.contains(scope));
        listed.map(Self::as_str).collect::<Vec<_>>().join(" ")
    }

    /// The scopes in the column's text. One that a later version wrote opens nothing here.
    pub(crate) fn from_stored(text: &str) -> Vec<Self> {
        let is_listed = |scope: &Self| text.split(' ').any(|name| name == scope.as_str());
        Self::ALL.into_iter().filter(is_listed).collect()
    }
}

/// An API key as the API answers it; never the key itself.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = ApiKey, examples(json!({
    "id": "01920000-0000-7000-8000-000000000002", "name": "door controller", "prefix": "vedette_3f9a",
    "scopes": ["read"], "created_by": "01920000-0000-7000-8000-000000000001",
    "created_at": "2026-01-01T12:00:00Z", "expires_at": null, "last_used": null
})))]
pub struct ApiKeyView {
    /// Id.
    pub id: Uuid,
    /// What it is for.
    name: String,
    /// How the key begins, to tell it from others.
    prefix: String,
    scopes: Vec<Scope>,
    /// `null` when that account is gone.
    #[schema(required)]
    created_by: Option<Uuid>,
    created_at: DateTime<Utc>,
    #[schema(required)]
    expires_at: Option<DateTime<Utc>>,
    #[schema(required)]
    last_used: Option<DateTime<Utc>>,
}

impl From<api_keys::Model> for ApiKeyView {
    fn from(key: api_keys::Model) -> Self {
        Self {
            id: key.id,
            name: key.name,
            prefix: key.prefix,
            scopes: Scope::from_stored(&key.scopes),
            created_by: key.created_by,
            created_at: key.created_at,
            expires_at: key.expires_at,
            last_used: key.last_used,
        }
    }
}

/// Answer of `POST /api-keys`: the only one that holds the key.
#[derive(Serialize, ToSchema)]
#[schema(as = CreatedApiKey)]
pub struct CreatedKey {
    /// What is told about it later, too.
    #[serde(flatten)]
    pub view: ApiKeyView,
    /// The key.
    #[schema(examples("vedette_3f9a…"))]
    pub key: String,
}

/// `POST /api-keys`, unchecked.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewApiKey, examples(json!({ "name": "door controller", "scopes": ["read"] })))]
pub(super) struct CreateRequest {
    /// What it is for: one line.
    #[schema(schema_with = texts::filled_line::<MAX_NAME_CHARS>)]
    name: String,
    #[schema(min_items = 1)]
    scopes: Option<Vec<Scope>>,
    /// When it ends; never, if not given.
    expires_at: Option<DateTime<Utc>>,
}

/// A key to be made.
#[derive(Clone, Debug)]
pub struct NewKey {
    /// What it is for.
    pub name: String,
    /// What it may do.
    pub scopes: Vec<Scope>,
    /// When it ends.
    pub expires_at: Option<DateTime<Utc>>,
}

impl TryFrom<CreateRequest> for NewKey {
    type Error = ApiError;

    fn try_from(request: CreateRequest) -> Result<Self, ApiError> {
        let name = request.name.trim().to_owned();
        // What the programs this is mostly for need: to look, and to hand in what they saw.
        let scopes = request.scopes.unwrap_or_else(|| vec![Scope::Read, Scope::Ingest]);
        let mut wrong = Vec::new();
        if !(1..=MAX_NAME_CHARS).contains(&name.chars().count()) || name.chars().any(char::is_control) {
            let message = format!("must be one line of 1 to {MAX_NAME_CHARS} characters");
            wrong.push(FieldError::new("name", message));
        }
        if scopes.is_empty() {
            wrong.push(FieldError::new("scopes", "must hold one or more of read, ingest, operate"));
        }
        if request.expires_at.is_some_and(|end| end <= Utc::now()) {
            wrong.push(FieldError::new("expires_at", "must lie in the future"));
        }
        if !wrong.is_empty() {
            return Err(ApiError::validations(wrong));
        }
        Ok(Self { name, scopes, expires_at: request.expires_at })
    }
}

#[cfg(test)]
mod tests {
    use super::Scope;

    #[test]
    fn scopes_survive_being_stored() {
        assert_eq!(Scope::to_stored(&[Scope::Operate, Scope::Read, Scope::Read]), "read operate");
        assert_eq!(Scope::from_stored("read operate"), [Scope::Read, Scope::Operate]);
        assert_eq!(Scope::from_stored("ingest rule"), [Scope::Ingest], "what is not known opens nothing");
        assert!(Scope::from_stored("").is_empty());
    }
}
