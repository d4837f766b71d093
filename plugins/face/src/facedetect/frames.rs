//! What `facedetect` does with frames: takes them in, decides which are looked at, and writes on each what was seen. They wait
//! in a line meanwhile and leave it in their order, on a thread of their own: what comes before, the detector and what comes
//! after all work at the same time.

use std::sync::Arc;
use std::time::Instant;

use gst::prelude::*;
use gst::subclass::prelude::*;
use vedette_models::geometry::Rect;

use super::imp::{CAT, FaceDetect, State};
use super::line::Item;
use super::region::Areas;
use super::workers::{Answer, DetectError, Seen};
use crate::frame;
use crate::meta::{self, Detection, FrameInfo, Keypoints};

/// How many frames of a live stream are on their way: one that is looked at and one that is ready for it.
const LIVE_FRAMES: usize = 2;
/// What frames of recordings may take in memory while they are on their way, all that a detector looks at together: some
/// embed while others are looked at, and the longer the line, the less one waits for the other.
const RECORDED_BYTES: usize = 64 << 20;
/// How many there are in any case, beside those that are looked at.
const LEAST_READY: usize = 2;

/// A frame on its way.
pub(super) struct Frame {
    buffer: gst::Buffer,
    look: Option<Look>,
    entered: Instant,
}

/// What is to be written on a frame that was due.
struct Look {
    answer: Arc<Answer>,
    /// Whether the answer is about an earlier frame that looked the same.
    is_repeated: bool,
}

impl FaceDetect {
    /// Takes the format of the frames that follow.
    pub(super) fn set_caps(&self, caps: &gst::CapsRef) -> bool {
        match frame::info_of(caps) {
            Ok(info) => {
                if let Some(state) = &mut *self.state() {
                    state.info = Some(Arc::new(info));
                    state.restart();
                }
                true
            }
            Err(error) => {
                error.log();
                false
            }
        }
    }

    /// The next frame has nothing to do with those before.
    pub(super) fn restart(&self) {
        if let Some(state) = &mut *self.state() {
            state.restart();
        }
    }

    /// Another stream begins: how many frames may be on their way depends on whether it is live.
    pub(super) fn begin_stream(&self) {
        if let Some(state) = &mut *self.state() {
            state.is_live = None;
            state.restart();
        }
    }

    /// Takes a frame in. No lock is held while others are waited for.
    pub(super) fn enter(&self, buffer: gst::Buffer) -> Result<gst::FlowSuccess, gst::FlowError> {
        let entered = Instant::now();
        self.line.await_room(self.most_frames())?;
        self.adapt(entered);
        self.take_areas()?;
        let look = self.begin(&buffer)?;
        self.line.push_frame(Frame { buffer, look, entered })
    }

    /// Has a live stream looked at less often while its frames have to wait for others.
    fn adapt(&self, entered: Instant) {
        let (wanted, most) = self.settings().intervals();
        let mut guard = self.state();
        let Some(state) = guard.as_mut().filter(|state| state.is_live == Some(true)) else { return };
        let now = Instant::now();
        let before = state.adaptation.interval(wanted, most);
        state.adaptation.entered(now, now.saturating_duration_since(entered), wanted, most);
        let interval = state.adaptation.interval(wanted, most);
        if interval != before {
            gst::info!(CAT, imp = self, "looks at every {interval}. frame, {wanted} wanted");
        }
    }

    /// How many frames of this stream may be on their way.
    fn most_frames(&self) -> usize {
        let is_live = self.state().as_ref().and_then(|state| state.is_live);
        let is_live = is_live.unwrap_or_else(|| {
            let mut latency = gst::query::Latency::new();
            self.sink_pad.peer_query(&mut latency) && latency.result().0
        });
        let Some(state) = &mut *self.state() else { return 1 };
        state.is_live = Some(is_live);
        if is_live {
            return LIVE_FRAMES;
        }
        let frame_bytes = state.info.as_ref().map_or(RECORDED_BYTES, |info| info.size()).max(1);
        let share = RECORDED_BYTES / frame_bytes / Arc::strong_count(&state.workers);
        share.max(state.workers.count() + LEAST_READY)
    }

    /// Takes over areas that were set, or mean something else, since the last frame.
    fn take_areas(&self) -> Result<(), gst::FlowError> {
        let settings = self.settings();
        let mut guard = self.state();
        let state = guard.as_mut().ok_or(gst::FlowError::Flushing)?;
        let info = state.info.as_ref().ok_or(gst::FlowError::NotNegotiated)?;
        let (roi, mask, size) =
            (settings.roi.as_deref(), settings.mask.as_deref(), (info.width(), info.height()));
        if state.areas.are_of(roi, mask, size) {
            return Ok(());
        }
        match Areas::new(roi, mask, size) {
            Ok(areas) => {
                state.areas = areas;
                // What the last frame showed elsewhere says nothing.
                state.gate.reset();
                Ok(())
            }
            Err(error) => {
                drop(guard);
                drop(settings);
                // Going on without a mask that was meant would be worse than not going on.
                gst::element_imp_error!(self, gst::ResourceError::Settings, ("{error}"));
                Err(gst::FlowError::Error)
            }
        }
    }

