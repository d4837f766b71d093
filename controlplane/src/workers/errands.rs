//! Errands for workers: handed out with the answer to a heartbeat, awaited by the request that wants the outcome.
//!
//! In memory: a request whose server stops fails anyway. An errand can only be fetched from the server it was left with.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::oneshot;
use uuid::Uuid;
use vedette_events::{Errand, Outcome, Task};

/// Errands that may wait for one worker.
const MAX_WAITING: usize = 32;

/// Errands not fetched yet, and requests that wait for an outcome.
#[derive(Debug, Default)]
pub struct Errands {
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    /// By worker.
    queued: HashMap<String, Vec<Errand>>,
    waiting: HashMap<Uuid, oneshot::Sender<Outcome>>,
}

/// Takes an errand back when nobody waits for it any more.
struct Withdrawal<'a> {
    errands: &'a Errands,
    worker_id: &'a str,
    id: Uuid,
}

impl Drop for Withdrawal<'_> {
    fn drop(&mut self) {
        let mut inner = self.errands.lock();
        inner.waiting.remove(&self.id);
        if let Some(queue) = inner.queued.get_mut(self.worker_id) {
            queue.retain(|errand| errand.id != self.id);
            if queue.is_empty() {
                inner.queued.remove(self.worker_id);
            }
        }
    }
}

impl Errands {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        // Nothing panics while the lock is held.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Has `worker_id` do something; nothing when it does not answer in time or has too much to do.
    pub async fn send(&self, worker_id: &str, task: Task, within: Duration) -> Option<Outcome> {
        let id = Uuid::new_v4();
        let (sender, receiver) = oneshot::channel();
        {
            let mut inner = self.lock();
            let queue = inner.queued.entry(worker_id.to_owned()).or_default();
            if queue.len() >= MAX_WAITING {
                return None;
            }
            queue.push(Errand { id, task });
            inner.waiting.insert(id, sender);
        }
        let _withdrawal = Withdrawal { errands: self, worker_id, id };
        tokio::time::timeout(within, receiver).await.ok()?.ok()
    }

    /// What `worker_id` is to do now.
    pub(super) fn take(&self, worker_id: &str) -> Vec<Errand> {
        self.lock().queued.remove(worker_id).unwrap_or_default()
    }

    /// Hands an outcome to who waits for it; answers whether somebody does.
    pub(super) fn finish(&self, id: Uuid, outcome: Outcome) -> bool {
        let waiting = self.lock().waiting.remove(&id);
        waiting.is_some_and(|waiting| waiting.send(outcome).is_ok())
    }
}
