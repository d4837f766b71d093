//! Events on disk until they are acknowledged: one file per event, named by its id, whole or not there.
//!
//! The folder is the queue. Ids are UUIDv7, so their order is that of the events; whatever an earlier
//! process left behind is found by [`Spool::scan`]. Several sinks may share a folder: an event that two of
//! them send counts once, because ingest goes by its id.

use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use uuid::Uuid;

/// Where events lie that the receiver refuses to take.
const REJECTED_DIR: &str = "rejected";
/// A half-written file this old belongs to a process that is gone.
const STALE_AGE: Duration = Duration::from_secs(60);

/// A folder of undelivered events.
#[derive(Debug)]
pub(super) struct Spool {
    dir: PathBuf,
}

impl Spool {
    /// Makes the folder if need be and clears out half-written files of a process that died.
    pub(super) fn open(dir: &Path) -> io::Result<Self> {
        create_private_dir(dir)?;
        for entry in fs::read_dir(dir)? {
            let entry = entry?;
            let stale = entry.metadata().and_then(|metadata| metadata.modified());
            let age = stale.ok().and_then(|modified| modified.elapsed().ok()).unwrap_or_default();
            if entry.path().extension().is_some_and(|extension| extension == "tmp") && age > STALE_AGE {
                remove_if_there(&entry.path())?;
            }
        }
        Ok(Self { dir: dir.into() })
    }

    /// Stores an event. Once this returns, the end of the process does not lose it.
    pub(super) fn put(&self, id: Uuid, line: &str) -> io::Result<()> {
        let temporary = self.dir.join(format!("{id}.tmp"));
        let written =
            write_private(&temporary, line.as_bytes()).and_then(|()| fs::rename(&temporary, self.path(id)));
        if written.is_err() {
            // The disk may be full: leave nothing behind. The first error is the one worth reporting.
            let _ = fs::remove_file(&temporary);
        }
        written
    }

    /// An event's JSON; `None` if it is gone, because another sink on this folder delivered it.
    pub(super) fn read(&self, id: Uuid) -> io::Result<Option<String>> {
        match fs::read(self.path(id)) {
            Ok(bytes) => Ok(Some(String::from_utf8_lossy(&bytes).into_owned())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Forgets a delivered event.
    pub(super) fn remove(&self, id: Uuid) -> io::Result<()> {
        remove_if_there(&self.path(id))
    }

    /// Keeps an event the receiver will never take where a person can look at it.
    pub(super) fn set_aside(&self, id: Uuid) -> io::Result<()> {
        let rejected = self.dir.join(REJECTED_DIR);
        create_private_dir(&rejected)?;
        match fs::rename(self.path(id), rejected.join(format!("{id}.json"))) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            outcome => outcome,
        }
    }

    /// At most `limit` undelivered events, oldest first, and whether there are more.
    pub(super) fn scan(&self, limit: usize) -> io::Result<(Vec<Uuid>, bool)> {
        let mut ids = Vec::new();
        for entry in fs::read_dir(&self.dir)? {
            let path = entry?.path();
            let is_event = path.extension().is_some_and(|extension| extension == "json");
            let stem = path.file_stem().and_then(|stem| stem.to_str());
            let id: Option<Uuid> = stem.and_then(|stem| stem.parse().ok());
            ids.extend(id.filter(|_| is_event));
        }
        ids.sort_unstable();
        let more = ids.len() > limit;
        ids.truncate(limit);
        Ok((ids, more))
    }

    fn path(&self, id: Uuid) -> PathBuf {
        self.dir.join(format!("{id}.json"))
    }
}

fn remove_if_there(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        outcome => outcome,
    }
}

/// Faces are personal data: only the owner may read them.
pub(super) fn create_private_dir(dir: &Path) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(dir)
}

/// Writes a file only the owner may read.
pub(super) fn write_private(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut options = fs::OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)?.write_all(bytes)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn events_outlive_the_process_in_their_order() {
        let dir = tempfile::tempdir().unwrap();
        let ids: Vec<Uuid> = (0..5).map(|_| Uuid::now_v7()).collect();
        let spool = Spool::open(dir.path()).unwrap();
        for id in ids.iter().rev() {
            spool.put(*id, &format!("{{\"event_id\":\"{id}\"}}")).unwrap();
        }
        drop(spool);

        let spool = Spool::open(dir.path()).unwrap();
        assert_eq!(spool.scan(100).unwrap(), (ids.clone(), false));
        assert_eq!(spool.scan(2).unwrap(), (ids[..2].to_vec(), true));
        assert!(spool.read(ids[0]).unwrap().unwrap().contains(&ids[0].to_string()));
        spool.remove(ids[0]).unwrap();
        spool.remove(ids[0]).unwrap();
        assert_eq!(spool.read(ids[0]).unwrap(), None);
        spool.set_aside(ids[1]).unwrap();
        assert!(dir.path().join("rejected").join(format!("{}.json", ids[1])).is_file());
        assert_eq!(spool.scan(100).unwrap().0, &ids[2..]);
    }

    #[test]
    fn foreign_and_half_written_files_are_no_events() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("notes.json"), "x").unwrap();
        fs::write(dir.path().join(format!("{}.tmp", Uuid::now_v7())), "{").unwrap();
        let spool = Spool::open(dir.path()).unwrap();
        assert_eq!(spool.scan(10).unwrap(), (vec![], false));
    }

    #[cfg(unix)]
    #[test]
    fn only_the_owner_may_read_events() {
        use std::os::unix::fs::PermissionsExt as _;
        let dir = tempfile::tempdir().unwrap();
        let spool = Spool::open(&dir.path().join("spool")).unwrap();
        let id = Uuid::now_v7();
        spool.put(id, "{}").unwrap();
        assert_eq!(fs::metadata(spool.path(id)).unwrap().permissions().mode() & 0o077, 0);
        assert_eq!(fs::metadata(&spool.dir).unwrap().permissions().mode() & 0o077, 0);
    }
}
