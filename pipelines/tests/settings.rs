//! Settings that change while a camera runs: they reach it without another run, and without the source being opened again.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use common::clip::Clip;
use common::plane::Plane;
use common::station::Station;
use common::{assignment, file_url, have_models};
use vedette_events::{CameraAssignment, CameraReport, CameraState, Heartbeat, PipelineSettings};

const EVERYWHERE: [[f64; 2]; 4] = [[0.0, 0.0], [1.0, 0.0], [1.0, 1.0], [0.0, 1.0]];
const A_CORNER: [[f64; 2]; 3] = [[0.0, 0.0], [0.05, 0.0], [0.0, 0.05]];

/// A person who is always in view, recorded and played as a live camera.
struct Door {
    url: String,
    _folder: tempfile::TempDir,
}

impl Door {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let clip = Clip::of_a_portrait(250).write(&folder.path().join("door.mp4"));
        Self { url: format!("{}?loop=true", file_url(&clip)), _folder: folder }
    }

    fn with(&self, change: impl FnOnce(&mut PipelineSettings)) -> Vec<CameraAssignment> {
        let mut assignment = assignment("door", 1, &self.url);
        change(&mut assignment.settings);
        vec![assignment]
    }
}

/// The camera's next report that satisfies `wanted`.
fn next(plane: &Plane, what: &str, wanted: impl Fn(&CameraReport) -> bool) -> CameraReport {
    let is_wanted = |report: &CameraReport| report.state == CameraState::Running && wanted(report);
    let heartbeat = plane.heartbeat(what, |heartbeat| heartbeat.cameras.iter().any(is_wanted));
    heartbeat.cameras[0].clone()
}

fn reports(plane: &Plane) -> Vec<CameraReport> {
    let of_camera = |heartbeat: Heartbeat| heartbeat.cameras.into_iter().next();
    let reports = plane.heartbeats().into_iter().filter_map(of_camera);
    reports.skip_while(|report| report.state == CameraState::Starting).collect()
}

#[test]
fn a_change_reaches_a_running_camera_without_a_gap() {
    if !have_models() {
        return;
    }
    let (plane, door) = (Plane::open(), Door::new());
    plane.assign(door.with(|settings| settings.masks = vec![EVERYWHERE.to_vec()]));
    let _station = Station::open(&plane);
    let masked = next(&plane, "frames", |report| report.stats.frames > 10);
    assert_eq!(masked.stats.faces, 0);

    plane.assign(door.with(|_| ()));
    next(&plane, "a face without the mask", |report| report.stats.faces == 1);
    plane.assign(door.with(|settings| settings.regions = vec![A_CORNER.to_vec()]));
    next(&plane, "no face in the corner", |report| report.stats.faces == 0);
    plane.assign(door.with(|settings| settings.regions = vec![A_CORNER.to_vec(), EVERYWHERE.to_vec()]));
    next(&plane, "a face in the second region", |report| report.stats.faces == 1);
    plane.assign(door.with(|settings| settings.min_face_size = Some(4000)));
    next(&plane, "no face of that size", |report| report.stats.faces == 0);
    plane.assign(door.with(|settings| {
        settings.inference_interval = 5;
        settings.min_face_size = Some(30);
        settings.motion_gate = true;
    }));
    next(&plane, "a face again", |report| report.stats.faces == 1);

    let reports = reports(&plane);
    assert!(reports.iter().all(|report| report.state == CameraState::Running && report.run == 1));
    assert!(reports.iter().all(|report| report.reconnects == 0 && report.last_error.is_none()));
    // They are counted from the pipeline's start on.
    assert!(reports.is_sorted_by_key(|report| report.stats.frames), "it is the same pipeline");
}

#[test]
fn what_takes_other_elements_takes_another_pipeline_of_the_same_run() {
    if !have_models() {
        return;
    }
    let (plane, door) = (Plane::open(), Door::new());
    plane.assign(door.with(|_| ()));
    let _station = Station::open(&plane);
    let before = next(&plane, "frames", |report| report.stats.frames > 50);
    plane.assign(door.with(|settings| settings.snapshots = true));
    let after = next(&plane, "another pipeline", |report| report.stats.frames < before.stats.frames);
    assert_eq!((after.run, after.reconnects, after.last_error), (1, 0, None));
}
