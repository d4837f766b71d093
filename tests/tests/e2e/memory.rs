//! What the server keeps while nothing happens.

use anyhow::{Context as _, Result, ensure};
use vedette_tests::{api::wait_for, processes};

use crate::scene::{PATIENCE, Scene};

/// The control plane without cameras takes no more than this, its models and its program included.
const IDLE_MEMORY_MIB: u64 = 150;

#[test]
fn what_starting_and_signing_in_took_is_given_back() -> Result<()> {
    // Passwords have been checked and made by now, which takes far more memory than they leave.
    let scene = Scene::set()?;
    wait_for("the models", PATIENCE, || {
        let health = scene.api.get("/api/health")?.expect(200)?;
        Ok((health["face_detector"] == "initialized").then_some(()))
    })?;
    let memory_mib = processes::memory_kib(scene.server.pid()).context("the server is gone")? / 1024;
    ensure!(memory_mib <= IDLE_MEMORY_MIB, "the idle server takes {memory_mib} MiB");
    Ok(())
}
