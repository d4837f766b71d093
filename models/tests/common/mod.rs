//! Where the photos and models of these tests lie, and reading them. What is not on this machine is skipped
//! with a word about it.

#![allow(dead_code, reason = "each test binary uses a part of it")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use vedette_models::Photo;
use vedette_models::detect::Detector;
use vedette_models::embed::Embedder;
use vedette_models::files::ModelSource;
use vedette_models::geometry::{Landmarks, Point, Rect};
use vedette_models::session::Device;

/// A face as the reference implementation found it.
#[derive(Debug, Deserialize)]
pub(crate) struct GoldenFace {
    /// Left, top, right, bottom.
    #[serde(rename = "box")]
    pub(crate) edges: [f32; 4],
    pub(crate) score: f32,
    pub(crate) landmarks: [[f32; 2]; 5],
}

impl GoldenFace {
    pub(crate) fn rect(&self) -> Rect {
        Rect::from_edges(self.edges[0], self.edges[1], self.edges[2], self.edges[3])
    }
}

pub(crate) fn points(landmarks: &[[f32; 2]; 5]) -> Landmarks {
    landmarks.map(|[x, y]| Point::new(x, y))
}

/// The portraits of the repository.
pub(crate) fn media_folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/media")
}

/// A file or folder of the data that is not part of the repository, if it is there.
pub(crate) fn shared(path: &str) -> Option<PathBuf> {
    let root = std::env::var_os("VEDETTE_SHARED")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared"), PathBuf::from);
    let found = Some(root.join(path)).filter(|path| path.exists());
    if found.is_none() {
        eprintln!(
            "skipped: {} is not on this machine (VEDETTE_SHARED names its folder)",
            root.join(path).display()
        );
    }
    found
}

/// Folders with photos of which the reference's numbers are known, by the names these are kept under.
pub(crate) fn photo_folders() -> Vec<(&'static str, PathBuf)> {
    let folders = [
        ("media", Some(media_folder())),
        ("groups", shared("data/faces/groups")),
        ("people", shared("data/faces/people")),
    ];
    folders.into_iter().filter_map(|(name, path)| Some((name, path?))).collect()
}

pub(crate) fn golden_folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden")
}

pub(crate) fn golden<T: for<'a> Deserialize<'a>>(name: &str) -> BTreeMap<String, T> {
    let path = golden_folder().join(name);
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

pub(crate) fn photo(path: &Path) -> Photo {
    Photo::decode(&std::fs::read(path).unwrap()).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The default pack's detector; `make` fetches it before the tests run.
pub(crate) fn yunet() -> Detector {
    Detector::open(&ModelSource::pack("opencv").unwrap(), Device::Cpu).unwrap()
}

/// The default pack's embedder.
pub(crate) fn sface() -> Embedder {
    Embedder::open(&ModelSource::pack("opencv").unwrap(), Device::Cpu).unwrap()
}
