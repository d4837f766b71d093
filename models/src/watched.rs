//! Work that may hang in somebody else's code, an inference above all: what is under way, for whom, and since when. A
//! native thread that hangs cannot be ended; whoever runs the process can find out here that it is time for another one.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::owner::Owner;

static UNDER_WAY: Mutex<Vec<Work>> = Mutex::new(Vec::new());

/// A piece of work that is under way.
#[derive(Clone, Debug)]
pub struct Work {
    /// Distinguishes it from all others.
    pub id: u64,
    /// What is done, as the subject of a sentence.
    pub what: Arc<str>,
    /// For whom.
    pub owner: Owner,
    /// When it began.
    pub since: Instant,
    /// How long it may take.
    pub patience: Duration,
}

/// Notes that work begins, which ends when the answer is dropped. It is the current thread's owner's.
#[must_use]
pub fn begin(what: &Arc<str>, patience: Duration) -> Watched {
    static LAST_ID: AtomicU64 = AtomicU64::new(0);
    let id = LAST_ID.fetch_add(1, Ordering::Relaxed) + 1;
    let (what, owner, since) = (Arc::clone(what), Owner::current(), Instant::now());
    lock().push(Work { id, what, owner, since, patience });
    Watched { id }
}

/// The oldest work that takes longer at `now` than it may.
pub fn overdue(now: Instant) -> Option<Work> {
    let is_overdue = |work: &&Work| now.saturating_duration_since(work.since) > work.patience;
    lock().iter().filter(is_overdue).min_by_key(|work| work.since).cloned()
}

/// Work that is under way as long as this lives.
#[derive(Debug)]
pub struct Watched {
    id: u64,
}

impl Drop for Watched {
    fn drop(&mut self) {
        let mut under_way = lock();
        if let Some(index) = under_way.iter().position(|work| work.id == self.id) {
            under_way.swap_remove(index);
        }
    }
}

fn lock() -> MutexGuard<'static, Vec<Work>> {
    // Nothing panics while the lock is held.
    UNDER_WAY.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_work_that_takes_too_long_is_told() {
        let later = Instant::now() + Duration::from_secs(1000);
        let (what, patience) = (Arc::<str>::from("this test"), Duration::from_secs(900));
        // Work of other tests may be older, but comes to its end.
        let oldest_of_mine = || {
            loop {
                match overdue(later) {
                    Some(work) if Arc::ptr_eq(&work.what, &what) => return work,
                    _ => std::thread::yield_now(),
                }
            }
        };
        let first = begin(&what, patience);
        let second = begin(&what, patience);
        let told = oldest_of_mine();
        assert_eq!((told.id, told.owner), (first.id, Owner::NOBODY));
        assert!(overdue(Instant::now()).is_none_or(|work| !Arc::ptr_eq(&work.what, &what)), "in time");
        drop(first);
        assert_eq!(oldest_of_mine().id, second.id);
    }
}
