//! What every end-to-end test begins with: a server on a fresh data folder, its administrator logged in.

use std::{
    path::{Path, PathBuf},
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use anyhow::{Context as _, Result, bail};
use serde_json::{Value, json};
use tempfile::TempDir;
use vedette_tests::{
    api::{Api, FIRST_LOGIN, wait_for},
    checkout,
    clip::Clip,
    server::{Plan, Server},
    truth::{Sighting, Truth},
};

pub(crate) const PASSWORD: &str = "Correct-Horse-9-battery";
/// Plenty even for a busy machine: nothing here is about speed.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

/// Waits until no other test runs.
pub(crate) fn turn() -> MutexGuard<'static, ()> {
    // A failed test poisons the lock and is told of by itself.
    ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A running server and its administrator.
pub(crate) struct Scene {
    pub(crate) server: Server,
    pub(crate) api: Api,
    folder: TempDir,
    _turn: MutexGuard<'static, ()>,
}

impl Scene {
    pub(crate) fn set() -> Result<Self> {
        let turn = turn();
        let folder = tempfile::tempdir()?;
        let server = Plan::for_test(folder.path())?.start()?;
        let mut api = server.api();
        let (username, first_password) = FIRST_LOGIN;
        api.log_in(username, first_password)?;
        api.change_password(username, first_password, PASSWORD)?;
        Ok(Self { server, api, folder, _turn: turn })
    }

    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Makes a clip in the scene's folder.
    pub(crate) fn clip(&self, name: &str, clip: &Clip) -> Result<(PathBuf, Truth)> {
        clip.make(&self.folder().join(name))
    }

    /// Registers everyone a clip knows and returns the id of the last.
    pub(crate) fn enrol(&self, truth: &Truth) -> Result<String> {
        let mut id = String::new();
        for (name, photos) in &truth.enroll {
            let person = self.api.register(name, &media(photos))?.expect(201)?;
            id = person["id"].as_str().context("a person without id")?.to_owned();
        }
        Ok(id)
    }

    /// Creates and starts a camera on a video file.
    pub(crate) fn start_camera(&self, id: &str, video: &Path, looped: bool) -> Result<()> {
        let url = format!("file://{}", video.display());
        let camera = json!({"id": id, "name": id, "url": url, "enabled": true, "loop": looped});
        self.api.post("/api/cameras", &camera)?.expect(201)?;
        self.api.post(&format!("/api/cameras/{id}/start"), &json!({}))?.expect(200).map(|_| ())
    }

    pub(crate) fn camera(&self, id: &str) -> Result<Value> {
        self.api.get(&format!("/api/cameras/{id}"))?.expect(200)
    }

    /// Waits until a camera has `status`; `error` is a failure unless awaited.
    pub(crate) fn await_status(&self, id: &str, status: &str) -> Result<Value> {
        wait_for(&format!("camera `{id}` to be {status}"), PATIENCE, || {
            let camera = self.camera(id)?;
            if camera["status"] == status {
                return Ok(Some(camera));
            }
            if camera["status"] == "error" {
                bail!("camera `{id}` fails: {}\n{}", camera["last_error"], self.server.log_tail());
            }
            Ok(None)
        })
        .with_context(|| format!("the log ends with\n{}", self.server.log_tail()))
    }

    /// Waits for a detection of a camera that is as wanted.
    pub(crate) fn await_detection(
        &self,
        awaited: &str,
        camera_id: &str,
        mut is_wanted: impl FnMut(&Value) -> bool,
    ) -> Result<Value> {
        wait_for(awaited, PATIENCE, || {
            Ok(self.api.detections(camera_id, None)?.into_iter().find(|detection| is_wanted(detection)))
        })
        .with_context(|| format!("the log ends with\n{}", self.server.log_tail()))
    }
}

/// Paths of photos in `tests/media`.
pub(crate) fn media(photos: &[String]) -> Vec<PathBuf> {
    photos.iter().map(|photo| checkout::media_dir().join(photo)).collect()
}

/// What the detections of a camera say about who was seen where and when.
pub(crate) fn sightings(detections: &[Value]) -> Vec<Sighting> {
    let sighting = |detection: &Value| {
        let number = |value: &Value| value.as_f64().unwrap_or_default();
        let face = &detection["bounding_box"];
        Sighting {
            time_s: number(&detection["stream_time_ms"]) / 1000.0,
            centre_y: number(&face["y"]) + number(&face["height"]) / 2.0,
            name: detection["person_name"].as_str().map(str::to_owned),
        }
    };
    detections.iter().filter(|detection| detection["kind"] != "left").map(sighting).collect()
}
