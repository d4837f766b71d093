//! Settings: what is taken from where, and what stops the start.

use std::path::Path;

use vedette::config::{Config, ConfigError, Environment, PackName, Registration, Stage, VARIABLES, describe};

const SECRET: &str = "0123456789abcdef0123456789abcdef";

fn load(files: &[(&str, &str)], variables: &[(&str, &str)]) -> Result<Config, ConfigError> {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in files {
        std::fs::write(folder.path().join(name), text).unwrap();
    }
    Config::load(Some(folder.path()), &environment(variables))
}

fn environment(variables: &[(&str, &str)]) -> Environment {
    variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

fn refusal(files: &[(&str, &str)], variables: &[(&str, &str)]) -> String {
    load(files, variables).unwrap_err().to_string()
}

#[test]
fn the_shipped_files_hold_and_say_the_defaults() {
    let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("config");
    let development = Config::load(Some(&shipped), &environment(&[])).unwrap();
    let empty = load(&[("config.yaml", "")], &[]).unwrap();
    assert_eq!(format!("{:?}", development.file), format!("{:?}", empty.file));

    let variables = [("CONFIG_ENV", "production"), ("JWT_SECRET", SECRET)];
    let production = Config::load(Some(&shipped), &environment(&variables)).unwrap();
    assert_eq!(production.stage, Stage::Production);
    assert_eq!(production.file.security.registration, Some(Registration::Closed));
}

#[test]
fn later_layers_win_key_by_key() {
    let files = [
        ("config.yaml", "performance: {frame_skip: 3, use_gpu: true}\nretention: {detections: 1}"),
        ("config.dev.yaml", "performance: {frame_skip: 5}"),
        ("config.prod.yaml", "performance: {frame_skip: 7}"),
    ];
    let config = load(&files, &[]).unwrap();
    assert_eq!(config.file.performance.frame_skip.get(), 5);
    assert!(config.file.performance.use_gpu);
    assert_eq!(config.file.retention.detections.get(), 1);
    assert_eq!(config.file.face_recognition.detection_model, PackName::default());
    let config = load(&files, &[("CONFIG_ENV", "production"), ("JWT_SECRET", SECRET)]).unwrap();
    assert_eq!(config.file.performance.frame_skip.get(), 7);
}

#[test]
fn mistakes_are_named_with_file_line_and_key() {
    let cases = [
        ("performance:\n  frame_skp: 2\n", "line 2", "frame_skp"),
        ("performance:\n  use_gpu: true\n  frame_skip: 99\n", "line 3", "performance.frame_skip"),
        ("detection:\n  deduplication_window: -1\n", "line 2", "detection.deduplication_window"),
        ("face_recognition:\n  registration:\n    quality_threshold: 1.5\n", "line 3", "quality_threshold"),
        ("face_recognition:\n  detection_model: yolo\n", "line 2", "detection_model"),
        ("server:\n  port: eighty\n", "line 2", "server.port"),
        ("cameras:\n  sources:\n  - id: a b\n    url: 0\n", "line 3", "cameras.sources[0].id"),
        ("cameras:\n  sources:\n  - {id: a, url: 'ftp://x'}\n", "line 3", "cameras.sources[0].url"),
        ("security:\n  rate_limit: -1\n", "line 2", "security.rate_limit"),
        ("security:\n  rate_limit:\n    logn: 3\n", "line 3", "logn"),
        ("security:\n  cors_origins:\n  - '*'\n", "line 3", "security.cors_origins[0]"),
        ("server:\n  trusted_proxies: [10.0.0.0/33]\n", "line 2", "server.trusted_proxies[0]"),
        ("server:\n  tls: {certificate: a}\n", "line 2", "key"),
        ("events:\n  redis_stream: ''\n", "line 2", "events.redis_stream"),
        ("recogniton: {}\n", "line 1", "recogniton"),
        ("# comment\nperformance:\n  use_gpu: true\n\nrecogniton: {}\n", "line 5", "recogniton"),
        ("performance:\n  use_gpu: true\n  frame_skp: 2\n", "line 3", "frame_skp"),
        ("performance: {\n", "line", ""),
    ];
    for (text, line, key) in cases {
        for file in ["config.yaml", "config.dev.yaml"] {
            let message = refusal(&[("config.yaml", ""), (file, text)], &[]);
            assert!(message.contains(file), "{message}");
            assert!(message.contains(line) && message.contains(key), "{text}: {message}");
        }
    }
}

#[test]
fn a_mistake_counts_though_a_later_layer_overrides_it() {
    let files = [
        ("config.yaml", "performance: {frame_skip: 0}"),
        ("config.dev.yaml", "performance: {frame_skip: 1}"),
    ];
    assert!(refusal(&files, &[]).contains("config.yaml"));
}

#[test]
fn a_named_folder_must_hold_settings() {
    let message =
        Config::load(Some(Path::new("/nowhere/at/all")), &environment(&[])).unwrap_err().to_string();
    assert!(message.contains("/nowhere/at/all/config.yaml"), "{message}");
}

#[test]
fn variables_are_checked_and_never_shown() {
    let base = [("config.yaml", "")];
    let cases = [
        ("CONFIG_ENV", "staging-secret"),
        ("JWT_ALGORITHM", "none-secret"),
        ("JWT_EXPIRATION_MINUTES", "0"),
        ("JWT_EXPIRATION_MINUTES", "secret"),
        ("REDIS_PORT", "secret"),
        ("REDIS_TLS", "secret"),
        ("VEDETTE_WORKER_TOKEN", "secret"),
    ];
    for (name, value) in cases {
        let message = refusal(&base, &[(name, value), ("REDIS_HOST", "redis")]);
        assert!(message.contains(name) && !message.contains("secret"), "{message}");
    }
    let message = refusal(&base, &[("DB_HOST", "db")]);
    assert!(message.contains("DB_USER"), "{message}");
    let given =
        [("DB_HOST", "db"), ("DB_USER", "vedette"), ("DB_PASSWORD", "secret"), ("JWT_ALGORITHM", "HS512")];
    let config = load(&base, &given).unwrap();
    let postgres = config.environment.postgres.clone().unwrap();
    assert_eq!((postgres.port, postgres.name.as_str()), (5432, "vedette"));
    assert!(!format!("{config:?}").contains("\"secret\""));
}

#[test]
fn production_needs_a_long_secret_and_a_changed_password() {
    let base = [("config.yaml", "")];
    let production = ("CONFIG_ENV", "production");
    assert!(refusal(&base, &[production]).contains("JWT_SECRET"));
    assert!(refusal(&base, &[production, ("JWT_SECRET", "   ")]).contains("JWT_SECRET"));
    assert!(refusal(&base, &[production, ("JWT_SECRET", "too short")]).contains("32"));
    load(&base, &[production, ("JWT_SECRET", SECRET)]).unwrap();
    let lax = [("config.yaml", "security: {force_password_change: false}")];
    assert!(refusal(&lax, &[production, ("JWT_SECRET", SECRET)]).contains("force_password_change"));
}

#[test]
fn dot_env_is_read() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join(".env"), "VEDETTE_TEST_ONLY='from the file'\n").unwrap();
    let environment = Environment::of_process(folder.path()).unwrap();
    assert_eq!(environment.get("VEDETTE_TEST_ONLY"), Some("from the file"));
    std::fs::write(folder.path().join(".env"), "SECRET VALUE WITHOUT EQUALS\n").unwrap();
    let message = Environment::of_process(folder.path()).unwrap_err().to_string();
    assert!(message.contains(".env") && !message.contains("VALUE"), "{message}");
}

