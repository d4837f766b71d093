//! Which size of pictures a viewer's connection takes.
//!
//! A viewer is given the next picture when the network has taken the last one. Who misses more pictures than they get has
//! too little bandwidth for their size, and gets the next smaller one. Who misses none for a while gets the next larger one
//! again, after a longer while each time that was too much.

use std::time::Duration;

use tokio::time::Instant;

use super::SIDES;

/// How long pictures are counted before something follows from it.
const WINDOW: Duration = Duration::from_secs(2);
/// Without a miss for so long, a larger size is tried.
const FIRST_PATIENCE: Duration = Duration::from_secs(10);
const LONGEST_PATIENCE: Duration = Duration::from_secs(300);

/// The size one viewer gets.
#[derive(Debug)]
pub(super) struct Pace {
    /// Places in [`SIDES`].
    present: usize,
    largest: usize,
    window_began: Instant,
    sent: u64,
    missed: u64,
    /// When pictures were missed last, or the size changed.
    calm_since: Instant,
    patience: Duration,
}

impl Pace {
    /// The largest size with no side longer than `most`, or the smallest there is.
    pub(super) fn new(most: u32, now: Instant) -> Self {
        let largest = SIDES.iter().rposition(|side| *side <= most).unwrap_or_default();
        Self {
            present: largest,
            largest,
            window_began: now,
            sent: 0,
            missed: 0,
            calm_since: now,
            patience: FIRST_PATIENCE,
        }
    }

    /// The longest side of pictures to send, in pixels.
    pub(super) fn side(&self) -> u32 {
        // `present` never leaves the table.
        SIDES.get(self.present).copied().unwrap_or(SIDES[0])
    }

    /// Counts anew.
    pub(super) fn begin(&mut self, now: Instant) {
        (self.window_began, self.sent, self.missed) = (now, 0, 0);
    }

    /// Counts a picture that was sent after `missed` others; answers whether the size is another from now on.
    pub(super) fn sent(&mut self, missed: u64, now: Instant) -> bool {
        self.sent += 1;
        self.missed += missed;
        if missed > 0 {
            self.calm_since = now;
        }
        if now.duration_since(self.window_began) < WINDOW {
            return false;
        }
        let is_too_much = self.missed > self.sent;
        self.begin(now);
        let before = self.present;
        if is_too_much && self.present > 0 {
            self.present -= 1;
            self.patience = (self.patience * 2).min(LONGEST_PATIENCE);
            self.calm_since = now;
        } else if now.duration_since(self.calm_since) >= self.patience && self.present < self.largest {
            self.present += 1;
            self.calm_since = now;
        }
        self.present != before
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    /// Sends for `seconds`, ten pictures a second of which all but every `n`-th are missed.
    fn watch(pace: &mut Pace, now: &mut Instant, seconds: u64, n: u64) {
        for _ in 0..seconds * 10 / n {
            *now += Duration::from_millis(100 * n);
            pace.sent(n - 1, *now);
        }
    }

    #[test]
    fn sizes_asked_for_are_those_there_are() {
        let now = Instant::now();
        let sides = [100, 320, 700, 1280, 4000].map(|most| Pace::new(most, now).side());
        assert_eq!(sides, [320, 320, 640, 1280, 1280]);
    }

    #[test]
    fn who_misses_most_gets_smaller_pictures_and_larger_ones_when_calm() {
        let mut now = Instant::now();
        let mut pace = Pace::new(1280, now);
        watch(&mut pace, &mut now, 60, 1);
        assert_eq!(pace.side(), 1280);
        watch(&mut pace, &mut now, 3, 4);
        assert_eq!(pace.side(), 640);
        watch(&mut pace, &mut now, 60, 4);
        assert_eq!(pace.side(), 320, "there is nothing smaller");
        watch(&mut pace, &mut now, 30, 1);
        assert_eq!(pace.side(), 320, "twice too much makes patient");
        watch(&mut pace, &mut now, 15, 1);
        assert_eq!(pace.side(), 640);
        watch(&mut pace, &mut now, 60, 1);
        assert_eq!(pace.side(), 1280);
    }

    #[test]
    fn a_miss_now_and_then_is_no_reason() {
        let mut now = Instant::now();
        let mut pace = Pace::new(640, now);
        watch(&mut pace, &mut now, 60, 2);
        assert_eq!(pace.side(), 640);
    }
}
