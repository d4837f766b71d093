//! The environment and `.env`: where the database is, and everything secret. None of it comes from YAML files.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use jsonwebtoken::Algorithm;
use secrecy::SecretString;

use super::ConfigError;

/// Variables by name. The process's own win over those of `.env`; an empty one counts as not set.
#[derive(Clone, Default)]
pub struct Environment(HashMap<String, String>);

impl std::fmt::Debug for Environment {
    /// Names only: values may be secret.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

impl FromIterator<(String, String)> for Environment {
    fn from_iter<I: IntoIterator<Item = (String, String)>>(variables: I) -> Self {
        let is_set = |(_, value): &(String, String)| !value.trim().is_empty();
        Self(variables.into_iter().filter(is_set).collect())
    }
}

impl Environment {
    /// This process's variables over those of the file `.env` in `folder`, if there is one.
    ///
    /// # Errors
    /// When the file is there but cannot be read as `NAME=value` lines.
    pub fn of_process(folder: &Path) -> Result<Self, ConfigError> {
        let file = folder.join(".env");
        let mut variables = HashMap::new();
        if file.is_file() {
            let unreadable = |_| ConfigError::DotEnv { file: file.clone() };
            for variable in dotenvy::from_path_iter(&file).map_err(unreadable)? {
                let (name, value) = variable.map_err(unreadable)?;
                variables.insert(name, value);
            }
        }
        let own = std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
        variables.extend(own);
        Ok(variables.into_iter().collect())
    }

    /// A variable's value, if it is set.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    fn secret(&self, name: &str) -> Option<SecretString> {
        self.get(name).map(SecretString::from)
    }

    fn parse<T: FromStr>(
        &self,
        name: &'static str,
        expected: &'static str,
    ) -> Result<Option<T>, ConfigError> {
        let parse = |value: &str| value.trim().parse().map_err(|_| ConfigError::Variable { name, expected });
        self.get(name).map(parse).transpose()
    }
}

/// What kind of installation this is; from `CONFIG_ENV`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Stage {
    /// On a developer's machine: safe defaults are made up where nothing is set.
    #[default]
    Development,
    /// Before real faces: secrets must be given.
    Production,
}

impl Stage {
    /// The stage the environment asks for.
    ///
    /// # Errors
    /// When `CONFIG_ENV` is something else.
    pub fn of(environment: &Environment) -> Result<Self, ConfigError> {
        match environment.get("CONFIG_ENV").map(str::trim) {
            None | Some("development" | "dev") => Ok(Self::Development),
            Some("production" | "prod") => Ok(Self::Production),
            Some(_) => {
                Err(ConfigError::Variable { name: "CONFIG_ENV", expected: "development or production" })
            }
        }
    }

    /// The stage's name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Development => "development",
            Self::Production => "production",
        }
    }

    /// The file that overrides `config.yaml` at this stage.
    pub fn file_name(self) -> &'static str {
        match self {
            Self::Development => "config.dev.yaml",
            Self::Production => "config.prod.yaml",
        }
    }
}

/// A PostgreSQL server.
#[derive(Clone, Debug)]
pub struct PostgresSettings {
    /// `DB_HOST`.
    pub host: String,
    /// `DB_PORT`.
    pub port: u16,
    /// `DB_NAME`.
    pub name: String,
    /// `DB_USER`.
    pub user: String,
    /// `DB_PASSWORD`.
    pub password: SecretString,
}

/// A Redis server.
#[derive(Clone, Debug)]
pub struct RedisSettings {
    /// `REDIS_HOST`.
    pub host: String,
    /// `REDIS_PORT`.
    pub port: u16,
    /// `REDIS_USER`; Redis's own `default` when it is not set.
    pub user: Option<String>,
    /// `REDIS_PASSWORD`.
    pub password: Option<SecretString>,
    /// `REDIS_TLS`: how the connection is encrypted, if it is.
    pub tls: Option<ClientTls>,
}