#[test]
fn one_number_limits_everything_that_has_no_limit_of_its_own() {
    let limits = |yaml: &str| load(&[("config.yaml", yaml)], &[]).unwrap().file.security.rate_limit;
    let numbers = |yaml: &str| {
        let limits = limits(yaml);
        [limits.login, limits.registration, limits.upload, limits.default].map(|limit| limit.get())
    };
    assert_eq!(numbers(""), [30, 30, 300, 1200]);
    assert_eq!(numbers("security: {rate_limit: 500}"), [30, 30, 500, 500]);
    assert_eq!(numbers("security: {rate_limit: 0}"), [0; 4]);
    assert_eq!(numbers("security: {rate_limit: {login: 5, upload: 0}}"), [5, 30, 0, 1200]);
}

#[test]
fn a_stream_needs_a_server() {
    let files = [("config.yaml", "events: {redis_stream: faces}")];
    assert!(refusal(&files, &[]).contains("REDIS_HOST"));
    load(&files, &[("REDIS_HOST", "redis")]).unwrap();
}

#[test]
fn an_authority_is_for_an_encrypted_connection() {
    let variables = [("REDIS_HOST", "redis"), ("REDIS_CA_FILE", "ca.crt")];
    let files = [("config.yaml", "")];
    assert!(refusal(&files, &variables).contains("set REDIS_TLS=true"));
    let config = load(&files, &[variables.as_slice(), &[("REDIS_TLS", "true")]].concat()).unwrap();
    assert!(config.environment.redis.unwrap().tls.is_some_and(|tls| tls.ca_file.is_some()));
}

