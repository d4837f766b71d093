//! The FastAPI server in `tests/peers`, on the database, tokens and models of a Vedette installation.

use std::{
    fs::File,
    path::Path,
    process::{Child, Stdio},
    time::Duration,
};

use anyhow::{Context as _, Result, bail};
use nix::sys::signal::Signal;
use vedette_models::pack::Role;

use crate::{
    api::{Api, wait_for},
    checkout, processes, python,
    server::{free_port, log_tail},
};

const START_TIMEOUT: Duration = Duration::from_secs(60);

/// How it is run.
#[derive(Clone, Copy, Debug)]
pub struct PeerOptions {
    /// Its processes, each with models of its own.
    pub processes: usize,
    /// How many cores one inference is spread over; 0 = as InsightFace has it, all of them.
    pub threads: usize,
}

/// A running peer; dropped, it is stopped.
#[derive(Debug)]
pub struct Peer {
    child: Child,
    port: u16,
}

impl Peer {
    /// Starts it and waits until it is healthy. It reads the database in `data_dir`, believes tokens signed with
    /// `jwt_secret` and keeps its own files in `folder`.
    ///
    /// # Errors
    /// When it cannot be started, ends or is not healthy in time; the message holds the end of its log.
    pub fn start(folder: &Path, data_dir: &Path, jwt_secret: &str, options: PeerOptions) -> Result<Self> {
        let (detector, embedder) = (folder.join("yunet.onnx"), folder.join("sface.onnx"));
        python::write_plain_model(Role::Detector, &detector)?;
        python::write_plain_model(Role::Embedder, &embedder)?;
        let log_path = folder.join("peer.log");
        let log = File::create(&log_path).context("cannot write the peer's log")?;
        let port = free_port()?;
        let mut command = python::command()?;
        command
            .args(["-m", "uvicorn", "fastapi_app:app", "--no-access-log", "--app-dir"])
            .arg(checkout::peers_dir())
            .args(["--port", &port.to_string(), "--workers", &options.processes.to_string()])
            .env("PEER_DATABASE", data_dir.join("vedette.db"))
            .env("PEER_JWT_SECRET", jwt_secret)
            .env("PEER_DETECTOR", detector)
            .env("PEER_EMBEDDER", embedder)
            .env("PEER_THREADS", options.threads.to_string())
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log);
        let mut peer = Self { child: command.spawn().context("cannot start the peer")?, port };
        wait_for("the peer's health", START_TIMEOUT, || {
            if let Some(status) = peer.child.try_wait()? {
                bail!("the peer ended ({status}):\n{}", log_tail(&log_path));
            }
            Ok(peer.api().get("/api/health").is_ok_and(|answer| answer.status == 200).then_some(()))
        })?;
        Ok(peer)
    }

    /// Where it listens.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// A client that is not logged in.
    pub fn api(&self) -> Api {
        Api::new(self.port)
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        // It ends its own processes along with itself.
        processes::signal(self.child.id(), Signal::SIGTERM);
        let _ = self.child.wait();
    }
}