/// An MQTT broker.
#[derive(Clone, Debug)]
pub struct MqttSettings {
    /// `MQTT_HOST`.
    pub host: String,
    /// `MQTT_PORT`.
    pub port: u16,
    /// `MQTT_USER`.
    pub user: Option<String>,
    /// `MQTT_PASSWORD`.
    pub password: Option<SecretString>,
    /// `MQTT_TLS`: how the connection is encrypted, if it is.
    pub tls: Option<ClientTls>,
}

/// An encrypted connection to Redis or a broker.
#[derive(Clone, Debug)]
pub struct ClientTls {
    /// `REDIS_CA_FILE`, `MQTT_CA_FILE`: PEM certificates, of which one must vouch for the server; the public
    /// authorities otherwise.
    pub ca_file: Option<PathBuf>,
}

/// A bucket of S3, or of anything that speaks its language.
#[derive(Clone, Debug)]
pub struct BucketSettings {
    /// Its name.
    pub bucket: String,
    /// What the names of all pictures begin with; may be empty.
    pub prefix: String,
    /// The variables whose names begin with `AWS_`: where it is, and who may use it.
    pub aws: Vec<(String, SecretString)>,
}

/// How access tokens are signed.
#[derive(Clone, Debug)]
pub struct JwtSettings {
    /// `JWT_SECRET`; in development one is made up when it is not set.
    pub secret: Option<SecretString>,
    /// `JWT_ALGORITHM`.
    pub algorithm: Algorithm,
    /// `JWT_EXPIRATION_MINUTES`.
    pub lifetime_minutes: u32,
    /// `JWT_ISSUER`.
    pub issuer: String,
    /// `JWT_AUDIENCE`.
    pub audience: String,
}

/// Everything that comes from the environment alone.
#[derive(Clone, Debug)]
pub struct EnvironmentSettings {
    /// PostgreSQL, when `DB_HOST` is set; SQLite in the data folder otherwise.
    pub postgres: Option<PostgresSettings>,
    /// Redis, when `REDIS_HOST` is set.
    pub redis: Option<RedisSettings>,
    /// The broker for alerts, when `MQTT_HOST` is set.
    pub mqtt: Option<MqttSettings>,
    /// Access tokens.
    pub jwt: JwtSettings,
    /// `API_KEY`: accepted as `X-API-Key` by ingest and gallery.
    pub api_key: Option<SecretString>,
    /// `ADMIN_PASSWORD`: the first password of the first user.
    pub admin_password: Option<SecretString>,
    /// `VEDETTE_WORKER_TOKEN`: what workers of other hosts show; made up when it is not set.
    pub worker_token: Option<SecretString>,
    /// `METRICS_TOKEN`: what shows `/metrics` to other hosts.
    pub metrics_token: Option<SecretString>,
    /// `VEDETTE_WORKER`: the worker's binary, when it lies neither beside ours nor on the path.
    pub worker_binary: Option<PathBuf>,
    /// `OTEL_EXPORTER_OTLP_ENDPOINT`: a collector that traces are sent to.
    pub otlp_endpoint: Option<String>,
    /// `VEDETTE_KEY`: seals templates and cameras' sources; a file in the data folder when it is not set.
    pub key: Option<SecretString>,
    /// `VEDETTE_KEY_PREVIOUS`: keys before it, which still open what they sealed.
    pub previous_keys: Vec<SecretString>,
    /// `VEDETTE_DATA_DIR`: everything written.
    pub data_dir: PathBuf,
    /// `STORAGE_URL`: where pictures are, when not in the data folder.
    pub bucket: Option<BucketSettings>,
}

