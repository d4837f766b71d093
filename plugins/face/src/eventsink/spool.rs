//! Events on disk until they are acknowledged: one file per event, named by its id, whole or not there.
//!
//! The folder is the queue. Ids are UUIDv7, so their order is that of the events; whatever an earlier
//! process left behind is found by [`Spool::scan`]. Anybody may put events into a folder, one courier at a
//! time sends what lies there: the one that holds its [`Claim`].
//!
//! A folder has a limit. Pictures go first: the last quarter is for events without them, some sixty thousand
//! with the limit as it comes. Then the newest event is refused, never an older one dropped: what lies here
//! was promised to arrive.

use std::ffi::OsStr;
use std::fs::{self, File, TryLockError};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use serde_json::{Map, Value};
use uuid::Uuid;

/// Where events lie that the receiver refuses to take.
const REJECTED_DIR: &str = "rejected";
/// Where files lie that hold no event, as after a power cut on a disk that writes when it likes.
const DAMAGED_DIR: &str = "damaged";
/// Files set aside that are kept in each of these folders: the newest.
const SET_ASIDE_KEPT: usize = 1000;
/// Locked by the courier of this folder.
const LOCK_FILE: &str = ".lock";
/// A half-written file this old belongs to a process that is gone.
const STALE_AGE: Duration = Duration::from_secs(60);
/// What a file occupies is a multiple of this.
const BLOCK_BYTES: u64 = 4096;
/// Others may have sent what lies here: a full folder is counted anew this often.
const RECOUNT_EVERY: Duration = Duration::from_secs(2);

/// A folder of undelivered events.
#[derive(Debug)]
pub(super) struct Spool {
    dir: PathBuf,
    /// The folder itself, to be synchronised.
    folder: File,
    /// 0 = as much as the disk holds.
    max_bytes: u64,
    usage: Mutex<Usage>,
}

#[derive(Debug)]
struct Usage {
    bytes: u64,
    counted_at: Instant,
}

/// How an event was stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kept {
    /// As it is.
    Whole,
    /// Without its picture, for which there is no room.
    WithoutPicture,
}

/// What became of a file that was to be read.
#[derive(Debug)]
pub(super) enum Fetched {
    /// An event's JSON.
    Line(String),
    /// Another courier on this folder delivered it.
    Gone,
    /// It held no event, and was set aside; the text says so.
    Damaged(String),
    /// It cannot be read now.
    Unreadable(io::Error),
}

/// The right to send what lies in a folder, until dropped. Processes that die lose it.
#[derive(Debug)]
pub(super) struct Claim {
    /// Locked.
    _file: File,
}

impl Claim {
    /// `None` while another courier, of this process or another, has it.
    pub(super) fn of(dir: &Path) -> io::Result<Option<Self>> {
        let file = private_file().truncate(false).open(dir.join(LOCK_FILE))?;
        match file.try_lock() {
            Ok(()) => Ok(Some(Self { _file: file })),
            Err(TryLockError::WouldBlock) => Ok(None),
            // Some network drives have no locks. Two couriers there send twice what counts once.
            Err(TryLockError::Error(error)) if error.kind() == io::ErrorKind::Unsupported => {
                Ok(Some(Self { _file: file }))
            }
            Err(TryLockError::Error(error)) => Err(error),
        }
    }
}

impl Spool {
    /// Makes the folder if need be and clears out half-written files of a process that died. At most
    /// `max_bytes` of events are put into it; 0 = as many as the disk holds.
    pub(super) fn open(dir: &Path, max_bytes: u64) -> io::Result<Self> {
        let is_new = !dir.is_dir();
        create_private_dir(dir)?;
        for entry in fs::read_dir(dir)? {
            let path = entry?.path();
            if path.extension() == Some(OsStr::new("tmp")) && age(&path) > STALE_AGE {
                remove_if_there(&path)?;
            }
        }
        if let Some(parent) = dir.parent().filter(|_| is_new) {
            // A folder that is new must not go with a power cut. Some file systems cannot be asked for that.
            let _ = File::open(parent).and_then(|parent| parent.sync_all());
        }
        let usage = Usage { bytes: 0, counted_at: Instant::now() };
        let spool = Self { dir: dir.into(), folder: File::open(dir)?, max_bytes, usage: Mutex::new(usage) };
        spool.recount(&mut spool.usage());
        Ok(spool)
    }

