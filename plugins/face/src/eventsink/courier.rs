//! Carries records to a receiver that may be away for a while: a thread, a bounded queue in memory and, if
//! set, a spool on disk that has no bound but the disk.
//!
//! With a spool an event lies on disk before the stream goes on and leaves it only when the receiver has
//! acknowledged it. Without one the newest records are kept in memory as far as they fit.

use std::collections::VecDeque;
use std::io;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use uuid::Uuid;

use super::delivery::Record;
use super::spool::Spool;

/// Records sent in one go.
const BATCH_RECORDS: usize = 50;
/// Bytes from which a batch is full.
const BATCH_BYTES: usize = 1 << 20;
/// Bytes of undelivered records kept in memory.
const MEMORY_BYTES: usize = 32 << 20;
/// Ids of spooled events kept in memory; the rest is found on disk again when these are sent.
const SPOOLED_IDS: usize = 10_000;
/// Pause after the first failed attempt; it doubles with each further one.
const FIRST_PAUSE: Duration = Duration::from_millis(250);
/// The longest pause: a receiver that is back is found within this time.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// How an attempt to send went.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// The receiver has the records.
    Accepted,
    /// The receiver will never take one of them.
    Refused(String),
    /// The receiver cannot take them now.
    Unavailable(String),
}

/// A way to a receiver.
pub(super) trait Transport: Send {
    /// Sends lines in one go; none or all of them count as sent.
    fn send(&mut self, lines: &[&str]) -> Outcome;
}

/// What the owner should tell the user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Trouble {
    /// Something failed; the text says what, and what becomes of the events.
    Warning(String),
    /// The receiver is back.
    Recovered(String),
}

/// Counts since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Figures {
    /// Acknowledged by the receiver.
    pub(super) delivered: u64,
    /// Waiting.
    pub(super) pending: u64,
    /// Refused for good.
    pub(super) rejected: u64,
    /// Lost because memory ran full.
    pub(super) lost: u64,
}

enum Entry {
    Memory(Record),
    Spooled(Uuid),
}

#[derive(Default)]
struct Queue {
    entries: VecDeque<Entry>,
    memory_bytes: usize,
    /// The disk holds more than `entries` names.
    more_on_disk: bool,
    in_flight: usize,
    in_flight_in_memory: usize,
    away: bool,
    closing: bool,
    figures: Figures,
}

struct Shared {
    queue: Mutex<Queue>,
    changed: Condvar,
    spool: Option<Spool>,
    target: String,
}

