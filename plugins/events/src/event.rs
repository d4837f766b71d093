//! What a camera saw: one JSON object per line on every transport.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize, Serializer};
use uuid::Uuid;

/// Why an event was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "lowercase")]
pub enum EventKind {
    /// A track is first decided as an enrolled person.
    Recognized,
    /// A track is decided as a stranger.
    Unknown,
    /// A track's identity or best shot improved.
    Updated,
    /// A track ended; the event carries `first_seen` and `last_seen`.
    Left,
}

impl EventKind {
    /// The name used on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Recognized => "recognized",
            Self::Unknown => "unknown",
            Self::Updated => "updated",
            Self::Left => "left",
        }
    }
}

/// Apparent gender of a face, as a model sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "lowercase")]
pub enum Gender {
    /// Female.
    Female,
    /// Male.
    Male,
}

impl Gender {
    /// As it is written.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Female => "female",
            Self::Male => "male",
        }
    }
}

/// A face's box in frame pixels, clipped to the frame.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct BoundingBox {
    /// Left edge.
    pub x: u32,
    /// Top edge.
    pub y: u32,
    /// Width, at least 1.
    #[cfg_attr(feature = "openapi", schema(minimum = 1))]
    pub width: u32,
    /// Height, at least 1.
    #[cfg_attr(feature = "openapi", schema(minimum = 1))]
    pub height: u32,
}

/// Size of the frame a box refers to, in pixels.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct FrameSize {
    /// Width.
    #[cfg_attr(feature = "openapi", schema(minimum = 1))]
    pub width: u32,
    /// Height.
    #[cfg_attr(feature = "openapi", schema(minimum = 1))]
    pub height: u32,
}

/// The enrolled person a track was decided to be.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct PersonMatch {
    /// The gallery's id of the person: a UUID from the control plane, a folder's name from a gallery file.
    pub id: String,
    /// The name to show.
    pub name: String,
    /// Cosine similarity between the track and the person, −1…1.
    #[cfg_attr(feature = "openapi", schema(minimum = -1, maximum = 1))]
    pub similarity: f32,
    /// Similarity minus that of the next most similar person.
    #[cfg_attr(feature = "openapi", schema(minimum = -2, maximum = 2))]
    pub margin: f32,
}

/// Something worth telling about one track of one camera.
///
/// ```
/// let line = r#"{"event_id":"01920000-0000-7000-8000-000000000001","kind":"recognized",
///   "camera_id":"cam_01","track_id":17,"timestamp":"2026-01-01T12:00:00.123Z","stream_time_ms":41200,
///   "bounding_box":{"x":312,"y":96,"width":128,"height":156},"frame":{"width":1280,"height":720},
///   "confidence":0.93,"quality":0.81,
///   "person":{"id":"p1","name":"Ada","similarity":0.71,"margin":0.22}}"#;
/// let event: vedette_events::FaceEvent = serde_json::from_str(line)?;
/// assert_eq!(event.kind, vedette_events::EventKind::Recognized);
/// assert_eq!(event.person.map(|person| person.name).as_deref(), Some("Ada"));
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(
    feature = "openapi",
    derive(utoipa::ToSchema),
    schema(
        description = "Something worth telling about one track of one camera.",
        examples(json!({
            "event_id": "01920000-0000-7000-8000-000000000001", "kind": "recognized", "camera_id": "door", "track_id": 17,
            "timestamp": "2026-01-01T12:00:00.123Z", "stream_time_ms": 41200,
            "bounding_box": { "x": 312, "y": 96, "width": 128, "height": 156 },
            "frame": { "width": 1280, "height": 720 }, "confidence": 0.93, "quality": 0.81,
            "person": { "id": "01920000-0000-7000-8000-000000000003", "name": "Ada", "similarity": 0.71, "margin": 0.22 }
        }))
    )
)]
pub struct FaceEvent {
    /// UUIDv7 made where the event arose; the key on which ingest is idempotent.
    pub event_id: Uuid,
    /// Why the event was sent.
    pub kind: EventKind,
    /// The operator's short name of the camera.
    #[cfg_attr(feature = "openapi", schema(pattern = "^[A-Za-z0-9_-]{1,64}$"))]
    pub camera_id: String,
    /// The track within the camera's current run.
    pub track_id: u64,
    /// When the frame was seen.
    pub timestamp: DateTime<Utc>,
    /// The frame's position in the stream.
    pub stream_time_ms: u64,
    /// Where the face is.
    pub bounding_box: BoundingBox,
    /// The frame `bounding_box` refers to.
    pub frame: FrameSize,
    /// The detector's score of the face, 0…1.
    #[cfg_attr(feature = "openapi", schema(minimum = 0, maximum = 1))]
    pub confidence: f32,
    /// Quality of the track's best crop, 0…1.
    #[cfg_attr(feature = "openapi", schema(minimum = 0, maximum = 1))]
    pub quality: f32,
    /// Who it is; nobody for a stranger.
    pub person: Option<PersonMatch>,
    /// Estimated age in years, if estimated.
    #[cfg_attr(feature = "openapi", schema(minimum = 0, maximum = 150))]
    #[serde(default, skip_serializing_if = "Option::is_none", serialize_with = "years")]
    pub age: Option<f32>,
    /// Apparent gender, if estimated.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gender: Option<Gender>,
    /// Base64 of a JPEG of the face with some surroundings.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub snapshot: Option<String>,
    /// Base64 of the little-endian f32 embedding; strangers only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub embedding: Option<String>,
    /// When the track was first seen; `left` only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first_seen: Option<DateTime<Utc>>,
    /// When the track was last seen; `left` only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_seen: Option<DateTime<Utc>>,
}

/// Whole years are written as a whole number, which is what those who read events into an integer want.
fn years<S: Serializer>(age: &Option<f32>, serializer: S) -> Result<S::Ok, S::Error> {
    match age {
        Some(years) if years.fract() == 0.0 && (0.0..1000.0).contains(years) => {
            serializer.serialize_u32(*years as u32)
        }
        age => age.serialize(serializer),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn whole_years_are_whole_numbers() {
        let mut event = serde_json::json!({
            "event_id": Uuid::nil(), "kind": "unknown", "camera_id": "door", "track_id": 1,
            "timestamp": "2026-01-01T12:00:00Z", "stream_time_ms": 0,
            "bounding_box": {"x": 0, "y": 0, "width": 1, "height": 1}, "frame": {"width": 2, "height": 2},
            "confidence": 0.5, "quality": 0.5, "person": null, "age": 34
        });
        for (given, written) in [("34", "34"), ("34.0", "34"), ("34.5", "34.5"), ("0", "0")] {
            event["age"] = serde_json::from_str(given).unwrap();
            let read: FaceEvent = serde_json::from_value(event.clone()).unwrap();
            let line = serde_json::to_string(&read).unwrap();
            assert!(
                line.contains(&format!("\"age\":{written}}}"))
                    || line.contains(&format!("\"age\":{written},")),
                "{line}"
            );
        }
    }
}
