//! Keeps the local worker running: starts it, restarts it when it dies, takes it down with the control plane.
//!
//! Cameras are decoded and analysed in a process of their own, so that a crash in a C library costs a restart of the
//! pipelines and never the API. The worker holds the read end of a pipe whose write end is here: when the control
//! plane is gone, however it went, the pipe closes and the worker leaves as well.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use secrecy::{ExposeSecret, SecretString};
use tokio::io::{AsyncBufReadExt, AsyncRead, BufReader};
use tokio::process::{Child, Command};
use tokio::sync::watch;

/// File name of the worker's binary.
const WORKER_BINARY: &str = "vedette-worker";
/// A worker that lived this long is restarted at once when it dies.
const STABLE: Duration = Duration::from_secs(10);
/// Longest pause before a restart.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
/// Time a worker gets to flush its events after SIGTERM.
const GRACE: Duration = Duration::from_secs(3);

/// What the local worker is started with.
#[derive(Clone)]
pub struct LocalWorker {
    /// The worker's binary.
    pub binary: PathBuf,
    /// The worker's id, under which it reports.
    pub id: String,
    /// Where the control plane listens, e.g. `http://127.0.0.1:8000`.
    pub url: String,
    /// The token the worker shows; handed over in its environment, where `ps` does not show it.
    pub token: SecretString,
    /// Folder for everything the worker writes.
    pub data_dir: PathBuf,
}

/// Where the worker's binary is: `VEDETTE_WORKER`, else beside our own binary, else on the `PATH`.
pub fn find_worker() -> Option<PathBuf> {
    if let Some(path) = std::env::var_os("VEDETTE_WORKER") {
        return Some(PathBuf::from(path)).filter(|path| path.is_file());
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
pub async fn supervise(worker: LocalWorker, mut shutdown: watch::Receiver<bool>) {
    let mut deaths_in_a_row = 0;
    while !*shutdown.borrow_and_update() {
        let started = Instant::now();
        match spawn(&worker) {
            Ok(mut child) => {
                tracing::info!(pid = child.id(), "local worker started");
                forward_output(&mut child);
                tokio::select! {
                    status = child.wait() => match status {
                        Ok(status) => tracing::warn!(%status, "local worker ended, restarting it"),
                        Err(error) => tracing::error!(%error, "local worker cannot be waited for"),
                    },
                    _ = shutdown.wait_for(|stop| *stop) => return end(child).await,
                }
            }
            Err(error) => {
                tracing::error!(%error, binary = %worker.binary.display(), "local worker cannot be started");
            }
        }
        deaths_in_a_row = if started.elapsed() >= STABLE { 0 } else { deaths_in_a_row + 1 };
        tokio::select! {
            () = tokio::time::sleep(pause_before_restart(deaths_in_a_row)) => {}
            _ = shutdown.wait_for(|stop| *stop) => return,
        }
    }
}

/// None after the first death, so that cameras are back within seconds; then doubling from a quarter of a second.
fn pause_before_restart(deaths_in_a_row: u32) -> Duration {
    match deaths_in_a_row {
        0 | 1 => Duration::ZERO,
        n => Duration::from_millis(250).saturating_mul(1 << (n - 2).min(10)).min(LONGEST_PAUSE),
    }
}

fn spawn(worker: &LocalWorker) -> std::io::Result<Child> {
    Command::new(&worker.binary)
        .args(["--url", &worker.url, "--id", &worker.id, "--exit-with-stdin", "--data-dir"])
        .arg(&worker.data_dir)
        .env("VEDETTE_WORKER_TOKEN", worker.token.expose_secret())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
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

async fn forward_lines(output: impl AsyncRead + Unpin) {
    let mut lines = BufReader::new(output).lines();
    while let Ok(Some(line)) = lines.next_line().await {
        tracing::info!(target: "vedette::worker", "{line}");
    }
}

/// Closing its standard input asks the worker to leave; after a grace period it is killed.
async fn end(mut child: Child) {
    drop(child.stdin.take());
    if tokio::time::timeout(GRACE, child.wait()).await.is_err() {
        tracing::warn!("local worker did not end in time, killing it");
        if let Err(error) = child.kill().await {
            tracing::error!(%error, "local worker cannot be killed");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_restart_is_immediate_and_later_ones_wait_longer_up_to_a_limit() {
        let pauses_ms: Vec<u128> = (0..8).map(|n| pause_before_restart(n).as_millis()).collect();
        assert_eq!(pauses_ms, [0, 0, 250, 500, 1000, 2000, 4000, 5000]);
        assert_eq!(pause_before_restart(u32::MAX), LONGEST_PAUSE);
    }
}
