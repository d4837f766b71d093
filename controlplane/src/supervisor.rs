//! Keeps the local worker running: starts it, restarts it when it dies, takes it down with the control plane.
//!
//! Cameras are decoded and analysed in a process of their own, so that a crash in a C library costs a restart of the
//! pipelines and never the API. The worker holds the read end of a pipe whose write end is here: when the control
//! plane is gone, however it went, the pipe closes and the worker leaves as well.
//!
//! A worker may also be there and do nothing. Its main loop gives a sign of life every second, by systemd's protocol
//! (sd_notify(3), as under `vedette-worker.service`) to a socket that is here; one that stays silent is killed.

use std::io;
use std::os::unix::net::UnixDatagram as BoundSocket;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::{Duration, Instant};
use utoipa::ToSchema;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use secrecy::{ExposeSecret, SecretString};
use serde::Serialize;
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt as _, BufReader};
use tokio::net::UnixDatagram;
use tokio::process::{Child, ChildStdin, Command};
use tokio::sync::watch;

use crate::config::VARIABLES;

/// File name of the worker's binary.
const WORKER_BINARY: &str = "vedette-worker";
/// By what a process learns where its signs of life go.
const NOTIFY_SOCKET: &str = "NOTIFY_SOCKET";
/// A worker that lived this long is restarted at once when it dies.
const STABLE: Duration = Duration::from_secs(10);
/// Longest pause before a restart.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
/// Time a worker gets to flush its events after SIGTERM.
const GRACE: Duration = Duration::from_secs(3);
/// The socket for signs of life, in the worker's folder.
const SOCKET: &str = "worker.sock";
/// Longest line taken from the worker's output; a longer one is logged in pieces.
const MAX_LINE_BYTES: u64 = 8 * 1024;

/// How the worker of this host is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum LocalWorkerStatus {
    /// Not wanted here: `workers.local` is false.
    Off,
    /// The binary is not there.
    Missing,
    /// The process is there.
    Running,
    /// It died and is about to be started again.
    Restarting,
}

/// What the local worker is started with.
#[derive(Clone, Debug)]
pub struct LocalWorker {
    /// The worker's binary, if the environment names one.
    pub binary: Option<PathBuf>,
    /// The worker's id, under which it reports.
    pub id: String,
    /// Where the control plane listens, e.g. `http://127.0.0.1:8000`.
    pub url: String,
    /// The token the worker shows; handed over in its environment, where `ps` does not show it.
    pub token: SecretString,
    /// Folder for everything the worker writes.
    pub data_dir: PathBuf,
    /// How long it may give no sign of life.
    pub patience: Patience,
}

/// How long a worker that gives no sign of life is waited for.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// Until the first: GStreamer looks at all of its plugins when it starts for the first time.
    pub first_sign: Duration,
    /// Until the next: the worker may just be waiting for an answer of ours, which it does for 5 s at most.
    pub next_sign: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self { first_sign: Duration::from_secs(300), next_sign: Duration::from_secs(20) }
    }
}

/// Where the worker's binary is: `named`, else beside our own binary, else on the `PATH`.
pub(crate) fn find_worker(named: Option<&Path>) -> Option<PathBuf> {
    if let Some(path) = named {
        return path.is_file().then(|| path.to_path_buf());
    }
    let own_folder = std::env::current_exe().ok().and_then(|path| path.parent().map(Path::to_owned));
    let search_path = std::env::var_os("PATH").unwrap_or_default();
    own_folder
        .into_iter()
        .chain(std::env::split_paths(&search_path))
        .map(|folder| folder.join(WORKER_BINARY))
        .find(|path| path.is_file())
}

