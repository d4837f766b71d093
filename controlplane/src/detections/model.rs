//! A detection as clients see one, and what a list of them can be asked for.

use chrono::{DateTime, Utc};
use sea_orm::Order;
use serde::{Deserialize, Serialize};
use utoipa::openapi::schema::Object;
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;
use vedette_events::{BoundingBox, EventKind, FrameSize, Gender};

use crate::entity::detections;
use crate::error::ApiError;
use crate::sorting;

/// A detection as the API answers it; never the embedding.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = Detection, examples(json!({
    "id": "01920000-0000-7000-8000-000000000005", "event_id": "01920000-0000-7000-8000-000000000006",
    "kind": "recognized", "timestamp": "2026-01-01T12:00:00.123Z", "stream_time_ms": 41200, "camera_id": "door",
    "track_id": 17, "person_id": "01920000-0000-7000-8000-000000000003", "person_name": "Ada Lovelace",
    "similarity": 0.71, "confidence": 0.93, "quality": 0.81,
    "bounding_box": { "x": 312, "y": 96, "width": 128, "height": 156 }, "frame": { "width": 1280, "height": 720 },
    "age": null, "gender": null, "snapshot_url": "/api/detections/01920000-0000-7000-8000-000000000005/snapshot"
})))]
pub(crate) struct DetectionView {
    pub(super) id: Uuid,
    /// The event it was made of; told twice, it counts once.
    pub(super) event_id: Uuid,
    #[schema(value_type = EventKind)]
    pub(super) kind: String,
    pub(super) timestamp: DateTime<Utc>,
    /// The frame's position in the stream.
    pub(super) stream_time_ms: i64,
    pub(super) camera_id: String,
    /// The face's track within the camera's run.
    pub(super) track_id: i64,
    /// `null` for a stranger.
    #[schema(required)]
    pub(super) person_id: Option<Uuid>,
    /// `null` for a stranger.
    #[schema(required)]
    pub(super) person_name: Option<String>,
    /// `null` for a stranger.
    #[schema(required)]
    pub(super) similarity: Option<f32>,
    pub(super) confidence: f32,
    pub(super) quality: f32,
    pub(super) bounding_box: BoundingBox,
    pub(super) frame: FrameSize,
    /// Years.
    #[schema(required)]
    pub(super) age: Option<f32>,
    #[schema(required, value_type = Option<Gender>)]
    pub(super) gender: Option<String>,
    /// `null` when the event came without a picture.
    #[schema(required)]
    pub(super) snapshot_url: Option<String>,
    /// `left` only.
    #[serde(skip_serializing_if = "Option::is_none")]
    first_seen: Option<DateTime<Utc>>,
    /// `left` only.
    #[serde(skip_serializing_if = "Option::is_none")]
    last_seen: Option<DateTime<Utc>>,
}

impl From<detections::Model> for DetectionView {
    fn from(row: detections::Model) -> Self {
        // Ingest stores nothing negative.
        let pixels = |number: i32| number.unsigned_abs();
        let snapshot_url = row.snapshot_path.as_ref().map(|_| format!("/api/detections/{}/snapshot", row.id));
        Self {
            id: row.id,
            event_id: row.event_id,
            kind: row.kind,
            timestamp: row.timestamp,
            stream_time_ms: row.stream_time_ms,
            camera_id: row.camera_id,
            track_id: row.track_id,
            person_id: row.person_id,
            person_name: row.person_name,
            similarity: row.similarity,
            confidence: row.confidence,
            quality: row.quality,
            bounding_box: BoundingBox {
                x: pixels(row.box_x),
                y: pixels(row.box_y),
                width: pixels(row.box_width),
                height: pixels(row.box_height),
            },
            frame: FrameSize { width: pixels(row.frame_width), height: pixels(row.frame_height) },
            age: row.age,
            gender: row.gender,
            snapshot_url,
            first_seen: row.first_seen,
            last_seen: row.last_seen,
        }
    }
}

/// What a list can be sorted by.
const SORT_COLUMNS: [(&str, detections::Column); 6] = [
    ("timestamp", detections::Column::Timestamp),
    ("confidence", detections::Column::Confidence),
    ("similarity", detections::Column::Similarity),
    ("quality", detections::Column::Quality),
    ("camera_id", detections::Column::CameraId),
    ("person_name", detections::Column::PersonName),
];

fn sort_schema() -> Object {
    sorting::schema(&SORT_COLUMNS)
}

/// What `GET /api/detections` can be asked for besides a page.
#[derive(Clone, Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct DetectionFilter {
    pub(super) person_id: Option<Uuid>,
    pub(super) camera_id: Option<String>,
    /// Not before.
    pub(super) from: Option<DateTime<Utc>>,
    /// Before.
    pub(super) to: Option<DateTime<Utc>>,
    /// Enrolled people only, or strangers only.
    pub(super) known: Option<bool>,
    #[param(minimum = 0, maximum = 1)]
    pub(super) min_confidence: Option<f32>,
    pub(super) kind: Option<EventKind>,
    /// A column, with `-` before it to turn the order round.
    #[param(schema_with = sort_schema)]
    pub(super) sort: Option<String>,
    #[serde(default)]
    #[param(inline)]
    pub(super) format: ListFormat,
}

/// How a list is answered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum ListFormat {
    /// One page as JSON.
    #[default]
    Json,
    /// Everything as CSV.
    Csv,
}

impl DetectionFilter {
    /// The order asked for; newest first if none is.
    pub(super) fn order(&self) -> Result<(detections::Column, Order), ApiError> {
        sorting::order(self.sort.as_deref().unwrap_or("-timestamp"), &SORT_COLUMNS)
    }

    /// Whether everything seen in its period, at its camera and of its person is let through.
    pub(super) fn has_every_kind(&self) -> bool {
        self.known.is_none() && self.kind.is_none() && self.min_confidence.is_none()
    }

    /// Says what does not hold.
    pub(super) fn check(&self) -> Result<(), ApiError> {
        if self.min_confidence.is_some_and(|confidence| !(0.0..=1.0).contains(&confidence)) {
            return Err(ApiError::validation("min_confidence", "must be from 0 to 1"));
        }
        if let (Some(from), Some(to)) = (self.from, self.to)
            && from > to
        {
            return Err(ApiError::validation("from", "must not be after `to`"));
        }
        Ok(())
    }
}
