//! What a courier has to carry, in the order it came, and how much of it there is.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use uuid::Uuid;

use super::super::delivery::Record;

/// Bytes of undelivered records kept in memory.
pub(super) const MEMORY_BYTES: usize = 32 << 20;
/// Ids of spooled events kept in memory; the rest is found on disk again when these are sent.
pub(super) const SPOOLED_IDS: usize = 10_000;
/// How long a file that could not be read is left alone.
const UNREADABLE_PAUSE: Duration = Duration::from_secs(5);

/// Counts since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in super::super) struct Figures {
    /// Acknowledged by the receiver.
    pub(in super::super) delivered: u64,
    /// Waiting.
    pub(in super::super) pending: u64,
    /// Refused for good.
    pub(in super::super) rejected: u64,
    /// Pictures left out because disk or receiver had no room for them.
    pub(in super::super) pictures_lost: u64,
    /// Lost because memory ran full.
    pub(in super::super) lost: u64,
    /// What waits on disk occupies so much, as far as it is limited.
    pub(in super::super) spool_bytes: u64,
}

/// A record, or where it is.
pub(super) enum Entry {
    Memory(Record),
    Spooled(Uuid),
}

/// How bad it is that there is no room; each is told once, until there is plenty again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Shortage {
    #[default]
    None,
    Pictures,
    Disk,
    Memory,
}

/// The queue.
#[derive(Default)]
pub(super) struct Queue {
    pub(super) entries: VecDeque<Entry>,
    pub(super) memory_bytes: usize,
    /// The disk holds more than `entries` names.
    pub(super) more_on_disk: bool,
    /// Something on disk could not be read and is tried again then.
    pub(super) look_again_at: Option<Instant>,
    pub(super) in_flight: usize,
    pub(super) in_flight_in_memory: usize,
    /// Another courier is busy with the spool.
    pub(super) waits_for_claim: bool,
    pub(super) away: bool,
    pub(super) closing: bool,
    pub(super) shortage: Shortage,
    /// For the thread to tell: whoever puts records in holds locks.
    pub(super) warnings: Vec<String>,
    pub(super) figures: Figures,
}

impl Queue {
    fn is_done(&self) -> bool {
        self.entries.is_empty() && self.in_flight == 0 && !self.more_on_disk
    }

    /// Whether there is nothing to wait for: all is delivered, or safe on disk while the receiver is away or another
    /// courier has the spool.
    pub(super) fn is_settled(&self) -> bool {
        self.is_done() || ((self.away || self.waits_for_claim) && self.in_memory() == 0)
    }

    pub(super) fn in_memory(&self) -> usize {
        let waiting = self.entries.iter().filter(|entry| matches!(entry, Entry::Memory(_)));
        waiting.count() + self.in_flight_in_memory
    }

    pub(super) fn push_spooled(&mut self, id: Uuid) {
        if self.more_on_disk || self.entries.len() >= SPOOLED_IDS {
            self.more_on_disk = true;
        } else {
            self.entries.push_back(Entry::Spooled(id));
        }
    }

    /// Lets the oldest records in memory go until the rest fits.
    pub(super) fn push_in_memory(&mut self, record: Record) {
        self.memory_bytes += record.line.len();
        self.entries.push_back(Entry::Memory(record));
        while self.memory_bytes > MEMORY_BYTES {
            let oldest = self.entries.iter().position(|entry| matches!(entry, Entry::Memory(_)));
            let Some(Entry::Memory(record)) = oldest.and_then(|index| self.entries.remove(index)) else {
                return;
            };
            self.memory_bytes -= record.line.len();
            self.figures.lost += 1;
            self.grow_short(Shortage::Memory, || {
                "memory has no room for more events: the oldest in it are lost, and counted in stats; see why \
                 they are not taken, or set a spool-dir on a disk with room"
                    .to_owned()
            });
        }
    }

    pub(super) fn grow_short(&mut self, shortage: Shortage, text: impl FnOnce() -> String) {
        if self.shortage < shortage {
            self.shortage = shortage;
            self.warnings.push(text());
        }
    }

    pub(super) fn look_again(&mut self) {
        self.look_again_at.get_or_insert_with(|| Instant::now() + UNREADABLE_PAUSE);
    }
}
