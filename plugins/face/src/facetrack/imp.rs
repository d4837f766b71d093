//! The body of `facetrack`: hands boxes and times to the tracker and writes down what it says.

#![expect(missing_docs, reason = "the accessors the macro makes are documented by the blurbs")]

use std::sync::{LazyLock, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use gst::glib::{self, Properties};
use gst::prelude::*;
use gst::subclass::prelude::*;
use gst_base::prelude::*;
use gst_base::subclass::prelude::*;
use gst_video::VideoInfo;
use vedette_models::detect::DetectedFace;
use vedette_models::geometry::Rect;
use vedette_models::track::{Tracker, TrackerOptions};

use crate::frame::{self, FrameTime};
use crate::meta::{self, Face, FrameInfo, TrackId};
use crate::stats::{self, Figures};

static CAT: LazyLock<gst::DebugCategory> = LazyLock::new(|| {
    gst::DebugCategory::new("facetrack", gst::DebugColorFlags::empty(), Some("Vedette face tracker"))
});

/// Time from one frame to the next where buffers carry none.
const UNTIMED_FRAME_MS: u64 = 40;

#[derive(Clone, Copy, Debug)]
struct Settings {
    iou_threshold: f32,
    max_age: u32,
    min_hits: u32,
}

impl Default for Settings {
    fn default() -> Self {
        Self { iou_threshold: 0.3, max_age: 1000, min_hits: 2 }
    }
}

impl From<Settings> for TrackerOptions {
    fn from(settings: Settings) -> Self {
        Self {
            iou_threshold: settings.iou_threshold,
            max_age_ms: u64::from(settings.max_age),
            min_hits: settings.min_hits,
        }
    }
}

struct State {
    tracker: Tracker,
    info: Option<VideoInfo>,
    segment: Option<gst::Segment>,
    /// Tracks ended by a jump in the stream, to be told with the next frame.
    ended: Vec<u64>,
    clock_ms: u64,
}

/// The element's private part.
#[derive(Default, Properties)]
#[properties(wrapper_type = super::FaceTrack)]
pub struct FaceTrack {
    #[property(
        name = "iou-threshold", get, set, type = f32, member = iou_threshold, minimum = 0.0, maximum = 1.0, default = 0.3, mutable_playing,
        nick = "IoU threshold", blurb = "Least overlap of a face with the box its track is expected in"
    )]
    #[property(
        name = "max-age", get, set, type = u32, member = max_age, minimum = 1, maximum = 60_000, default = 1000, mutable_playing,
        nick = "Most age", blurb = "Milliseconds after which a track that is not seen ends"
    )]
    #[property(
        name = "min-hits", get, set, type = u32, member = min_hits, minimum = 1, maximum = 100, default = 2, mutable_playing,
        nick = "Least hits", blurb = "Detections that make a track; before, a face has no number"
    )]
    settings: Mutex<Settings>,
    state: Mutex<Option<State>>,
    figures: Figures,
}

#[glib::object_subclass]
impl ObjectSubclass for FaceTrack {
    const NAME: &'static str = "GstVedetteFaceTrack";
    type Type = super::FaceTrack;
    type ParentType = gst_base::BaseTransform;
}

impl ObjectImpl for FaceTrack {
    fn properties() -> &'static [glib::ParamSpec] {
        static PROPERTIES: LazyLock<Vec<glib::ParamSpec>> =
            LazyLock::new(|| stats::with_stats(FaceTrack::derived_properties()));
        &PROPERTIES
    }

    fn set_property(&self, id: usize, value: &glib::Value, pspec: &glib::ParamSpec) {
        self.derived_set_property(id, value, pspec);
    }

    fn property(&self, id: usize, pspec: &glib::ParamSpec) -> glib::Value {
        if pspec.name() == stats::PROPERTY {
            return self.figures.to_structure("facetrack", "tracks-ended").to_value();
        }
        self.derived_property(id, pspec)
    }
}

impl GstObjectImpl for FaceTrack {}

impl ElementImpl for FaceTrack {
    fn metadata() -> Option<&'static gst::subclass::ElementMetadata> {
        static METADATA: LazyLock<gst::subclass::ElementMetadata> = LazyLock::new(|| {
            gst::subclass::ElementMetadata::new(
                "Vedette face tracker",
                "Filter/Analyzer/Video",
                "Follows faces from frame to frame: a stable number for each",
                env!("CARGO_PKG_AUTHORS"),
            )
        });
        Some(&METADATA)
    }

    fn pad_templates() -> &'static [gst::PadTemplate] {
        static TEMPLATES: LazyLock<Vec<gst::PadTemplate>> = LazyLock::new(frame::filter_pad_templates);
        &TEMPLATES
    }
}

impl BaseTransformImpl for FaceTrack {
    const MODE: gst_base::subclass::BaseTransformMode = gst_base::subclass::BaseTransformMode::AlwaysInPlace;
    const PASSTHROUGH_ON_SAME_CAPS: bool = false;
    const TRANSFORM_IP_ON_PASSTHROUGH: bool = false;

    fn start(&self) -> Result<(), gst::ErrorMessage> {
        self.figures.reset();
        let tracker = Tracker::new(self.settings().into());
        *self.state() = Some(State { tracker, info: None, segment: None, ended: Vec::new(), clock_ms: 0 });
        Ok(())
    }

