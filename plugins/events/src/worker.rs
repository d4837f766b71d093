//! What a worker reports once a second, and what it is told in return.

use serde::{Deserialize, Serialize};

use crate::{Errand, LiveWish, LogLine};

/// State of one camera's pipeline, as users see it too.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "lowercase")]
pub enum CameraState {
    /// Not running; for recorded material also: played to its end.
    #[default]
    Stopped,
    /// Being set up; no frame yet.
    Starting,
    /// Frames arrive.
    Running,
    /// The source is gone and is being tried again.
    Reconnecting,
    /// Given up; `last_error` says why and what to do.
    Error,
}

impl CameraState {
    /// The name used on the wire and in the database.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Stopped => "stopped",
            Self::Starting => "starting",
            Self::Running => "running",
            Self::Reconnecting => "reconnecting",
            Self::Error => "error",
        }
    }
}

/// What a model did for one camera since its pipeline started.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct InferenceStats {
    /// Frames looked at by a detector, faces by an embedder.
    pub count: u64,
    /// Seconds it took, all together.
    pub total_s: f64,
}

/// What became of one camera's events since its pipeline started.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct EventStats {
    /// Acknowledged.
    pub delivered: u64,
    /// Refused for good, and set aside.
    pub rejected: u64,
    /// Lost because neither disk nor memory had room.
    pub lost: u64,
}

/// Figures of one camera over the last second or so.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct CameraStats {
    /// Frames analysed per second.
    pub fps: f32,
    /// Time the last frame took from the decoder to the end of the pipeline.
    pub latency_ms: f32,
    /// Frames dropped since the pipeline started.
    pub dropped: u64,
    /// Faces in the last frame.
    pub faces: u32,
    /// Frame width in pixels; 0 until known.
    pub width: u32,
    /// Frame height in pixels; 0 until known.
    pub height: u32,
    /// Frames analysed since the pipeline started.
    #[serde(default)]
    pub frames: u64,
    /// Every n-th frame is looked at now: more than the settings say while the machine cannot keep up; 0 until known.
    #[serde(default)]
    pub inference_interval: u32,
    /// Finding faces.
    #[serde(default)]
    pub detection: InferenceStats,
    /// Making templates of faces.
    #[serde(default)]
    pub embedding: InferenceStats,
    /// Events.
    #[serde(default)]
    pub events: EventStats,
}

/// One camera, as its worker sees it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct CameraReport {
    /// The camera.
    pub camera_id: String,
    /// The run this report is about, from the camera's assignment.
    pub run: u64,
    /// State of the pipeline. `Stopped` here means that recorded material reached its end.
    pub state: CameraState,
    /// Figures.
    pub stats: CameraStats,
    /// What went wrong last, and what to do about it. Never holds credentials.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_error: Option<String>,
    /// How often the source was lost since this run began.
    #[serde(default)]
    pub reconnects: u64,
}

/// Sent by a worker once a second to `POST /api/workers/{id}/heartbeat`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(
    feature = "openapi",
    derive(utoipa::ToSchema),
    schema(
        description = "How a worker's cameras are doing.",
        examples(json!({
            "host": "host-2", "version": "0.1.0", "pid": 4711,
            "cameras": [{
                "camera_id": "door", "run": 3, "state": "running",
                "stats": { "fps": 25.0, "latency_ms": 41.5, "dropped": 0, "faces": 2, "width": 1280, "height": 720 }
            }]
        }))
    )
)]
pub struct Heartbeat {
    /// Host name, for people.
    pub host: String,
    /// The worker's version.
    pub version: String,
    /// Process id on its host.
    pub pid: u32,
    /// Every camera the worker holds.
    pub cameras: Vec<CameraReport>,
    /// Events on this worker's disk that nobody has acknowledged yet.
    #[serde(default)]
    pub spooled_events: u64,
    /// Warnings and errors since the last heartbeat that was answered. One that is sent again counts once, by its id.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub log: Vec<LogLine>,
}

