//! Pictures of cameras, which only their workers can take.

use std::time::Duration;
use utoipa::ToSchema;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Serialize;
use vedette_events::{CameraPicture, CameraState, Outcome, Task};

use super::SourceUrl;
use super::service;
use crate::error::{ApiError, ErrorKind};
use crate::ingest::decode_snapshot;
use crate::state::AppState;
use crate::workers::send_errand;

/// A worker fetches errands every second, gives a camera 10 s and needs a moment to close it.
const PROBE_TIMEOUT: Duration = Duration::from_secs(15);
/// The same for a camera that runs.
const SNAPSHOT_TIMEOUT: Duration = Duration::from_secs(6);

/// What a camera that was tried is like, or why it cannot be opened.
#[derive(Clone, Debug, Default, Serialize, ToSchema)]
#[schema(as = Probe, examples(json!({
    "reachable": false, "resolution": null, "codec": null, "fps": null, "thumbnail": null,
    "reason": "10.0.0.7 refuses the user name or password; check both"
})))]
pub(super) struct ProbeView {
    /// Whether a picture came.
    reachable: bool,
    /// `1280x720`.
    #[schema(required)]
    resolution: Option<String>,
    /// Such as `H.264`; nothing for pictures that are not compressed.
    #[schema(required)]
    codec: Option<String>,
    /// Frames a second, as far as the stream says.
    #[schema(required)]
    fps: Option<f32>,
    /// The first picture, as a `data:` URL of a JPEG.
    #[schema(required)]
    thumbnail: Option<String>,
    /// Why no picture came and what to do.
    #[schema(required)]
    reason: Option<String>,
}

impl ProbeView {
    fn failed(reason: impl Into<String>) -> Self {
        Self { reason: Some(reason.into()), ..Self::default() }
    }
}

/// Tries a camera that need not exist.
pub(super) async fn probe(state: &AppState, url: SourceUrl) -> Result<ProbeView, ApiError> {
    let Some(worker) = state.workers.any_fresh() else {
        let reason = "no worker reports, so nobody can try it; see that vedette-worker runs and that its token is right";
        return Ok(ProbeView::failed(reason));
    };
    let task = Task::Probe { url: url.expose().to_owned() };
    Ok(match send_errand(state, &worker, &task, PROBE_TIMEOUT).await? {
        Some(Outcome::Picture(picture)) => {
            let size = format!("{}x{}", picture.width, picture.height);
            let thumbnail = format!("data:image/jpeg;base64,{}", STANDARD.encode(jpeg_of(&picture)?));
            ProbeView {
                reachable: true,
                resolution: Some(size),
                codec: picture.codec,
                fps: picture.fps,
                thumbnail: Some(thumbnail),
                reason: None,
            }
        }
        Some(Outcome::Failed(reason)) => ProbeView::failed(reason),
        None => ProbeView::failed("the worker does not answer in time; try again"),
    })
}

/// Whether a camera is to send pictures: it was started, and neither ended nor was given up.
///
/// # Errors
/// When there is none, or the database does not answer.
pub async fn is_on(state: &AppState, id: &str) -> Result<bool, ApiError> {
    let camera = service::find(&state.db, id).await?;
    Ok(!matches!(state.workers.status(&camera).state, CameraState::Stopped | CameraState::Error))
}

/// What a running camera sees now, as JPEG.
pub(super) async fn snapshot(state: &AppState, id: &str) -> Result<Vec<u8>, ApiError> {
    let camera = service::find(&state.db, id).await?;
    let no_picture = |why: &str| ApiError::new(ErrorKind::NotFound, why.to_owned());
    let Some(worker) = state.workers.status(&camera).worker else {
        return Err(no_picture("the camera is not running: start it first"));
    };
    let task = Task::Picture { camera_id: camera.id };
    match send_errand(state, &worker, &task, SNAPSHOT_TIMEOUT).await? {
        Some(Outcome::Picture(picture)) => jpeg_of(&picture),
        Some(Outcome::Failed(reason)) => Err(no_picture(&reason)),
        None => Err(no_picture("the camera's worker does not answer in time; try again")),
    }
}

/// A worker reads video from strangers: what it sends is looked at before it is shown to anybody.
fn jpeg_of(picture: &CameraPicture) -> Result<Vec<u8>, ApiError> {
    decode_snapshot(&picture.jpeg).map_err(ApiError::internal)
}
