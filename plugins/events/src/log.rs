//! A warning or an error, as it travels from where it was logged to where it is kept.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use uuid::Uuid;

/// How bad it is. What is less than a warning does not travel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Something is got over, or about to fail.
    Warning,
    /// Something failed.
    Error,
}

impl Severity {
    /// The name used on the wire and in the database.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Warning => "warning",
            Self::Error => "error",
        }
    }
}

/// One line of a log.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct LogLine {
    /// Made where the line was logged: one that arrives twice counts once.
    pub id: Uuid,
    /// When.
    pub timestamp: DateTime<Utc>,
    /// How bad it is.
    pub level: Severity,
    /// The part of the program it comes from: a module, or a library.
    pub target: String,
    /// What it says.
    pub message: String,
    /// What it says besides, by name. Never a secret.
    #[serde(default)]
    #[cfg_attr(feature = "openapi", schema(value_type = Object))]
    pub fields: Map<String, Value>,
}

impl LogLine {
    /// A line of this moment.
    pub fn new(level: Severity, target: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            id: Uuid::now_v7(),
            timestamp: Utc::now(),
            level,
            target: target.into(),
            message: message.into(),
            fields: Map::new(),
        }
    }

    /// Cuts texts that are too long and leaves out fields beyond a number, so that no line is large.
    pub fn shorten(&mut self) {
        const MAX_TARGET_BYTES: usize = 100;
        const MAX_MESSAGE_BYTES: usize = 1000;
        const MAX_FIELD_BYTES: usize = 500;
        const MAX_FIELDS: usize = 16;
        cut(&mut self.target, MAX_TARGET_BYTES);
        cut(&mut self.message, MAX_MESSAGE_BYTES);
        let fields = std::mem::take(&mut self.fields).into_iter().take(MAX_FIELDS);
        self.fields = fields
            .map(|(mut name, value)| {
                cut(&mut name, MAX_TARGET_BYTES);
                let value = match value {
                    Value::String(mut text) => {
                        cut(&mut text, MAX_FIELD_BYTES);
                        Value::String(text)
                    }
                    Value::Array(_) | Value::Object(_) => {
                        let mut text = value.to_string();
                        cut(&mut text, MAX_FIELD_BYTES);
                        Value::String(text)
                    }
                    plain => plain,
                };
                (name, value)
            })
            .collect();
    }
}

/// Shortens `text` to at most `max_bytes` and a mark that something is missing.
fn cut(text: &mut String, max_bytes: usize) {
    // The database of PostgreSQL takes no text with it.
    if text.contains('\0') {
        *text = text.replace('\0', "\u{fffd}");
    }
    if text.len() > max_bytes {
        text.truncate(text.floor_char_boundary(max_bytes));
        text.push('…');
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_line_is_large() {
        let mut line = LogLine::new(Severity::Warning, "t".repeat(1 << 20), "ä".repeat(1 << 20));
        line.message.insert(0, '\0');
        for number in 0..100 {
            line.fields.insert(format!("field {number}"), Value::String("x".repeat(1 << 16)));
        }
        line.fields.insert("a nested".to_owned(), Value::Array(vec![Value::String("y".repeat(1 << 16))]));
        line.shorten();
        let size = serde_json::to_string(&line).map_or(usize::MAX, |text| text.len());
        assert!(size < 16 * 1024, "{size}");
        assert!(!line.message.contains('\0') && line.message.ends_with('…'), "{}", line.message);
    }
}