    /// Has the frame looked at if it is due, or finds out that it shows what the last one did.
    fn begin(&self, buffer: &gst::Buffer) -> Result<Option<Look>, gst::FlowError> {
        let settings = self.settings();
        let mut guard = self.state();
        let state = guard.as_mut().ok_or(gst::FlowError::Flushing)?;
        let (wanted, most) = settings.intervals();
        let interval = state.adaptation.interval(wanted, most);
        let is_due = state.frames_since == 0;
        state.frames_since = if state.frames_since + 1 >= interval { 0 } else { state.frames_since + 1 };
        if !is_due {
            return Ok(None);
        }
        let Some(info) = state.info.clone() else { return Err(gst::FlowError::NotNegotiated) };
        let window = state.areas.window();
        if settings.motion_gate {
            let gate = &mut state.gate;
            let unchanged = frame::with_view(buffer, &info, |view| {
                gate.unchanged(view, window, settings.min_face_size, buffer.pts())
            });
            // A frame that cannot be read is told about when it is looked at.
            if let Ok(Some(answer)) = unchanged {
                return Ok(Some(Look { answer, is_repeated: true }));
            }
        }
        let options = settings.options(state.workers.detector(), (info.width(), info.height()), window);
        let masks = Arc::clone(state.areas.masks());
        let answer = state.workers.look(buffer.clone(), info, options, masks);
        if settings.motion_gate {
            state.gate.looked(Arc::clone(&answer), buffer.pts());
        } else {
            state.gate.reset();
        }
        Ok(Some(Look { answer, is_repeated: false }))
    }

    /// Takes what is next out of the line and passes it on; whether there is more to do.
    pub(super) fn pass_on(&self) -> bool {
        let Some(item) = self.line.next() else { return false };
        let flow = match item {
            Item::Frame(frame) => self.src_pad.push(self.finish(frame)),
            Item::Event(event) => {
                self.src_pad.push_event(event);
                Ok(gst::FlowSuccess::Ok)
            }
        };
        let end_was_taken_in = self.line.done(flow);
        match flow {
            // After the end of what is wanted, events still are.
            Ok(_) | Err(gst::FlowError::Eos) => true,
            Err(error) => {
                gst::debug!(CAT, imp = self, "stops: {error}");
                // Whoever feeds us learns it with the next frame, unless that was the last one.
                if end_was_taken_in && error != gst::FlowError::Flushing {
                    self.report_flow(error);
                    self.src_pad.push_event(gst::event::Eos::new());
                }
                false
            }
        }
    }

    /// Tells of a failure behind this element that nobody before it will hear of.
    pub(super) fn report_flow(&self, error: gst::FlowError) {
        gst::element_imp_error!(
            self,
            gst::StreamError::Failed,
            ("Internal data stream error."),
            ["streaming stopped, reason {error}"]
        );
    }

    /// Waits until somebody has looked at the frame and writes down what he saw.
    fn finish(&self, frame: Frame) -> gst::Buffer {
        let Frame { mut buffer, look, entered } = frame;
        let outcome = look.as_ref().map(|look| look.answer.wait());
        let inferred = look.is_some();
        let content = buffer.make_mut();
        let mut frame_info = FrameInfo { inferred, ..FrameInfo::default() };
        let mut found = 0;
        frame_info.masks = self.state().as_ref().map(|state| state.areas.mask_shares()).unwrap_or_default();
        match outcome.as_deref() {
            Some(Ok(seen)) => {
                if look.is_some_and(|look| look.is_repeated) {
                    self.figures.spared();
                } else {
                    self.figures.inferred(seen.took, seen.preparation, seen.second_looks);
                }
                found = self.write(content, seen, &mut frame_info);
            }
            Some(Err(error)) => self.warn(error),
            None => (),
        }
        frame_info.write(content);
        self.figures.frame(found, entered);
        buffer
    }

    /// Writes down what counts; how many faces that is.
    fn write(&self, buffer: &mut gst::BufferRef, seen: &Seen, frame_info: &mut FrameInfo) -> usize {
        gst::trace!(CAT, imp = self, "{} faces", seen.faces.len());
        let guard = self.state();
        let Some(State { workers, areas, .. }) = &*guard else { return 0 };
        let counts = |rect: &Rect| areas.count(rect.centre());
        let share = |rect: &Rect| rect.scaled(1.0 / seen.size.0 as f32, 1.0 / seen.size.1 as f32);
        frame_info.unsure = seen.unsure.iter().filter(|rect| counts(rect)).map(share).collect();
        let faces = seen.faces.iter().filter(|face| counts(&face.rect));
        let model_name = workers.detector().model_name();
        faces
            .filter(|face| {
                let Some((x, y, width, height)) = meta::whole_pixels(&face.rect, seen.size) else {
                    return false;
                };
                let region = Rect::new(x as f32, y as f32, width as f32, height as f32);
                let detection = Detection::new(&face.rect, seen.size, face.score, model_name);
                let keypoints = Keypoints::relative_to(&region, &face.landmarks);
                meta::add_face(buffer, seen.size, &face.rect, [(&detection).into(), (&keypoints).into()])
            })
            .count()
    }

    fn warn(&self, error: &DetectError) {
        self.figures.dropped();
        if self.warnings.opens() {
            gst::element_imp_warning!(self, gst::StreamError::Failed, ("no faces are looked for: {error}"));
        }
    }
}

impl State {
    fn restart(&mut self) {
        self.frames_since = 0;
        self.gate.reset();
    }
}
