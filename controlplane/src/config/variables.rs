//! The variables that are settings, for help texts, `vedette config print` and `.env.example`. Each may stand in the
//! environment or in `.env`.

/// A variable one can set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Variable {
    /// Its name.
    pub name: &'static str,
    /// What it is.
    pub about: &'static str,
    /// What holds when it is not set; empty for nothing.
    pub default: &'static str,
    /// Whether its value must not be shown.
    pub is_secret: bool,
}

const fn open(name: &'static str, default: &'static str, about: &'static str) -> Variable {
    Variable { name, about, default, is_secret: false }
}

const fn secret(name: &'static str, about: &'static str) -> Variable {
    Variable { name, about, default: "", is_secret: true }
}

/// All of them, in the order they are listed in.
pub const VARIABLES: &[Variable] = &[
    open("CONFIG_ENV", "development", "development or production"),
    open("VEDETTE_DATA_DIR", "data", "everything written: database, photos, snapshots, logs"),
    open("STORAGE_URL", "", "s3://bucket/prefix keeps photos and snapshots in a bucket of S3 instead"),
    open("AWS_ENDPOINT_URL", "", "where that S3 is, such as http://minio:9000; Amazon's when it is not set"),
    open("AWS_REGION", "us-east-1", "the bucket's region"),
    open(
        "AWS_ACCESS_KEY_ID",
        "",
        "who may use the bucket; on Amazon's machines, their role when it is not set",
    ),
    secret("AWS_SECRET_ACCESS_KEY", "the secret of AWS_ACCESS_KEY_ID"),
    secret("AWS_SESSION_TOKEN", "the token of credentials that are for a time only"),
    open("DB_HOST", "", "PostgreSQL's host; SQLite in the data folder when it is not set"),
    open("DB_PORT", "5432", "PostgreSQL's port"),
    open("DB_NAME", "vedette", "PostgreSQL's database"),
    open("DB_USER", "", "PostgreSQL's user; needed with DB_HOST"),
    secret("DB_PASSWORD", "that user's password; needed with DB_HOST"),
    open("REDIS_HOST", "", "Redis's host; caches are kept in memory when it is not set"),
    open("REDIS_PORT", "6379", "Redis's port"),
    open("REDIS_USER", "", "Redis's user; `default` when it is not set"),
    secret("REDIS_PASSWORD", "that user's password"),
    open("REDIS_TLS", "false", "true encrypts the connection to Redis"),
    open("REDIS_CA_FILE", "", "PEM certificates of who vouches for Redis, when it is no public authority"),
    open("MQTT_HOST", "", "MQTT broker that alerts are published to; none when it is not set"),
    open("MQTT_PORT", "", "the broker's port; 1883, or 8883 with MQTT_TLS, when it is not set"),
    open("MQTT_USER", "", "the broker's user"),
    secret("MQTT_PASSWORD", "that user's password"),
    open("MQTT_TLS", "false", "true encrypts the connection to the broker"),
    open(
        "MQTT_CA_FILE",
        "",
        "PEM certificates of who vouches for the broker, when it is no public authority",
    ),
    secret(
        "JWT_SECRET",
        "signs access tokens, 32 characters or more; production needs it, else one is made up",
    ),
    open("JWT_ALGORITHM", "HS256", "HS256, HS384 or HS512"),
    open("JWT_EXPIRATION_MINUTES", "480", "how long an access token holds, 1 to 527040"),
    open("JWT_ISSUER", "vedette", "who gives access tokens out"),
    open("JWT_AUDIENCE", "vedette-api", "whom they are for; tokens of others are refused"),
    secret(
        "VEDETTE_KEY",
        "encrypts face templates, cameras' addresses and webhooks: 32 bytes, hexadecimal or base64; else a file in the data folder",
    ),
    secret("VEDETTE_KEY_PREVIOUS", "keys before it, with commas between, until all is encrypted anew"),
    secret("ADMIN_PASSWORD", "first password of the first user, admin"),
    secret("API_KEY", "lets programs hand in events and read the gallery (X-API-Key), 16 characters or more"),
    secret("METRICS_TOKEN", "shows /metrics to other hosts (Authorization: Bearer), 16 characters or more"),
    secret("VEDETTE_WORKER_TOKEN", "lets workers of other hosts in, 16 characters or more"),
    open("VEDETTE_WORKER", "", "the worker's program, when it lies neither beside ours nor on the path"),
    open(
        "OTEL_EXPORTER_OTLP_ENDPOINT",
        "",
        "an OpenTelemetry collector that traces are sent to over HTTP, such as http://127.0.0.1:4318",
    ),
];
