//! A real Redis server: one for all tests, which use it one after the other.

use std::io::{BufRead as _, BufReader};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{LazyLock, Mutex, MutexGuard, PoisonError};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use tempfile::TempDir;

use crate::app::{TestApp, database_in, eventually};

/// Starts the server, tells its process id, and ends it as soon as its own standard input ends: with us.
const SCRIPT: &str = "redis-server --port \"$1\" --tls-port \"$2\" --tls-cert-file tls.crt --tls-key-file tls.key \
                      --tls-ca-cert-file ca.crt --tls-auth-clients no --bind 127.0.0.1 --save '' --appendonly yes \
                      --appendfsync always >/dev/null 2>&1 & echo $!; cat >/dev/null; kill -9 $!";

static SERVER: LazyLock<Option<Mutex<RedisServer>>> = LazyLock::new(|| {
    let is_installed = Command::new("redis-server").arg("--version").stdout(Stdio::null()).status().is_ok();
    is_installed.then(|| Mutex::new(RedisServer::start()))
});

/// The server, empty and one's own for a while; `None`, which is said, where there is no `redis-server`.
pub(crate) fn borrow() -> Option<MutexGuard<'static, RedisServer>> {
    let Some(server) = &*SERVER else {
        println!("skipped: redis-server is not installed");
        return None;
    };
    let mut server = server.lock().unwrap_or_else(PoisonError::into_inner);
    // A test that failed may have left it dead.
    if server.client().get_connection().is_err() {
        server.start_again();
    }
    server.command::<()>(&["FLUSHALL"]);
    Some(server)
}

pub(crate) struct RedisServer {
    port: u16,
    tls_port: u16,
    folder: TempDir,
    shell: Child,
    pid: Pid,
}

impl RedisServer {
    fn start() -> Self {
        let port = free_port(0);
        let tls_port = free_port(port + 1);
        let folder = tempfile::tempdir().unwrap();
        write_identity(folder.path());
        let (shell, pid) = run(port, tls_port, &folder);
        let server = Self { port, tls_port, folder, shell, pid };
        server.wait_until_it_answers();
        server
    }

    /// Ends it as a power cut would.
    pub(crate) fn kill(&mut self) {
        kill(self.pid, Signal::SIGKILL).unwrap();
        drop(self.shell.stdin.take());
        self.shell.wait().unwrap();
    }

    /// Starts it again, with what it had on disk.
    pub(crate) fn start_again(&mut self) {
        (self.shell, self.pid) = run(self.port, self.tls_port, &self.folder);
        self.wait_until_it_answers();
    }

    fn wait_until_it_answers(&self) {
        eventually("redis-server answers", || {
            let mut connection = self.client().get_connection().ok()?;
            redis::cmd("PING").query::<String>(&mut connection).ok()
        });
    }

    fn client(&self) -> redis::Client {
        redis::Client::open(format!("redis://127.0.0.1:{}", self.port)).unwrap()
    }

    /// What it answers to a command.
    pub(crate) fn command<T: redis::FromRedisValue>(&self, words: &[&str]) -> T {
        let mut connection = self.client().get_connection().unwrap();
        let mut command = redis::cmd(words[0]);
        for word in &words[1..] {
            command.arg(*word);
        }
        command.query(&mut connection).unwrap()
    }

    /// An instance of the control plane that uses it.
    pub(crate) fn app(&self, yaml: &str) -> TestApp {
        self.app_with(yaml, &[])
    }

    /// The file of who vouches for it.
    pub(crate) fn ca_file(&self) -> PathBuf {
        self.folder.path().join("ca.crt")
    }

    /// An instance that uses it over TLS, with these variables.
    pub(crate) fn app_over_tls(&self, yaml: &str, variables: &[(&str, &str)]) -> TestApp {
        let port = self.tls_port.to_string();
        let tls = [("REDIS_PORT", port.as_str()), ("REDIS_TLS", "true")];
        self.app_with(yaml, &[&tls, variables].concat())
    }

    /// A further instance, on the database of `app`.
    pub(crate) fn app_beside(&self, app: &TestApp, yaml: &str) -> TestApp {
        let data_dir = app.folder.path().join("data").display().to_string();
        let database = database_in(app.folder.path());
        let database = database.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        let beside: Vec<(&str, &str)> = database.chain([("VEDETTE_DATA_DIR", data_dir.as_str())]).collect();
        self.app_with(yaml, &beside)
    }

    fn app_with(&self, yaml: &str, variables: &[(&str, &str)]) -> TestApp {
        let port = self.port.to_string();
        let ours = [("REDIS_HOST", "127.0.0.1"), ("REDIS_PORT", port.as_str())];
        TestApp::with_variables(yaml, &[&ours, variables].concat())
    }
}

/// Writes a certificate for this host with its key, and that of the authority that signed it.
pub(crate) fn write_identity(folder: &Path) {
    let authority = {
        let mut params = CertificateParams::new([]).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
    };
    let key = KeyPair::generate().unwrap();
    let certificate = CertificateParams::new(["127.0.0.1".to_owned()]).unwrap().signed_by(&key, &authority);
    std::fs::write(folder.join("ca.crt"), authority.pem()).unwrap();
    std::fs::write(folder.join("tls.crt"), certificate.unwrap().pem()).unwrap();
    std::fs::write(folder.join("tls.key"), key.serialize_pem()).unwrap();
}

/// A port from `first` on, and below those that connections are given: one of them must not take it while the server
/// is away.
pub(crate) fn free_port(first: u16) -> u16 {
    let first = first.max(20_000 + u16::try_from(std::process::id() % 10_000).unwrap());
    (first..).find(|port| TcpListener::bind(("127.0.0.1", *port)).is_ok()).unwrap()
}

fn run(port: u16, tls_port: u16, folder: &TempDir) -> (Child, Pid) {
    let mut shell = Command::new("sh")
        .args(["-c", SCRIPT, "sh", &port.to_string(), &tls_port.to_string()])
        .current_dir(folder.path())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(shell.stdout.take().unwrap()).read_line(&mut line).unwrap();
    (shell, Pid::from_raw(line.trim().parse().unwrap()))
}
