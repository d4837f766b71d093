//! People come and go while cameras run.

use anyhow::{Context as _, Result, ensure};
use chrono::{DateTime, TimeDelta, Utc};
use serde_json::Value;
use vedette_tests::clip::{Clip, KNOWN};

use crate::scene::Scene;

/// How soon a running camera is to know of a change.
const NEWS_TIME: TimeDelta = TimeDelta::seconds(2);

fn seen_at(detection: &Value) -> Result<DateTime<Utc>> {
    let text = detection["timestamp"].as_str().context("a detection without a time")?;
    Ok(DateTime::parse_from_rfc3339(text)?.to_utc())
}

#[test]
fn a_running_camera_learns_of_people_at_once() -> Result<()> {
    let scene = Scene::set()?;
    let (video, truth) = scene.clip("standing", &Clip::one_long_track(20.0))?;
    scene.start_camera("desk", &video, true)?;
    scene.await_detection("a stranger", "desk", |detection| detection["kind"] == "unknown")?;

    let person_id = scene.enrol(&truth)?;
    let enrolled_at = Utc::now();
    let named = scene.await_detection("the new person", "desk", |seen| seen["person_name"] == KNOWN)?;
    let delay = seen_at(&named)? - enrolled_at;
    ensure!(delay <= NEWS_TIME, "the camera learned of the person after {} ms", delay.num_milliseconds());

    scene.api.delete(&format!("/api/persons/{person_id}"))?;
    let deleted_at = Utc::now();
    let is_later = |seen: &Value| seen_at(seen).is_ok_and(|time| time > deleted_at);
    let unnamed = scene.await_detection("a stranger again", "desk", |seen| {
        is_later(seen) && seen["kind"] != "left" && seen["person_id"].is_null()
    })?;
    let delay = seen_at(&unnamed)? - deleted_at;
    ensure!(delay <= NEWS_TIME, "the camera forgot the person after {} ms", delay.num_milliseconds());

    for seen in scene.api.detections("desk", None)? {
        let is_too_late = seen_at(&seen)? > deleted_at + NEWS_TIME;
        ensure!(!is_too_late || seen["person_id"].is_null(), "named after having been deleted: {seen}");
    }
    Ok(())
}
