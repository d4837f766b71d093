//! Which files of a worker's host a camera may be, by who asks for it.
//!
//! The server's administrator may read them anyway. An operator gets recordings out of the folders set aside for them, and
//! nothing else of the host: no video of another program's, no device, no picture of a person.

use std::path::{Component, Path, PathBuf};

use super::SourceUrl;
use crate::auth::{CurrentUser, Role};
use crate::config::Config;
use crate::error::ApiError;

/// Folder below the data folder that is meant when the settings name none.
const DEFAULT_FOLDER: &str = "media";

/// Refuses a file that `user` may not have played.
pub(super) fn check(config: &Config, user: &CurrentUser, url: &SourceUrl) -> Result<(), ApiError> {
    if !url.is_file() || user.role >= Role::Admin {
        return Ok(());
    }
    let folders = folders(config);
    if url.file_path().is_some_and(|path| is_inside(&path, &folders)) {
        return Ok(());
    }
    let listed: Vec<String> = folders.iter().map(|folder| folder.display().to_string()).collect();
    let message = format!(
        "operators may play files of {} only: put it there, or ask an administrator to add the camera",
        listed.join(", ")
    );
    Err(ApiError::validation("url", message))
}

fn folders(config: &Config) -> Vec<PathBuf> {
    let mut folders = config.file.cameras.file_folders.clone();
    if folders.is_empty() {
        folders.push(config.environment.data_dir.join(DEFAULT_FOLDER));
    }
    folders.into_iter().map(|folder| std::path::absolute(&folder).unwrap_or(folder)).collect()
}

/// Whether a path lies in one of `folders` as it is written. The file may be on another host, so nothing is looked up.
fn is_inside(path: &Path, folders: &[PathBuf]) -> bool {
    let is_straight = path.components().all(|part| matches!(part, Component::RootDir | Component::Normal(_)));
    is_straight && folders.iter().any(|folder| path.starts_with(folder) && path != folder)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn is_in_media(url: &str) -> bool {
        let url: SourceUrl = url.parse().unwrap();
        is_inside(&url.file_path().unwrap(), &["/data/media".into()])
    }

    #[test]
    fn only_what_lies_inside_is_inside() {
        for url in [
            "file:///data/media/a.mp4",
            "file:///data/media/b/c%20d.mp4?loop=true",
            "FILE:///data/media/./a.mp4",
        ] {
            assert!(is_in_media(url), "{url}");
        }
        for url in [
            "file:///etc/passwd",
            "file:///data/media",
            "file:///data/media/",
            "file:///data/mediator/a.mp4",
            "file:///data/media/../vedette.db",
            "file:///data/media/%2e%2e/vedette.db",
            "file:///data/media/..%2fvedette.db",
            "file:///data/media/x%2f..%2f..%2fvedette.db",
            "file:////data/other/a.mp4",
            "file:///dev/video0",
        ] {
            assert!(!is_in_media(url), "{url}");
        }
    }
}