/// Runs the worker until `shutdown` turns true, then ends it and returns.
pub async fn supervise(
    worker: LocalWorker,
    status: watch::Sender<LocalWorkerStatus>,
    mut shutdown: watch::Receiver<bool>,
) {
    let mut deaths_in_a_row = 0;
    let signs = match SignsOfLife::listen(&worker) {
        Ok(signs) => Some(signs),
        Err(error) => {
            tracing::warn!(
                %error,
                "no socket can be made in {}: a local worker that hangs is not noticed",
                worker.data_dir.display()
            );
            None
        }
    };
    while !*shutdown.borrow_and_update() {
        let started = Instant::now();
        if let Some(mut child) = start(&worker, signs.as_ref(), &status) {
            forward_output(&mut child);
            // Taken out, because `Child::wait` closes a standard input it still has, and the worker would leave.
            let lifeline = child.stdin.take();
            let ended = tokio::select! {
                ended = child.wait() => ended,
                silence = silence(signs.as_ref()) => {
                    tracing::error!(
                        "local worker has given no sign of life for {} s, killing it",
                        silence.as_secs()
                    );
                    kill_and_wait(&mut child).await
                }
                () = stopped(&mut shutdown) => return end(child, lifeline).await,
            };
            match ended {
                Ok(exit_status) => tracing::warn!(%exit_status, "local worker ended, restarting it"),
                Err(error) => tracing::error!(%error, "local worker cannot be waited for"),
            }
            status.send_replace(LocalWorkerStatus::Restarting);
        }
        deaths_in_a_row = if started.elapsed() >= STABLE { 0 } else { deaths_in_a_row + 1 };
        tokio::select! {
            () = tokio::time::sleep(pause_before_restart(deaths_in_a_row)) => {}
            () = stopped(&mut shutdown) => return,
        }
    }
}

/// Where a worker's signs of life arrive.
struct SignsOfLife {
    socket: UnixDatagram,
    path: PathBuf,
    patience: Patience,
}

impl SignsOfLife {
    fn listen(worker: &LocalWorker) -> io::Result<Self> {
        // The protocol wants it to begin with a slash.
        let path = std::path::absolute(worker.data_dir.join(SOCKET))?;
        if BoundSocket::unbound()?.connect(&path).is_ok() {
            return Err(io::Error::new(io::ErrorKind::AddrInUse, "another server listens there"));
        }
        // One that was killed has left it behind. What else is in the way keeps the socket from being made.
        let _ = std::fs::remove_file(&path);
        let socket = BoundSocket::bind(&path)?;
        socket.set_nonblocking(true)?;
        Ok(Self { socket: UnixDatagram::from_std(socket)?, path, patience: worker.patience })
    }

    /// Forgets what an earlier worker has sent.
    fn forget(&self) {
        while self.socket.try_recv(&mut [0]).is_ok() {}
    }

    /// Completes when a worker that was just started has been silent for too long; for how long.
    async fn silence(&self) -> Duration {
        let mut patience = self.patience.first_sign;
        // What it says does not matter, nor does all of it have to be read.
        while tokio::time::timeout(patience, self.socket.recv(&mut [0])).await.is_ok() {
            patience = self.patience.next_sign;
        }
        patience
    }
}

impl Drop for SignsOfLife {
    fn drop(&mut self) {
        // Whoever comes next removes it otherwise.
        let _ = std::fs::remove_file(&self.path);
    }
}

/// Completes when the worker has been silent for too long, if that can be told.
async fn silence(signs: Option<&SignsOfLife>) -> Duration {
    match signs {
        Some(signs) => signs.silence().await,
        None => std::future::pending().await,
    }
}

/// Ends a process that may not even take signals.
async fn kill_and_wait(child: &mut Child) -> io::Result<ExitStatus> {
    child.start_kill()?;
    child.wait().await
}

/// Completes when `shutdown` turns true or nobody is left to turn it.
async fn stopped(shutdown: &mut watch::Receiver<bool>) {
    let _ = shutdown.wait_for(|stop| *stop).await;
}

/// None after the first death, so that cameras are back within seconds; then doubling from a quarter of a second.
fn pause_before_restart(deaths_in_a_row: u32) -> Duration {
    match deaths_in_a_row {
        0 | 1 => Duration::ZERO,
        n => Duration::from_millis(250).saturating_mul(1 << (n - 2).min(10)).min(LONGEST_PAUSE),
    }
}

/// The process, if it could be started. What keeps it from starting is logged once, not at every try.
fn start(
    worker: &LocalWorker,
    signs: Option<&SignsOfLife>,
    status: &watch::Sender<LocalWorkerStatus>,
) -> Option<Child> {
    let is_news = *status.borrow() != LocalWorkerStatus::Missing;
    let Some(binary) = find_worker(worker.binary.as_deref()) else {
        if is_news {
            tracing::warn!(
                "cameras cannot run on this host: {WORKER_BINARY} is neither beside this program nor on the PATH; \
                 install it, name it in VEDETTE_WORKER, or set workers.local: false"
            );
        }
        status.send_replace(LocalWorkerStatus::Missing);
        return None;
    };
    let mut command = command(worker, &binary);
    if let Some(signs) = signs {
        signs.forget();
        command.env(NOTIFY_SOCKET, &signs.path);
    }
    match command.spawn() {
        Ok(child) => {
            tracing::info!(pid = child.id(), "local worker started");
            status.send_replace(LocalWorkerStatus::Running);
            Some(child)
        }
        Err(error) => {
            if is_news {
                tracing::error!(%error, binary = %binary.display(), "local worker cannot be started");
            }
            status.send_replace(LocalWorkerStatus::Missing);
            None
        }
    }
}

