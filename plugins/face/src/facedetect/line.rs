//! What is between the element's pads: frames and events in their order, few enough that nothing piles up. One thread
//! puts them in, another takes them out, and detection goes on meanwhile.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use gst::{FlowError, FlowSuccess};

/// The frames and events in a line, and how those before fared.
#[derive(Debug)]
pub(super) struct Line<F> {
    state: Mutex<State<F>>,
    changed: Condvar,
}

/// One place in the line.
#[derive(Debug)]
pub(super) enum Item<F> {
    /// A frame.
    Frame(F),
    /// An event that must not overtake the frames before it.
    Event(gst::Event),
}

#[derive(Debug)]
struct State<F> {
    items: VecDeque<Item<F>>,
    frames: usize,
    /// The item taken last is still under way.
    is_busy: bool,
    is_flushing: bool,
    has_ended: bool,
    flow: Result<FlowSuccess, FlowError>,
}

impl<F> Default for Line<F> {
    fn default() -> Self {
        let state = State {
            items: VecDeque::new(),
            frames: 0,
            is_busy: false,
            is_flushing: true,
            has_ended: false,
            flow: Ok(FlowSuccess::Ok),
        };
        Self { state: Mutex::new(state), changed: Condvar::new() }
    }
}

impl<F> Line<F> {
    /// Begins anew.
    pub(super) fn open(&self) {
        let mut state = self.lock();
        state.items.clear();
        state.frames = 0;
        state.is_flushing = false;
        state.has_ended = false;
        state.flow = Ok(FlowSuccess::Ok);
    }

    /// Throws away what waits; nobody waits any more until [`Line::open`]. Gives back the events among it.
    pub(super) fn flush(&self) -> Vec<gst::Event> {
        let thrown_away = {
            let mut state = self.lock();
            state.is_flushing = true;
            state.frames = 0;
            std::mem::take(&mut state.items)
        };
        self.changed.notify_all();
        // Frames go back to the decoder's pool, which is somebody else's code: not under our lock.
        let event = |item| match item {
            Item::Event(event) => Some(event),
            Item::Frame(_) => None,
        };
        thrown_away.into_iter().filter_map(event).collect()
    }

    /// Waits until fewer than `most_frames` wait, and says how those before fared if they did not fare well.
    pub(super) fn await_room(&self, most_frames: usize) -> Result<(), FlowError> {
        let mut state = self.lock();
        loop {
            if state.is_flushing {
                return Err(FlowError::Flushing);
            }
            state.flow?;
            if state.has_ended {
                return Err(FlowError::Eos);
            }
            if state.frames < most_frames.max(1) {
                return Ok(());
            }
            state = self.wait(state);
        }
    }

    /// Adds a frame for which there is room.
    pub(super) fn push_frame(&self, frame: F) -> Result<FlowSuccess, FlowError> {
        let mut state = self.lock();
        if state.is_flushing {
            return Err(FlowError::Flushing);
        }
        state.flow?;
        state.frames += 1;
        state.items.push_back(Item::Frame(frame));
        drop(state);
        self.changed.notify_all();
        Ok(FlowSuccess::Ok)
    }

    /// Adds an event, or says why nobody would take it out.
    pub(super) fn push_event(&self, event: gst::Event) -> Result<(), FlowError> {
        let mut state = self.lock();
        if state.is_flushing {
            return Err(FlowError::Flushing);
        }
        match (event.type_(), state.flow) {
            // Another stream may be wanted where the last one was not.
            (gst::EventType::StreamStart, Ok(_) | Err(FlowError::Eos)) => {
                state.flow = Ok(FlowSuccess::Ok);
                state.has_ended = false;
            }
            (gst::EventType::Segment, _) => state.has_ended = false,
            (gst::EventType::Eos, _) => state.has_ended = true,
            _ => (),
        }
        if let Err(error) = state.flow
            && error != FlowError::Eos
        {
            return Err(error);
        }
        state.items.push_back(Item::Event(event));
        drop(state);
        self.changed.notify_all();
        Ok(())
    }

