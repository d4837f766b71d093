//! What can be set on `eventsink`.

use std::path::PathBuf;

use super::EventFormat;
use super::delivery::DeliverySettings;
use super::tracks::Policy;

/// About twenty thousand events with pictures and sixty thousand more without.
pub(super) const SPOOL_MAX_BYTES: u64 = 1 << 30;

#[derive(Clone, Debug)]
pub(super) struct Settings {
    pub(super) uri: String,
    pub(super) token: Option<String>,
    pub(super) camera_id: String,
    pub(super) dedup_window: u32,
    pub(super) spool_dir: Option<String>,
    pub(super) spool_max_bytes: u64,
    pub(super) snapshots: bool,
    pub(super) snapshot_dir: Option<String>,
    pub(super) format: EventFormat,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            uri: "stdout:".into(),
            token: None,
            camera_id: "cam_01".into(),
            dedup_window: 30,
            spool_dir: None,
            spool_max_bytes: SPOOL_MAX_BYTES,
            snapshots: false,
            snapshot_dir: None,
            format: EventFormat::Event,
        }
    }
}

impl Settings {
    pub(super) fn delivery(&self) -> DeliverySettings {
        DeliverySettings {
            uri: self.uri.clone(),
            token: self.token.clone(),
            spool_dir: self.spool_dir.as_ref().map(PathBuf::from),
            spool_max_bytes: self.spool_max_bytes,
        }
    }

    pub(super) fn policy(&self) -> Policy {
        Policy { camera_id: self.camera_id.clone(), dedup_window_ms: u64::from(self.dedup_window) * 1000 }
    }
}
