//! Warnings and errors of this worker, on their way to the control plane with its heartbeats, where they can be found
//! among those of all other hosts.
//!
//! While the control plane is away the oldest lines wait, up to a number; what finds no room is counted.

use vedette_events::capture::Captured;
use vedette_events::{LogLine, Severity};

/// Lines that may wait to be sent.
pub const CAPACITY: usize = 500;
/// Lines one heartbeat takes along: with the cameras' reports they must stay far below what the control plane takes.
const PER_HEARTBEAT: usize = 10;

/// Lines that wait to be acknowledged; by default there never are any.
#[derive(Debug, Default)]
pub struct Journal {
    captured: Option<Captured>,
    unacknowledged: Vec<LogLine>,
}

impl Journal {
    /// A journal of what is caught.
    pub fn of(captured: Captured) -> Self {
        Self { captured: Some(captured), unacknowledged: Vec::new() }
    }

    /// Lines for the next heartbeat: those of the last one, if it was not answered, and new ones.
    pub(crate) fn next_lines(&mut self) -> Vec<LogLine> {
        if let Some(captured) = &self.captured {
            let room = PER_HEARTBEAT.saturating_sub(self.unacknowledged.len());
            self.unacknowledged.extend(captured.take(room));
            if room > 0 {
                let dropped = captured.take_dropped();
                self.unacknowledged.extend((dropped > 0).then(|| gap(dropped)));
            }
        }
        self.unacknowledged.clone()
    }

    /// The lines of the last heartbeat have arrived, or will never be taken.
    pub(crate) fn settled(&mut self) {
        self.unacknowledged.clear();
    }
}

/// Says that lines are missing here; this host's terminal has them.
fn gap(dropped: u64) -> LogLine {
    LogLine::new(
        Severity::Warning,
        module_path!(),
        format!("{dropped} lines found no room and are missing here"),
    )
}

#[cfg(test)]
mod tests {
    use tracing_subscriber::layer::SubscriberExt as _;
    use vedette_events::capture::capture;

    use super::*;

    #[test]
    fn lines_are_sent_until_they_are_acknowledged_and_gaps_are_told() {
        let (layer, captured) = capture(4);
        let mut journal = Journal::of(captured);
        tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), || {
            (0..6).for_each(|number| tracing::warn!("{number}"));
        });
        let sent = journal.next_lines();
        let texts: Vec<&str> = sent.iter().map(|line| line.message.as_str()).collect();
        assert_eq!(texts, ["0", "1", "2", "3", "2 lines found no room and are missing here"]);
        assert_eq!(journal.next_lines(), sent, "not acknowledged: the same again, under the same ids");
        journal.settled();
        assert_eq!(journal.next_lines(), []);
    }
}
