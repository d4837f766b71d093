//! How long to wait before a lost camera is tried again.

use std::time::Duration;

use crate::failure::Remedy;

const FIRST: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_secs(5);
/// Cameras lock an account for minutes after some five wrong passwords in a row.
const SELDOM: Duration = Duration::from_secs(60);

/// Growing pauses between attempts, each a little off so that the cameras of a site do not all come back at once.
#[derive(Debug, Default)]
pub(crate) struct Backoff {
    attempts: u32,
}

impl Backoff {
    /// The pause before the next attempt.
    pub(crate) fn next(&mut self, remedy: Remedy) -> Duration {
        let pause = match remedy {
            Remedy::RetrySeldom => SELDOM,
            Remedy::Retry | Remedy::GiveUp => FIRST * 2_u32.saturating_pow(self.attempts.min(8)),
        };
        self.attempts = self.attempts.saturating_add(1);
        let longest = pause.clamp(FIRST, if remedy == Remedy::RetrySeldom { SELDOM } else { LONGEST });
        longest.mul_f64(rand::random_range(0.75..=1.0))
    }

    /// The camera worked for a while: begin with short pauses again.
    pub(crate) fn reset(&mut self) {
        self.attempts = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_up_to_five_seconds() {
        let mut backoff = Backoff::default();
        let pauses: Vec<_> = (0..20).map(|_| backoff.next(Remedy::Retry)).collect();
        assert!(pauses[0] <= FIRST && pauses[1] > FIRST, "{pauses:?}");
        assert!(pauses.iter().all(|pause| *pause <= LONGEST), "{pauses:?}");
        backoff.reset();
        assert!(backoff.next(Remedy::Retry) <= FIRST);
        assert!(backoff.next(Remedy::RetrySeldom) > LONGEST);
    }
}
