//! Carries records to a receiver that may be away for a while: a thread, a bounded queue in memory and, if
//! set, a spool on disk with a limit of its own.
//!
//! With a spool an event lies on disk before the stream goes on and leaves it only when the receiver has
//! acknowledged it. Without one, or when the disk has no room even without pictures, the newest records are kept in
//! memory as far as they fit.

mod queue;

use std::io;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

pub(super) use queue::Figures;
use queue::{Entry, Queue, SPOOLED_IDS, Shortage};

use super::delivery::Record;
use super::handover::{BATCH_BYTES, BATCH_RECORDS, Handover, Parcel, Transport, hand_over};
use super::spool::{Claim, Fetched, Kept, Spool};

/// Pause after the first failed attempt; it doubles with each further one.
const FIRST_PAUSE: Duration = Duration::from_millis(250);
/// The longest pause: a receiver that is back is found within this time.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
/// How often one asks whether another courier has left the spool.
const CLAIM_PAUSE: Duration = Duration::from_millis(250);

/// What the owner should tell the user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Trouble {
    /// Something failed; the text says what, and what becomes of the events.
    Warning(String),
    /// The receiver is back.
    Recovered(String),
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

    fn wait<'a>(&self, queue: MutexGuard<'a, Queue>, timeout: Duration) -> MutexGuard<'a, Queue> {
        self.changed.wait_timeout(queue, timeout).unwrap_or_else(PoisonError::into_inner).0
    }

    fn spool_name(&self) -> String {
        self.spool.as_ref().map(|spool| spool.dir().display().to_string()).unwrap_or_default()
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
        let round = Round {
            shared: shared.clone(),
            transport,
            trouble: Box::new(trouble),
            told_of_unreadable: false,
        };
        std::thread::Builder::new().name("vedette-events".into()).spawn(move || round.run())?;
        Ok(Self { shared })
    }

    /// Takes charge of a record. Never waits for the receiver.
    pub(super) fn take(&self, record: Record) {
        let spool = self.shared.spool.as_ref().filter(|_| record.lasting);
        let kept = spool.map(|spool| (spool.keep(record.id, &record.line), spool));
        let mut queue = self.shared.lock();
        match kept {
            Some((Ok(Kept::Whole), spool)) => {
                if queue.shortage != Shortage::None && spool.is_roomy() {
                    queue.shortage = Shortage::None;
                }
                queue.push_spooled(record.id);
            }
            Some((Ok(Kept::WithoutPicture), _)) => {
                queue.figures.pictures_lost += 1;
                queue.grow_short(Shortage::Pictures, || {
                    format!(
                        "the spool folder {} has no room for pictures: events are kept without them; see why \
                         {} does not take events, or raise spool-max-bytes",
                        self.shared.spool_name(),
                        self.shared.target
                    )
                });
                queue.push_spooled(record.id);
            }
            Some((Err(error), _)) => {
                // A full disk must not lose the event while memory has room.
                queue.grow_short(Shortage::Disk, || {
                    format!(
                        "cannot keep events in the spool folder {} ({error}): they are kept in memory, which \
                         does not outlive the program; free or grant space for it",
                        self.shared.spool_name()
                    )
                });
                queue.push_in_memory(record);
            }
            None => queue.push_in_memory(record),
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
            queue = self.shared.wait(queue, left);
        }
        queue.in_memory()
    }

    pub(super) fn figures(&self) -> Figures {
        let spool_bytes = self.shared.spool.as_ref().map(Spool::used_bytes).unwrap_or_default();
        let queue = self.shared.lock();
        let pending = queue.entries.len() + queue.in_flight;
        Figures { pending: pending as u64, spool_bytes, ..queue.figures }
    }
}

impl Drop for Courier {
    /// The thread ends after the attempt it is in; it is not waited for, a receiver may be slow to fail.
    fn drop(&mut self) {
        self.shared.lock().closing = true;
        self.shared.changed.notify_all();
    }
}

/// The thread's end.
struct Round {
    shared: Arc<Shared>,
    transport: Box<dyn Transport>,
    trouble: Box<dyn Fn(Trouble) + Send>,
    told_of_unreadable: bool,
}

impl Round {
    fn run(mut self) {
        let Some(_claim) = self.claim_spool() else { return };
        while let Some(batch) = self.next_batch() {
            self.deliver(batch);
            let mut queue = self.shared.lock();
            (queue.in_flight, queue.in_flight_in_memory) = (0, 0);
            drop(queue);
            self.shared.changed.notify_all();
        }
    }

    /// Waits until no other courier is busy with the spool, whose events would be sent twice; `None` when the owner is
    /// gone before.
    fn claim_spool(&self) -> Option<Option<Claim>> {
        let shared = self.shared.clone();
        let Some(spool) = &shared.spool else { return Some(None) };
        loop {
            let claim = Claim::of(spool.dir());
            let mut queue = shared.lock();
            if queue.closing {
                return None;
            }
            queue.waits_for_claim = matches!(claim, Ok(None));
            match claim {
                Ok(Some(claim)) => return Some(Some(claim)),
                Ok(None) => {
                    shared.changed.notify_all();
                    drop(shared.wait(queue, CLAIM_PAUSE));
                    self.tell_warnings();
                }
                Err(error) => {
                    // Events twice count once; none at all would be worse.
                    queue.warnings.push(format!("cannot lock the spool folder: {error}; going on without"));
                    return Some(None);
                }
            }
        }
    }

    /// Whoever is told may ask for the figures: not under the lock.
    fn tell_warnings(&self) {
        let warnings = std::mem::take(&mut self.shared.lock().warnings);
        warnings.into_iter().for_each(|text| (self.trouble)(Trouble::Warning(text)));
    }

