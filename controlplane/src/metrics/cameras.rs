//! Figures about cameras and workers as they reported them last, to whichever instance. They are made anew for whoever
//! asks, so that a camera that is gone leaves nothing behind. Labels are ids operators gave, up to a number.

use std::sync::atomic::AtomicU64;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::{Registry, Unit};
use vedette_events::{CameraState, CameraStats};

use crate::workers::LiveStatus;

/// Cameras with figures of their own; all of them count in `vedette_cameras`.
const MAX_CAMERAS: usize = 1000;
/// Workers with figures of their own.
const MAX_WORKERS: usize = 200;

pub(super) const CAMERA_STATES: [CameraState; 5] = [
    CameraState::Stopped,
    CameraState::Starting,
    CameraState::Running,
    CameraState::Reconnecting,
    CameraState::Error,
];

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct CameraLabels {
    camera: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct StatusLabels {
    camera: String,
    status: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ModelLabels {
    camera: String,
    model: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OutcomeLabels {
    camera: String,
    outcome: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct WorkerLabels {
    worker: String,
}

type Measured<L> = Family<L, Gauge<f64, AtomicU64>>;

#[derive(Default)]
struct CameraFigures {
    status: Family<StatusLabels, Gauge>,
    fps: Measured<CameraLabels>,
    latency: Measured<CameraLabels>,
    faces: Measured<CameraLabels>,
    interval: Measured<CameraLabels>,
    frames: Family<CameraLabels, Counter>,
    dropped: Family<CameraLabels, Counter>,
    reconnects: Family<CameraLabels, Counter>,
    inferences: Family<ModelLabels, Counter>,
    inference_time: Family<ModelLabels, Counter<f64, AtomicU64>>,
    events: Family<OutcomeLabels, Counter>,
    spooled: Measured<WorkerLabels>,
}

/// Figures about `cameras` by id, and about events that wait on the disks of `workers`.
pub(super) fn registry(cameras: &[(String, LiveStatus)], workers: &[(String, u64)]) -> Registry {
    let figures = CameraFigures::default();
    for (camera, live) in cameras.iter().take(MAX_CAMERAS) {
        figures.add_status(camera, live);
        if live.state == CameraState::Running {
            figures.add_stats(camera, &live.stats);
        }
    }
    for (worker, events) in workers.iter().take(MAX_WORKERS) {
        figures.spooled.get_or_create(&WorkerLabels { worker: worker.clone() }).set(*events as f64);
    }
    figures.register()
}

impl CameraFigures {
    fn add_status(&self, camera: &str, live: &LiveStatus) {
        for state in CAMERA_STATES {
            let labels = StatusLabels { camera: camera.to_owned(), status: state.as_str() };
            self.status.get_or_create(&labels).set((live.state == state).into());
        }
        if live.worker.is_some() {
            let labels = CameraLabels { camera: camera.to_owned() };
            self.reconnects.get_or_create(&labels).inc_by(live.reconnects);
        }
    }

    fn add_stats(&self, camera: &str, stats: &CameraStats) {
        let labels = CameraLabels { camera: camera.to_owned() };
        self.fps.get_or_create(&labels).set(stats.fps.into());
        self.latency.get_or_create(&labels).set(f64::from(stats.latency_ms) / 1000.0);
        self.faces.get_or_create(&labels).set(stats.faces.into());
        self.interval.get_or_create(&labels).set(stats.inference_interval.into());
        self.frames.get_or_create(&labels).inc_by(stats.frames);
        self.dropped.get_or_create(&labels).inc_by(stats.dropped);
        for (model, did) in [("detection", stats.detection), ("embedding", stats.embedding)] {
            let labels = ModelLabels { camera: camera.to_owned(), model };
            self.inferences.get_or_create(&labels).inc_by(did.count);
            // A worker's figures come from outside: a counter takes nothing negative, and no infinity.
            let total_s = if did.total_s.is_finite() { did.total_s.max(0.0) } else { 0.0 };
            self.inference_time.get_or_create(&labels).inc_by(total_s);
        }
        let events = stats.events;
        let outcomes =
            [("delivered", events.delivered), ("rejected", events.rejected), ("lost", events.lost)];
        for (outcome, number) in outcomes {
            let labels = OutcomeLabels { camera: camera.to_owned(), outcome };
            self.events.get_or_create(&labels).inc_by(number);
        }
    }

    fn register(self) -> Registry {
        let mut registry = Registry::with_prefix("vedette");
        registry.register("camera_status", "1 for the status a camera has, 0 for every other", self.status);
        registry.register("camera_fps", "Frames analysed per second", self.fps);
        let help = "Time the last frame took from the decoder to the end of the pipeline";
        registry.register_with_unit("camera_latency", help, Unit::Seconds, self.latency);
        registry.register("camera_faces", "Faces in the last frame", self.faces);
        let help = "Every n-th frame is looked at: more seldom than the settings say while the machine cannot keep up";
        registry.register("camera_inference_interval", help, self.interval);
        registry.register("camera_frames", "Frames analysed since the pipeline started", self.frames);
        let help =
            "Frames dropped since the pipeline started, for they came faster than they could be analysed";
        registry.register("camera_frames_dropped", help, self.dropped);
        let help = "How often the source was lost since the camera was started";
        registry.register("camera_reconnects", help, self.reconnects);
        let help = "Frames looked at by the detector, faces by the embedder, since the pipeline started";
        registry.register("camera_inferences", help, self.inferences);
        let help = "Time these took all together";
        registry.register_with_unit("camera_inference", help, Unit::Seconds, self.inference_time);
        let help = "What became of a camera's events since the pipeline started";
        registry.register("camera_events", help, self.events);
        let help = "Events that wait on a worker's disk to be taken in";
        registry.register("worker_spooled_events", help, self.spooled);
        registry
    }
}

#[cfg(test)]
mod tests {
    use prometheus_client::encoding::prometheus_text;
    use vedette_events::InferenceStats;

    use super::*;

    #[test]
    fn there_are_figures_for_so_many_cameras_and_no_nonsense_among_them() {
        let nonsense = InferenceStats { count: 7, total_s: f64::NEG_INFINITY };
        let stats = CameraStats { fps: 24.5, detection: nonsense, ..CameraStats::default() };
        let live = LiveStatus {
            state: CameraState::Running,
            stats,
            worker: Some("local".to_owned()),
            ..LiveStatus::default()
        };
        let cameras: Vec<_> =
            (0..MAX_CAMERAS + 5).map(|number| (format!("cam_{number}"), live.clone())).collect();
        let mut text = String::new();
        assert!(prometheus_text::encode(&mut text, &registry(&cameras, &[("far".to_owned(), 3)])).is_ok());
        assert_eq!(text.matches("vedette_camera_fps{").count(), MAX_CAMERAS);
        for line in [
            "vedette_camera_fps{camera=\"cam_0\"} 24.5",
            "vedette_camera_status{camera=\"cam_0\",status=\"error\"} 0",
            "vedette_camera_inferences_total{camera=\"cam_0\",model=\"detection\"} 7",
            "vedette_camera_inference_seconds_total{camera=\"cam_0\",model=\"detection\"} 0.0",
            "vedette_worker_spooled_events{worker=\"far\"} 3.0",
        ] {
            assert!(text.lines().any(|present| present == line), "no `{line}` in\n{}", &text[..4000]);
        }
    }
}
