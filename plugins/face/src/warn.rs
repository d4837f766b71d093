//! Warnings that would come with every frame of a bad stream, told now and then instead.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Pause between two warnings of one kind.
const PAUSE: Duration = Duration::from_secs(5);

/// Lets a warning pass when the last one is a while ago.
#[derive(Debug, Default)]
pub(crate) struct WarnGate {
    last: Mutex<Option<Instant>>,
}

impl WarnGate {
    /// Whether to warn now.
    pub(crate) fn opens(&self) -> bool {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let opens = last.is_none_or(|last| last.elapsed() >= PAUSE);
        if opens {
            *last = Some(Instant::now());
        }
        opens
    }

    /// The next warning passes at once.
    pub(crate) fn reset(&self) {
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_warning_passes_and_the_next_does_not() {
        let gate = WarnGate::default();
        assert!(gate.opens());
        assert!(!gate.opens());
        gate.reset();
        assert!(gate.opens());
    }
}
