//! A server of one test: port 0, a fresh database, a temporary folder, no local worker.
//!
//! The database is SQLite in that folder; run by `tests/with-servers.sh`, it is one of its own on that PostgreSQL.

use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use sea_orm::{ConnectionTrait as _, DatabaseConnection, Statement};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::sync::oneshot;
use vedette::config::{Config, Environment, EnvironmentSettings};
use vedette::database;
use vedette::startup::App;

/// What workers show in these tests.
pub(crate) const WORKER_TOKEN: &str = "worker token of the tests";
/// What programs show in these tests.
pub(crate) const API_KEY: &str = "API key of the tests";
/// First password of the first user.
pub(crate) const FIRST_PASSWORD: &str = "admin123";

/// A running server; dropped, it is stopped.
pub(crate) struct TestApp {
    pub(crate) address: SocketAddr,
    pub(crate) folder: TempDir,
    pub(crate) environment: EnvironmentSettings,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl TestApp {
    /// A server on which the first password may stand.
    pub(crate) fn start() -> Self {
        Self::with("security:\n  force_password_change: false\n")
    }

    /// A server with these settings.
    pub(crate) fn with(yaml: &str) -> Self {
        Self::restart_in(tempfile::tempdir().unwrap(), yaml)
    }

    /// A server with these settings and variables.
    pub(crate) fn with_variables(yaml: &str, variables: &[(&str, &str)]) -> Self {
        Self::start_in(tempfile::tempdir().unwrap(), yaml, variables)
    }

    /// A server in a folder another one was in.
    pub(crate) fn restart_in(folder: TempDir, yaml: &str) -> Self {
        Self::start_in(folder, yaml, &[])
    }

    /// Another server on the same database and folder, with the same settings.
    pub(crate) fn another(&self) -> Self {
        let yaml = std::fs::read_to_string(self.folder.path().join("config/config.dev.yaml")).unwrap();
        Self::start_with(tempfile::tempdir().unwrap(), config_in(self.folder.path(), &yaml, &[]))
    }

    /// A server in `folder` with these settings and variables.
    pub(crate) fn start_in(folder: TempDir, yaml: &str, variables: &[(&str, &str)]) -> Self {
        let config = config_in(folder.path(), yaml, variables);
        Self::start_with(folder, config)
    }

    fn start_with(folder: TempDir, config: Config) -> Self {
        let environment = config.environment.clone();
        let (stop, stopped) = oneshot::channel::<()>();
        let (tell_address, address) = std::sync::mpsc::channel();
        let thread = std::thread::spawn(move || {
            let runtime =
                tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
            runtime.block_on(async {
                let app = App::start(config).await.unwrap();
                tell_address.send(app.address()).unwrap();
                app.run(async { drop(stopped.await) }).await.unwrap();
            });
        });
        let address = address.recv().expect("the server does not start; the panic above says why");
        Self { address, folder, environment, stop: Some(stop), thread: Some(thread) }
    }

    /// Runs SQL on the server's database behind its back.
    pub(crate) fn execute(&self, sql: &str) {
        self.with_database(async |db| db.execute_unprepared(sql).await.map(drop).unwrap());
    }

    /// Rows of texts the server's database answers.
    pub(crate) fn query(&self, sql: &str) -> Vec<Vec<String>> {
        self.with_database(async |db| {
            let statement = Statement::from_string(db.get_database_backend(), sql);
            let rows = db.query_all_raw(statement).await.unwrap();
            let texts = |row: &sea_orm::QueryResult| {
                let columns = 0..row.column_names().len();
                columns.map(|column| row.try_get_by_index::<String>(column).unwrap()).collect()
            };
            rows.iter().map(texts).collect()
        })
    }

    /// Does `work` on the server's database behind its back.
    pub(crate) fn with_database<T>(&self, work: impl AsyncFnOnce(&DatabaseConnection) -> T) -> T {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let db = database::connect(&self.environment).await.unwrap();
            let answer = work(&db).await;
            db.close().await.unwrap();
            answer
        })
    }

    /// Changes the tables of its database.
    pub(crate) fn migrate(&self, work: impl AsyncFnOnce(&DatabaseConnection)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let migrate = async |db: &DatabaseConnection| {
            work(db).await;
            Ok(())
        };
        runtime.block_on(database::migrate(&self.environment, migrate)).unwrap();
    }

    /// Stops it and hands its folder over.
    pub(crate) fn stop(mut self) -> TempDir {
        self.end();
        std::mem::replace(&mut self.folder, tempfile::tempdir().unwrap())
    }

    fn end(&mut self) {
        drop(self.stop.take());
        self.await_end();
    }

    /// Waits until it ends by itself.
    pub(crate) fn await_end(&mut self) {
        if let Some(thread) = self.thread.take() {
            thread.join().unwrap();
        }
    }

    /// Takes its database away, as a fault of the machine would.
    pub(crate) fn remove_database(&self) {
        if !on_postgres() {
            return std::fs::remove_file(self.folder.path().join("data/vedette.db")).unwrap();
        }
        let name = std::fs::read_to_string(self.folder.path().join("database")).unwrap();
        let removed = postgres_command("dropdb").arg("--force").arg(name).status();
        assert!(removed.is_ok_and(|status| status.success()), "dropdb fails");
    }

    /// Somebody who is not signed in.
    pub(crate) fn anyone(&self) -> Client {
        Client::to(&self.address.to_string())
    }

    /// Somebody who speaks HTTPS with this server of one certificate, PEM.
    pub(crate) fn anyone_over_tls(&self, certificate: &str) -> Client {
        let certificate = ureq::tls::Certificate::from_pem(certificate.as_bytes()).unwrap();
        let roots = ureq::tls::RootCerts::new_with_certs(&[certificate]);
        let config = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .timeout_global(Some(Duration::from_secs(30)))
            .tls_config(ureq::tls::TlsConfig::builder().root_certs(roots).build())
            .build();
        let base = format!("https://localhost:{}", self.address.port());
        Client { base, agent: config.into(), headers: Vec::new() }
    }

    /// The first user.
    pub(crate) fn admin(&self) -> Client {
        self.anyone().signed_in("admin", FIRST_PASSWORD)
    }

    /// The worker `local`.
    pub(crate) fn worker(&self) -> Client {
        self.anyone().with_header("Authorization", &format!("Bearer {WORKER_TOKEN}"))
    }
}