    fn stop(&self) -> Result<(), gst::ErrorMessage> {
        *self.state() = None;
        Ok(())
    }

    fn set_caps(&self, caps: &gst::Caps, _: &gst::Caps) -> Result<(), gst::LoggableError> {
        let info = frame::info_of(caps)?;
        if let Some(state) = &mut *self.state() {
            // Boxes in pixels of another size are other boxes.
            let resized = state
                .info
                .as_ref()
                .is_some_and(|old| (old.width(), old.height()) != (info.width(), info.height()));
            if resized {
                state.end_all();
            }
            state.info = Some(info);
        }
        Ok(())
    }

    fn sink_event(&self, event: gst::Event) -> bool {
        if let Some(state) = &mut *self.state() {
            match event.view() {
                gst::EventView::FlushStop(_) => state.end_all(),
                gst::EventView::Segment(segment) => state.enter(segment.segment()),
                _ => (),
            }
        }
        self.parent_sink_event(event)
    }

    fn propose_allocation(
        &self,
        _: Option<&gst::query::Allocation>,
        query: &mut gst::query::Allocation,
    ) -> Result<(), gst::LoggableError> {
        // What comes after sees the same buffers: it decides.
        self.parent_propose_allocation(None, query)
    }

    fn transform_ip(&self, buffer: &mut gst::BufferRef) -> Result<gst::FlowSuccess, gst::FlowError> {
        let begun = Instant::now();
        let options: TrackerOptions = self.settings().into();
        let time = FrameTime::of(buffer, &self.obj().segment());
        let faces = meta::faces(buffer);
        let mut frame_info = FrameInfo::read(buffer).unwrap_or(FrameInfo::foreign());

        let mut guard = self.state();
        let state = guard.as_mut().ok_or(gst::FlowError::Flushing)?;
        let info = state.info.as_ref().ok_or(gst::FlowError::NotNegotiated)?;
        let size = (info.width(), info.height());
        state.clock_ms = time.running.map_or(state.clock_ms + UNTIMED_FRAME_MS, gst::ClockTime::mseconds);
        state.tracker.set_options(options);
        frame_info.ended.append(&mut state.ended);
        frame_info.tracked = true;
        let in_sight = if frame_info.inferred {
            let detections: Vec<DetectedFace> = faces.iter().map(|face| detected(face, size)).collect();
            let in_pixels = |share: Rect| share.scaled(size.0 as f32, size.1 as f32);
            let unsure: Vec<Rect> = frame_info.unsure.drain(..).map(in_pixels).collect();
            let update = state.tracker.update(state.clock_ms, &detections, &unsure);
            frame_info.ended.extend(update.ended);
            let params = |id: &Option<u64>| id.map(|id| (&TrackId(id)).into()).into_iter().collect();
            meta::annotate(buffer, update.assignments.iter().map(params).collect());
            let continued =
                update.continued.iter().zip(&unsure).filter_map(|(id, rect)| Some(((*id)?, rect)));
            let continued = continued.filter(|(_, rect)| !frame_info.is_masked(rect, size));
            let continued = continued.filter(|(id, rect)| add_track(buffer, size, *id, rect)).count();
            update.assignments.iter().flatten().count() + continued
        } else {
            let predicted = state.tracker.predict(state.clock_ms);
            let predicted = predicted.iter().filter(|(_, rect)| !frame_info.is_masked(rect, size));
            predicted.filter(|(id, rect)| add_track(buffer, size, *id, rect)).count()
        };
        drop(guard);
        if !frame_info.ended.is_empty() {
            gst::debug!(CAT, imp = self, "tracks {:?} ended", frame_info.ended);
            self.figures.worked(frame_info.ended.len());
        }
        frame_info.write(buffer);
        self.figures.frame(in_sight, begun);
        Ok(gst::FlowSuccess::Ok)
    }
}

impl FaceTrack {
    fn settings(&self) -> Settings {
        *self.settings.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn state(&self) -> MutexGuard<'_, Option<State>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Nobody is where they were: the stream jumps.
    fn end_all(&mut self) {
        self.ended.extend(self.tracker.finish());
    }

    /// A segment other than the one before is a jump; the same one again is only a reminder.
    fn enter(&mut self, segment: &gst::Segment) {
        if self.segment.as_ref().is_some_and(|last| last != segment) {
            self.end_all();
        }
        self.segment = Some(segment.clone());
    }
}

/// Adds a face of which no more than its place and its track is known.
fn add_track(buffer: &mut gst::BufferRef, frame: (u32, u32), id: u64, rect: &Rect) -> bool {
    meta::add_face(buffer, frame, rect, [(&TrackId(id)).into()])
}

/// The face as the detector gave it: the shares of the frame are finer than the region's whole pixels.
fn detected(face: &Face, (width, height): (u32, u32)) -> DetectedFace {
    let detection = face.detection.as_ref();
    let rect = detection.map_or(face.rect, |detection| {
        let edge = |share: f64, size: u32| (share * f64::from(size)) as f32;
        Rect::from_edges(
            edge(detection.x_min, width),
            edge(detection.y_min, height),
            edge(detection.x_max, width),
            edge(detection.y_max, height),
        )
    });
    DetectedFace {
        rect,
        landmarks: face.landmarks.unwrap_or_default(),
        score: detection.map_or(1.0, |detection| detection.confidence as f32),
    }
}
