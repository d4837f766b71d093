//! What the tests share: a small control plane, clips made on the spot, and assignments.

#![allow(dead_code, reason = "every test program uses a part of it")]
#![allow(unreachable_pub, missing_docs, reason = "nobody but the tests beside it sees it")]

pub mod clip;
pub mod mjpeg;
pub mod plane;
pub mod rtsp;
pub mod station;
pub mod web;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use vedette_events::{CameraAssignment, PipelineSettings};
use vedette_pipelines::camera::{Patience, Surroundings};
use vedette_pipelines::launch::ControlPlane;
use vedette_pipelines::signal::News;

pub const TOKEN: &str = "worker-token-of-the-tests";

/// Long enough for a loaded machine; a test that works never waits for it.
pub const LONG: Duration = Duration::from_secs(60);

pub fn assignment(camera_id: &str, run: u64, url: &str) -> CameraAssignment {
    CameraAssignment {
        camera_id: camera_id.into(),
        run,
        url: url.into(),
        looped: false,
        settings: PipelineSettings {
            pack: "opencv".into(),
            inference_interval: 1,
            recognition_threshold: Some(0.4),
            dedup_window_s: 30,
            ..PipelineSettings::default()
        },
    }
}

pub fn file_url(path: &Path) -> String {
    format!("file://{}", path.display())
}

pub fn surroundings(url: &str, data_dir: &Path, news: &Arc<News>) -> Surroundings {
    Surroundings {
        control_plane: ControlPlane { url: url.into(), token: TOKEN.into(), events_uri: None },
        data_dir: data_dir.into(),
        patience: Patience::default(),
        news: Arc::clone(news),
    }
}

/// Whether the models the elements need are on this machine; says so when they are not.
pub fn have_models() -> bool {
    let model = "models/files/opencv/face_detection_yunet_2023mar_int8bq.onnx";
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let have = std::env::var_os("VEDETTE_MODELS_DIR").is_some() || root.join(model).exists();
    if !have {
        eprintln!("skipped: no models; `vedette models fetch opencv` fetches them");
    }
    have
}
