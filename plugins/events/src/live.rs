//! Live pictures: which cameras somebody looks at, as workers are told, and what they send in return.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

/// A camera somebody looks at.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(
    feature = "openapi",
    derive(utoipa::ToSchema),
    schema(
        description = "In which sizes somebody looks at a camera.",
        examples(json!({ "camera_id": "door", "sides": [320, 1280] }))
    )
)]
pub struct LiveWish {
    /// The camera.
    pub camera_id: String,
    /// Longest sides of the pictures that are looked at, in pixels; none when nobody looks any more.
    pub sides: Vec<u32>,
}

/// One picture for those who look at a camera, boxes and names drawn.
///
/// ```
/// let picture: vedette_events::LivePicture =
///     serde_json::from_str(r#"{"side":640,"timestamp":"2026-01-01T12:00:00.123Z","jpeg":"/9j/2Q=="}"#)?;
/// assert_eq!(picture.side, 640);
/// assert!(!format!("{picture:?}").contains("/9j/"), "it may show somebody");
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(
    feature = "openapi",
    derive(utoipa::ToSchema),
    schema(description = "A picture for those who look at a camera, boxes and names drawn.")
)]
pub struct LivePicture {
    /// The longest side that was asked for; the picture is smaller where the camera's are.
    pub side: u32,
    /// When the frame came out of the decoder.
    pub timestamp: DateTime<Utc>,
    /// The picture as JPEG, in base64.
    pub jpeg: String,
}

impl std::fmt::Debug for LivePicture {
    /// Leaves the picture out: it may show somebody.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LivePicture")
            .field("side", &self.side)
            .field("timestamp", &self.timestamp)
            .finish_non_exhaustive()
    }
}
