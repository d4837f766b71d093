//! Finds out what becomes of cameras, and publishes it.
//!
//! How a camera is doing is known to the instance its worker reports to. With several instances only that one
//! speaks about it; the others, which only know that nobody reports to them, keep quiet.

use std::collections::HashMap;
use std::time::Duration;

use vedette_events::CameraState;

use super::Hub;
use crate::cameras::{self, CameraView};
use crate::state::State;

/// Nobody reports that a worker fell silent: one has to look.
const LOOK_INTERVAL: Duration = Duration::from_secs(2);

/// Publishes every change of a camera's status, for ever.
pub async fn watch_cameras(state: State) {
    let mut known: Option<HashMap<String, CameraView>> = None;
    loop {
        // An error means that time is up, which is as good a reason to look.
        let _ = tokio::time::timeout(LOOK_INTERVAL, state.live.cameras_may_have_changed()).await;
        if !state.live.is_anyone_there() {
            known = None;
            continue;
        }
        let Ok(cameras) = cameras::all(&state).await else { continue };
        if let Some(known) = &known {
            cameras.iter().for_each(|camera| compare(&state.live, known.get(camera.id()), camera));
        }
        known = Some(cameras.into_iter().map(|camera| (camera.id().to_owned(), camera)).collect());
    }
}

fn compare(hub: &Hub, before: Option<&CameraView>, now: &CameraView) {
    if before.is_some_and(|before| before.is_doing_as(now)) {
        return;
    }
    let is_held_here = |camera: &CameraView| camera.worker().is_some();
    let is_ours = is_held_here(now) || before.is_some_and(is_held_here);
    if is_ours || now.status() == CameraState::Stopped || !hub.is_shared() {
        hub.publish("camera", now);
    }
}
