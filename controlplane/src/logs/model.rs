//! An entry of the log as clients see one, and what the log can be asked for.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use super::lines::{AUDIT, SYSTEM};
use crate::entity::system_logs;
use crate::error::ApiError;

/// Where an entry comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum Source {
    /// Warnings and errors of servers and workers.
    System,
    /// What users and programs did.
    Audit,
}

impl Source {
    /// The name as the table holds it.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::System => SYSTEM,
            Self::Audit => AUDIT,
        }
    }
}

/// How grave an entry is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum EntryLevel {
    Info,
    Warning,
    Error,
}

impl EntryLevel {
    /// The name as the table holds it.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Warning => "warning",
            Self::Error => "error",
        }
    }
}

/// An entry as the API answers it.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = LogEntry, examples(
    json!({
        "id": "01920000-0000-7000-8000-000000000008", "timestamp": "2026-01-01T12:00:00.123Z", "source": "audit",
        "level": "info", "category": "cameras", "action": "cameras.started", "message": null, "user": "ada",
        "user_id": "01920000-0000-7000-8000-000000000001", "subject": "camera:door", "address": "192.0.2.7",
        "origin": null, "details": null
    }),
    json!({
        "id": "01920000-0000-7000-8000-000000000009", "timestamp": "2026-01-01T12:00:05.001Z", "source": "system",
        "level": "warning", "category": "vedette", "action": null,
        "message": "rtsp://10.0.0.7/stream1 ended its stream", "user": null, "user_id": null, "subject": null,
        "address": null, "origin": "worker:host-2", "details": { "camera": "door", "state": "reconnecting" }
    })
))]
pub(super) struct LogView {
    id: Uuid,
    timestamp: DateTime<Utc>,
    #[schema(value_type = Source)]
    source: String,
    #[schema(value_type = EntryLevel)]
    level: String,
    /// Of `audit`: what was done belongs to, such as `auth`. Of `system`: the part of the program.
    category: String,
    /// What was done, such as `auth.login`; `null` in `system`.
    #[schema(required)]
    action: Option<String>,
    /// What went wrong; `null` in `audit`.
    #[schema(required)]
    message: Option<String>,
    /// Name of the user, or `key:` and the API key's.
    #[schema(required)]
    user: Option<String>,
    #[schema(required)]
    user_id: Option<Uuid>,
    /// What it was done to, such as `camera:door`.
    #[schema(required)]
    subject: Option<String>,
    /// IP address the request came from.
    #[schema(required)]
    address: Option<String>,
    /// Of `system`: the server or worker, such as `worker:host-2`.
    #[schema(required)]
    origin: Option<String>,
    /// What else there is to say.
    #[schema(required, value_type = Option<Object>)]
    details: Option<Value>,
}

impl From<system_logs::Model> for LogView {
    fn from(row: system_logs::Model) -> Self {
        let action = (row.source == AUDIT).then(|| format!("{}.{}", row.category, row.action));
        Self {
            id: row.id,
            timestamp: row.timestamp,
            source: row.source,
            level: row.level,
            category: row.category,
            action,
            message: row.message,
            user: row.actor,
            user_id: row.actor_id,
            subject: row.subject,
            address: row.address,
            origin: row.origin,
            details: row.details,
        }
    }
}

/// What `GET /api/logs` can be asked for besides a page.
#[derive(Clone, Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct LogFilter {
    pub(super) source: Option<Source>,
    pub(super) level: Option<EntryLevel>,
    /// Text anywhere in an entry, in any case.
    pub(super) search: Option<String>,
    /// A user's name or id.
    pub(super) user: Option<String>,
    /// What was done, such as `auth.login`, or one half of it, such as `auth`.
    pub(super) action: Option<String>,
    /// Not before.
    pub(super) from: Option<DateTime<Utc>>,
    /// Before.
    pub(super) to: Option<DateTime<Utc>>,
}

impl LogFilter {
    /// Says what does not hold.
    pub(super) fn check(&self) -> Result<(), ApiError> {
        if let (Some(from), Some(to)) = (self.from, self.to)
            && from > to
        {
            return Err(ApiError::validation("from", "must not be after `to`"));
        }
        for (name, text) in [("search", &self.search), ("user", &self.user), ("action", &self.action)] {
            // PostgreSQL takes no text with it.
            if text.as_ref().is_some_and(|text| text.contains('\0')) {
                return Err(ApiError::validation(name, "must not hold the character U+0000"));
            }
        }
        Ok(())
    }
}