    /// Waits for the next item; nothing when the line is flushed. [`Line::done`] tells what came of it.
    pub(super) fn next(&self) -> Option<Item<F>> {
        let mut state = self.lock();
        while !state.is_flushing {
            if let Some(item) = state.items.pop_front() {
                state.frames -= usize::from(matches!(item, Item::Frame(_)));
                state.is_busy = true;
                drop(state);
                self.changed.notify_all();
                return Some(item);
            }
            state = self.wait(state);
        }
        None
    }

    /// Tells how the item taken last fared; whether the end of the stream is among what is left.
    pub(super) fn done(&self, flow: Result<FlowSuccess, FlowError>) -> bool {
        let mut state = self.lock();
        state.is_busy = false;
        if flow.is_err() && state.flow.is_ok() {
            state.flow = flow;
        }
        let has_ended = state.has_ended;
        drop(state);
        self.changed.notify_all();
        has_ended
    }

    /// Waits until everything that was put in has gone out; false if it was thrown away instead.
    pub(super) fn drain(&self) -> bool {
        let mut state = self.lock();
        loop {
            if state.is_flushing || matches!(state.flow, Err(error) if error != FlowError::Eos) {
                return false;
            }
            if state.items.is_empty() && !state.is_busy {
                return true;
            }
            state = self.wait(state);
        }
    }

    fn lock(&self) -> MutexGuard<'_, State<F>> {
        // Nothing panics while the lock is held, and the state would be whole if something did.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait<'a>(&self, state: MutexGuard<'a, State<F>>) -> MutexGuard<'a, State<F>> {
        self.changed.wait(state).unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn line() -> Line<u32> {
        gst::init().unwrap();
        let line = Line::default();
        line.open();
        line
    }

    fn next(line: &Line<u32>) -> Option<u32> {
        match line.next()? {
            Item::Frame(frame) => Some(frame),
            Item::Event(_) => None,
        }
    }

    #[test]
    fn everything_comes_out_in_order_and_frames_wait_for_room() {
        let line = line();
        std::thread::scope(|scope| {
            scope.spawn(|| {
                for frame in 0..100 {
                    line.await_room(2).unwrap();
                    line.push_frame(frame).unwrap();
                    if frame % 10 == 9 {
                        line.push_event(gst::event::Gap::new(gst::ClockTime::ZERO, None)).unwrap();
                    }
                }
            });
            for frame in 0..100 {
                assert_eq!(next(&line), Some(frame));
                assert!(line.lock().frames <= 2);
                line.done(Ok(FlowSuccess::Ok));
                if frame % 10 == 9 {
                    assert_eq!(next(&line), None, "the event in between");
                    line.done(Ok(FlowSuccess::Ok));
                }
            }
        });
        assert!(line.drain());
    }

    #[test]
    fn flushing_frees_whoever_waits() {
        let line = line();
        line.push_event(gst::event::StreamStart::new("kept")).unwrap();
        line.push_frame(1).unwrap();
        std::thread::scope(|scope| {
            let waiting = scope.spawn(|| (line.await_room(1), line.drain()));
            let events = line.flush();
            assert_eq!(events.len(), 1);
            let (room, drained) = waiting.join().unwrap();
            // Whoever came after the flush is turned away as well.
            assert_eq!((room, drained), (Err(FlowError::Flushing), false));
        });
        assert!(line.next().is_none());
        line.open();
        assert_eq!(line.await_room(1), Ok(()));
    }

    #[test]
    fn what_went_wrong_behind_is_told_in_front() {
        let line = line();
        line.push_frame(1).unwrap();
        assert_eq!(next(&line), Some(1));
        assert!(!line.drain_is_possible());
        line.done(Err(FlowError::NotLinked));
        assert_eq!(line.await_room(1), Err(FlowError::NotLinked));
        assert_eq!(line.push_event(gst::event::Eos::new()), Err(FlowError::NotLinked));
        assert!(!line.drain());
    }

    #[test]
    fn nothing_comes_after_the_end_until_a_new_stream() {
        let line = line();
        line.push_event(gst::event::Eos::new()).unwrap();
        assert_eq!(line.await_room(1), Err(FlowError::Eos));
        line.push_event(gst::event::StreamStart::new("again")).unwrap();
        assert_eq!(line.await_room(1), Ok(()));
    }

    impl<F> Line<F> {
        fn drain_is_possible(&self) -> bool {
            !self.lock().is_busy
        }
    }
}
