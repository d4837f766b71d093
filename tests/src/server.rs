//! A real `vedette serve` on a data folder and a configuration of its own.

use std::{
    env,
    fs::{self, File},
    net::TcpListener,
    os::unix::process::{CommandExt as _, ExitStatusExt as _},
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    time::Duration,
};

use anyhow::{Context as _, Result, bail, ensure};
use nix::sys::signal::Signal;

use crate::{
    api::{Api, wait_for},
    checkout, processes,
};

const START_TIMEOUT: Duration = Duration::from_secs(60);
const STOP_TIMEOUT: Duration = Duration::from_secs(15);
const TOLD_OF_LOG_LINES: usize = 12;

/// Everyone is reported every time, and a test may ask as often as it likes.
const TEST_OVERRIDES: &str = "detection:\n  deduplication_window: 0\nsecurity:\n  rate_limit: 0\n";

/// How to start a server.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Folder for everything: `config/`, `data/`, `vedette.log`.
    pub folder: PathBuf,
    /// Port to listen on.
    pub port: u16,
    /// Text of `config.dev.yaml`, which overrides the configuration Vedette ships with.
    pub overrides: String,
    /// Environment on top of this process's.
    pub env: Vec<(String, String)>,
    /// Whether the server leaves this process's group, so that Ctrl-C at the terminal does not reach it.
    pub own_group: bool,
}

impl Plan {
    /// A server on any free port, for a test: on SQLite or, run by `tests/with-servers.sh`, on a database of its own in
    /// that PostgreSQL and on that Redis.
    ///
    /// # Errors
    /// When no port is free, or no database can be made.
    pub fn for_test(folder: &Path) -> Result<Self> {
        Ok(Self {
            folder: folder.to_path_buf(),
            port: free_port()?,
            overrides: TEST_OVERRIDES.into(),
            env: test_servers(folder)?,
            own_group: true,
        })
    }

    /// Where the server keeps what it writes.
    pub fn data_dir(&self) -> PathBuf {
        self.folder.join("data")
    }

    /// Where the server's output goes.
    pub fn log_path(&self) -> PathBuf {
        self.folder.join("vedette.log")
    }

    /// Starts the process and does not wait for it to be ready.
    ///
    /// # Errors
    /// When it is not built or the folder cannot be written.
    pub fn spawn(&self) -> Result<Child> {
        let config = self.folder.join("config");
        fs::create_dir_all(&config).with_context(|| format!("cannot make {}", config.display()))?;
        let shipped = checkout::config_dir().join("config.yaml");
        fs::copy(&shipped, config.join("config.yaml"))
            .with_context(|| format!("cannot copy {}", shipped.display()))?;
        fs::write(config.join("config.dev.yaml"), &self.overrides)?;

        let log = File::create(self.log_path()).context("cannot write the server's log")?;
        let mut command = Command::new(checkout::built("vedette")?);
        command
            .arg("serve")
            .arg("--config")
            .arg(&config)
            .args(["--host", "127.0.0.1", "--port", &self.port.to_string()])
            .current_dir(&self.folder)
            .env("VEDETTE_DATA_DIR", self.data_dir())
            .env("CONFIG_ENV", "development")
            .envs(self.env.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log);
        if self.own_group {
            command.process_group(0);
        }
        command.spawn().context("cannot start `vedette serve`")
    }

    /// Starts the server and waits until it is healthy.
    ///
    /// # Errors
    /// When it ends or is not healthy in time; the message holds the end of its log.
    pub fn start(self) -> Result<Server> {
        let mut server = Server { child: self.spawn()?, plan: self, has_ended: None };
        server.wait_until_healthy()?;
        Ok(server)
    }
}

/// A running server; dropped, it is stopped.
#[derive(Debug)]
pub struct Server {
    plan: Plan,
    child: Child,
    has_ended: Option<ExitStatus>,
}

impl Server {
    /// What it was started with.
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// Its process.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// A client that is not logged in.
    pub fn api(&self) -> Api {
        Api::new(self.plan.port)
    }

    /// Processes of its local worker: one, or none for the moment it takes to start anew.
    pub fn workers(&self) -> Vec<u32> {
        processes::children(self.pid(), "vedette-worker")
    }

