//! The same for every place pictures can be in: the folder, `object_store`'s memory, and a real S3 server.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, unreachable_pub)]

use std::fs;
use std::path::Path;

use chrono::{TimeDelta, Utc};
use object_store::memory::InMemory;
use uuid::Uuid;

use super::*;
use crate::config::{Environment, Stage};

#[path = "../../tests/s3/server.rs"]
mod s3_server;
use s3_server::S3;

fn folder(path: &Path) -> Storage {
    Storage::of(Place::Folder(Folder::open(path).unwrap()))
}

fn memory() -> Storage {
    Storage::of(Place::Objects(Objects::in_store(InMemory::new())))
}

async fn s3(prefix: &str) -> Storage {
    let server = S3::shared();
    let variables: Environment = server.variables(server.url(), prefix).into_iter().collect();
    Storage::open(&EnvironmentSettings::read(&variables, Stage::Development).unwrap()).await.unwrap()
}

fn snapshot(number: u128, second: i64) -> ObjectKey {
    ObjectKey::snapshot(Uuid::from_u128(number), DateTime::from_timestamp(second, 0).unwrap())
}

fn picture(key: &ObjectKey, bytes: &[u8]) -> Picture {
    Picture { key: key.clone(), jpeg: bytes.to_vec() }
}

async fn is_there(storage: &Storage, key: &ObjectKey) -> bool {
    match storage.read(key).await {
        Ok(_) => true,
        Err(error) if error.is_not_found() => false,
        Err(error) => panic!("{error}"),
    }
}

/// What holds wherever pictures are.
async fn holds(storage: &Storage) {
    assert!(storage.is_available().await);
    let [one, two, three] = [snapshot(1, 0), snapshot(2, 0), snapshot(3, 86_400)];
    assert!(!is_there(storage, &one).await);
    let pictures = [&one, &two, &three].map(|key| picture(key, b"first")).to_vec();
    storage.write(pictures, Care::Passing).await.unwrap();
    storage.write(vec![picture(&one, b"second")], Care::Lasting).await.unwrap();
    assert_eq!(storage.read(&one).await.unwrap(), b"second", "the later one counts");
    assert_eq!(storage.read(&two).await.unwrap(), b"first");
    storage.write(Vec::new(), Care::Passing).await.unwrap();

    let mut days = storage.snapshot_days().await.unwrap();
    days.sort_unstable();
    let first_day = NaiveDate::default();
    assert_eq!(days, [first_day, first_day + TimeDelta::days(1)]);
    let of_first_day = async |written_before: DateTime<Utc>| {
        let mut keys = storage.snapshots_of(first_day, written_before).await.unwrap();
        keys.sort_unstable();
        keys
    };
    assert_eq!(of_first_day(Utc::now() + TimeDelta::hours(1)).await, [one.clone(), two.clone()]);
    assert!(of_first_day(Utc::now() - TimeDelta::hours(1)).await.is_empty(), "they are young");

    storage.remove(vec![one.clone(), snapshot(9, 0)]).await.unwrap();
    storage.remove(vec![one.clone()]).await.unwrap();
    assert_eq!([is_there(storage, &one).await, is_there(storage, &two).await], [false, true]);

    // More than S3 deletes at once.
    let [her, him] = [Uuid::from_u128(10), Uuid::from_u128(11)];
    let faces = (0..1_100).map(|number| ObjectKey::photo(her, Uuid::from_u128(number)));
    let photos: Vec<Picture> = faces.map(|key| picture(&key, b"she")).collect();
    let his = ObjectKey::photo(him, her);
    for photos in photos.chunks(100) {
        storage.write(photos.to_vec(), Care::Passing).await.unwrap();
    }
    storage.write(vec![picture(&his, b"he")], Care::Lasting).await.unwrap();
    storage.remove(vec![ObjectKey::photos_of(her), ObjectKey::photos_of(Uuid::nil())]).await.unwrap();
    for number in [0, 1_099] {
        assert!(!is_there(storage, &ObjectKey::photo(her, Uuid::from_u128(number))).await);
    }
    assert_eq!(storage.read(&his).await.unwrap(), b"he");
}

#[tokio::test]
async fn in_a_folder() {
    let data_dir = tempfile::tempdir().unwrap();
    holds(&folder(data_dir.path())).await;
    let staged = fs::read_dir(data_dir.path().join("staging")).unwrap();
    assert_eq!(staged.count(), 0, "nothing may stay in staging");
}

#[tokio::test]
async fn in_memory() {
    holds(&memory()).await;
}

#[tokio::test]
async fn in_s3() {
    holds(&s3("suite/a").await).await;
}

#[tokio::test]
async fn prefixes_of_a_bucket_do_not_meet() {
    let (one, another) = (s3("meet/a").await, s3("meet/ab").await);
    let key = snapshot(1, 0);
    another.write(vec![picture(&key, b"x")], Care::Passing).await.unwrap();
    assert!(!is_there(&one, &key).await);
    assert!(one.snapshot_days().await.unwrap().is_empty());
    one.remove(vec![key.clone()]).await.unwrap();
    assert!(is_there(&another, &key).await);
}

#[tokio::test]
async fn a_bucket_that_is_not_ours_is_not_available() {
    let server = S3::shared();
    let mut variables = server.variables(server.url(), "");
    let open = async |variables: &[(String, String)]| {
        let environment: Environment = variables.iter().cloned().collect();
        Storage::open(&EnvironmentSettings::read(&environment, Stage::Development).unwrap()).await.unwrap()
    };
    assert!(open(&variables).await.is_available().await);
    variables.push(("AWS_SECRET_ACCESS_KEY".to_owned(), "of somebody else".to_owned()));
    let theirs = open(&variables).await;
    assert!(!theirs.is_available().await);
    let error = theirs.write(vec![picture(&snapshot(1, 0), b"x")], Care::Passing).await.unwrap_err();
    assert!(!error.is_not_found() && !error.to_string().contains("of somebody else"), "{error}");
    variables.pop();
    variables.push(("STORAGE_URL".to_owned(), "s3://nobodys".to_owned()));
    assert!(!open(&variables).await.is_available().await);
}

#[tokio::test]
async fn a_day_without_snapshots_loses_its_folder() {
    let data_dir = tempfile::tempdir().unwrap();
    let storage = folder(data_dir.path());
    let key = snapshot(1, 0);
    storage.write(vec![picture(&key, b"x")], Care::Passing).await.unwrap();
    storage.remove(vec![key]).await.unwrap();
    storage.snapshots_of(NaiveDate::default(), Utc::now()).await.unwrap();
    assert!(storage.snapshot_days().await.unwrap().is_empty());
}

#[tokio::test]
async fn what_cannot_be_written_leaves_nothing() {
    let data_dir = tempfile::tempdir().unwrap();
    let storage = folder(data_dir.path());
    let photos = data_dir.path().join("photos");
    fs::remove_dir(&photos).unwrap();
    fs::write(&photos, "in the way").unwrap();
    let photo = picture(&ObjectKey::photo(Uuid::nil(), Uuid::nil()), b"x");
    let error = storage.write(vec![photo], Care::Lasting).await.unwrap_err();
    assert_eq!(ApiError::from(error).kind(), ErrorKind::Storage);
    assert_eq!(fs::read_dir(data_dir.path().join("staging")).unwrap().count(), 0);
}