/// `NAME` and value of every line of `.env.example`, set or commented out.
fn example_variables() -> Vec<(String, String)> {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../.env.example");
    let text = std::fs::read_to_string(file).unwrap();
    let is_name = |name: &str| name.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b'_');
    let assignments = text.lines().filter_map(|line| line.trim_start_matches('#').split_once('='));
    assignments
        .filter(|(name, _)| !name.is_empty() && is_name(name))
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect()
}

#[test]
fn the_example_holds_every_variable_and_no_other() {
    let known: Vec<(String, String)> =
        VARIABLES.iter().map(|variable| (variable.name.to_owned(), variable.default.to_owned())).collect();
    assert_eq!(example_variables(), known);
    // Copied as it is, it changes nothing; with every line in force, the defaults hold.
    let defaults: Environment = example_variables().into_iter().collect();
    let files = [("config.yaml", "")];
    let (plain, set) = (load(&files, &[]).unwrap(), tempfile::tempdir().unwrap());
    std::fs::write(set.path().join("config.yaml"), "").unwrap();
    let set = Config::load(Some(set.path()), &defaults).unwrap();
    assert_eq!(format!("{:?}", plain.environment), format!("{:?}", set.environment));
}

/// The code asks for variables by name; all those names are listed.
#[test]
fn no_variable_is_read_that_is_not_listed() {
    let source = include_str!("../../src/config/environment.rs");
    let is_name = |text: &&str| {
        text.len() > 3
            && text.contains('_')
            && text.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b'_')
    };
    let quoted: Vec<&str> = source.split('"').skip(1).step_by(2).filter(is_name).collect();
    assert!(quoted.contains(&"JWT_SECRET"), "the source is not read as it should be");
    for name in quoted {
        assert!(
            VARIABLES.iter().any(|variable| variable.name == name),
            "{name} is not in config/variables.rs"
        );
    }
}

#[test]
fn settings_are_shown_with_their_origin_and_without_secrets() {
    let folder = tempfile::tempdir().unwrap();
    let base = "server: {port: 9000}\ncameras: {sources: [{id: a, url: 'rtsp://root:hunter2@10.0.0.7/x'}]}\n";
    std::fs::write(folder.path().join("config.yaml"), base).unwrap();
    std::fs::write(folder.path().join("config.dev.yaml"), "logging: {level: debug}\n").unwrap();
    let variables = environment(&[("JWT_SECRET", SECRET), ("REDIS_HOST", "redis")]);
    let shown = describe(Some(folder.path()), &variables, |name| name == "JWT_SECRET").unwrap();
    for line in [
        "  port: 9000  # config.yaml",
        "  host: 127.0.0.1  # default",
        "  level: debug  # config.dev.yaml",
        "JWT_SECRET=***  # environment",
        "REDIS_HOST=redis  # .env",
        "REDIS_PORT=6379  # default",
        "# DB_HOST is not set",
    ] {
        assert!(shown.lines().any(|shown| shown == line), "{line}\n{shown}");
    }
    assert!(shown.contains("10.0.0.7") && !shown.contains("hunter2") && !shown.contains(SECRET), "{shown}");
    // What is shown of the files is a file.
    let again = tempfile::tempdir().unwrap();
    std::fs::write(again.path().join("config.yaml"), shown.split("\n# environment").next().unwrap()).unwrap();
    let again = Config::load(Some(again.path()), &environment(&[])).unwrap();
    assert_eq!(again.file.server.port, 9000);
}

#[test]
fn registration_is_open_while_developing_and_closed_in_production() {
    let production = [("CONFIG_ENV", "production"), ("JWT_SECRET", SECRET)];
    let open = [("config.yaml", "security: {registration: open}")];
    let closed = [("config.yaml", "security: {registration: closed}")];
    let unsaid = [("config.yaml", "")];
    assert!(load(&unsaid, &[]).unwrap().is_registration_open());
    assert!(load(&open, &[]).unwrap().is_registration_open());
    assert!(!load(&closed, &[]).unwrap().is_registration_open());
    assert!(!load(&unsaid, &production).unwrap().is_registration_open());
    assert!(refusal(&open, &production).contains("security.registration"));
}
