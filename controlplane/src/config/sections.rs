//! What the files can hold, section by section; `config/config.yaml` tells users what each key means.

use std::path::PathBuf;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use vedette_models::pack::{DEFAULT_PACK, Packs};

use super::door::{Network, Origin, StreamName, each_parsed, maybe_parsed};
use super::{RateLimitConfig, Share, Whole, parsed};
use crate::cameras::{CameraId, Resolution, SourceUrl};

/// The whole of a file.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct FileConfig {
    /// Where to listen.
    pub server: ServerConfig,
    /// Models and registration.
    pub face_recognition: FaceRecognitionConfig,
    /// What is reported.
    pub detection: DetectionConfig,
    /// Use of the machine.
    pub performance: PerformanceConfig,
    /// Who runs cameras.
    pub workers: WorkersConfig,
    /// Cameras made at the start.
    pub cameras: CamerasConfig,
    /// The log.
    pub logging: LoggingConfig,
    /// Other ways events come in.
    pub events: EventsConfig,
    /// Who may do what.
    pub security: SecurityConfig,
    /// Who may read `/metrics`.
    pub metrics: MetricsConfig,
    /// How alerts are told.
    pub alerts: AlertsConfig,
    /// How long data is kept.
    pub retention: RetentionConfig,
}

/// `server`.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ServerConfig {
    /// Address to listen on.
    pub host: std::net::IpAddr,
    /// Port to listen on; 0 = any.
    pub port: u16,
    /// HTTPS instead of HTTP.
    pub tls: Option<TlsConfig>,
    /// Reverse proxies whose word about the client is taken.
    #[serde(deserialize_with = "each_parsed")]
    pub trusted_proxies: Vec<Network>,
}

impl Default for ServerConfig {
    fn default() -> Self {
        Self {
            host: std::net::Ipv4Addr::LOCALHOST.into(),
            port: 8000,
            tls: None,
            trusted_proxies: Vec::new(),
        }
    }
}

/// `server.tls`: PEM files, read again when they change.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TlsConfig {
    /// The certificate, and after it those that vouch for it.
    pub certificate: PathBuf,
    /// Its private key.
    pub key: PathBuf,
}

/// `events`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct EventsConfig {
    /// A Redis stream to take events from; `None` = none.
    #[serde(deserialize_with = "maybe_parsed")]
    pub redis_stream: Option<StreamName>,
}

/// `metrics`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct MetricsConfig {
    /// Whether anybody may read them, not only this host and whoever shows `METRICS_TOKEN`.
    pub public: bool,
}

/// `face_recognition`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct FaceRecognitionConfig {
    /// The model pack.
    #[serde(deserialize_with = "parsed")]
    pub detection_model: PackName,
    /// Least cosine similarity to name someone; `None` = the pack's.
    pub recognition_threshold: Option<Share>,
    /// Whether age and gender are estimated.
    pub attributes: bool,
    /// Enrolment.
    pub registration: RegistrationConfig,
}

/// A model pack: one of those built in by its name, or a folder with one by its path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PackName(String);

impl PackName {
    /// The name, or the folder's path.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Default for PackName {
    fn default() -> Self {
        Self(DEFAULT_PACK.to_owned())
    }
}

impl FromStr for PackName {
    type Err = String;

    /// What lies in a folder is not looked at: whoever opens the pack says what is wrong with it.
    fn from_str(name: &str) -> Result<Self, String> {
        if !name.contains('/') {
            Packs::get(name).map_err(|error| error.to_string())?;
        }
        Ok(Self(name.to_owned()))
    }
}

/// `face_recognition.registration`.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RegistrationConfig {
    /// Photos that must be accepted.
    pub min_samples: Whole<1, 50>,
    /// Least quality of such a photo.
    pub quality_threshold: Share,
}

impl Default for RegistrationConfig {
    fn default() -> Self {
        Self { min_samples: Whole::new::<3>(), quality_threshold: Share::HALF }
    }
}

/// `detection`.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DetectionConfig {
    /// Seconds; 0 = off.
    pub deduplication_window: Whole<0, 86_400>,
    /// Whether events carry a picture.
    pub save_snapshots: bool,
    /// Least detector score; `None` = the pack's.
    pub confidence_threshold: Option<Share>,
}

impl Default for DetectionConfig {
    fn default() -> Self {
        Self { deduplication_window: Whole::new::<30>(), save_snapshots: true, confidence_threshold: None }
    }
}

/// `performance`.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PerformanceConfig {
    /// Whether to infer on a GPU.
    pub use_gpu: bool,
    /// Look for faces on every n-th frame.
    pub frame_skip: Whole<1, 60>,
    /// Whether frames in which nothing has changed are not looked at.
    pub motion_gate: bool,
    /// Photos analysed at the same time; 0 = one per processor.
    pub max_workers: Whole<0, 256>,
}

impl Default for PerformanceConfig {
    fn default() -> Self {
        Self {
            use_gpu: false,
            frame_skip: Whole::new::<2>(),
            motion_gate: false,
            max_workers: Whole::new::<0>(),
        }
    }
}