/// The owner's end.
pub(super) struct Courier {
    shared: Arc<Shared>,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Courier {
    /// Starts the thread; events an earlier process left in the spool go first.
    pub(super) fn start(
        transport: Box<dyn Transport>,
        spool: Option<Spool>,
        target: String,
        trouble: impl Fn(Trouble) + Send + 'static,
    ) -> io::Result<Self> {
        let queue = Mutex::new(Queue { more_on_disk: spool.is_some(), ..Queue::default() });
        let shared = Arc::new(Shared { queue, changed: Condvar::new(), spool, target });
        let round = Round { shared: shared.clone(), transport, trouble: Box::new(trouble) };
        std::thread::Builder::new().name("vedette-events".into()).spawn(move || round.run())?;
        Ok(Self { shared })
    }

    /// Takes charge of a record. Never waits for the receiver.
    pub(super) fn take(&self, record: Record) {
        let spooled = match self.shared.spool.as_ref().filter(|_| record.lasting) {
            // A full disk must not lose the event while memory has room.
            Some(spool) => spool.put(record.id, &record.line).is_ok(),
            None => false,
        };
        let mut queue = self.shared.lock();
        if spooled && (queue.more_on_disk || queue.entries.len() >= SPOOLED_IDS) {
            queue.more_on_disk = true;
        } else if spooled {
            queue.entries.push_back(Entry::Spooled(record.id));
        } else {
            queue.memory_bytes += record.line.len();
            queue.entries.push_back(Entry::Memory(record));
            queue.make_room();
        }
        drop(queue);
        self.shared.changed.notify_all();
    }

    /// Waits until everything is delivered, at most so long; not at all for what lies safe on disk while the
    /// receiver is away. Answers how many records exist in memory only.
    pub(super) fn drain(&self, timeout: Duration) -> usize {
        let deadline = Instant::now() + timeout;
        let mut queue = self.shared.lock();
        while !queue.is_settled() {
            let Some(left) = deadline.checked_duration_since(Instant::now()) else { break };
            let waited = self.shared.changed.wait_timeout(queue, left);
            queue = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        queue.in_memory()
    }

    pub(super) fn figures(&self) -> Figures {
        let queue = self.shared.lock();
        let pending = queue.entries.len() + queue.in_flight;
        Figures { pending: pending as u64, ..queue.figures }
    }
}

impl Drop for Courier {
    /// The thread ends after the attempt it is in; it is not waited for, a receiver may be slow to fail.
    fn drop(&mut self) {
        self.shared.lock().closing = true;
        self.shared.changed.notify_all();
    }
}

impl Queue {
    fn is_done(&self) -> bool {
        self.entries.is_empty() && self.in_flight == 0 && !self.more_on_disk
    }

    /// Whether there is nothing to wait for: all is delivered, or safe on disk while the receiver is away.
    fn is_settled(&self) -> bool {
        self.is_done() || (self.away && self.in_memory() == 0)
    }

    fn in_memory(&self) -> usize {
        let waiting = self.entries.iter().filter(|entry| matches!(entry, Entry::Memory(_)));
        waiting.count() + self.in_flight_in_memory
    }

    /// Lets the oldest records in memory go until the rest fits.
    fn make_room(&mut self) {
        while self.memory_bytes > MEMORY_BYTES {
            let oldest = self.entries.iter().position(|entry| matches!(entry, Entry::Memory(_)));
            let Some(Entry::Memory(record)) = oldest.and_then(|index| self.entries.remove(index)) else {
                return;
            };
            self.memory_bytes -= record.line.len();
            self.figures.lost += 1;
        }
    }
}

/// The thread's end.
struct Round {
    shared: Arc<Shared>,
    transport: Box<dyn Transport>,
    trouble: Box<dyn Fn(Trouble) + Send>,
}

impl Round {
    fn run(mut self) {
        while let Some(batch) = self.next_batch() {
            self.deliver(batch);
            let mut queue = self.shared.lock();
            (queue.in_flight, queue.in_flight_in_memory) = (0, 0);
            drop(queue);
            self.shared.changed.notify_all();
        }
    }

    /// Waits for something to send; `None` when the owner is gone.
    fn next_batch(&self) -> Option<Vec<(Record, bool)>> {
        loop {
            let mut troubles = Vec::new();
            let mut queue = self.shared.lock();
            while !queue.closing && queue.entries.is_empty() && !queue.more_on_disk {
                queue = self.shared.changed.wait(queue).unwrap_or_else(PoisonError::into_inner);
            }
            if queue.closing {
                return None;
            }
            if queue.entries.is_empty() {
                self.rescan(&mut queue, &mut troubles);
            }
            let batch = self.take_batch(&mut queue, &mut troubles);
            queue.in_flight = batch.len();
            queue.in_flight_in_memory = batch.iter().filter(|(_, spooled)| !spooled).count();
            // Whoever is told may ask for the figures: not under the lock.
            drop(queue);
            self.shared.changed.notify_all();
            troubles.into_iter().for_each(|text| (self.trouble)(Trouble::Warning(text)));
            if !batch.is_empty() {
                return Some(batch);
            }
        }
    }

    /// Finds events on disk that nobody in this process remembers. Runs under the lock: nothing is added
    /// meanwhile that would be found twice.
    fn rescan(&self, queue: &mut Queue, troubles: &mut Vec<String>) {
        queue.more_on_disk = false;
        let Some(spool) = &self.shared.spool else { return };
        match spool.scan(SPOOLED_IDS) {
            Ok((ids, more)) => {
                queue.entries.extend(ids.into_iter().map(Entry::Spooled));
                queue.more_on_disk = more;
            }
            Err(error) => troubles.push(format!("cannot list the spool folder: {error}")),
        }
    }

    fn take_batch(&self, queue: &mut Queue, troubles: &mut Vec<String>) -> Vec<(Record, bool)> {
        let mut batch = Vec::new();
        let mut bytes = 0;
        while batch.len() < BATCH_RECORDS && bytes < BATCH_BYTES {
            let (record, spooled) = match queue.entries.pop_front() {
                None => break,
                Some(Entry::Memory(record)) => {
                    queue.memory_bytes -= record.line.len();
                    (record, false)
                }
                Some(Entry::Spooled(id)) => match self.shared.spool.as_ref().map(|spool| spool.read(id)) {
                    Some(Ok(Some(line))) => (Record { id, line, lasting: true }, true),
                    Some(Err(error)) => {
                        troubles.push(format!("cannot read event {id} from the spool: {error}"));
                        continue;
                    }
                    Some(Ok(None)) | None => continue,
                },
            };
            bytes += record.line.len();
            batch.push((record, spooled));
        }
        batch
    }

    /// Sends until the receiver has taken or refused every record, or the owner is gone.
    fn deliver(&mut self, batch: Vec<(Record, bool)>) {
        let mut pause = FIRST_PAUSE;
        loop {
            let lines: Vec<&str> = batch.iter().map(|(record, _)| record.line.as_str()).collect();
            match self.transport.send(&lines) {
                Outcome::Accepted => {
                    self.recovered();
                    return batch.iter().for_each(|(record, spooled)| self.acknowledged(record.id, *spooled));
                }
                Outcome::Refused(reason) if batch.len() == 1 => {
                    self.recovered();
                    return batch
                        .iter()
                        .for_each(|(record, spooled)| self.refused(record, *spooled, &reason));
                }
                Outcome::Refused(_) => {
                    // One of them is at fault: each goes on its own, so that the rest arrives.
                    return batch.into_iter().for_each(|record| self.deliver(vec![record]));
                }
                Outcome::Unavailable(reason) => {
                    if !self.wait_out(&reason, pause) {
                        return;
                    }
                    pause = (pause * 2).min(LONGEST_PAUSE);
                }
            }
        }
    }

    fn acknowledged(&self, id: Uuid, spooled: bool) {
        if spooled && let Some(Err(error)) = self.shared.spool.as_ref().map(|spool| spool.remove(id)) {
            (self.trouble)(Trouble::Warning(format!("cannot remove event {id} from the spool: {error}")));
        }
        self.shared.lock().figures.delivered += 1;
    }

    fn refused(&self, record: &Record, spooled: bool, reason: &str) {
        let fate =
            match self.shared.spool.as_ref().filter(|_| spooled).map(|spool| spool.set_aside(record.id)) {
                Some(Ok(())) => "it is set aside in the spool's folder `rejected`".into(),
                Some(Err(error)) => format!("it cannot be set aside: {error}"),
                None => "it is dropped, set spool-dir to keep such events".into(),
            };
        let (id, target) = (record.id, &self.shared.target);
        (self.trouble)(Trouble::Warning(format!("{target} does not take event {id} ({reason}): {fate}")));
        self.shared.lock().figures.rejected += 1;
    }

    fn recovered(&self) {
        let was_away = std::mem::take(&mut self.shared.lock().away);
        if was_away {
            (self.trouble)(Trouble::Recovered(format!("events reach {} again", self.shared.target)));
        }
    }

    /// Pauses after a failed attempt; false when the owner is gone.
    fn wait_out(&self, reason: &str, pause: Duration) -> bool {
        let mut queue = self.shared.lock();
        if !std::mem::replace(&mut queue.away, true) {
            drop(queue);
            let keeping = if self.shared.spool.is_some() { "on disk" } else { "in memory" };
            let target = &self.shared.target;
            let text =
                format!("cannot send events to {target}: {reason}; they are kept {keeping} and sent later");
            (self.trouble)(Trouble::Warning(text));
            self.shared.changed.notify_all();
            queue = self.shared.lock();
        }
        let deadline = Instant::now() + pause;
        while !queue.closing {
            let Some(left) = deadline.checked_duration_since(Instant::now()) else { return true };
            let waited = self.shared.changed.wait_timeout(queue, left);
            queue = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        false
    }
}

#[cfg(test)]
mod tests;
