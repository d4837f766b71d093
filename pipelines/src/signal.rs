//! How threads wake each other: the request to stop one camera or to set it otherwise, and the news that something
//! changed.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Both values here are whole after any panic.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Name of the bus message that wakes a camera's thread when it is to stop.
pub(crate) const STOP_MESSAGE: &str = "vedette-stop";

/// Name of the bus message that wakes a camera's thread when its settings have changed.
pub(crate) const SETTINGS_MESSAGE: &str = "vedette-settings";

/// The request to stop one camera: wakes its thread wherever it waits.
#[derive(Debug, Default)]
pub struct StopSignal {
    inner: Mutex<StopRequest>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct StopRequest {
    requested: bool,
    bus: Option<gst::Bus>,
}

impl StopRequest {
    fn post(&self, name: &str) {
        if let Some(bus) = &self.bus {
            let message = gst::message::Application::new(gst::Structure::new_empty(name));
            // A bus that flushes belongs to a pipeline that has stopped already.
            let _ = bus.post(message);
        }
    }
}

impl StopSignal {
    /// Asks the camera to stop.
    pub fn request(&self) {
        let mut inner = lock(&self.inner);
        inner.requested = true;
        inner.post(STOP_MESSAGE);
        self.changed.notify_all();
    }

    /// Tells a thread that waits on a bus that the camera's settings have changed. One that waits elsewhere reads them
    /// before it goes on.
    pub(crate) fn settings_changed(&self) {
        lock(&self.inner).post(SETTINGS_MESSAGE);
    }

    /// Whether it was asked to.
    pub fn is_requested(&self) -> bool {
        lock(&self.inner).requested
    }

    /// The thread waits on `bus` from now on. Whatever came before it did is told there.
    pub(crate) fn watch(&self, bus: &gst::Bus) {
        let mut inner = lock(&self.inner);
        inner.bus = Some(bus.clone());
        inner.post(if inner.requested { STOP_MESSAGE } else { SETTINGS_MESSAGE });
    }

    /// Waits for the request, at most `timeout`; answers whether it came.
    pub(crate) fn wait(&self, timeout: Duration) -> bool {
        let mut inner = lock(&self.inner);
        inner.bus = None;
        let waited = self.changed.wait_timeout_while(inner, timeout, |inner| !inner.requested);
        waited.unwrap_or_else(PoisonError::into_inner).0.requested
    }
}

/// News for the heartbeat: something changed, or the program is to end.
#[derive(Debug, Default)]
pub struct News {
    inner: Mutex<NewsState>,
    arrived: Condvar,
}

#[derive(Debug, Default)]
struct NewsState {
    changed: bool,
    ending: bool,
}

/// Why [`News::wait`] returned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Woken {
    /// Nothing happened.
    Timeout,
    /// A camera's state changed.
    Changed,
    /// The program is to end.
    Ending,
}

impl News {
    /// A camera's state changed.
    pub fn changed(&self) {
        lock(&self.inner).changed = true;
        self.arrived.notify_all();
    }

    /// The program is to end.
    pub fn end(&self) {
        lock(&self.inner).ending = true;
        self.arrived.notify_all();
    }

    /// Whether the program is to end.
    pub fn is_ending(&self) -> bool {
        lock(&self.inner).ending
    }

    /// Waits for news, at most `timeout`. A change that came since the last call counts.
    pub fn wait(&self, timeout: Duration) -> Woken {
        let nothing = |state: &mut NewsState| !state.changed && !state.ending;
        let waited = self.arrived.wait_timeout_while(lock(&self.inner), timeout, nothing);
        let mut state = waited.unwrap_or_else(PoisonError::into_inner).0;
        let changed = std::mem::take(&mut state.changed);
        match (state.ending, changed) {
            (true, _) => Woken::Ending,
            (false, true) => Woken::Changed,
            (false, false) => Woken::Timeout,
        }
    }

    /// Waits until the program is to end, at most `timeout`; changes stay news.
    pub(crate) fn wait_for_end(&self, timeout: Duration) {
        let running = |state: &mut NewsState| !state.ending;
        drop(self.arrived.wait_timeout_while(lock(&self.inner), timeout, running));
    }
}