/// An area of the picture: x and y of its corners, as shares (0…1) of the frame's width and height.
pub type Corners = Vec<[f64; 2]>;

/// How the elements of a camera's pipeline are set.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct PipelineSettings {
    /// Model pack.
    pub pack: String,
    /// Detect on every n-th frame, 1 = every frame.
    pub inference_interval: u32,
    /// Detector threshold 0…1; none = the pack's.
    pub detection_threshold: Option<f32>,
    /// Least cosine similarity to name someone; none = the pack's.
    pub recognition_threshold: Option<f32>,
    /// Seconds during which the same person at the same camera is not reported again; 0 = off.
    pub dedup_window_s: u32,
    /// Whether events carry a picture of the face.
    pub snapshots: bool,
    /// Whether age and gender are estimated.
    pub attributes: bool,
    /// Whether models run on a graphics card, where there is one that works.
    #[serde(default)]
    pub use_gpu: bool,
    /// Faces of this many pixels of the frame and more are found; none = the detector's own.
    #[serde(default)]
    pub min_face_size: Option<u32>,
    /// Whether frames in which nothing has changed are not looked at.
    #[serde(default)]
    pub motion_gate: bool,
    /// Where faces count; none = everywhere.
    #[serde(default)]
    #[cfg_attr(feature = "openapi", schema(value_type = Vec<Vec<Vec<f64>>>))]
    pub regions: Vec<Corners>,
    /// Where nobody looks.
    #[serde(default)]
    #[cfg_attr(feature = "openapi", schema(value_type = Vec<Vec<Vec<f64>>>))]
    pub masks: Vec<Corners>,
}

/// One camera a worker is to run.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct CameraAssignment {
    /// The camera.
    pub camera_id: String,
    /// Grows with every start: another number means start afresh.
    pub run: u64,
    /// Source URL with credentials, or a webcam's number.
    pub url: String,
    /// Recorded material only: play again and again at its own speed, as a live camera.
    #[serde(default, rename = "loop")]
    pub looped: bool,
    /// Settings of the elements. They may change in a run: what can be set while frames flow, is.
    pub settings: PipelineSettings,
}

impl std::fmt::Debug for CameraAssignment {
    /// Leaves the URL out: it may hold a password.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CameraAssignment")
            .field("camera_id", &self.camera_id)
            .field("run", &self.run)
            .field("looped", &self.looped)
            .field("settings", &self.settings)
            .finish_non_exhaustive()
    }
}

/// The control plane's answer to a [`Heartbeat`]: everything this worker is to run, and nothing else.
///
/// ```
/// let reply: vedette_events::HeartbeatReply = serde_json::from_str(r#"{"cameras":[{
///   "camera_id":"cam_01","run":3,"url":"rtsp://10.0.0.7/stream1","loop":false,
///   "settings":{"pack":"opencv","inference_interval":2,"detection_threshold":null,
///     "recognition_threshold":null,"dedup_window_s":30,"snapshots":true,"attributes":false}}]}"#)?;
/// assert_eq!(reply.cameras[0].run, 3);
/// assert!(!format!("{reply:?}").contains("10.0.0.7"), "URLs may hold passwords");
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(
    feature = "openapi",
    derive(utoipa::ToSchema),
    schema(
        description = "Everything a worker is to run, and nothing else.",
        examples(json!({ "cameras": [{
            "camera_id": "door", "run": 3, "url": "rtsp://10.0.0.7/stream1", "loop": false,
            "settings": {
                "pack": "opencv", "inference_interval": 2, "detection_threshold": null, "recognition_threshold": null,
                "dedup_window_s": 30, "snapshots": true, "attributes": false
            }
        }] }))
    )
)]
pub struct HeartbeatReply {
    /// Cameras to run; pipelines of others are stopped.
    pub cameras: Vec<CameraAssignment>,
    /// What to do besides, once.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub errands: Vec<Errand>,
    /// Cameras somebody looks at.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub live: Vec<LiveWish>,
}
