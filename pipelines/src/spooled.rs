//! How many events lie on this host's disk because nobody has acknowledged them yet, also those of cameras that do not
//! run any more.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// A control plane that was away for hours leaves many files: they are not counted with every heartbeat.
const COUNT_EVERY: Duration = Duration::from_secs(10);

/// Counts the events of all spools now and then.
#[derive(Debug)]
pub(crate) struct SpoolDepth {
    folder: PathBuf,
    counted_at: Option<Instant>,
    events: u64,
}

impl SpoolDepth {
    /// The spools below `data_dir`.
    pub(crate) fn new(data_dir: &Path) -> Self {
        Self { folder: data_dir.join("spool"), counted_at: None, events: 0 }
    }

    /// Events that wait, as of a few seconds ago.
    pub(crate) fn events(&mut self) -> u64 {
        if self.counted_at.is_none_or(|at| at.elapsed() >= COUNT_EVERY) {
            self.events = count(&self.folder);
            self.counted_at = Some(Instant::now());
        }
        self.events
    }
}

/// Events of all cameras; those that were refused for good lie a folder deeper. What cannot be read counts for nothing.
fn count(folder: &Path) -> u64 {
    let files_of = |folder: PathBuf| fs::read_dir(folder).into_iter().flatten().filter_map(Result::ok);
    let cameras = files_of(folder.to_path_buf()).map(|entry| entry.path());
    let events = cameras.flat_map(files_of).filter(|entry| {
        Path::new(&entry.file_name()).extension().is_some_and(|extension| extension == "json")
    });
    events.count() as u64
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn waiting_events_of_all_cameras_count_and_refused_ones_do_not() {
        let data = tempfile::tempdir().unwrap();
        assert_eq!(SpoolDepth::new(data.path()).events(), 0, "there is no spool yet");
        let spool = data.path().join("spool");
        for file in ["door/1.json", "door/2.json", "door/3.tmp", "yard/4.json", "door/rejected/5.json"] {
            let path = spool.join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "{}").unwrap();
        }
        assert_eq!(SpoolDepth::new(data.path()).events(), 3);
    }
}
