//! Pictures on disk: photos of enrolled people and snapshots of events, under the data folder.
//!
//! A picture is named by an [`ObjectKey`] made of ids and dates only, never of anything a client sent, so no
//! request can reach outside the folder. Files appear whole or not at all: they are written to `staging/` on the
//! same file system and renamed. A [`Staging`] folder that is dropped without being published vanishes, and
//! what a killed process left there is removed at the next start.

use std::fmt;
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use chrono::{DateTime, Utc};
use thiserror::Error;
use uuid::Uuid;

use crate::error::{ApiError, ErrorKind};

/// Staging folders older than this belong to nobody: no request lasts as long.
const STAGING_LIFETIME: Duration = Duration::from_secs(3600);

/// A file operation that failed, with the file it was about.
#[derive(Debug, Error)]
#[error("cannot {action} `{}`: {source}", path.display())]
pub struct StorageError {
    /// What was being done.
    action: &'static str,
    /// The file or folder.
    path: PathBuf,
    /// Why it failed.
    source: io::Error,
}

impl StorageError {
    /// True when the file was not there.
    pub fn is_not_found(&self) -> bool {
        self.source.kind() == io::ErrorKind::NotFound
    }
}

impl From<StorageError> for ApiError {
    /// The path is for the log; that a picture is gone is the client's business.
    fn from(error: StorageError) -> Self {
        if error.is_not_found() {
            return Self::new(ErrorKind::NotFound, "the picture is not there any more").with_cause(error);
        }
        Self::internal(error)
    }
}

/// Adds to an I/O error what was being done to which file.
trait WhileDoing<T> {
    fn while_doing(self, action: &'static str, path: &Path) -> Result<T, StorageError>;
}

impl<T> WhileDoing<T> for io::Result<T> {
    fn while_doing(self, action: &'static str, path: &Path) -> Result<T, StorageError> {
        self.map_err(|source| StorageError { action, path: path.to_path_buf(), source })
    }
}

/// Where a picture lies below the data folder, with `/` between the parts; what the database holds.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ObjectKey(String);

impl ObjectKey {
    /// A photo of an enrolled person.
    pub fn photo(person_id: Uuid, face_id: Uuid) -> Self {
        Self(format!("photos/{person_id}/{face_id}.jpg"))
    }

    /// The picture that came with an event, in a folder per day so that retention can drop whole days.
    pub fn snapshot(event_id: Uuid, timestamp: DateTime<Utc>) -> Self {
        Self(format!("snapshots/{}/{event_id}.jpg", timestamp.format("%Y-%m-%d")))
    }

    /// The key behind a database column; `None` for anything that could lead out of the data folder.
    pub fn parse(text: &str) -> Option<Self> {
        let is_safe_part = |part: &str| {
            !part.is_empty()
                && !part.starts_with('.')
                && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte))
        };
        let is_safe = text.contains('/') && text.split('/').all(is_safe_part);
        is_safe.then(|| Self(text.to_owned()))
    }

    /// The text to keep in the database.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ObjectKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The folder that holds every picture. Its methods block: call them from `spawn_blocking`.
#[derive(Clone, Debug)]
pub struct Storage {
    root: PathBuf,
}

impl Storage {
    /// Opens `data_dir`, making its folders and clearing what an earlier process left half written.
    ///
    /// # Errors
    /// When the folders cannot be made or written.
    pub fn open(data_dir: &Path) -> Result<Self, StorageError> {
        let storage = Self { root: data_dir.to_path_buf() };
        for name in ["photos", "snapshots", "staging"] {
            create_private_dir(&storage.root.join(name))?;
        }
        storage.clear_old_staging()?;
        Ok(storage)
    }

    /// The picture behind `key`.
    ///
    /// # Errors
    /// When it is not there (see [`StorageError::is_not_found`]) or cannot be read.
    pub fn read(&self, key: &ObjectKey) -> Result<Vec<u8>, StorageError> {
        let path = self.path(key);
        fs::read(&path).while_doing("read", &path)
    }

