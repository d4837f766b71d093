//! Settings: YAML files in layers, then the environment. Typed, and nothing unknown or out of range gets past.
//!
//! Every file is checked on its own first, so that a mistake is reported with its file, line and key, whether or
//! not another file overrides it. This is the only module that knows YAML.

mod door;
mod environment;
mod print;
mod ranges;
mod sections;
mod variables;

use std::fs;
use std::path::{Path, PathBuf};

use serde_yaml::Value;
use thiserror::Error;

pub use door::{Network, Origin, RateLimitConfig, StreamName};
pub use environment::{
    BucketSettings, ClientTls, Environment, EnvironmentSettings, JwtSettings, MqttSettings, PostgresSettings,
    RedisSettings, Stage,
};
pub use print::describe;
pub use ranges::{Share, Whole, parsed};
pub use sections::{
    AlertsConfig, CameraSource, CamerasConfig, DetectionConfig, EventsConfig, FaceRecognitionConfig,
    FileConfig, LogFormat, LogLevel, LogRotation, LoggingConfig, MetricsConfig, PackName, PerformanceConfig,
    Registration, RegistrationConfig, RetentionConfig, SecurityConfig, ServerConfig, TlsConfig,
    WorkersConfig,
};
pub use variables::{VARIABLES, Variable};

/// The settings Vedette ships with, for when no folder holds any.
const BUILT_IN: &str = include_str!("../config/config.yaml");
const BASE_FILE: &str = "config.yaml";

/// Settings that cannot be used.
#[derive(Debug, Error)]
pub enum ConfigError {
    /// A value or key in a file; the reason holds key, line and column.
    #[error("{file}: {reason}")]
    Content {
        /// The file.
        file: String,
        /// Key, what is wrong, line and column.
        reason: String,
    },
    /// A file that cannot be read.
    #[error("cannot read `{}`: {source}", file.display())]
    Unreadable {
        /// The file.
        file: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// `.env` is no list of variables. Its lines may be secret, so none is shown.
    #[error("`{}` cannot be read as NAME=value lines", file.display())]
    DotEnv {
        /// The file.
        file: PathBuf,
    },
    /// A variable of the environment. Its value may be secret, so it is not shown.
    #[error("the environment variable {name} must be {expected}")]
    Variable {
        /// Its name.
        name: &'static str,
        /// What it has to be.
        expected: &'static str,
    },
    /// A variable that has to be set.
    #[error("the environment variable {name} is not set: {reason}")]
    Missing {
        /// Its name.
        name: &'static str,
        /// Why it is needed.
        reason: &'static str,
    },
    /// Two settings that do not go together.
    #[error("{0}")]
    Conflict(&'static str),
}

/// Everything one can set.
#[derive(Clone, Debug)]
pub struct Config {
    /// Development or production.
    pub stage: Stage,
    /// What the files say.
    pub file: FileConfig,
    /// What the environment says.
    pub environment: EnvironmentSettings,
    /// Where the files were found; `None` when built-in settings are used.
    pub folder: Option<PathBuf>,
}

impl Config {
    /// Reads the files in `folder`, or where [`find_folder`] finds them, and the environment.
    ///
    /// # Errors
    /// When anything does not hold; the message says what and where.
    pub fn load(folder: Option<&Path>, environment: &Environment) -> Result<Self, ConfigError> {
        let stage = Stage::of(environment)?;
        let folder = folder.map(Path::to_path_buf).or_else(find_folder);
        let mut merged = Value::Mapping(serde_yaml::Mapping::new());
        for (_, layer) in layers(folder.as_deref(), stage)? {
            merge(&mut merged, layer);
        }
        let file = serde_yaml::from_value(merged).map_err(|error| ConfigError::Content {
            file: "settings taken together".to_owned(),
            reason: error.to_string(),
        })?;
        let environment = EnvironmentSettings::read(environment, stage)?;
        let config = Self { stage, file, environment, folder };
        config.check()?;
        Ok(config)
    }

    fn check(&self) -> Result<(), ConfigError> {
        if self.stage == Stage::Production && !self.file.security.force_password_change {
            return Err(ConfigError::Conflict(
                "security.force_password_change: false is for development only; remove it or set CONFIG_ENV=development",
            ));
        }
        if self.file.events.redis_stream.is_some() && self.environment.redis.is_none() {
            return Err(ConfigError::Conflict(
                "events.redis_stream needs a Redis server: set REDIS_HOST, or remove the key",
            ));
        }
        if self.stage == Stage::Production && self.file.security.registration == Some(Registration::Open) {
            return Err(ConfigError::Conflict(
                "security.registration: open is for development only; set it to closed or set CONFIG_ENV=development",
            ));
        }
        Ok(())
    }

    /// Whether anybody may make an account of role viewer.
    pub fn is_registration_open(&self) -> bool {
        let chosen = self.file.security.registration;
        chosen.map_or(self.stage == Stage::Development, |chosen| chosen == Registration::Open)
    }
}

/// The folder with `config.yaml`: in the checkout or below the working directory, beside the binary, in /etc.
fn find_folder() -> Option<PathBuf> {
    let working_dir = std::env::current_dir().ok()?;
    let beside_binary = std::env::current_exe().ok().and_then(|binary| Some(binary.parent()?.join("config")));
    let near = working_dir.ancestors().map(|folder| folder.join("controlplane/config"));
    near.chain(beside_binary)
        .chain([PathBuf::from("/etc/vedette")])
        .find(|folder| folder.join(BASE_FILE).is_file())
}

/// The files' settings, each with the file's name; later ones win.
fn layers(folder: Option<&Path>, stage: Stage) -> Result<Vec<(String, Value)>, ConfigError> {
    let Some(folder) = folder else {
        let built_in = "the built-in config.yaml";
        return Ok(vec![(built_in.to_owned(), parse_layer(built_in, BUILT_IN)?)]);
    };
    let mut layers = vec![(BASE_FILE.to_owned(), read_layer(&folder.join(BASE_FILE))?)];
    let override_file = folder.join(stage.file_name());
    if override_file.exists() {
        layers.push((stage.file_name().to_owned(), read_layer(&override_file)?));
    }
    Ok(layers)
}

fn read_layer(file: &Path) -> Result<Value, ConfigError> {
    let text = fs::read_to_string(file)
        .map_err(|source| ConfigError::Unreadable { file: file.to_path_buf(), source })?;
    parse_layer(&file.display().to_string(), &text)
}

/// The file as YAML, after it was read as settings once, for errors that name the line.
fn parse_layer(file: &str, text: &str) -> Result<Value, ConfigError> {
    let content_error = |error: serde_yaml::Error| {
        let mut reason = error.to_string();
        // The very first character's place is the only one left unsaid.
        if !reason.contains(" at line ") {
            reason.push_str(" at line 1 column 1");
        }
        ConfigError::Content { file: file.to_owned(), reason }
    };
    let value: Value = serde_yaml::from_str(text).map_err(content_error)?;
    if value.is_null() {
        return Ok(Value::Mapping(serde_yaml::Mapping::new()));
    }
    serde_yaml::from_str::<FileConfig>(text).map_err(content_error)?;
    Ok(value)
}

/// Sections are merged key by key; everything else, lists too, is replaced.
fn merge(base: &mut Value, over: Value) {
    match (base, over) {
        (Value::Mapping(base), Value::Mapping(over)) => {
            for (key, value) in over {
                match base.get_mut(&key) {
                    Some(present) => merge(present, value),
                    None => {
                        base.insert(key, value);
                    }
                }
            }
        }
        (base, over) => *base = over,
    }
}