/// `workers`.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct WorkersConfig {
    /// Whether this host runs cameras.
    pub local: bool,
}

impl Default for WorkersConfig {
    fn default() -> Self {
        Self { local: true }
    }
}

/// `cameras`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CamerasConfig {
    /// Folders on the workers' hosts that operators may play files of; none is `media` in the data folder.
    pub file_folders: Vec<PathBuf>,
    /// Cameras made or updated at every start.
    pub sources: Vec<CameraSource>,
}

/// One of `cameras.sources`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CameraSource {
    /// The operator's short name.
    #[serde(deserialize_with = "parsed")]
    pub id: CameraId,
    /// Where frames come from.
    #[serde(deserialize_with = "parsed")]
    pub url: SourceUrl,
    /// Name to show; the id if not given.
    pub name: Option<String>,
    /// Whether it is started.
    #[serde(default = "yes")]
    pub enabled: bool,
    /// Wanted size.
    pub resolution: Option<Resolution>,
    /// Wanted frames per second.
    pub fps: Option<Whole<1, 240>>,
    /// Recorded material only: again and again at its own speed.
    #[serde(default, rename = "loop")]
    pub looped: bool,
}

fn yes() -> bool {
    true
}

/// `logging`.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LoggingConfig {
    /// What is worth a line.
    pub level: LogLevel,
    /// What a line looks like.
    pub format: LogFormat,
    /// When a new file is begun.
    pub rotation: LogRotation,
    /// Size in megabytes at which a new file is begun earlier.
    pub max_file_mb: Whole<1, 10_000>,
    /// Files kept.
    pub retention: Whole<1, 1000>,
}

impl Default for LoggingConfig {
    fn default() -> Self {
        Self {
            level: LogLevel::Info,
            format: LogFormat::Text,
            rotation: LogRotation::Daily,
            max_file_mb: Whole::new::<32>(),
            retention: Whole::new::<30>(),
        }
    }
}

/// `logging.format`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// For people.
    Text,
    /// A JSON object a line, for programs.
    Json,
}

/// `logging.level`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
#[expect(missing_docs, reason = "the names say it")]
pub enum LogLevel {
    Trace,
    Debug,
    Info,
    Warn,
    Error,
}

impl LogLevel {
    /// The level's name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Trace => "trace",
            Self::Debug => "debug",
            Self::Info => "info",
            Self::Warn => "warn",
            Self::Error => "error",
        }
    }
}

/// `logging.rotation`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogRotation {
    /// No file at all.
    Never,
    /// A file an hour.
    Hourly,
    /// A file a day.
    Daily,
}

/// `security`.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SecurityConfig {
    /// Whether anybody may make an account; `None` = while developing, yes.
    pub registration: Option<Registration>,
    /// Whether the first password has to be changed.
    pub force_password_change: bool,
    /// Requests a minute from one address.
    pub rate_limit: RateLimitConfig,
    /// Origins of other web pages that may call the API.
    #[serde(deserialize_with = "each_parsed")]
    pub cors_origins: Vec<Origin>,
}

impl Default for SecurityConfig {
    fn default() -> Self {
        Self {
            registration: None,
            force_password_change: true,
            rate_limit: RateLimitConfig::default(),
            cors_origins: Vec::new(),
        }
    }
}

/// `security.registration`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Registration {
    /// Anybody may make an account of role viewer.
    Open,
    /// Only an administrator makes accounts.
    Closed,
}

/// `alerts`.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AlertsConfig {
    /// Seconds a webhook may take to answer.
    pub webhook_timeout: Whole<1, 60>,
    /// Seconds after which an alert nobody takes is told no more.
    pub give_up_after: Whole<1, 2_592_000>,
    /// PEM certificates of who vouches for webhooks besides the public authorities.
    pub ca_file: Option<PathBuf>,
}

impl Default for AlertsConfig {
    fn default() -> Self {
        Self { webhook_timeout: Whole::new::<10>(), give_up_after: Whole::new::<86_400>(), ca_file: None }
    }
}

/// `retention`, in days; 0 = for good.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RetentionConfig {
    /// Detections.
    pub detections: Whole<0, 36_500>,
    /// Snapshots.
    pub snapshots: Whole<0, 36_500>,
    /// Faces of strangers.
    pub unknowns: Whole<0, 36_500>,
    /// Warnings and errors in the database.
    pub system_log: Whole<0, 36_500>,
    /// What users and programs did.
    pub audit_log: Whole<0, 36_500>,
    /// Alerts.
    pub alerts: Whole<0, 36_500>,
}

impl Default for RetentionConfig {
    fn default() -> Self {
        Self {
            detections: Whole::new::<90>(),
            snapshots: Whole::new::<30>(),
            unknowns: Whole::new::<30>(),
            system_log: Whole::new::<30>(),
            audit_log: Whole::new::<365>(),
            alerts: Whole::new::<90>(),
        }
    }
}
