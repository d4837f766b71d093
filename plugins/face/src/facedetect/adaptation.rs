//! How often a live stream is looked at when the machine cannot keep up: less often, so that every frame's tracks go on
//! and nothing is dropped, and as often as asked for again as soon as there is time.

use std::time::{Duration, Instant};

/// What was observed over this long decides.
const WINDOW: Duration = Duration::from_secs(1);
/// Frames had to wait for room this share of the time: too much is asked.
const OVERLOADED: f64 = 0.5;
/// … or so little of it that more can be asked.
const RELAXED: f64 = 0.1;
/// So many relaxed windows one after another, each time after a return that was one too many twice as many.
const LEAST_RELAXED_WINDOWS: u32 = 3;
const MOST_RELAXED_WINDOWS: u32 = 48;

/// The interval of one stream.
#[derive(Clone, Debug)]
pub(super) struct Adaptation {
    /// Frames that are skipped beyond what was asked for.
    extra: u32,
    window_began: Option<Instant>,
    waited: Duration,
    relaxed_windows: u32,
    relaxed_windows_needed: u32,
    /// The last change was a return to a shorter interval.
    is_trying: bool,
}

impl Default for Adaptation {
    fn default() -> Self {
        Self {
            extra: 0,
            window_began: None,
            waited: Duration::ZERO,
            relaxed_windows: 0,
            relaxed_windows_needed: LEAST_RELAXED_WINDOWS,
            is_trying: false,
        }
    }
}

impl Adaptation {
    /// The interval in force where `wanted` is asked for and `most` is allowed.
    pub(super) fn interval(&self, wanted: u32, most: u32) -> u32 {
        wanted.max(wanted.saturating_add(self.extra).min(most))
    }

    /// A frame came in at `now` after it had `waited` for room; its stream is looked at every `wanted`-th frame at best, every
    /// `most`-th at worst.
    pub(super) fn entered(&mut self, now: Instant, waited: Duration, wanted: u32, most: u32) {
        let began = *self.window_began.get_or_insert(now);
        self.waited += waited;
        let lasted = now.saturating_duration_since(began);
        if lasted < WINDOW {
            return;
        }
        let share = self.waited.as_secs_f64() / lasted.as_secs_f64();
        (self.window_began, self.waited) = (Some(now), Duration::ZERO);
        // Settings may have changed.
        self.extra = self.extra.min(most.saturating_sub(wanted));
        if share > OVERLOADED {
            self.ask_less(most.saturating_sub(wanted));
        } else if share < RELAXED && self.extra > 0 {
            self.relaxed_windows += 1;
            if self.relaxed_windows >= self.relaxed_windows_needed {
                (self.extra, self.relaxed_windows, self.is_trying) = (self.extra - 1, 0, true);
            }
        } else {
            self.relaxed_windows = 0;
            self.is_trying = false;
        }
    }

    fn ask_less(&mut self, most_extra: u32) {
        if self.is_trying {
            let patience = self.relaxed_windows_needed.saturating_mul(2);
            self.relaxed_windows_needed = patience.min(MOST_RELAXED_WINDOWS);
        }
        (self.relaxed_windows, self.is_trying) = (0, false);
        self.extra = (self.extra + 1).min(most_extra);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Twenty-five frames a second for so many seconds, each of which waits for this share of its time.
    fn play(adaptation: &mut Adaptation, began: &mut Instant, seconds: u32, share: impl Fn(u32) -> f64) {
        let frame = Duration::from_millis(40);
        for _ in 0..seconds * 25 {
            *began += frame;
            let waited = frame.mul_f64(share(adaptation.interval(2, 10)));
            adaptation.entered(*began, waited, 2, 10);
        }
    }

    #[test]
    fn what_is_too_much_becomes_less_until_it_is_enough() {
        let (mut adaptation, mut now) = (Adaptation::default(), Instant::now());
        // Work for half of the frames takes twice the time there is.
        let load = |interval: u32| if f64::from(interval) < 4.0 { 0.95 } else { 0.3 };
        play(&mut adaptation, &mut now, 20, load);
        assert_eq!(adaptation.interval(2, 10), 4);
        play(&mut adaptation, &mut now, 60, |_| 0.0);
        assert_eq!(adaptation.interval(2, 10), 2, "as asked for again");
    }

    #[test]
    fn it_never_goes_beyond_what_is_allowed() {
        let (mut adaptation, mut now) = (Adaptation::default(), Instant::now());
        play(&mut adaptation, &mut now, 60, |_| 1.0);
        assert_eq!(adaptation.interval(2, 10), 10);
        assert_eq!(adaptation.interval(2, 5), 5);
        assert_eq!(adaptation.interval(20, 10), 20, "what was asked for comes first");
        let mut off = Adaptation::default();
        for _ in 0..100 {
            now += Duration::from_millis(100);
            off.entered(now, Duration::from_millis(100), 3, 1);
        }
        assert_eq!(off.interval(3, 1), 3);
    }

    #[test]
    fn a_moment_of_trouble_changes_nothing() {
        let (mut adaptation, mut now) = (Adaptation::default(), Instant::now());
        play(&mut adaptation, &mut now, 10, |_| 0.02);
        // Four faces at once are embedded: a quarter of a second.
        now += Duration::from_millis(250);
        adaptation.entered(now, Duration::from_millis(230), 2, 10);
        play(&mut adaptation, &mut now, 10, |_| 0.02);
        assert_eq!(adaptation.interval(2, 10), 2);
    }

    #[test]
    fn a_return_that_was_too_much_is_tried_ever_more_seldom() {
        let (mut adaptation, mut now) = (Adaptation::default(), Instant::now());
        let load = |interval: u32| if interval < 3 { 0.9 } else { 0.05 };
        let mut changes = Vec::new();
        for second in 0..100 {
            let before = adaptation.interval(2, 10);
            play(&mut adaptation, &mut now, 1, load);
            if adaptation.interval(2, 10) < before {
                changes.push(second);
            }
        }
        let pauses: Vec<u32> = changes.windows(2).map(|pair| pair[1] - pair[0]).collect();
        assert!(pauses.len() >= 3 && pauses.windows(2).all(|pair| pair[1] > pair[0]), "{changes:?}");
    }
}
