//! A running camera's figures, gathered by pad probes: what goes into the queue before the elements, and what comes
//! out at the end.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use vedette_events::CameraStats;

/// Frames per second are counted over this long.
const WINDOW: Duration = Duration::from_secs(2);

/// More frames than any queue between the two probes holds.
const MOST_UNDER_WAY: usize = 64;

/// Figures of one pipeline, fed by its streaming threads and read by the heartbeat.
#[derive(Debug, Default)]
pub struct Figures(Mutex<Inner>);

#[derive(Debug, Default)]
struct Inner {
    /// Frames between the probes, oldest first.
    under_way: VecDeque<(Option<gst::ClockTime>, Instant)>,
    /// When the frames of the last [`WINDOW`] were done.
    done_at: VecDeque<Instant>,
    last_decoded: Option<Instant>,
    first_done: Option<Instant>,
    last_done: Option<Instant>,
    frames: u64,
    dropped: u64,
    latency: Duration,
    width: u32,
    height: u32,
    position: Option<gst::ClockTime>,
}

impl Figures {
    fn inner(&self) -> MutexGuard<'_, Inner> {
        // Figures are still figures if a thread panicked while counting.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A frame came out of the decoder.
    pub fn decoded(&self, pts: Option<gst::ClockTime>, now: Instant) {
        let mut inner = self.inner();
        if inner.under_way.len() == MOST_UNDER_WAY {
            inner.under_way.pop_front();
        }
        inner.last_decoded = Some(now);
        inner.under_way.push_back((pts, now));
    }

    /// A frame has been through all elements; `position` is where it ends in the stream. Answers whether it is the
    /// first one.
    pub fn done(&self, pts: Option<gst::ClockTime>, position: Option<gst::ClockTime>, now: Instant) -> bool {
        let mut inner = self.inner();
        // The queue keeps the order, so whatever entered before this frame and is still listed was dropped.
        if let Some(dropped) = inner.under_way.iter().position(|(entered, _)| *entered == pts) {
            inner.dropped += dropped as u64;
            let this = inner.under_way.drain(..=dropped).next_back();
            if let Some((_, entered_at)) = this {
                inner.latency = now.saturating_duration_since(entered_at);
            }
        }
        inner.frames += 1;
        inner.position = position.max(inner.position);
        inner.last_done = Some(now);
        inner.done_at.push_back(now);
        inner.forget_before(now);
        let first = inner.first_done.is_none();
        inner.first_done.get_or_insert(now);
        first
    }

    /// Frames have this size from now on.
    pub fn resized(&self, width: u32, height: u32) {
        let mut inner = self.inner();
        (inner.width, inner.height) = (width, height);
    }

    /// The stream was flushed: what was under way never comes out.
    pub fn flushed(&self) {
        self.inner().under_way.clear();
    }

    /// Frames that came out at the end so far.
    pub fn frames(&self) -> u64 {
        self.inner().frames
    }

    /// When the last frame came out of the decoder.
    pub fn last_decoded(&self) -> Option<Instant> {
        self.inner().last_decoded
    }

    /// When the last frame came out.
    pub fn last_done(&self) -> Option<Instant> {
        self.inner().last_done
    }

    /// Where the last frame ends in the stream.
    pub fn position(&self) -> Option<gst::ClockTime> {
        self.inner().position
    }

    /// Everything but what only the elements know: `faces`, their work, and frames they could not work on.
    pub fn stats(&self, now: Instant) -> CameraStats {
        let mut inner = self.inner();
        inner.forget_before(now);
        let since_first = inner.first_done.map(|first| now.saturating_duration_since(first));
        // A quarter of a second at least, or the first frame would count as thousands a second.
        let span = since_first.unwrap_or_default().clamp(Duration::from_millis(250), WINDOW);
        CameraStats {
            fps: inner.done_at.len() as f32 / span.as_secs_f32(),
            latency_ms: inner.latency.as_secs_f32() * 1000.0,
            dropped: inner.dropped,
            faces: 0,
            width: inner.width,
            height: inner.height,
            frames: inner.frames,
            ..CameraStats::default()
        }
    }
}

impl Inner {
    fn forget_before(&mut self, now: Instant) {
        while self.done_at.front().is_some_and(|at| now.saturating_duration_since(*at) > WINDOW) {
            self.done_at.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(value: u64) -> Option<gst::ClockTime> {
        Some(gst::ClockTime::from_mseconds(value))
    }

    #[test]
    fn dropped_frames_and_latency_are_told_from_the_order() {
        let figures = Figures::default();
        let start = Instant::now();
        for frame in 0..4 {
            figures.decoded(ms(frame * 40), start + Duration::from_millis(frame * 40));
        }
        assert!(figures.done(ms(0), ms(40), start + Duration::from_millis(30)), "the first frame");
        assert!(!figures.done(ms(120), ms(160), start + Duration::from_millis(150)));
        let stats = figures.stats(start + Duration::from_millis(150));
        assert_eq!(stats.dropped, 2);
        assert!((stats.latency_ms - 30.0).abs() < 0.01, "{}", stats.latency_ms);
        assert_eq!(figures.position(), ms(160));
    }

    #[test]
    fn frames_per_second_follow_the_last_two_seconds() {
        let figures = Figures::default();
        let start = Instant::now();
        let at = |frame: u64| start + Duration::from_millis(frame * 100);
        for frame in 0..50 {
            figures.done(None, None, at(frame));
        }
        let fps = figures.stats(at(49)).fps;
        assert!((9.5..=10.6).contains(&fps), "{fps}");
        assert_eq!(figures.stats(at(49) + Duration::from_secs(3)).fps, 0.0);
    }

    #[test]
    fn frames_that_never_come_out_are_forgotten() {
        let figures = Figures::default();
        let now = Instant::now();
        for frame in 0..1000 {
            figures.decoded(ms(frame), now);
        }
        assert_eq!(figures.inner().under_way.len(), MOST_UNDER_WAY);
        figures.flushed();
        figures.done(ms(999), None, now);
        assert_eq!(figures.stats(now).dropped, 0);
    }
}