    /// The folder.
    pub(super) fn dir(&self) -> &Path {
        &self.dir
    }

    /// Stores an event, without its picture where there is no room for both.
    ///
    /// # Errors
    /// When there is no room for either, or the disk does not take it.
    pub(super) fn keep(&self, id: Uuid, line: &str) -> io::Result<Kept> {
        let room_for_pictures = self.max_bytes - self.max_bytes / 4;
        let error = match self.put_within(room_for_pictures, id, line) {
            Ok(()) => return Ok(Kept::Whole),
            Err(error) => error,
        };
        match without_picture(line) {
            Some(bare) => self.put_within(self.max_bytes, id, &bare).map(|()| Kept::WithoutPicture),
            None if error.kind() == io::ErrorKind::QuotaExceeded => {
                self.put_within(self.max_bytes, id, line).map(|()| Kept::Whole)
            }
            None => Err(error),
        }
    }

    fn put_within(&self, limit_bytes: u64, id: Uuid, line: &str) -> io::Result<()> {
        let size_bytes = if self.max_bytes == 0 { 0 } else { occupied(line.len() as u64) };
        let mut usage = self.usage();
        if self.max_bytes > 0 && usage.bytes + size_bytes > limit_bytes {
            if usage.counted_at.elapsed() > RECOUNT_EVERY {
                self.recount(&mut usage);
            }
            if usage.bytes + size_bytes > limit_bytes {
                let text = format!("it holds {} MiB, and spool-max-bytes allows no more", usage.bytes >> 20);
                return Err(io::Error::new(io::ErrorKind::QuotaExceeded, text));
            }
        }
        usage.bytes += size_bytes;
        drop(usage);
        self.put(id, line).inspect_err(|_| self.freed(size_bytes))
    }

    /// Stores an event whatever room there is. Once this returns, neither the end of the process nor a power cut
    /// loses it.
    fn put(&self, id: Uuid, line: &str) -> io::Result<()> {
        let temporary = self.dir.join(format!("{id}.tmp"));
        let write = || {
            let mut file = private_file().truncate(true).open(&temporary)?;
            file.write_all(line.as_bytes())?;
            // Before it gets its name: else a power cut could leave the name and nothing behind it.
            file.sync_data()?;
            fs::rename(&temporary, self.path(id))?;
            self.folder.sync_all()
        };
        let written = write();
        if written.is_err() {
            // The disk may be full: leave nothing behind. The first error is the one worth reporting.
            let _ = fs::remove_file(&temporary);
        }
        written
    }

    /// Whether so much has been sent that a full folder is none any more.
    pub(super) fn is_roomy(&self) -> bool {
        self.max_bytes == 0 || self.usage().bytes < self.max_bytes / 2
    }

    /// What events occupy here, as far as is known; nothing without a limit.
    pub(super) fn used_bytes(&self) -> u64 {
        self.usage().bytes
    }

