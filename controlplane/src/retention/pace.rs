//! How much is removed by one transaction, and how long others may write before the next. Pure: no clock.
//!
//! SQLite has one writer at a time: while retention holds its place, events wait. So it holds it for a moment only, and
//! then lets go of it for several times as long.

use std::time::Duration;

/// How long a transaction is to last.
const AIM: Duration = Duration::from_millis(25);
/// Pauses are so much longer than the transactions before them.
const PAUSE_FACTOR: u32 = 4;
const MIN_PAUSE: Duration = Duration::from_millis(5);
const MIN_ROWS: u64 = 25;
const MAX_ROWS: u64 = 2_000;
const FIRST_ROWS: u64 = 100;

/// Adapts to how quick the database is.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pace {
    rows: u64,
}

impl Default for Pace {
    fn default() -> Self {
        Self { rows: FIRST_ROWS }
    }
}

impl Pace {
    /// Rows of the next transaction.
    pub(super) fn rows(self) -> u64 {
        self.rows
    }

    /// Learns how long a full transaction lasted, and says how long to pause after it.
    pub(super) fn after(&mut self, held: Duration) -> Duration {
        if held > 2 * AIM {
            self.rows = (self.rows / 2).max(MIN_ROWS);
        } else if held < AIM / 2 {
            self.rows = (self.rows * 2).min(MAX_ROWS);
        }
        (held * PAUSE_FACTOR).max(MIN_PAUSE)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quick_database_gets_more_at_a_time_and_a_slow_one_less() {
        let mut pace = Pace::default();
        for _ in 0..20 {
            pace.after(Duration::from_millis(1));
        }
        assert_eq!(pace.rows(), MAX_ROWS);
        pace.after(AIM);
        assert_eq!(pace.rows(), MAX_ROWS, "as quick as it should be");
        for _ in 0..20 {
            pace.after(Duration::from_secs(1));
        }
        assert_eq!(pace.rows(), MIN_ROWS);
    }

    #[test]
    fn others_get_more_of_the_time() {
        let mut pace = Pace::default();
        let held = Duration::from_millis(300);
        assert!(pace.after(held) >= 4 * held);
        assert!(pace.after(Duration::ZERO) > Duration::ZERO);
    }
}