fn command(worker: &LocalWorker, binary: &Path) -> Command {
    let mut command = Command::new(binary);
    // It decodes what strangers send: of our secrets it knows its own token and nothing else.
    for variable in VARIABLES.iter().filter(|variable| variable.is_secret) {
        command.env_remove(variable.name);
    }
    command
        .args(["--url", &worker.url, "--id", &worker.id, "--exit-with-stdin", "--data-dir"])
        .arg(&worker.data_dir)
        // Where our own signs of life go, if systemd waits for them.
        .env_remove(NOTIFY_SOCKET)
        .env("VEDETTE_WORKER_TOKEN", worker.token.expose_secret())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        // A Ctrl-C at the terminal is ours to pass on, after requests have ended.
        .process_group(0)
        .kill_on_drop(true);
    command
}

/// The worker's lines go into our log, so that there is one place to look.
fn forward_output(child: &mut Child) {
    if let Some(stdout) = child.stdout.take() {
        tokio::spawn(forward_lines(stdout));
    }
    if let Some(stderr) = child.stderr.take() {
        tokio::spawn(forward_lines(stderr));
    }
}

/// Reads to the very end whatever comes: a worker whose pipe is full would stand still.
async fn forward_lines(output: impl AsyncRead + Unpin) {
    let mut reader = BufReader::new(output);
    let mut line = Vec::new();
    loop {
        line.clear();
        match (&mut reader).take(MAX_LINE_BYTES).read_until(b'\n', &mut line).await {
            Ok(0) => return,
            Ok(_) => {
                let text = String::from_utf8_lossy(&line);
                tracing::info!(target: "vedette::worker", "{}", text.trim_end());
            }
            Err(error) => {
                tracing::warn!(%error, "the worker's output cannot be read any more");
                return;
            }
        }
    }
}

