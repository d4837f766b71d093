//! What the control plane asks of a worker beside running cameras: pictures, from a camera that runs or from one that is
//! only being tried.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// One thing to do, handed out with the answer to a heartbeat.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Errand {
    /// Names it in `POST /api/workers/{id}/errands/{errand}`, where its outcome goes.
    pub id: Uuid,
    /// What to do.
    #[serde(flatten)]
    pub task: Task,
}

/// What there is to do.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(tag = "task", rename_all = "lowercase")]
pub enum Task {
    /// Open a camera, take its first picture and close it again.
    Probe {
        /// Source URL with credentials, or a webcam's number.
        url: String,
    },
    /// Take the next picture of a camera this worker runs.
    Picture {
        /// The camera.
        camera_id: String,
    },
}

impl std::fmt::Debug for Task {
    /// Leaves the URL out: it may hold a password.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Probe { .. } => f.debug_struct("Probe").finish_non_exhaustive(),
            Self::Picture { camera_id } => f.debug_struct("Picture").field("camera_id", camera_id).finish(),
        }
    }
}

/// How an errand ended.
///
/// ```
/// let outcome: vedette_events::Outcome = serde_json::from_str(r#"{"failed":"nobody answers at 10.0.0.7"}"#)?;
/// assert_eq!(outcome, vedette_events::Outcome::Failed("nobody answers at 10.0.0.7".into()));
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(
    feature = "openapi",
    derive(utoipa::ToSchema),
    schema(
        description = "How an errand ended.",
        examples(json!({ "failed": "nobody answers at 10.0.0.7" }))
    )
)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// There is a picture.
    Picture(CameraPicture),
    /// There is none, and why, in words for whoever put the camera up; never with credentials.
    Failed(String),
}

/// A frame of a camera, and what it came as.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct CameraPicture {
    /// The camera's width in pixels; the picture may be smaller.
    pub width: u32,
    /// The camera's height in pixels.
    pub height: u32,
    /// Frames a second, as far as the stream says.
    pub fps: Option<f32>,
    /// The codec in words, such as `H.264`; nothing for a stream that is not compressed.
    pub codec: Option<String>,
    /// The picture as JPEG, in base64.
    pub jpeg: String,
}

impl std::fmt::Debug for CameraPicture {
    /// Leaves the picture out: it may show somebody.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CameraPicture")
            .field("width", &self.width)
            .field("height", &self.height)
            .field("fps", &self.fps)
            .field("codec", &self.codec)
            .finish_non_exhaustive()
    }
}