impl Drop for TestApp {
    fn drop(&mut self) {
        self.end();
    }
}

/// Settings of a test, in `folder/config` and `folder/data`.
pub(crate) fn config_in(folder: &Path, yaml: &str, more: &[(&str, &str)]) -> Config {
    let config_dir = folder.join("config");
    std::fs::create_dir_all(&config_dir).unwrap();
    // Events of these tests are of any time, and stay unless a test has it otherwise.
    let base = "server: {port: 0}\nworkers: {local: false}\nlogging: {rotation: never}\n\
                retention: {detections: 0, snapshots: 0, unknowns: 0, alerts: 0, system_log: 0, audit_log: 0}\n";
    std::fs::write(config_dir.join("config.yaml"), base).unwrap();
    for name in ["config.dev.yaml", "config.prod.yaml"] {
        std::fs::write(config_dir.join(name), yaml).unwrap();
    }
    let data_dir = folder.join("data").display().to_string();
    let variables = [
        ("VEDETTE_DATA_DIR", data_dir.as_str()),
        ("VEDETTE_WORKER_TOKEN", WORKER_TOKEN),
        ("API_KEY", API_KEY),
    ];
    let own = variables.iter().chain(more).map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    let environment: Environment = database_in(folder).into_iter().chain(own).collect();
    Config::load(Some(&config_dir), &environment).unwrap()
}

/// Whether tests run on PostgreSQL.
pub(crate) fn on_postgres() -> bool {
    std::env::var_os("TEST_DB_HOST").is_some()
}

fn of_test_server(variable: &str) -> String {
    std::env::var(format!("TEST_{variable}")).expect("tests/with-servers.sh sets it")
}

/// One of PostgreSQL's programs, for the server of the tests.
fn postgres_command(program: &str) -> Command {
    let mut command = Command::new(program);
    command
        .args(["-h", &of_test_server("DB_HOST"), "-p", &of_test_server("DB_PORT")])
        .args(["-U", &of_test_server("DB_USER")])
        .env("PGPASSWORD", of_test_server("DB_PASSWORD"));
    command
}

