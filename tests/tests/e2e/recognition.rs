//! A face's way from a video file to the REST API's answer.

use std::collections::BTreeSet;

use anyhow::{Context as _, Result, ensure};
use vedette_tests::{
    api::wait_for,
    clip::{Clip, KNOWN, walk},
};

use crate::scene::{PATIENCE, Scene, sightings};

#[test]
fn people_in_a_clip_are_named_and_strangers_are_not() -> Result<()> {
    let scene = Scene::set()?;
    let (video, truth) = scene.clip("crossing", &Clip::demo())?;
    let person_id = scene.enrol(&truth)?;
    scene.start_camera("hall", &video, false)?;
    scene.await_status("hall", "stopped")?;

    // What the pipeline reported is delivered; the last event may still be on its way.
    let detections = wait_for("everyone to be reported", PATIENCE, || {
        let detections = scene.api.detections("hall", None)?;
        let is_complete = truth.score(&sightings(&detections)).seen == truth.appearances.len();
        Ok(is_complete.then_some(detections))
    })?;
    let score = truth.score(&sightings(&detections));
    ensure!(score.is_perfect(), "{score}: {:#?}", score.mistakes);

    for detection in &detections {
        let is_named = !detection["person_id"].is_null();
        ensure!(is_named == (detection["person_name"] == KNOWN), "{detection}");
        ensure!(is_named == detection["similarity"].is_number(), "{detection}");
        ensure!(!is_named || detection["person_id"] == person_id.as_str(), "{detection}");
        ensure!(detection["frame"]["width"] == 1280 && detection["frame"]["height"] == 720, "{detection}");
    }
    Ok(())
}

#[test]
fn an_event_has_its_picture() -> Result<()> {
    let scene = Scene::set()?;
    let (video, truth) = scene.clip("one", &Clip::of(vec![walk(KNOWN, "obama2.jpg", 0.2, 3.0, 0)]))?;
    scene.enrol(&truth)?;
    scene.start_camera("door", &video, false)?;
    let detection =
        scene.await_detection("a recognition", "door", |detection| detection["kind"] == "recognized")?;

    let url = detection["snapshot_url"].as_str().context("a recognition without a picture")?;
    let picture = scene.api.get(url)?;
    ensure!(picture.status == 200 && picture.body.starts_with(&[0xFF, 0xD8]), "{url}: {}", picture.status);
    let decoded = image::load_from_memory(&picture.body).context("the picture cannot be decoded")?;
    ensure!(decoded.width() >= 64 && decoded.height() >= 64, "{} × {}", decoded.width(), decoded.height());
    ensure!(scene.server.api().get(url)?.status == 401, "a face is shown to someone not logged in");
    Ok(())
}

#[test]
fn two_live_cameras_share_one_worker() -> Result<()> {
    let scene = Scene::set()?;
    let (front, truth) =
        scene.clip("front", &Clip::of(vec![walk(KNOWN, "obama_partial_face.jpg", 0.2, 3.0, 0)]))?;
    let (back, _) = scene.clip("back", &Clip::of(vec![walk(KNOWN, "obama3.jpg", 0.2, 3.0, 1)]))?;
    scene.enrol(&truth)?;
    scene.start_camera("front", &front, true)?;
    scene.start_camera("back", &back, true)?;

    for camera in ["front", "back"] {
        scene.await_status(camera, "running")?;
        scene.await_detection("a recognition", camera, |detection| detection["person_name"] == KNOWN)?;
    }
    ensure!(scene.server.workers().len() == 1, "one worker runs all cameras: {:?}", scene.server.workers());

    // A loop is a live camera: every round is a new appearance.
    wait_for("the third round", PATIENCE, || {
        let detections = scene.api.detections("front", None)?;
        let recognitions = detections.iter().filter(|detection| detection["kind"] == "recognized");
        let tracks: BTreeSet<_> =
            recognitions.filter_map(|detection| detection["track_id"].as_u64()).collect();
        Ok((tracks.len() >= 3).then_some(()))
    })?;
    for camera in ["front", "back"] {
        let stopped =
            scene.api.post(&format!("/api/cameras/{camera}/stop"), &serde_json::json!({}))?.expect(200)?;
        ensure!(stopped["status"] == "stopped", "{stopped}");
    }
    Ok(())
}