/// Asks the worker to leave, by signal and by closing its standard input; after a grace period it is killed.
async fn end(mut child: Child, lifeline: Option<ChildStdin>) {
    let pid = child.id().and_then(|pid| i32::try_from(pid).ok());
    if let Some(Err(error)) = pid.map(|pid| kill(Pid::from_raw(pid), Signal::SIGTERM)) {
        tracing::warn!(%error, "local worker cannot be asked to end");
    }
    drop(lifeline);
    if tokio::time::timeout(GRACE, child.wait()).await.is_err() {
        tracing::warn!("local worker did not end in time, killing it");
        if let Err(error) = child.kill().await {
            tracing::error!(%error, "local worker cannot be killed");
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    #[test]
    fn the_first_restart_is_immediate_and_later_ones_wait_longer_up_to_a_limit() {
        let pauses_ms: Vec<u128> = (0..8).map(|n| pause_before_restart(n).as_millis()).collect();
        assert_eq!(pauses_ms, [0, 0, 250, 500, 1000, 2000, 4000, 5000]);
        assert_eq!(pause_before_restart(u32::MAX), LONGEST_PAUSE);
    }

    /// A worker that is a shell script, supervised; `None` for one that is not there.
    struct Supervised {
        folder: tempfile::TempDir,
        status: watch::Receiver<LocalWorkerStatus>,
        shutdown: watch::Sender<bool>,
        task: tokio::task::JoinHandle<()>,
    }

    impl Supervised {
        fn start(script: Option<&str>) -> Self {
            Self::start_patiently(script, Patience::default())
        }

        fn start_patiently(script: Option<&str>, patience: Patience) -> Self {
            let folder = tempfile::tempdir().unwrap();
            let binary = folder.path().join("worker.sh");
            if let Some(script) = script {
                std::fs::write(&binary, format!("#!/bin/sh\n{script}\n")).unwrap();
                std::fs::set_permissions(&binary, std::fs::Permissions::from_mode(0o755)).unwrap();
            }
            let worker = LocalWorker {
                binary: Some(binary),
                id: "local".to_owned(),
                url: "http://127.0.0.1:1".to_owned(),
                token: "a token of this test".into(),
                data_dir: folder.path().to_path_buf(),
                patience,
            };
            let (status_sender, status) = watch::channel(LocalWorkerStatus::Restarting);
            let (shutdown, stop) = watch::channel(false);
            let task = tokio::spawn(supervise(worker, status_sender, stop));
            Self { folder, status, shutdown, task }
        }

        async fn wait_for_status(&mut self, wanted: LocalWorkerStatus) {
            self.status.wait_for(|status| *status == wanted).await.unwrap();
        }

        async fn stop(self) {
            self.shutdown.send(true).unwrap();
            self.task.await.unwrap();
        }
    }

    #[tokio::test]
    async fn a_dead_worker_is_started_again() {
        let mut supervised = Supervised::start(Some("echo $$ >> \"$(dirname \"$0\")/pids\"; exit 1"));
        for _ in 0..2 {
            supervised.wait_for_status(LocalWorkerStatus::Running).await;
            supervised.wait_for_status(LocalWorkerStatus::Restarting).await;
        }
        let pids = std::fs::read_to_string(supervised.folder.path().join("pids")).unwrap();
        assert!(pids.lines().count() >= 2, "{pids}");
        supervised.stop().await;
    }

    /// Makes the worker say something to the socket it was given.
    const SIGN: &str = "import os, socket; socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)\
                        .sendto(b'WATCHDOG=1', os.environ['NOTIFY_SOCKET'])";

    #[tokio::test]
    async fn a_worker_that_falls_silent_is_killed_and_started_again() {
        let patience =
            Patience { first_sign: Duration::from_secs(60), next_sign: Duration::from_millis(100) };
        let script = format!("python3 -c \"{SIGN}\"; exec sleep 600");
        let mut supervised = Supervised::start_patiently(Some(&script), patience);
        for _ in 0..2 {
            supervised.wait_for_status(LocalWorkerStatus::Running).await;
            supervised.wait_for_status(LocalWorkerStatus::Restarting).await;
        }
        supervised.stop().await;
    }

    #[tokio::test]
    async fn a_worker_that_never_says_anything_is_killed_and_started_again() {
        let patience =
            Patience { first_sign: Duration::from_millis(100), next_sign: Duration::from_secs(60) };
        let mut supervised = Supervised::start_patiently(Some("exec sleep 600"), patience);
        supervised.wait_for_status(LocalWorkerStatus::Running).await;
        supervised.wait_for_status(LocalWorkerStatus::Restarting).await;
        supervised.stop().await;
    }

    #[test]
    fn a_worker_knows_none_of_our_secrets() {
        let worker = LocalWorker {
            binary: None,
            id: "local".to_owned(),
            url: "http://127.0.0.1:1".to_owned(),
            token: "a token of this test".into(),
            data_dir: PathBuf::from("data"),
            patience: Patience::default(),
        };
        let command = command(&worker, Path::new(WORKER_BINARY));
        let told: Vec<_> = command.as_std().get_envs().collect();
        for name in ["JWT_SECRET", "DB_PASSWORD", "VEDETTE_KEY", "AWS_SECRET_ACCESS_KEY", "METRICS_TOKEN"] {
            assert!(told.contains(&(name.as_ref(), None)), "{name}");
        }
        let token = "VEDETTE_WORKER_TOKEN".as_ref();
        assert!(told.contains(&(token, Some("a token of this test".as_ref()))));
    }

    #[tokio::test]
    async fn a_worker_gets_its_token_and_ends_with_us() {
        let script = "test \"$VEDETTE_WORKER_TOKEN\" = 'a token of this test' && \
                      : > \"$(dirname \"$0\")/good\"; read line";
        let mut supervised = Supervised::start(Some(script));
        supervised.wait_for_status(LocalWorkerStatus::Running).await;
        let good = supervised.folder.path().join("good");
        while !good.exists() {
            tokio::task::yield_now().await;
        }
        supervised.stop().await;
    }

    #[tokio::test]
    async fn the_standard_input_stays_open_as_long_as_we_live() {
        // `timeout` answers 124 when it had to end `cat`, which would have ended by itself on a closed input.
        let script = "timeout 0.3 cat; test $? = 124 && : > \"$(dirname \"$0\")/held\"; exec cat";
        let mut supervised = Supervised::start(Some(script));
        supervised.wait_for_status(LocalWorkerStatus::Running).await;
        let held = supervised.folder.path().join("held");
        let seen = async {
            while !held.exists() {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(Duration::from_secs(20), seen).await.expect("the worker's input was closed");
        supervised.stop().await;
    }

    #[tokio::test]
    async fn a_missing_worker_is_said_to_be_missing() {
        let mut supervised = Supervised::start(None);
        supervised.wait_for_status(LocalWorkerStatus::Missing).await;
        supervised.stop().await;
    }
}
