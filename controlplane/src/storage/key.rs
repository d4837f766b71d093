//! What a picture is called.

use std::fmt;

use chrono::{DateTime, NaiveDate, Utc};
use uuid::Uuid;

/// Where a picture lies below the data folder or the bucket's prefix, with `/` between the parts; what the database
/// holds. One that ends with `/` stands for everything below it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ObjectKey(String);

impl ObjectKey {
    /// A photo of an enrolled person.
    pub fn photo(person_id: Uuid, face_id: Uuid) -> Self {
        Self(format!("photos/{person_id}/{face_id}.jpg"))
    }

    /// All photos of a person.
    pub fn photos_of(person_id: Uuid) -> Self {
        Self(format!("photos/{person_id}/"))
    }

    /// The picture that came with an event, in a folder per day so that retention finds those of old days.
    pub fn snapshot(event_id: Uuid, timestamp: DateTime<Utc>) -> Self {
        Self::snapshot_named(timestamp.date_naive(), &format!("{event_id}.jpg"))
    }

    /// All snapshots of a day.
    pub fn snapshots_of(day: NaiveDate) -> Self {
        Self::snapshot_named(day, "")
    }

    fn snapshot_named(day: NaiveDate, name: &str) -> Self {
        Self(format!("snapshots/{}/{name}", day.format("%Y-%m-%d")))
    }

    /// The key behind a database column; `None` for anything that could lead elsewhere.
    pub fn parse(text: &str) -> Option<Self> {
        let is_safe_part = |part: &str| {
            !part.is_empty()
                && !part.starts_with('.')
                && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte))
        };
        let parts = text.strip_suffix('/').unwrap_or(text);
        let is_safe = parts.contains('/') && parts.split('/').all(is_safe_part);
        is_safe.then(|| Self(text.to_owned()))
    }

    /// The text to keep in the database.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The event a snapshot came with.
    pub fn event_id(&self) -> Option<Uuid> {
        let name = self.0.strip_prefix("snapshots/")?.split_once('/')?.1;
        name.strip_suffix(".jpg")?.parse().ok()
    }

    /// Whether it stands for everything below it.
    pub(super) fn is_folder(&self) -> bool {
        self.0.ends_with('/')
    }
}

impl fmt::Display for ObjectKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_that_lead_elsewhere_are_refused() {
        let others = [
            "",
            "/",
            "a",
            "a/",
            "/etc/passwd",
            "photos/../../x",
            "photos//x",
            "photos/.x",
            "photos/a b",
            "a/\\b",
            "a/b//",
        ];
        for text in others {
            assert_eq!(ObjectKey::parse(text), None, "{text:?}");
        }
        for key in [ObjectKey::photo(Uuid::nil(), Uuid::nil()), ObjectKey::photos_of(Uuid::nil())] {
            assert_eq!(ObjectKey::parse(key.as_str()), Some(key));
        }
    }

    #[test]
    fn snapshots_lie_in_a_folder_per_day() {
        let key = ObjectKey::snapshot(Uuid::nil(), DateTime::UNIX_EPOCH);
        assert_eq!(key.as_str(), format!("snapshots/1970-01-01/{}.jpg", Uuid::nil()));
        assert!(key.as_str().starts_with(ObjectKey::snapshots_of(NaiveDate::default()).as_str()));
        assert_eq!(key.event_id(), Some(Uuid::nil()));
        assert_eq!(ObjectKey::photo(Uuid::nil(), Uuid::nil()).event_id(), None);
    }
}
