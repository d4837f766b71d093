//! What every request handler shares.

use std::sync::Arc;

use sea_orm::DatabaseConnection;
use secrecy::SecretString;
use tokio::sync::watch;
use vedette_events::PipelineSettings;

use crate::auth::TokenSigner;
use crate::config::Config;
use crate::storage::Storage;
use crate::supervisor::LocalWorkerStatus;
use crate::workers::WorkerRegistry;

/// The state as filters pass it on.
pub type State = Arc<AppState>;

/// What every request handler shares; made once at the start.
#[derive(Debug)]
pub struct AppState {
    /// The settings.
    pub config: Config,
    /// The database.
    pub db: DatabaseConnection,
    /// Pictures.
    pub storage: Storage,
    /// Makes and checks access tokens.
    pub tokens: TokenSigner,
    /// What workers reported last.
    pub workers: WorkerRegistry,
    /// What workers show to be let in.
    pub worker_token: SecretString,
    /// How the worker of this host is doing.
    pub local_worker: watch::Receiver<LocalWorkerStatus>,
}

impl AppState {
    /// How the pipelines of all cameras are set.
    pub fn pipeline_settings(&self) -> PipelineSettings {
        let file = &self.config.file;
        PipelineSettings {
            pack: file.face_recognition.detection_model.as_str().to_owned(),
            inference_interval: file.performance.frame_skip.get(),
            detection_threshold: file.detection.confidence_threshold.map(|share| share.get()),
            recognition_threshold: file.face_recognition.recognition_threshold.map(|share| share.get()),
            dedup_window_s: file.detection.deduplication_window.get(),
            snapshots: file.detection.save_snapshots,
            attributes: false,
        }
    }
}