/// The variables that name the database of the server in `folder`, which is made when there is none yet.
pub(crate) fn database_in(folder: &Path) -> Vec<(String, String)> {
    if !on_postgres() {
        return Vec::new();
    }
    let file = folder.join("database");
    let name = std::fs::read_to_string(&file).unwrap_or_else(|_| {
        let name = format!("test_{}", uuid::Uuid::new_v4().simple());
        let created = postgres_command("createdb").arg(&name).status();
        assert!(created.is_ok_and(|status| status.success()), "createdb fails");
        std::fs::write(&file, &name).unwrap();
        name
    });
    ["DB_HOST", "DB_PORT", "DB_USER", "DB_PASSWORD"]
        .map(|variable| (variable.to_owned(), of_test_server(variable)))
        .into_iter()
        .chain([("DB_NAME".to_owned(), name)])
        .collect()
}

/// What `look` finds, as soon as it does.
pub(crate) fn eventually<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let give_up_at = Instant::now() + Duration::from_secs(30);
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < give_up_at, "{what}: it never came to that");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Somebody who sends requests.
#[derive(Clone)]
pub(crate) struct Client {
    base: String,
    agent: ureq::Agent,
    headers: Vec<(String, String)>,
}

/// What came back.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: ureq::http::HeaderMap,
    pub(crate) bytes: Vec<u8>,
    /// The same, as far as it is text.
    pub(crate) text: String,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{error}: {}", self.text))
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// The JSON of an answer with this status.
    pub(crate) fn expect(self, status: u16) -> Value {
        assert_eq!(self.status, status, "{}", self.text);
        if self.text.is_empty() { Value::Null } else { self.json() }
    }

    /// Checks the API's error form and returns the message.
    pub(crate) fn expect_error(self, status: u16, name: &str) -> String {
        let path = self.header("x-test-path").to_owned();
        let body = self.expect(status);
        assert_eq!(body["error"], name, "{body}");
        assert_eq!(body["path"], path.as_str(), "{body}");
        assert!(body["details"].is_array(), "{body}");
        body["message"].as_str().unwrap().to_owned()
    }
}

impl Client {
    /// Somebody who talks to the server at `address`.
    pub(crate) fn to(address: &str) -> Self {
        let config = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .timeout_global(Some(Duration::from_secs(30)))
            .build();
        Self { base: format!("http://{address}"), agent: config.into(), headers: Vec::new() }
    }

    pub(crate) fn with_header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    pub(crate) fn signed_in(self, username: &str, password: &str) -> Self {
        let login = self.log_in(username, password).expect(200);
        self.with_header("Authorization", &format!("Bearer {}", login["access_token"].as_str().unwrap()))
    }

    pub(crate) fn log_in(&self, username: &str, password: &str) -> Answer {
        self.post("/api/auth/login", &json!({ "username": username, "password": password }))
    }

    pub(crate) fn get(&self, path: &str) -> Answer {
        self.send("GET", path, None, Vec::new())
    }

    pub(crate) fn post(&self, path: &str, body: &Value) -> Answer {
        self.send("POST", path, Some("application/json"), body.to_string().into_bytes())
    }

    pub(crate) fn put(&self, path: &str, body: &Value) -> Answer {
        self.send("PUT", path, Some("application/json"), body.to_string().into_bytes())
    }

    pub(crate) fn delete(&self, path: &str) -> Answer {
        self.send("DELETE", path, None, Vec::new())
    }

    /// Any request at all.
    pub(crate) fn send(&self, method: &str, path: &str, content_type: Option<&str>, body: Vec<u8>) -> Answer {
        self.try_send(method, path, content_type, body).unwrap()
    }

    /// Any request at all, which may find nobody.
    pub(crate) fn try_send(
        &self,
        method: &str,
        path: &str,
        content_type: Option<&str>,
        body: Vec<u8>,
    ) -> Result<Answer, ureq::Error> {
        let mut request = ureq::http::Request::builder().method(method).uri(format!("{}{path}", self.base));
        for (name, value) in &self.headers {
            request = request.header(name, value);
        }
        if let Some(content_type) = content_type {
            request = request.header("Content-Type", content_type);
        }
        let mut response = self.agent.run(request.body(body).unwrap())?;
        let bytes = response.body_mut().read_to_vec()?;
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let mut headers = response.headers().clone();
        let bare_path = path.split('?').next().unwrap();
        headers.insert("x-test-path", bare_path.parse().unwrap());
        Ok(Answer { status: response.status().as_u16(), headers, bytes, text })
    }
}