impl EnvironmentSettings {
    /// Reads and checks the variables.
    ///
    /// # Errors
    /// When one does not hold, or one that is needed is missing.
    pub fn read(environment: &Environment, stage: Stage) -> Result<Self, ConfigError> {
        let settings = Self {
            postgres: postgres(environment)?,
            redis: redis(environment)?,
            mqtt: mqtt(environment)?,
            jwt: jwt(environment)?,
            api_key: environment.secret("API_KEY"),
            admin_password: environment.secret("ADMIN_PASSWORD"),
            worker_token: environment.secret("VEDETTE_WORKER_TOKEN"),
            metrics_token: environment.secret("METRICS_TOKEN"),
            worker_binary: environment.get("VEDETTE_WORKER").map(PathBuf::from),
            otlp_endpoint: environment.get("OTEL_EXPORTER_OTLP_ENDPOINT").map(|url| url.trim().to_owned()),
            key: environment.secret("VEDETTE_KEY"),
            previous_keys: environment
                .get("VEDETTE_KEY_PREVIOUS")
                .map(|keys| keys.split(',').map(SecretString::from).collect())
                .unwrap_or_default(),
            data_dir: environment.get("VEDETTE_DATA_DIR").unwrap_or("data").into(),
            bucket: bucket(environment)?,
        };
        settings.check(stage)?;
        Ok(settings)
    }

    /// Secrets must be long enough to be no guess.
    fn check(&self, stage: Stage) -> Result<(), ConfigError> {
        use secrecy::ExposeSecret as _;
        const MIN_JWT_SECRET_BYTES: usize = 32;
        const MIN_TOKEN_BYTES: usize = 16;
        let is_shorter = |secret: &Option<SecretString>, least: usize| {
            secret.as_ref().is_some_and(|secret| secret.expose_secret().len() < least)
        };
        if stage == Stage::Production && self.jwt.secret.is_none() {
            return Err(ConfigError::Missing {
                name: "JWT_SECRET",
                reason: "production needs a secret of at least 32 characters, such as the output of `openssl rand -hex 32`",
            });
        }
        let checks = [
            ("JWT_SECRET", &self.jwt.secret, MIN_JWT_SECRET_BYTES, "at least 32 characters"),
            ("API_KEY", &self.api_key, MIN_TOKEN_BYTES, "at least 16 characters"),
            ("VEDETTE_WORKER_TOKEN", &self.worker_token, MIN_TOKEN_BYTES, "at least 16 characters"),
            ("METRICS_TOKEN", &self.metrics_token, MIN_TOKEN_BYTES, "at least 16 characters"),
        ];
        for (name, secret, least, expected) in checks {
            let must_hold = stage == Stage::Production || name == "VEDETTE_WORKER_TOKEN";
            if must_hold && is_shorter(secret, least) {
                return Err(ConfigError::Variable { name, expected });
            }
        }
        Ok(())
    }
}

fn postgres(environment: &Environment) -> Result<Option<PostgresSettings>, ConfigError> {
    let Some(host) = environment.get("DB_HOST") else { return Ok(None) };
    let needed = |name: &'static str| {
        let reason = "DB_HOST is set, so PostgreSQL is used and needs it";
        environment.get(name).map(str::to_owned).ok_or(ConfigError::Missing { name, reason })
    };
    Ok(Some(PostgresSettings {
        host: host.to_owned(),
        port: environment.parse("DB_PORT", "a port number")?.unwrap_or(5432),
        name: environment.get("DB_NAME").unwrap_or("vedette").to_owned(),
        user: needed("DB_USER")?,
        password: needed("DB_PASSWORD")?.into(),
    }))
}

fn redis(environment: &Environment) -> Result<Option<RedisSettings>, ConfigError> {
    let Some(host) = environment.get("REDIS_HOST") else { return Ok(None) };
    Ok(Some(RedisSettings {
        host: host.to_owned(),
        port: environment.parse("REDIS_PORT", "a port number")?.unwrap_or(6379),
        user: environment.get("REDIS_USER").map(str::to_owned),
        password: environment.secret("REDIS_PASSWORD"),
        tls: client_tls(
            environment,
            ("REDIS_TLS", "REDIS_CA_FILE"),
            "REDIS_CA_FILE is set but the connection is not encrypted: set REDIS_TLS=true, or remove it",
        )?,
    }))
}

