//! How long it takes from what a camera sees to the event at the control plane, over a real RTSP stream.
//!
//! `VEDETTE_VISITS=100` makes the long run.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use common::clip::Clip;
use common::plane::Plane;
use common::rtsp::{RtspCamera, have_server};
use common::station::Station;
use common::{assignment, have_models};
use vedette_events::EventKind;

#[test]
fn what_is_seen_is_told_at_once() {
    if !have_models() || !have_server() {
        return;
    }
    let visits = std::env::var("VEDETTE_VISITS").ok().and_then(|text| text.parse().ok()).unwrap_or(5);
    let folder = tempfile::tempdir().unwrap();
    let clip = Clip::of_visits(visits).write(&folder.path().join("visits.mp4"));
    let camera = RtspCamera::open(&["--clip", clip.to_str().unwrap()]);
    let plane = Plane::open();
    let mut door = assignment("door", 1, &camera.url());
    (door.settings.dedup_window_s, door.settings.snapshots, door.settings.inference_interval) = (0, true, 2);
    plane.assign(vec![door]);
    let _station = Station::open(&plane);

    let mut latencies_ms: Vec<i64> = Vec::new();
    for visit in 1..=visits as usize {
        plane.events_until(&format!("visit {visit}"), |events| {
            events.iter().filter(|event| event.kind == EventKind::Unknown).count() >= visit
        });
    }
    for (event, received_at) in plane.received() {
        if event.kind == EventKind::Unknown {
            latencies_ms.push((received_at - event.timestamp).num_milliseconds());
        }
    }
    latencies_ms.sort_unstable();
    let at = |share: f64| latencies_ms[((latencies_ms.len() - 1) as f64 * share).round() as usize];
    eprintln!(
        "latency: from frame to event over {} events: median {} ms, p95 {} ms, at most {} ms",
        latencies_ms.len(),
        at(0.5),
        at(0.95),
        at(1.0)
    );
    // The frame was there before the event was; a pipeline that gathers frames or events would be seconds late.
    assert!(at(0.0) >= 0 && at(0.5) < 1000, "{latencies_ms:?}");
}
