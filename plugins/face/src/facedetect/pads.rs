//! The element's pads: what comes in waits in the line, what goes out is taken from it by a thread of its own.

use gst::prelude::*;
use gst::subclass::prelude::*;

use super::imp::{CAT, FaceDetect};

/// The sink and the source pad.
pub(super) fn make(class: &<FaceDetect as ObjectSubclass>::Class) -> (gst::Pad, gst::Pad) {
    #[expect(
        clippy::expect_used,
        reason = "the class has both templates, or GStreamer could not make any pad"
    )]
    let template = |name| class.pad_template(name).expect("the element has a template for each of its pads");
    let sink = gst::Pad::builder_from_template(&template("sink"))
        .chain_function(|_, parent, buffer| {
            FaceDetect::catch_panic_pad_function(
                parent,
                || Err(gst::FlowError::Error),
                |imp| imp.enter(buffer),
            )
        })
        .event_function(|pad, parent, event| {
            FaceDetect::catch_panic_pad_function(parent, || false, |imp| imp.sink_event(pad, event))
        })
        .query_function(|pad, parent, query| {
            FaceDetect::catch_panic_pad_function(parent, || false, |imp| imp.sink_query(pad, query))
        })
        .activatemode_function(|_, parent, _, active| {
            FaceDetect::catch_panic_pad_function(
                parent,
                || Err(gst::loggable_error!(CAT, "the pad cannot be activated")),
                |imp| {
                    if !active {
                        imp.line.flush();
                    }
                    Ok(())
                },
            )
        })
        .flags(gst::PadFlags::PROXY_CAPS)
        .build();
    let src = gst::Pad::builder_from_template(&template("src"))
        .activatemode_function(|pad, parent, _, active| {
            FaceDetect::catch_panic_pad_function(
                parent,
                || Err(gst::loggable_error!(CAT, "the pad cannot be activated")),
                |imp| imp.activate_src(pad, active),
            )
        })
        .flags(gst::PadFlags::PROXY_CAPS)
        .build();
    (sink, src)
}

impl FaceDetect {
    fn activate_src(&self, pad: &gst::Pad, active: bool) -> Result<(), gst::LoggableError> {
        if active {
            self.line.open();
            self.start_task(pad)?;
        } else {
            self.line.flush();
            pad.stop_task()?;
        }
        Ok(())
    }

    fn start_task(&self, pad: &gst::Pad) -> Result<(), gst::glib::BoolError> {
        let (element, pad_of_task) = (self.obj().downgrade(), pad.downgrade());
        pad.start_task(move || {
            let goes_on = element.upgrade().is_some_and(|element| element.imp().pass_on());
            if !goes_on && let Some(pad) = pad_of_task.upgrade() {
                // It pauses; that it cannot would mean that it is no task.
                let _ = pad.pause_task();
            }
        })
    }

    fn sink_event(&self, pad: &gst::Pad, event: gst::Event) -> bool {
        match event.view() {
            gst::EventView::FlushStart(_) => {
                let passed = self.src_pad.push_event(event);
                let events = self.line.flush();
                let is_paused = self.src_pad.pause_task().is_ok();
                self.keep(&events);
                passed & is_paused
            }
            gst::EventView::FlushStop(_) => {
                let passed = self.src_pad.push_event(event);
                self.restart();
                if !self.src_pad.is_active() {
                    return passed;
                }
                self.line.open();
                passed & self.start_task(&self.src_pad).is_ok()
            }
            _ if !event.is_serialized() => gst::Pad::event_default(pad, Some(&*self.obj()), event),
            view => {
                match view {
                    gst::EventView::StreamStart(_) => self.begin_stream(),
                    gst::EventView::Caps(caps) if !self.set_caps(caps.caps()) => return false,
                    _ => (),
                }
                self.take_in(event)
            }
        }
    }

    /// Puts on the pad what outlives a flush and has not gone out yet, such as the format.
    fn keep(&self, events: &[gst::Event]) {
        let outlives = |event: &&gst::Event| {
            event.is_sticky() && !matches!(event.type_(), gst::EventType::Segment | gst::EventType::Eos)
        };
        for event in events.iter().filter(outlives) {
            // It fails on a pad that is flushing in earnest, which keeps nothing.
            let _ = self.src_pad.store_sticky_event(event);
        }
    }

    fn take_in(&self, event: gst::Event) -> bool {
        let (is_sticky, is_end) = (event.is_sticky(), event.type_() == gst::EventType::Eos);
        match self.line.push_event(event) {
            Ok(()) => true,
            Err(error) => {
                // After the end no frame comes that could be refused.
                if is_end && !matches!(error, gst::FlowError::Flushing | gst::FlowError::Eos) {
                    self.report_flow(error);
                }
                // The pad keeps sticky events; the frames that follow tell what is wrong.
                is_sticky && !is_end && error != gst::FlowError::Flushing
            }
        }
    }

    fn sink_query(&self, pad: &gst::Pad, query: &mut gst::QueryRef) -> bool {
        if query.is_serialized() {
            // What it asks about holds after the frames and the format before it have gone out.
            return self.line.drain() && self.src_pad.peer_query(query);
        }
        gst::Pad::query_default(pad, Some(&*self.obj()), query)
    }
}
