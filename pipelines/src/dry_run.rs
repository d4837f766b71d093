//! `--dry-run`: the pipeline of a camera as a line for a terminal. Nothing is run, and no camera taken from anybody.

use std::path::Path;

use thiserror::Error;
use ureq::http::StatusCode;
use url::Url;
use vedette_events::{CameraAssignment, PipelineSettings};

use crate::elements::{self, ElementsError};
use crate::heartbeat::{AddressError, agent};
use crate::launch::{ControlPlane, LaunchError, Plan, spool_dir};
use crate::source::{Source, SourceError};

/// A line that cannot be told.
#[derive(Debug, Error)]
pub enum DryRunError {
    /// There is nobody to ask.
    #[error(
        "a camera's id says nothing by itself: give --url and --token too, or the camera's URL in place of the id"
    )]
    NobodyToAsk,
    /// The control plane's address is none.
    #[error(transparent)]
    Address(#[from] AddressError),
    /// There is no such camera.
    #[error("there is no camera `{0}` at the control plane")]
    NoCamera(String),
    /// Something else answers, or refuses.
    #[error(
        "{url} answers {status}: is it a Vedette control plane of this version, and the token its worker's?"
    )]
    Status {
        /// The control plane.
        url: String,
        /// Its answer.
        status: StatusCode,
    },
    /// Nobody answers.
    #[error("the control plane at {url} is away ({error})")]
    Away {
        /// The control plane.
        url: String,
        /// What is known about it.
        error: Box<ureq::Error>,
    },
    /// The camera's URL is none.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// The pipeline cannot be built.
    #[error(transparent)]
    Launch(#[from] LaunchError),
    /// GStreamer does not start.
    #[error(transparent)]
    Elements(#[from] ElementsError),
}

/// The pipeline of `camera`: a camera's id, of which the control plane is asked, or a camera's URL, which is played with
/// the elements' own settings. It is built once, so that what this installation lacks is told now.
///
/// # Errors
/// When there is no such camera, or its pipeline cannot be built.
pub fn plan(
    camera: &str,
    control_plane: Option<&ControlPlane>,
    data_dir: &Path,
) -> Result<Plan, DryRunError> {
    let is_url = camera.contains("://") || camera.bytes().all(|byte| byte.is_ascii_digit());
    let assignment = match control_plane {
        _ if is_url => of_url(camera),
        Some(control_plane) => ask(control_plane, camera)?,
        None => return Err(DryRunError::NobodyToAsk),
    };
    let source = Source::parse(&assignment.url)?;
    let plan = Plan::new(&source, &assignment, control_plane, data_dir)?;
    elements::init()?;
    plan.build()?;
    Ok(plan)
}

fn of_url(url: &str) -> CameraAssignment {
    CameraAssignment {
        // What the sink calls it when nobody says otherwise.
        camera_id: "cam_01".into(),
        run: 1,
        url: url.into(),
        looped: false,
        settings: PipelineSettings {
            pack: "opencv".into(),
            inference_interval: 1,
            dedup_window_s: 30,
            ..PipelineSettings::default()
        },
    }
}

/// What a worker would be told to run.
fn ask(control_plane: &ControlPlane, camera_id: &str) -> Result<CameraAssignment, DryRunError> {
    // What is no id would ask for something else.
    spool_dir(Path::new(""), camera_id)?;
    let endpoint = format!("{}/api/workers/cameras/{camera_id}", control_plane.url);
    let endpoint = Url::parse(&endpoint).map_err(|_| AddressError::Url)?;
    let url = || control_plane.url.clone();
    let away = |error| DryRunError::Away { url: url(), error: Box::new(error) };
    let request = agent(&endpoint).get(endpoint.as_str());
    let authorization = format!("Bearer {}", control_plane.token);
    let mut response = request.header("Authorization", authorization).call().map_err(away)?;
    match response.status() {
        StatusCode::OK => response.body_mut().read_json().map_err(away),
        StatusCode::NOT_FOUND => Err(DryRunError::NoCamera(camera_id.to_owned())),
        status => Err(DryRunError::Status { url: url(), status }),
    }
}
