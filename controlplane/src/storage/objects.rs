//! Pictures in a bucket of S3, or of anything that speaks its language, through `object_store`.
//!
//! Every request has a time limit well below that of a worker's (`plugins/face/src/eventsink/http.rs`): a storage that is
//! slow or gone refuses a batch in time for the worker to keep it and to send it again.

use std::future::ready;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, anyhow};
use chrono::{DateTime, NaiveDate, Utc};
use futures_util::stream::{self, BoxStream};
use futures_util::{StreamExt as _, TryStreamExt as _};
use object_store::aws::{AmazonS3Builder, AmazonS3ConfigKey};
use object_store::path::Path;
use object_store::prefix::PrefixStore;
use object_store::{
    Attribute, Attributes, BackoffConfig, ClientOptions, Error, ObjectMeta, ObjectStore, ObjectStoreExt as _,
    PutOptions, RetryConfig,
};
use secrecy::ExposeSecret as _;
use tokio_rustls::rustls;

use super::{ObjectKey, Picture, StorageError};
use crate::config::BucketSettings;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
/// How long one request may take.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(5);
/// From the first request on, how long a failed one is tried again.
const RETRY_TIMEOUT: Duration = Duration::from_secs(4);
const MAX_RETRIES: usize = 3;
/// How long writing or removing any number of pictures may take.
const PORTION_TIMEOUT: Duration = Duration::from_secs(15);
/// Pictures on their way at the same time.
const AT_ONCE: usize = 16;
/// All snapshots.
const SNAPSHOTS: &str = "snapshots";

/// A bucket, or the part of it below a prefix.
#[derive(Clone, Debug)]
pub(super) struct Objects {
    store: Arc<dyn ObjectStore>,
}

impl Objects {
    /// Makes a client for the bucket; nothing is sent yet.
    pub(super) fn open(settings: &BucketSettings) -> Result<Self> {
        // The one TLS of this program. Somebody else may have said so already, which is as good.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let endpoint = settings.aws.iter().find(|(name, _)| name.starts_with("AWS_ENDPOINT"));
        let is_plain = endpoint.is_some_and(|(_, url)| url.expose_secret().starts_with("http://"));
        let client = ClientOptions::new()
            .with_connect_timeout(CONNECT_TIMEOUT)
            .with_timeout(REQUEST_TIMEOUT)
            // Whoever names an address without TLS means it.
            .with_allow_http(is_plain);
        let backoff = BackoffConfig {
            init_backoff: Duration::from_millis(100),
            max_backoff: Duration::from_secs(1),
            base: 2.0,
        };
        let retry = RetryConfig { backoff, max_retries: MAX_RETRIES, retry_timeout: RETRY_TIMEOUT };
        let mut builder = AmazonS3Builder::new().with_client_options(client).with_retry(retry);
        for (name, value) in &settings.aws {
            // What this library does not know of, such as AWS_PROFILE, is for others.
            if let Ok(key) = name.to_ascii_lowercase().parse::<AmazonS3ConfigKey>() {
                builder = builder.with_config(key, value.expose_secret());
            }
        }
        // The error may quote a value, which may be secret.
        let store = builder.with_bucket_name(&settings.bucket).build();
        let store = store.map_err(|_| anyhow!("the AWS_* variables do not hold, or do not fit together"))?;
        let prefix = Path::parse(&settings.prefix).context("STORAGE_URL has a prefix that cannot be used")?;
        Ok(Self::in_store(PrefixStore::new(store, prefix)))
    }

    pub(super) fn in_store(store: impl ObjectStore) -> Self {
        Self { store: Arc::new(store) }
    }

    /// Whether the bucket can be listed.
    pub(super) async fn is_there(&self) -> bool {
        self.store.list(Some(&Path::from("probe"))).next().await.is_none_or(|found| found.is_ok())
    }

    pub(super) async fn read(&self, key: &ObjectKey) -> Result<Vec<u8>, StorageError> {
        let read = async { self.store.get(&path(key)).await?.bytes().await };
        let bytes = read.await.map_err(|source| StorageError {
            is_not_found: matches!(source, Error::NotFound { .. }),
            ..failed("read", key.as_str(), source)
        })?;
        Ok(bytes.into())
    }

    pub(super) async fn write(&self, pictures: Vec<Picture>) -> Result<(), StorageError> {
        let write = |Picture { key, jpeg }| async move {
            let attributes = Attributes::from_iter([(Attribute::ContentType, "image/jpeg")]);
            let options = PutOptions { attributes, ..PutOptions::default() };
            let written = self.store.put_opts(&path(&key), jpeg.into(), options).await;
            written.map(drop).map_err(|source| failed("write", key.as_str(), source))
        };
        let writes = stream::iter(pictures).map(write).buffer_unordered(AT_ONCE);
        within("write", writes.try_collect()).await
    }

    pub(super) async fn remove(&self, keys: Vec<ObjectKey>) -> Result<(), StorageError> {
        let (folders, pictures): (Vec<_>, Vec<_>) = keys.into_iter().partition(ObjectKey::is_folder);
        within("remove", async {
            let paths: Vec<_> = pictures.iter().map(|key| Ok(path(key))).collect();
            self.delete(stream::iter(paths).boxed()).await?;
            for folder in folders {
                let found = self.store.list(Some(&path(&folder)));
                self.delete(found.map_ok(|found| found.location).boxed()).await?;
            }
            Ok(())
        })
        .await
    }

    /// Deletes all it can, and then says what it could not.
    async fn delete(
        &self,
        paths: BoxStream<'static, object_store::Result<Path>>,
    ) -> Result<(), StorageError> {
        let mut deleted = self.store.delete_stream(paths);
        let mut outcome = Ok(());
        while let Some(one) = deleted.next().await {
            match one {
                Ok(_) | Err(Error::NotFound { .. }) => {}
                Err(source) => outcome = Err(failed("remove", "pictures", source)),
            }
        }
        outcome
    }

    pub(super) async fn snapshot_days(&self) -> Result<Vec<NaiveDate>, StorageError> {
        let listed = self.store.list_with_delimiter(Some(&Path::from(SNAPSHOTS))).await;
        let listed = listed.map_err(|source| failed("list", SNAPSHOTS, source))?;
        Ok(listed.common_prefixes.iter().filter_map(|day| day.filename()?.parse().ok()).collect())
    }

    pub(super) async fn snapshots_of(
        &self,
        day: NaiveDate,
        written_before: DateTime<Utc>,
    ) -> Result<Vec<ObjectKey>, StorageError> {
        let folder = ObjectKey::snapshots_of(day);
        let key_of = |found: ObjectMeta| {
            let key = ObjectKey::parse(found.location.as_ref());
            ready(Ok(key.filter(|_| found.last_modified < written_before)))
        };
        let keys = self.store.list(Some(&path(&folder))).try_filter_map(key_of);
        keys.try_collect().await.map_err(|source| failed("list", folder.as_str(), source))
    }
}

fn path(key: &ObjectKey) -> Path {
    Path::from(key.as_str())
}

fn failed(action: &'static str, what: &str, source: Error) -> StorageError {
    StorageError { action, what: what.to_owned(), is_not_found: false, source: Box::new(source) }
}

/// Gives up what takes too long.
async fn within(
    action: &'static str,
    work: impl Future<Output = Result<(), StorageError>>,
) -> Result<(), StorageError> {
    let late = |source: tokio::time::error::Elapsed| StorageError {
        action,
        what: "pictures".to_owned(),
        is_not_found: false,
        source: Box::new(source),
    };
    tokio::time::timeout(PORTION_TIMEOUT, work).await.map_err(late)?
}
