//! How long to wait before a lost camera is tried again.
//!
//! That a camera's host answers is asked every second anyway ([`crate::reach`]); these pauses lie between attempts at a
//! host that does answer but sends no pictures.

use std::time::{Duration, Instant};

use crate::failure::Remedy;

const FIRST: Duration = Duration::from_millis(250);
/// While the camera may be no more than starting again.
const LONGEST_SOON: Duration = Duration::from_secs(1);
/// How long it may be.
const SOON: Duration = Duration::from_secs(60);
const LONGEST: Duration = Duration::from_secs(4);
/// Cameras lock an account for minutes after some five wrong passwords in a row.
const SELDOM: Duration = Duration::from_secs(60);

/// Growing pauses between attempts, each a little off so that the cameras of a site do not all come back at once.
#[derive(Debug, Default)]
pub(crate) struct Backoff {
    attempts: u32,
    lost_at: Option<Instant>,
}

impl Backoff {
    /// The pause before the next attempt.
    pub(crate) fn next(&mut self, remedy: Remedy, now: Instant) -> Duration {
        let lost_at = *self.lost_at.get_or_insert(now);
        let longest = if now.saturating_duration_since(lost_at) < SOON { LONGEST_SOON } else { LONGEST };
        let pause = match remedy {
            Remedy::RetrySeldom => SELDOM,
            Remedy::Retry | Remedy::RetryByUdp | Remedy::GiveUp => {
                (FIRST * 2_u32.saturating_pow(self.attempts.min(8))).min(longest)
            }
        };
        self.attempts = self.attempts.saturating_add(1);
        pause.mul_f64(rand::random_range(0.75..=1.0))
    }

    /// The camera worked for a while, or its host is there again: begin with short pauses again.
    pub(crate) fn reset(&mut self) {
        *self = Self::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_a_second_and_after_a_minute_to_four() {
        let (mut backoff, start) = (Backoff::default(), Instant::now());
        let mut pauses = |after_s| {
            (0..20).map(|_| backoff.next(Remedy::Retry, start + Duration::from_secs(after_s))).collect()
        };
        let soon: Vec<Duration> = pauses(0);
        assert!(soon[0] <= FIRST && soon[1] > FIRST, "{soon:?}");
        assert!(soon.iter().all(|pause| *pause <= LONGEST_SOON), "{soon:?}");
        let late: Vec<Duration> = pauses(61);
        assert!(late.iter().all(|pause| (LONGEST_SOON..=LONGEST).contains(pause)), "{late:?}");
        backoff.reset();
        assert!(backoff.next(Remedy::Retry, start) <= FIRST);
        assert!(backoff.next(Remedy::RetrySeldom, start) > LONGEST);
    }
}
