//! The figures behind every element's read-only `stats` property.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use gst::glib;
use gst::prelude::*;

/// Name of the property.
pub(crate) const PROPERTY: &str = "stats";

/// An element's own properties and `stats` after them, so that their ids stay what they are.
pub(crate) fn with_stats(own: &[glib::ParamSpec]) -> Vec<glib::ParamSpec> {
    let stats = glib::ParamSpecBoxed::builder::<gst::Structure>(PROPERTY)
        .nick("Statistics")
        .blurb("Frames, faces, work done, failures and times since the start")
        .read_only()
        .build();
    own.iter().cloned().chain([stats]).collect()
}

/// Weight of the newest frame in the running mean, as a divisor.
const SMOOTHING: u64 = 8;

/// Counters an element updates without a lock and anyone may read.
#[derive(Debug, Default)]
pub(crate) struct Figures {
    frames: AtomicU64,
    dropped: AtomicU64,
    faces: AtomicU64,
    work: AtomicU64,
    work_us: AtomicU64,
    preparation_us: AtomicU64,
    second_looks: AtomicU64,
    spared: AtomicU64,
    busy_us: AtomicU64,
    failures: AtomicU64,
    latency_us: AtomicU64,
    latency_mean_us: AtomicU64,
    latency_max_us: AtomicU64,
}

impl Figures {
    /// Back to zero, at the start of a stream.
    pub(crate) fn reset(&self) {
        for figure in [
            &self.frames,
            &self.dropped,
            &self.faces,
            &self.work,
            &self.work_us,
            &self.preparation_us,
            &self.second_looks,
            &self.spared,
            &self.busy_us,
            &self.failures,
            &self.latency_us,
            &self.latency_mean_us,
            &self.latency_max_us,
        ] {
            figure.store(0, Relaxed);
        }
    }

    /// Counts a frame that carries `faces` faces and was begun at `begun`.
    pub(crate) fn frame(&self, faces: usize, begun: Instant) {
        self.faces.store(faces as u64, Relaxed);
        self.took(begun.elapsed());
        self.frames.fetch_add(1, Relaxed);
    }

    /// Counts a frame that could not be worked on.
    pub(crate) fn dropped(&self) {
        self.dropped.fetch_add(1, Relaxed);
    }

    /// Counts `count` pieces of what the element does: inferences, crops, decisions, events.
    pub(crate) fn worked(&self, count: usize) {
        self.work.fetch_add(count as u64, Relaxed);
    }

    /// Counts `count` pieces of work that were begun at `begun`, and how long they took together.
    pub(crate) fn worked_since(&self, begun: Instant, count: usize) {
        self.work_us.fetch_add(microseconds(begun.elapsed()), Relaxed);
        self.worked(count);
    }

    /// Counts one inference and the second looks after it, how long they took together, and how much of that went into
    /// making their inputs.
    pub(crate) fn inferred(&self, took: Duration, preparation: Duration, second_looks: u32) {
        self.second_looks.fetch_add(second_looks.into(), Relaxed);
        self.work_us.fetch_add(microseconds(took), Relaxed);
        self.preparation_us.fetch_add(microseconds(preparation), Relaxed);
        self.worked(1);
    }

    /// Counts an inference that was not needed.
    pub(crate) fn spared(&self) {
        self.spared.fetch_add(1, Relaxed);
    }

    /// Counts something that went wrong and was got over.
    pub(crate) fn failed(&self) {
        self.failures.fetch_add(1, Relaxed);
    }

    fn took(&self, duration: Duration) {
        let latest_us = microseconds(duration);
        self.busy_us.fetch_add(latest_us, Relaxed);
        self.latency_us.store(latest_us, Relaxed);
        self.latency_max_us.fetch_max(latest_us, Relaxed);
        let mean_us = self.latency_mean_us.load(Relaxed);
        let next_us = if self.frames.load(Relaxed) == 0 {
            latest_us
        } else {
            (mean_us * (SMOOTHING - 1)).saturating_add(latest_us) / SMOOTHING
        };
        self.latency_mean_us.store(next_us, Relaxed);
    }

    /// The same as [`Figures::to_structure`], and how long all pieces of work took together.
    pub(crate) fn to_timed_structure(&self, element: &str, work: &str) -> gst::Structure {
        let mut structure = self.to_structure(element, work);
        structure.set("work-ms", self.work_us.load(Relaxed) as f64 / 1000.0);
        structure
    }

    /// The same again, with what went into the inputs of inferences, and how many inferences were not needed.
    pub(crate) fn to_detector_structure(&self, element: &str, work: &str) -> gst::Structure {
        let mut structure = self.to_timed_structure(element, work);
        structure.set("preparation-ms", self.preparation_us.load(Relaxed) as f64 / 1000.0);
        structure.set("second-looks", self.second_looks.load(Relaxed));
        structure.set("spared", self.spared.load(Relaxed));
        structure
    }

    /// The figures as the property shows them; `work` is what the element's pieces of work are called.
    pub(crate) fn to_structure(&self, element: &str, work: &str) -> gst::Structure {
        let ms = |figure: &AtomicU64| figure.load(Relaxed) as f64 / 1000.0;
        gst::Structure::builder(format!("application/x-{element}-stats"))
            .field("frames", self.frames.load(Relaxed))
            .field("dropped", self.dropped.load(Relaxed))
            .field("faces", self.faces.load(Relaxed))
            .field(work, self.work.load(Relaxed))
            .field("failures", self.failures.load(Relaxed))
            .field("busy-ms", ms(&self.busy_us))
            .field("latency-ms", ms(&self.latency_us))
            .field("latency-mean-ms", ms(&self.latency_mean_us))
            .field("latency-max-ms", ms(&self.latency_max_us))
            .build()
    }
}

fn microseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn figures_count_and_reset() {
        gst::init().unwrap();
        let figures = Figures::default();
        figures.frame(3, Instant::now());
        figures.frame(1, Instant::now());
        figures.dropped();
        figures.worked(1);
        let begun = Instant::now();
        std::thread::sleep(Duration::from_millis(2));
        figures.worked_since(begun, 1);
        let structure = figures.to_timed_structure("facedetect", "inferences");
        assert_eq!(structure.name(), "application/x-facedetect-stats");
        assert_eq!(structure.get::<u64>("frames").unwrap(), 2);
        assert_eq!(structure.get::<u64>("faces").unwrap(), 1);
        assert_eq!(structure.get::<u64>("dropped").unwrap(), 1);
        assert_eq!(structure.get::<u64>("inferences").unwrap(), 2);
        assert!(structure.get::<f64>("work-ms").unwrap() >= 2.0);
        figures.reset();
        assert_eq!(figures.to_structure("x", "y").get::<u64>("frames").unwrap(), 0);
    }
}
