//! Sends the events that lie on this host's disk and belong to no running pipeline: of cameras that are lost, stopped or
//! run on another worker by now, and of a worker that died.
//!
//! One thread for all of them, at a time one folder. Who sends from a folder has claimed it, so that a camera's own sink
//! and this thread never send the same events.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use gstvedette::eventsink::{SpoolCourier, SpoolCourierError};

use crate::launch::ControlPlane;
use crate::signal::StopSignal;

/// How often folders are looked through.
const INTERVAL: Duration = Duration::from_secs(2);
/// The pause while the control plane does not take events.
const PAUSE_AWAY: Duration = Duration::from_secs(5);

/// The thread, until dropped; it ends after the request it is in.
pub(crate) struct Leftovers {
    stop: Arc<StopSignal>,
}

impl Leftovers {
    /// Begins to send what lies below `data_dir`.
    pub(crate) fn start(control_plane: &ControlPlane, data_dir: &Path) -> Self {
        let stop = Arc::new(StopSignal::default());
        let (spools, stopped) = (data_dir.join("spool"), Arc::clone(&stop));
        let (uri, token) = control_plane.events_to();
        let courier = SpoolCourier::new(&uri, token);
        let send = move || match courier {
            Ok(courier) => keep_sending(courier, &spools, &stopped),
            Err(error) => tracing::error!(%error, "events left in spool folders cannot be sent"),
        };
        if let Err(error) = std::thread::Builder::new().name("leftovers".into()).spawn(send) {
            tracing::error!(%error, "no thread could be started for events left in spool folders");
        }
        Self { stop }
    }
}

impl Drop for Leftovers {
    fn drop(&mut self) {
        self.stop.request();
    }
}

fn keep_sending(mut courier: SpoolCourier, spools: &Path, stop: &StopSignal) {
    let mut was_told = false;
    loop {
        let mut pause = INTERVAL;
        for spool in folders(spools) {
            if stop.is_requested() {
                return;
            }
            let name = spool.display();
            match courier.deliver(&spool, |warning| tracing::warn!(spool = %name, "{warning}")) {
                Ok(0) => (),
                Ok(count) => {
                    tracing::info!(spool = %name, count, "events that were left there are delivered");
                    was_told = false;
                }
                Err(error) => {
                    if !std::mem::replace(&mut was_told, true) {
                        tracing::warn!("{error}");
                    }
                    if matches!(error, SpoolCourierError::Away { .. }) {
                        pause = PAUSE_AWAY;
                        break;
                    }
                }
            }
        }
        if stop.wait(pause) {
            return;
        }
    }
}

/// Folders of cameras; what cannot be listed is as good as not there.
fn folders(spools: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(spools).into_iter().flatten().filter_map(Result::ok);
    let mut folders: Vec<PathBuf> = entries.map(|entry| entry.path()).filter(|path| path.is_dir()).collect();
    folders.sort_unstable();
    folders
}