    /// Writes one picture whole, replacing an earlier one of that key.
    ///
    /// Not flushed to the platter: snapshots come by the thousand, and the picture of an event that a power
    /// cut swallows is worth less than the speed.
    ///
    /// # Errors
    /// When the file cannot be written; nothing is left behind then.
    pub fn write(&self, key: &ObjectKey, bytes: &[u8]) -> Result<(), StorageError> {
        let staged = self.root.join("staging").join(Uuid::new_v4().to_string());
        let target = self.path(key);
        let written = write_new(&staged, bytes, false).and_then(|()| {
            make_parent(&target)?;
            fs::rename(&staged, &target).while_doing("write", &target)
        });
        if written.is_err() {
            // The write is what failed; that its leftover cannot be removed either adds nothing.
            let _ = fs::remove_file(&staged);
        }
        written
    }

    /// Removes a picture; one that is gone already is fine.
    ///
    /// # Errors
    /// When the file is there and cannot be removed.
    pub fn remove(&self, key: &ObjectKey) -> Result<(), StorageError> {
        let path = self.path(key);
        match fs::remove_file(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            other => other.while_doing("remove", &path),
        }
    }

    /// Removes every photo of a person.
    ///
    /// # Errors
    /// When a file is there and cannot be removed.
    pub fn remove_photos_of(&self, person_id: Uuid) -> Result<(), StorageError> {
        remove_tree(&self.photos_of(person_id))
    }

    /// People who have a folder of photos that has not changed for an hour: after a crash between writing the
    /// files and the rows, one of them may be unknown to the database.
    ///
    /// # Errors
    /// When the folder cannot be listed.
    pub fn settled_photo_owners(&self) -> Result<Vec<Uuid>, StorageError> {
        let folder = self.root.join("photos");
        let mut owners = Vec::new();
        for entry in fs::read_dir(&folder).while_doing("list", &folder)? {
            let entry = entry.while_doing("list", &folder)?;
            let person_id = entry.file_name().to_str().and_then(|name| name.parse().ok());
            if let (Some(person_id), true) = (person_id, is_older_than(&entry.path(), STAGING_LIFETIME)) {
                owners.push(person_id);
            }
        }
        Ok(owners)
    }

    /// A fresh folder to gather the photos of one request in.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn stage(&self) -> Result<Staging, StorageError> {
        let folder = self.root.join("staging").join(Uuid::new_v4().to_string());
        create_private_dir(&folder)?;
        Ok(Staging { storage: self.clone(), folder })
    }

    fn clear_old_staging(&self) -> Result<(), StorageError> {
        let staging = self.root.join("staging");
        for entry in fs::read_dir(&staging).while_doing("list", &staging)? {
            let path = entry.while_doing("list", &staging)?.path();
            if !is_older_than(&path, STAGING_LIFETIME) {
                continue;
            }
            if path.is_dir() {
                remove_tree(&path)?;
            } else {
                fs::remove_file(&path).while_doing("remove", &path)?;
            }
        }
        Ok(())
    }

    fn photos_of(&self, person_id: Uuid) -> PathBuf {
        self.root.join("photos").join(person_id.to_string())
    }

    fn path(&self, key: &ObjectKey) -> PathBuf {
        self.root.join(&key.0)
    }
}

/// Photos of one request before they count. Dropped, it leaves nothing on disk.
#[derive(Debug)]
pub struct Staging {
    storage: Storage,
    folder: PathBuf,
}

impl Staging {
    /// Adds the photo that will become `face_id`'s, flushed to disk: it is about to be promised to someone.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn add(&self, face_id: Uuid, jpeg: &[u8]) -> Result<(), StorageError> {
        write_new(&self.staged(face_id), jpeg, true)
    }

    /// Moves the photos of `face_ids` to their final place. What was staged beside them is dropped.
    ///
    /// # Errors
    /// When a file cannot be moved; those already moved are removed again.
    pub fn publish(self, person_id: Uuid, face_ids: &[Uuid]) -> Result<(), StorageError> {
        let mut published = Vec::new();
        let moved = face_ids.iter().try_for_each(|face_id| {
            let key = ObjectKey::photo(person_id, *face_id);
            let target = self.storage.path(&key);
            make_parent(&target)?;
            fs::rename(self.staged(*face_id), &target).while_doing("write", &target)?;
            published.push(key);
            Ok(())
        });
        if moved.is_err() {
            for key in &published {
                // Best effort on the way out: the error that brought us here is the one to report.
                let _ = self.storage.remove(key);
            }
        }
        moved
    }

    fn staged(&self, face_id: Uuid) -> PathBuf {
        self.folder.join(face_id.to_string())
    }
}

