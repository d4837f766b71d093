//! Pictures in the data folder.
//!
//! Files appear whole or not at all: they are written to `staging/` on the same file system and renamed. What a killed
//! process left there is removed at the next start.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use chrono::{DateTime, NaiveDate, Utc};
use futures_util::future::try_join_all;
use uuid::Uuid;

use super::{Care, ObjectKey, Picture, StorageError};

/// What lies in `staging/` for longer belongs to nobody: no request lasts as long.
const STAGING_LIFETIME: Duration = Duration::from_secs(3600);
/// Files removed at the same time.
const REMOVED_AT_ONCE: usize = 8;

/// Adds to an I/O error what was being done to which file.
trait WhileDoing<T> {
    fn while_doing(self, action: &'static str, path: &Path) -> Result<T, StorageError>;
}

impl<T> WhileDoing<T> for io::Result<T> {
    fn while_doing(self, action: &'static str, path: &Path) -> Result<T, StorageError> {
        self.map_err(|source| StorageError {
            action,
            what: path.display().to_string(),
            is_not_found: source.kind() == io::ErrorKind::NotFound,
            source: Box::new(source),
        })
    }
}

/// The folder that holds every picture. Its methods block, but for [`Folder::run`], which runs them aside.
#[derive(Clone, Debug)]
pub(super) struct Folder {
    root: PathBuf,
}

impl Folder {
    /// Opens `data_dir`, making its folders and clearing what an earlier process left half written.
    pub(super) fn open(data_dir: &Path) -> Result<Self, StorageError> {
        let folder = Self { root: data_dir.to_path_buf() };
        for name in ["photos", "snapshots", "staging"] {
            create_private_dir(&folder.root.join(name))?;
        }
        folder.clear_old_staging()?;
        Ok(folder)
    }

    /// Does blocking `work` where it holds nobody up.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Self) -> Result<T, StorageError> + Send + 'static,
    ) -> Result<T, StorageError> {
        let folder = self.clone();
        let done = tokio::task::spawn_blocking(move || work(&folder)).await;
        done.unwrap_or_else(|error| Err(io::Error::other(error)).while_doing("work in", &self.root))
    }

    pub(super) fn is_there(&self) -> bool {
        ["photos", "snapshots", "staging"].iter().all(|name| self.root.join(name).is_dir())
    }

    pub(super) fn read(&self, key: &ObjectKey) -> Result<Vec<u8>, StorageError> {
        let path = self.path(key);
        fs::read(&path).while_doing("read", &path)
    }

    /// Writes one picture whole; nothing is left behind if that fails.
    pub(super) fn write(&self, picture: &Picture, care: Care) -> Result<(), StorageError> {
        let staged = self.root.join("staging").join(Uuid::new_v4().to_string());
        let target = self.path(&picture.key);
        let written = write_new(&staged, &picture.jpeg, care).and_then(|()| {
            make_parent(&target)?;
            fs::rename(&staged, &target).while_doing("write", &target)
        });
        if written.is_err() {
            // The write is what failed; that its leftover cannot be removed either adds nothing.
            let _ = fs::remove_file(&staged);
        }
        written.map_err(|error| StorageError { is_not_found: false, ..error })
    }

    /// Removes many, several at a time: one waits for the disk, and that over and over.
    pub(super) async fn remove_all(&self, keys: Vec<ObjectKey>) -> Result<(), StorageError> {
        let share = keys.len().div_ceil(REMOVED_AT_ONCE).max(1);
        let shares = keys.chunks(share).map(|keys| {
            let keys = keys.to_vec();
            self.run(move |folder| keys.iter().try_for_each(|key| folder.remove(key)))
        });
        try_join_all(shares).await.map(drop)
    }

    fn remove(&self, key: &ObjectKey) -> Result<(), StorageError> {
        let path = self.path(key);
        let removed = if key.is_folder() { fs::remove_dir_all(&path) } else { fs::remove_file(&path) };
        match removed {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            other => other.while_doing("remove", &path),
        }
    }

    pub(super) fn snapshot_days(&self) -> Result<Vec<NaiveDate>, StorageError> {
        let names = names_in(&self.root.join("snapshots"))?;
        Ok(names.iter().filter_map(|name| name.parse().ok()).collect())
    }

    /// The snapshots of `day` written before a moment. A day that has none at all loses its folder.
    pub(super) fn snapshots_of(
        &self,
        day: NaiveDate,
        written_before: DateTime<Utc>,
    ) -> Result<Vec<ObjectKey>, StorageError> {
        let folder = ObjectKey::snapshots_of(day);
        let path = self.path(&folder);
        let names = names_in(&path)?;
        if names.is_empty() {
            // Fails if a snapshot has come meanwhile, which is right.
            let _ = fs::remove_dir(&path);
        }
        let old = names.iter().filter(|name| is_older(&path.join(name), written_before.into()));
        Ok(old.filter_map(|name| ObjectKey::parse(&format!("{folder}{name}"))).collect())
    }

    fn clear_old_staging(&self) -> Result<(), StorageError> {
        let staging = self.root.join("staging");
        for name in names_in(&staging)? {
            let path = staging.join(name);
            if !is_older(&path, SystemTime::now() - STAGING_LIFETIME) {
                continue;
            }
            let removed = if path.is_dir() { fs::remove_dir_all(&path) } else { fs::remove_file(&path) };
            removed.while_doing("remove", &path)?;
        }
        Ok(())
    }

    fn path(&self, key: &ObjectKey) -> PathBuf {
        self.root.join(key.as_str())
    }
}

/// Makes a folder only the server's user may enter: what lies in it shows faces.
fn create_private_dir(path: &Path) -> Result<(), StorageError> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path).while_doing("make folder", path)
}

fn make_parent(target: &Path) -> Result<(), StorageError> {
    target.parent().map_or(Ok(()), create_private_dir)
}

fn write_new(path: &Path, bytes: &[u8], care: Care) -> Result<(), StorageError> {
    let write = || {
        let mut file = File::create_new(path)?;
        file.write_all(bytes)?;
        if care == Care::Lasting { file.sync_all() } else { Ok(()) }
    };
    write().while_doing("write", path)
}

/// The names in a folder, as far as they are text; none if there is no such folder.
fn names_in(path: &Path) -> Result<Vec<String>, StorageError> {
    let entries = match fs::read_dir(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        other => other.while_doing("list", path)?,
    };
    let names = entries.map(|entry| entry.map(|entry| entry.file_name().into_string().ok()));
    names.filter_map(Result::transpose).collect::<io::Result<_>>().while_doing("list", path)
}

fn is_older(path: &Path, time: SystemTime) -> bool {
    let modified = fs::metadata(path).and_then(|metadata| metadata.modified());
    modified.is_ok_and(|modified| modified < time)
}