    /// Waits for something to send; `None` when the owner is gone.
    fn next_batch(&mut self) -> Option<Vec<Parcel>> {
        let shared = self.shared.clone();
        loop {
            let mut queue = shared.lock();
            while !queue.closing
                && queue.entries.is_empty()
                && !queue.more_on_disk
                && queue.warnings.is_empty()
            {
                let Some(at) = queue.look_again_at else {
                    queue = shared.changed.wait(queue).unwrap_or_else(PoisonError::into_inner);
                    continue;
                };
                match at.checked_duration_since(Instant::now()) {
                    Some(left) => queue = shared.wait(queue, left),
                    None => (queue.look_again_at, queue.more_on_disk) = (None, true),
                }
            }
            if queue.closing {
                return None;
            }
            if queue.entries.is_empty() {
                self.rescan(&mut queue);
            }
            let batch = self.take_batch(&mut queue);
            queue.in_flight = batch.len();
            queue.in_flight_in_memory = batch.iter().filter(|parcel| !parcel.spooled).count();
            drop(queue);
            shared.changed.notify_all();
            self.tell_warnings();
            if !batch.is_empty() {
                return Some(batch);
            }
        }
    }

    /// Finds events on disk that nobody in this process remembers. Runs under the lock: nothing is added
    /// meanwhile that would be found twice.
    fn rescan(&self, queue: &mut Queue) {
        queue.more_on_disk = false;
        let Some(spool) = &self.shared.spool else { return };
        match spool.scan(SPOOLED_IDS) {
            Ok((ids, more)) => {
                queue.entries.extend(ids.into_iter().map(Entry::Spooled));
                queue.more_on_disk = more;
            }
            Err(error) => {
                queue.warnings.push(format!("cannot list the spool folder: {error}"));
                queue.look_again();
            }
        }
    }

    fn take_batch(&mut self, queue: &mut Queue) -> Vec<Parcel> {
        let mut batch = Vec::new();
        let mut bytes = 0;
        while batch.len() < BATCH_RECORDS && bytes < BATCH_BYTES {
            let parcel = match queue.entries.pop_front() {
                None => break,
                Some(Entry::Memory(record)) => {
                    queue.memory_bytes -= record.line.len();
                    Parcel { record, spooled: false }
                }
                Some(Entry::Spooled(id)) => match self.shared.spool.as_ref().map(|spool| spool.fetch(id)) {
                    Some(Fetched::Line(line)) => {
                        Parcel { record: Record { id, line, lasting: true }, spooled: true }
                    }
                    Some(Fetched::Damaged(text)) => {
                        queue.warnings.push(text);
                        continue;
                    }
                    Some(Fetched::Unreadable(error)) => {
                        if !std::mem::replace(&mut self.told_of_unreadable, true) {
                            let text =
                                format!("cannot read event {id} from the spool: {error}; it is tried again");
                            queue.warnings.push(text);
                        }
                        queue.look_again();
                        continue;
                    }
                    Some(Fetched::Gone) | None => continue,
                },
            };
            bytes += parcel.record.line.len();
            batch.push(parcel);
        }
        batch
    }

    /// Sends until the receiver has taken or refused every record, or the owner is gone.
    fn deliver(&mut self, mut batch: Vec<Parcel>) {
        let mut pause = FIRST_PAUSE;
        loop {
            let (spool, target) = (self.shared.spool.as_ref(), &self.shared.target);
            let handover = hand_over(&mut *self.transport, spool, target, batch);
            if self.count(&handover) > 0 || handover.left.is_none() {
                self.recovered();
                pause = FIRST_PAUSE;
            }
            handover.troubles.into_iter().for_each(|text| (self.trouble)(Trouble::Warning(text)));
            let Some((left, reason)) = handover.left else { return };
            batch = left;
            if !self.wait_out(&reason, pause) {
                return;
            }
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    /// Takes over what a handover did; answers of how many records the receiver has disposed.
    fn count(&self, handover: &Handover) -> u64 {
        let mut queue = self.shared.lock();
        queue.figures.delivered += handover.delivered;
        queue.figures.rejected += handover.rejected;
        queue.figures.pictures_lost += handover.without_picture;
        let left = handover.left.as_ref().map_or(&[][..], |(left, _)| left.as_slice());
        queue.in_flight = left.len();
        queue.in_flight_in_memory = left.iter().filter(|parcel| !parcel.spooled).count();
        handover.delivered + handover.rejected
    }

    fn recovered(&self) {
        let was_away = std::mem::take(&mut self.shared.lock().away);
        if was_away {
            (self.trouble)(Trouble::Recovered(format!("events reach {} again", self.shared.target)));
        }
    }

    /// Pauses after a failed attempt; false when the owner is gone.
    fn wait_out(&self, reason: &str, pause: Duration) -> bool {
        if !std::mem::replace(&mut self.shared.lock().away, true) {
            let keeping = if self.shared.spool.is_some() { "on disk" } else { "in memory" };
            let target = &self.shared.target;
            let text =
                format!("cannot send events to {target}: {reason}; they are kept {keeping} and sent later");
            (self.trouble)(Trouble::Warning(text));
            self.shared.changed.notify_all();
        }
        let deadline = Instant::now() + pause;
        loop {
            self.tell_warnings();
            let queue = self.shared.lock();
            if queue.closing {
                return false;
            }
            let Some(left) = deadline.checked_duration_since(Instant::now()) else { return true };
            if queue.warnings.is_empty() {
                drop(self.shared.wait(queue, left));
            }
        }
    }
}

#[cfg(test)]
mod tests;