fn mqtt(environment: &Environment) -> Result<Option<MqttSettings>, ConfigError> {
    const PORT: u16 = 1883;
    const TLS_PORT: u16 = 8883;
    let Some(host) = environment.get("MQTT_HOST") else { return Ok(None) };
    let tls = client_tls(
        environment,
        ("MQTT_TLS", "MQTT_CA_FILE"),
        "MQTT_CA_FILE is set but the connection is not encrypted: set MQTT_TLS=true, or remove it",
    )?;
    let (user, password) = (environment.get("MQTT_USER"), environment.secret("MQTT_PASSWORD"));
    if password.is_some() && user.is_none() {
        let conflict = "MQTT_PASSWORD is set but nobody's: set MQTT_USER, too, or remove it";
        return Err(ConfigError::Conflict(conflict));
    }
    let usual_port = if tls.is_some() { TLS_PORT } else { PORT };
    Ok(Some(MqttSettings {
        host: host.to_owned(),
        port: environment.parse("MQTT_PORT", "a port number")?.unwrap_or(usual_port),
        user: user.map(str::to_owned),
        password,
        tls,
    }))
}

/// Whether a connection is encrypted, by the variables that say so and name who vouches for the server.
fn client_tls(
    environment: &Environment,
    (switch, ca_file): (&'static str, &'static str),
    conflict: &'static str,
) -> Result<Option<ClientTls>, ConfigError> {
    let is_wanted = environment.parse(switch, "true or false")?.unwrap_or(false);
    let ca_file = environment.get(ca_file).map(PathBuf::from);
    if ca_file.is_some() && !is_wanted {
        return Err(ConfigError::Conflict(conflict));
    }
    Ok(is_wanted.then_some(ClientTls { ca_file }))
}

fn bucket(environment: &Environment) -> Result<Option<BucketSettings>, ConfigError> {
    let Some(url) = environment.get("STORAGE_URL") else { return Ok(None) };
    let wrong =
        ConfigError::Variable { name: "STORAGE_URL", expected: "like s3://bucket or s3://bucket/prefix" };
    let Some(place) = url.trim().strip_prefix("s3://") else { return Err(wrong) };
    let (bucket, prefix) = place.split_once('/').unwrap_or((place, ""));
    let prefix = prefix.trim_end_matches('/');
    let is_name = |text: &str| {
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
        !text.is_empty() && !text.starts_with('.') && text.bytes().all(is_plain)
    };
    if !is_name(bucket) || !(prefix.is_empty() || prefix.split('/').all(is_name)) {
        return Err(wrong);
    }
    let aws = environment.0.iter().filter(|(name, _)| name.split('_').next() == Some("AWS"));
    Ok(Some(BucketSettings {
        bucket: bucket.to_owned(),
        prefix: prefix.to_owned(),
        aws: aws.map(|(name, value)| (name.clone(), SecretString::from(value.as_str()))).collect(),
    }))
}

fn jwt(environment: &Environment) -> Result<JwtSettings, ConfigError> {
    const DEFAULT_LIFETIME_MINUTES: u32 = 8 * 60;
    const MAX_LIFETIME_MINUTES: u32 = 366 * 24 * 60;
    let algorithm = match environment.get("JWT_ALGORITHM") {
        None | Some("HS256") => Algorithm::HS256,
        Some("HS384") => Algorithm::HS384,
        Some("HS512") => Algorithm::HS512,
        Some(_) => {
            return Err(ConfigError::Variable { name: "JWT_ALGORITHM", expected: "HS256, HS384 or HS512" });
        }
    };
    let (name, expected) = ("JWT_EXPIRATION_MINUTES", "a whole number of minutes from 1 to 527040");
    let lifetime_minutes = environment.parse(name, expected)?.unwrap_or(DEFAULT_LIFETIME_MINUTES);
    if !(1..=MAX_LIFETIME_MINUTES).contains(&lifetime_minutes) {
        return Err(ConfigError::Variable { name, expected });
    }
    Ok(JwtSettings {
        secret: environment.secret("JWT_SECRET"),
        algorithm,
        lifetime_minutes,
        issuer: environment.get("JWT_ISSUER").unwrap_or("vedette").to_owned(),
        audience: environment.get("JWT_AUDIENCE").unwrap_or("vedette-api").to_owned(),
    })
}