    /// Reads an event. A file that holds none is set aside.
    pub(super) fn fetch(&self, id: Uuid) -> Fetched {
        let bytes = match fs::read(self.path(id)) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Fetched::Gone,
            Err(error) => return Fetched::Unreadable(error),
        };
        match String::from_utf8(bytes) {
            Ok(line) if serde_json::from_str::<Map<String, Value>>(&line).is_ok() => Fetched::Line(line),
            _ => match self.set_aside(id, DAMAGED_DIR) {
                Ok(()) => Fetched::Damaged(format!(
                    "the file of event {id} holds no event, as after a power cut: it is set aside in {}",
                    self.dir.join(DAMAGED_DIR).display()
                )),
                Err(error) => Fetched::Unreadable(error),
            },
        }
    }

    /// Forgets a delivered event.
    pub(super) fn remove(&self, id: Uuid) -> io::Result<()> {
        let size_bytes = self.size_bytes(id);
        remove_if_there(&self.path(id))?;
        self.freed(size_bytes);
        Ok(())
    }

    /// Keeps an event the receiver will never take where a person can look at it.
    pub(super) fn reject(&self, id: Uuid) -> io::Result<()> {
        self.set_aside(id, REJECTED_DIR)
    }

    fn set_aside(&self, id: Uuid, folder: &str) -> io::Result<()> {
        let (folder, size_bytes) = (self.dir.join(folder), self.size_bytes(id));
        create_private_dir(&folder)?;
        match fs::rename(self.path(id), folder.join(format!("{id}.json"))) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            outcome => outcome?,
        }
        self.freed(size_bytes);
        // A receiver that takes nothing must not fill the disk.
        let kept = events_in(&folder)?;
        let too_many = kept.len().saturating_sub(SET_ASIDE_KEPT);
        kept[..too_many].iter().try_for_each(|id| remove_if_there(&folder.join(format!("{id}.json"))))
    }

    /// At most `limit` undelivered events, oldest first, and whether there are more.
    pub(super) fn scan(&self, limit: usize) -> io::Result<(Vec<Uuid>, bool)> {
        let mut ids = events_in(&self.dir)?;
        let more = ids.len() > limit;
        ids.truncate(limit);
        Ok((ids, more))
    }

    fn path(&self, id: Uuid) -> PathBuf {
        self.dir.join(format!("{id}.json"))
    }

    fn usage(&self) -> MutexGuard<'_, Usage> {
        self.usage.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn freed(&self, size_bytes: u64) {
        let mut usage = self.usage();
        usage.bytes = usage.bytes.saturating_sub(size_bytes);
    }

    /// What an event occupies; nothing where nobody counts.
    fn size_bytes(&self, id: Uuid) -> u64 {
        if self.max_bytes == 0 {
            return 0;
        }
        fs::metadata(self.path(id)).map_or(0, |metadata| occupied(metadata.len()))
    }

    /// What cannot be read counts for nothing.
    fn recount(&self, usage: &mut Usage) {
        if self.max_bytes > 0 {
            let ids = events_in(&self.dir).unwrap_or_default();
            usage.bytes = ids.into_iter().map(|id| self.size_bytes(id)).sum();
            usage.counted_at = Instant::now();
        }
    }
}

/// An event's JSON without its picture; `None` if it has none.
pub(super) fn without_picture(line: &str) -> Option<String> {
    let mut event: Map<String, Value> = serde_json::from_str(line).ok()?;
    event.remove("snapshot").filter(Value::is_string)?;
    serde_json::to_string(&event).ok()
}

/// Ids of the events in a folder, oldest first.
fn events_in(dir: &Path) -> io::Result<Vec<Uuid>> {
    let mut ids = Vec::new();
    for entry in fs::read_dir(dir)? {
        let name = entry?.file_name();
        let stem = name.to_str().and_then(|name| name.strip_suffix(".json"));
        let id: Option<Uuid> = stem.and_then(|stem| stem.parse().ok());
        ids.extend(id);
    }
    ids.sort_unstable();
    Ok(ids)
}

fn occupied(size_bytes: u64) -> u64 {
    size_bytes.next_multiple_of(BLOCK_BYTES)
}

fn age(path: &Path) -> Duration {
    let modified = fs::metadata(path).and_then(|metadata| metadata.modified());
    modified.ok().and_then(|modified| modified.elapsed().ok()).unwrap_or_default()
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
    private_file().truncate(true).open(path)?.write_all(bytes)
}

fn private_file() -> fs::OpenOptions {
    let mut options = fs::OpenOptions::new();
    options.write(true).create(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options
}

#[cfg(test)]
mod tests;