impl Drop for Staging {
    fn drop(&mut self) {
        if let Err(error) = remove_tree(&self.folder) {
            tracing::warn!(%error, "leftover photos will be removed at the next start");
        }
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

fn write_new(path: &Path, bytes: &[u8], flush: bool) -> Result<(), StorageError> {
    let write = || {
        let mut file = File::create_new(path)?;
        file.write_all(bytes)?;
        if flush { file.sync_all() } else { Ok(()) }
    };
    write().while_doing("write", path)
}

fn remove_tree(path: &Path) -> Result<(), StorageError> {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other.while_doing("remove", path),
    }
}

fn is_older_than(path: &Path, age: Duration) -> bool {
    let modified = fs::metadata(path).and_then(|metadata| metadata.modified());
    modified.is_ok_and(|time| SystemTime::now().duration_since(time).is_ok_and(|past| past > age))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    fn files_below(folder: &Path) -> usize {
        let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
        entries.map(|path| if path.is_dir() { files_below(&path) } else { 1 }).sum()
    }

    #[test]
    fn keys_that_lead_elsewhere_are_refused() {
        for text in
            ["", "a", "/etc/passwd", "photos/../../x", "photos//x", "photos/.x", "photos/a b", "a/\\b"]
        {
            assert_eq!(ObjectKey::parse(text), None, "{text:?}");
        }
        let key = ObjectKey::photo(Uuid::nil(), Uuid::nil());
        assert_eq!(ObjectKey::parse(key.as_str()), Some(key));
    }

    #[test]
    fn a_written_picture_is_read_back_replaced_and_removed() {
        let folder = tempfile::tempdir().unwrap();
        let storage = Storage::open(folder.path()).unwrap();
        let key = ObjectKey::snapshot(Uuid::nil(), DateTime::UNIX_EPOCH);
        assert_eq!(key.as_str(), format!("snapshots/1970-01-01/{}.jpg", Uuid::nil()));
        assert!(storage.read(&key).unwrap_err().is_not_found());
        storage.write(&key, b"one").unwrap();
        storage.write(&key, b"two").unwrap();
        assert_eq!(storage.read(&key).unwrap(), b"two");
        assert_eq!(files_below(folder.path()), 1, "nothing may stay in staging");
        storage.remove(&key).unwrap();
        storage.remove(&key).unwrap();
        assert_eq!(files_below(folder.path()), 0);
    }

    #[test]
    fn dropped_staging_leaves_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let storage = Storage::open(folder.path()).unwrap();
        let staging = storage.stage().unwrap();
        staging.add(Uuid::from_u128(1), b"jpeg").unwrap();
        assert_eq!(files_below(folder.path()), 1);
        drop(staging);
        assert_eq!(files_below(folder.path()), 0);
    }

    #[test]
    fn publishing_moves_the_chosen_photos_and_drops_the_rest() {
        let folder = tempfile::tempdir().unwrap();
        let storage = Storage::open(folder.path()).unwrap();
        let (person_id, kept, refused) = (Uuid::from_u128(1), Uuid::from_u128(2), Uuid::from_u128(3));
        let staging = storage.stage().unwrap();
        staging.add(kept, b"kept").unwrap();
        staging.add(refused, b"refused").unwrap();
        staging.publish(person_id, &[kept]).unwrap();
        assert_eq!(storage.read(&ObjectKey::photo(person_id, kept)).unwrap(), b"kept");
        assert_eq!(files_below(folder.path()), 1);
        storage.remove_photos_of(person_id).unwrap();
        assert_eq!(files_below(folder.path()), 0);
    }

    #[test]
    fn a_photo_that_cannot_be_published_takes_the_others_back() {
        let folder = tempfile::tempdir().unwrap();
        let storage = Storage::open(folder.path()).unwrap();
        let (person_id, staged, missing) = (Uuid::from_u128(1), Uuid::from_u128(2), Uuid::from_u128(3));
        let staging = storage.stage().unwrap();
        staging.add(staged, b"jpeg").unwrap();
        assert!(staging.publish(person_id, &[staged, missing]).unwrap_err().is_not_found());
        assert_eq!(files_below(folder.path()), 0);
    }
}
