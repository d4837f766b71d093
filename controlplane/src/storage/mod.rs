//! Pictures: photos of enrolled people and snapshots of events, in the data folder or in a bucket of S3.
//!
//! A picture is named by an [`ObjectKey`] made of ids and dates only, never of anything a client sent, so no
//! request can reach elsewhere. Wherever they are, pictures appear whole or not at all, and no operation waits for
//! ever: one that cannot be done fails, and whoever asked tries again.
//!
//! The folder is written by our own hand ([`folder`]) and not by `object_store`, which puts half-written files beside
//! the whole ones, where what a killed process leaves is found only by walking through all of them.

mod folder;
mod key;
mod objects;
#[cfg(test)]
mod tests;

use std::error::Error as StdError;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use chrono::{DateTime, NaiveDate, Utc};
use thiserror::Error;
use tokio::sync::Mutex;

pub use key::ObjectKey;

use crate::config::EnvironmentSettings;
use crate::error::{ApiError, ErrorKind};
use folder::Folder;
use objects::Objects;

/// What a look at the storage tells holds for so long: load balancers ask often, and S3 counts requests.
const LOOK_LIFETIME: Duration = Duration::from_secs(5);
/// How long a look may take.
const LOOK_TIMEOUT: Duration = Duration::from_secs(2);

/// An operation that failed, with the picture or place it was about.
#[derive(Debug, Error)]
#[error("cannot {action} `{what}`: {source}")]
pub struct StorageError {
    /// What was being done.
    action: &'static str,
    /// The picture, file or folder.
    what: String,
    /// Whether that is because it is not there.
    is_not_found: bool,
    /// Why it failed.
    source: Box<dyn StdError + Send + Sync>,
}

impl StorageError {
    /// True when the picture was not there.
    pub fn is_not_found(&self) -> bool {
        self.is_not_found
    }
}

impl From<StorageError> for ApiError {
    /// The path is for the log; that a picture is gone is the client's business.
    fn from(error: StorageError) -> Self {
        if error.is_not_found {
            return Self::new(ErrorKind::NotFound, "the picture is not there any more").with_cause(error);
        }
        let message = "the pictures cannot be reached at the moment; try again shortly";
        Self::new(ErrorKind::Storage, message).with_cause(error)
    }
}

/// A picture to be written.
#[derive(Clone, Debug)]
pub struct Picture {
    /// Its name.
    pub key: ObjectKey,
    /// Its bytes.
    pub jpeg: Vec<u8>,
}

/// How much care a picture is written with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Care {
    /// On the disk before anybody is told that it is kept: the photos someone was enrolled with.
    Lasting,
    /// Snapshots come by the thousand, and the picture of an event that a power cut swallows is worth less than the
    /// speed.
    Passing,
}

/// Where the pictures are.
#[derive(Clone, Debug)]
pub struct Storage {
    place: Place,
    /// When it was last looked at, and whether it was there.
    last_look: Arc<Mutex<Option<(Instant, bool)>>>,
}

#[derive(Clone, Debug)]
enum Place {
    Folder(Folder),
    Objects(Objects),
}

impl Storage {
    /// Opens the bucket the settings name, or the data folder. A bucket need not be there at this moment.
    ///
    /// # Errors
    /// When the settings do not hold, or the folder cannot be made or written.
    pub async fn open(settings: &EnvironmentSettings) -> Result<Self> {
        let place = match &settings.bucket {
            Some(bucket) => Place::Objects(Objects::open(bucket)?),
            None => {
                let data_dir = settings.data_dir.clone();
                let open = tokio::task::spawn_blocking(move || Folder::open(&data_dir));
                Place::Folder(open.await.context("opening the folder of pictures broke down")??)
            }
        };
        let storage = Self::of(place);
        if settings.bucket.is_some() && !storage.is_available().await {
            tracing::warn!(
                "the bucket of pictures cannot be reached; check STORAGE_URL and the AWS_* variables"
            );
        }
        Ok(storage)
    }

    fn of(place: Place) -> Self {
        Self { place, last_look: Arc::default() }
    }

    /// The picture behind `key`.
    ///
    /// # Errors
    /// When it is not there (see [`StorageError::is_not_found`]) or cannot be read.
    pub async fn read(&self, key: &ObjectKey) -> Result<Vec<u8>, StorageError> {
        match &self.place {
            Place::Folder(folder) => {
                let key = key.clone();
                folder.run(move |folder| folder.read(&key)).await
            }
            Place::Objects(objects) => objects.read(key).await,
        }
    }

    /// Writes pictures, each whole, replacing earlier ones of their keys.
    ///
    /// # Errors
    /// When one cannot be written; others may be there then.
    pub async fn write(&self, pictures: Vec<Picture>, care: Care) -> Result<(), StorageError> {
        match &self.place {
            Place::Folder(folder) => {
                let write = move |folder: &Folder| {
                    pictures.iter().try_for_each(|picture| folder.write(picture, care))
                };
                folder.run(write).await
            }
            Place::Objects(objects) => objects.write(pictures).await,
        }
    }

    /// Removes pictures; those that are gone already are fine. A key of a folder stands for everything in it.
    ///
    /// # Errors
    /// When one is there and cannot be removed; others may be gone then.
    pub async fn remove(&self, keys: Vec<ObjectKey>) -> Result<(), StorageError> {
        match &self.place {
            Place::Folder(folder) => folder.remove_all(keys).await,
            Place::Objects(objects) => objects.remove(keys).await,
        }
    }

    /// The days there are snapshots of, in no order.
    ///
    /// # Errors
    /// When they cannot be listed.
    pub async fn snapshot_days(&self) -> Result<Vec<NaiveDate>, StorageError> {
        match &self.place {
            Place::Folder(folder) => folder.run(Folder::snapshot_days).await,
            Place::Objects(objects) => objects.snapshot_days().await,
        }
    }

    /// The snapshots of a day which were written before a moment.
    ///
    /// # Errors
    /// When they cannot be listed.
    pub async fn snapshots_of(
        &self,
        day: NaiveDate,
        written_before: DateTime<Utc>,
    ) -> Result<Vec<ObjectKey>, StorageError> {
        match &self.place {
            Place::Folder(folder) => folder.run(move |folder| folder.snapshots_of(day, written_before)).await,
            Place::Objects(objects) => objects.snapshots_of(day, written_before).await,
        }
    }

    /// Whether pictures can be read and written just now, as far as a look within the last seconds tells.
    pub async fn is_available(&self) -> bool {
        let mut last_look = self.last_look.lock().await;
        if let Some((at, is_available)) = *last_look
            && at.elapsed() < LOOK_LIFETIME
        {
            return is_available;
        }
        let look = async {
            match &self.place {
                Place::Folder(folder) => folder.run(|folder| Ok(folder.is_there())).await.unwrap_or(false),
                Place::Objects(objects) => objects.is_there().await,
            }
        };
        let is_available = tokio::time::timeout(LOOK_TIMEOUT, look).await.unwrap_or(false);
        *last_look = Some((Instant::now(), is_available));
        is_available
    }
}
