//! What cameras saw.

use sea_orm::entity::prelude::*;

/// One event about one track.
#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "detections")]
pub struct Model {
    /// Id.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    /// The event's own id; the key on which ingest is idempotent.
    pub event_id: Uuid,
    /// An [`vedette_events::EventKind`].
    pub kind: String,
    /// When the frame was seen.
    pub timestamp: DateTimeUtc,
    /// The frame's position in the stream.
    pub stream_time_ms: i64,
    /// The camera, which may be gone.
    pub camera_id: String,
    /// The track within the camera's run.
    pub track_id: i64,
    /// Who it is; none for a stranger.
    pub person_id: Option<Uuid>,
    /// The name at that time.
    pub person_name: Option<String>,
    /// Cosine similarity to the person.
    pub similarity: Option<f32>,
    /// Similarity minus that of the next person.
    pub margin: Option<f32>,
    /// The detector's score.
    pub confidence: f32,
    /// Quality of the best crop.
    pub quality: f32,
    /// Left edge of the face.
    pub box_x: i32,
    /// Top edge of the face.
    pub box_y: i32,
    /// Width of the face.
    pub box_width: i32,
    /// Height of the face.
    pub box_height: i32,
    /// Width of the frame.
    pub frame_width: i32,
    /// Height of the frame.
    pub frame_height: i32,
    /// Estimated age.
    pub age: Option<f32>,
    /// Apparent gender.
    pub gender: Option<String>,
    /// Key of the picture in the storage.
    pub snapshot_path: Option<String>,
    /// A stranger's embedding.
    pub embedding: Option<Vec<u8>>,
    /// When the track was first seen; `left` only.
    pub first_seen: Option<DateTimeUtc>,
    /// When the track was last seen; `left` only.
    pub last_seen: Option<DateTimeUtc>,
    /// When it was stored.
    pub created_at: DateTimeUtc,
}

/// No relation is walked from here.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
