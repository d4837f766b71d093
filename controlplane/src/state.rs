//! What every request handler shares.

use std::sync::Arc;

use sea_orm::DatabaseConnection;
use secrecy::SecretString;
use tokio::sync::watch;
use vedette_events::PipelineSettings;

use crate::alerts::Alerts;
use crate::auth::{CurrentUser, LoginThrottle, Sessions, TokenSigner};
use crate::config::Config;
use crate::crypto::Keys;
use crate::database::Probe;
use crate::gallery::LiveGallery;
use crate::limits::RateLimits;
use crate::live::Hub;
use crate::metrics::Metrics;
use crate::persons::reembed::Progress;
use crate::redis_link::RedisLink;
use crate::storage::Storage;
use crate::supervisor::LocalWorkerStatus;
use crate::viewing::LiveViews;
use crate::vision::Vision;
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
    /// Whether it is there.
    pub database_probe: Probe,
    /// Where pictures are.
    pub storage: Storage,
    /// What templates and cameras' sources are sealed with.
    pub keys: Arc<Keys>,
    /// Finds and tells apart the faces of pictures that are sent.
    pub vision: Arc<Vision>,
    /// Who is known.
    pub gallery: LiveGallery,
    /// Makes and checks access tokens.
    pub tokens: TokenSigner,
    /// Who is behind the tokens shown a moment ago.
    pub sessions: Sessions,
    /// Slows down the guessing of passwords.
    pub login_throttle: LoginThrottle,
    /// How often one address may ask.
    pub limits: RateLimits,
    /// What the instances share, if there is a Redis server.
    pub redis: Option<Arc<RedisLink>>,
    /// News for everybody who watches.
    pub live: Hub,
    /// Who looks at which camera.
    pub views: Arc<LiveViews>,
    /// What alerts need besides the database.
    pub alerts: Alerts,
    /// Figures about this instance.
    pub metrics: Metrics,
    /// What workers reported last.
    pub workers: WorkerRegistry,
    /// What workers show to be let in.
    pub worker_token: SecretString,
    /// How the worker of this host is doing.
    pub local_worker: watch::Receiver<LocalWorkerStatus>,
    /// How far embedding everybody anew is, while there is another pack to be used.
    pub reembedding: watch::Sender<Option<Progress>>,
}

impl AppState {
    /// The user as the settings see one: while developing, the first password may be let stand.
    pub fn lift_password_change(&self, user: CurrentUser) -> CurrentUser {
        let must_change_password =
            user.must_change_password && self.config.file.security.force_password_change;
        CurrentUser { must_change_password, ..user }
    }

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
            attributes: file.face_recognition.attributes,
            use_gpu: file.performance.use_gpu,
            motion_gate: file.performance.motion_gate,
            ..PipelineSettings::default()
        }
    }
}