    /// How it ended, if it has.
    ///
    /// # Errors
    /// When the system does not tell.
    pub fn exit_status(&mut self) -> Result<Option<ExitStatus>> {
        if self.has_ended.is_none() {
            self.has_ended = self.child.try_wait().context("cannot ask after the server")?;
        }
        Ok(self.has_ended)
    }

    /// The last lines of its log.
    pub fn log_tail(&self) -> String {
        log_tail(&self.plan.log_path())
    }

    fn wait_until_healthy(&mut self) -> Result<()> {
        let api = self.api();
        wait_for("the server's health", START_TIMEOUT, || {
            if let Some(status) = self.exit_status()? {
                bail!("`vedette serve` ended ({status}):\n{}", self.log_tail());
            }
            Ok(api.get("/api/health").is_ok_and(|answer| answer.status == 200).then_some(()))
        })
        .with_context(|| {
            format!("the server does not come up; its log is {}", self.plan.log_path().display())
        })
    }

    /// Asks it to stop and waits until it has; kills it when it does not.
    ///
    /// # Errors
    /// When it had to be killed or ended with an error.
    pub fn stop(&mut self) -> Result<()> {
        if self.exit_status()?.is_none() {
            processes::signal(self.pid(), Signal::SIGTERM);
        }
        let ended = wait_for("the server to stop", STOP_TIMEOUT, || self.exit_status());
        if ended.is_err() {
            self.kill();
        }
        let status = ended?;
        // A Ctrl-C that reached the server before it could listen for it ends it just as well.
        if !status.success() && status.signal() != Some(Signal::SIGINT as i32) {
            bail!("`vedette serve` ended ({status}):\n{}", self.log_tail());
        }
        Ok(())
    }

    /// Ends it without any warning, as a power cut would.
    pub fn kill(&mut self) {
        processes::signal(self.pid(), Signal::SIGKILL);
        if let Ok(status) = self.child.wait() {
            self.has_ended = Some(status);
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // A failing test has its own message; this one's would only hide it.
        let _ = self.stop();
    }
}

/// The last lines of a log file that are more than the daily business of answering requests.
pub fn log_tail(path: &Path) -> String {
    let text = fs::read_to_string(path).unwrap_or_default();
    let lines: Vec<&str> = text.lines().filter(|line| !line.contains(" INFO ")).collect();
    lines[lines.len().saturating_sub(TOLD_OF_LOG_LINES)..].join("\n")
}

/// The variables that name the servers of `tests/with-servers.sh`, if it runs us: a folder's database is made when it is
/// first asked for, and Redis is emptied then.
fn test_servers(folder: &Path) -> Result<Vec<(String, String)>> {
    let Ok(host) = env::var("TEST_DB_HOST") else { return Ok(Vec::new()) };
    let given =
        |name: &str| env::var(format!("TEST_{name}")).with_context(|| format!("TEST_{name} is missing"));
    let (port, user, password) = (given("DB_PORT")?, given("DB_USER")?, given("DB_PASSWORD")?);
    let (redis_host, redis_port) = (given("REDIS_HOST")?, given("REDIS_PORT")?);
    let file = folder.join("database");
    let name = match fs::read_to_string(&file) {
        Ok(name) => name,
        Err(_) => {
            let name = format!("e2e_{}", uuid::Uuid::new_v4().simple());
            let mut create = Command::new("createdb");
            create.args(["-h", &host, "-p", &port, "-U", &user, &name]).env("PGPASSWORD", &password);
            let mut empty = Command::new("redis-cli");
            empty.args(["-h", &redis_host, "-p", &redis_port, "flushall"]).stdout(Stdio::null());
            for mut command in [create, empty] {
                let status = command.status().with_context(|| format!("cannot run {command:?}"))?;
                ensure!(status.success(), "{command:?} fails");
            }
            fs::create_dir_all(folder)?;
            fs::write(&file, &name)?;
            name
        }
    };
    let variables = [
        ("DB_HOST", host),
        ("DB_PORT", port),
        ("DB_USER", user),
        ("DB_PASSWORD", password),
        ("DB_NAME", name),
        ("REDIS_HOST", redis_host),
        ("REDIS_PORT", redis_port),
    ];
    Ok(variables.map(|(name, value)| (name.to_owned(), value)).into())
}

/// A port nobody listens on.
///
/// # Errors
/// When there is none.
pub fn free_port() -> Result<u16> {
    let listener = TcpListener::bind(("127.0.0.1", 0)).context("no port is free")?;
    Ok(listener.local_addr()?.port())
}
