//! The body of `eventsink`: reads frames, keeps their tracks, hands out and delivers what there is to tell.

#![expect(missing_docs, reason = "the accessors the macro makes are documented by the blurbs")]

use std::path::PathBuf;
use std::sync::{LazyLock, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chrono::{DateTime, Utc};
use gst::glib::subclass::Signal;
use gst::prelude::*;
use gst::subclass::prelude::*;
use gst::{glib, glib::Properties};
use gst_base::prelude::*;
use gst_base::subclass::prelude::*;
use gst_video::VideoInfo;
use uuid::Uuid;
use vedette_events::FrameSize;

use super::EventFormat;
use super::courier::Trouble;
use super::delivery::{Delivery, DeliveryError, Record};
use super::settings::{SPOOL_MAX_BYTES, Settings};
use super::snapshot;
use super::tracks::{Moment, Policy, Report, Tracks};
use crate::frame::{self, FrameTime};
use crate::meta::{self, FrameInfo};
use crate::stats::{self, Figures};

static CAT: LazyLock<gst::DebugCategory> = LazyLock::new(|| {
    gst::DebugCategory::new("eventsink", gst::DebugColorFlags::empty(), Some("Vedette event sink"))
});

/// How long the end of the stream waits for a distant receiver.
const EOS_PATIENCE: Duration = Duration::from_secs(10);
/// How long stopping waits for it.
const STOP_PATIENCE: Duration = Duration::from_secs(3);
/// A frame is taken to be this late at most; more means a clock that tells nothing about the camera.
const MAX_LATENESS: Duration = Duration::from_secs(30);

struct State {
    delivery: Delivery,
    tracks: Tracks,
    policy: Policy,
    format: EventFormat,
    snapshots: bool,
    snapshot_dir: Option<PathBuf>,
    info: Option<VideoInfo>,
    started: Instant,
    untracked_warned: bool,
    snapshot_dir_warned: bool,
}

/// The element's private part.
#[derive(Default, Properties)]
#[properties(wrapper_type = super::EventSink)]
pub struct EventSink {
    #[property(
        name = "uri", get, set, type = String, member = uri, default = "stdout:", mutable_ready,
        nick = "URI",
        blurb = "Where events go: stdout:, file:///path, http(s)://host/path (lines of JSON are posted) or redis://host/0?stream=name"
    )]
    #[property(
        name = "token", set, type = Option<String>, member = token, mutable_ready,
        nick = "Token", blurb = "Bearer token for http(s), password for redis; cannot be read back"
    )]
    #[property(
        name = "camera-id", get, set, type = String, member = camera_id, default = "cam_01", mutable_ready,
        nick = "Camera id", blurb = "The camera's name in events"
    )]
    #[property(
        name = "dedup-window", get, set, type = u32, member = dedup_window, default = 30, maximum = 86_400, mutable_ready,
        nick = "Dedup window",
        blurb = "Seconds after the last sight of a person during which a new track of the same person is not reported again; 0 = report every track"
    )]
    #[property(
        name = "spool-dir", get, set, type = Option<String>, member = spool_dir, mutable_ready,
        nick = "Spool folder",
        blurb = "Folder that keeps events on disk until the receiver has acknowledged them (http and redis); unset = in memory only"
    )]
    #[property(
        name = "spool-max-bytes", get, set, type = u64, member = spool_max_bytes, default = SPOOL_MAX_BYTES, mutable_ready,
        nick = "Spool limit",
        blurb = "Bytes of events in the spool folder: in the last quarter they are kept without pictures, then new ones in memory; 0 = no limit"
    )]
    #[property(
        name = "snapshots", get, set, type = bool, member = snapshots, default = false, mutable_ready,
        nick = "Snapshots", blurb = "Whether events carry a JPEG of the face with its surroundings"
    )]
    #[property(
        name = "snapshot-dir", get, set, type = Option<String>, member = snapshot_dir, mutable_ready,
        nick = "Snapshot folder",
        blurb = "Folder to store the JPEG of every event in, named by the event's id; unset = none"
    )]
    #[property(
        name = "format", get, set, type = EventFormat, member = format, default, mutable_ready,
        nick = "Format", blurb = "What a line is about"
    )]
    settings: Mutex<Settings>,
    figures: Figures,
    state: Mutex<Option<State>>,
}

#[glib::object_subclass]
impl ObjectSubclass for EventSink {
    const NAME: &'static str = "GstVedetteEventSink";
    type Type = super::EventSink;
    type ParentType = gst_base::BaseSink;
}

impl ObjectImpl for EventSink {
    fn properties() -> &'static [glib::ParamSpec] {
        static PROPERTIES: LazyLock<Vec<glib::ParamSpec>> =
            LazyLock::new(|| stats::with_stats(EventSink::derived_properties()));
        &PROPERTIES
    }

    fn set_property(&self, id: usize, value: &glib::Value, pspec: &glib::ParamSpec) {
        self.derived_set_property(id, value, pspec);
    }

    fn property(&self, id: usize, pspec: &glib::ParamSpec) -> glib::Value {
        if pspec.name() == stats::PROPERTY {
            return self.stats().to_value();
        }
        self.derived_property(id, pspec)
    }

    fn signals() -> &'static [Signal] {
        static SIGNALS: LazyLock<Vec<Signal>> = LazyLock::new(|| {
            vec![Signal::builder("face-event").param_types([String::static_type()]).run_last().build()]
        });
        &SIGNALS
    }
}

impl GstObjectImpl for EventSink {}

impl ElementImpl for EventSink {
    fn metadata() -> Option<&'static gst::subclass::ElementMetadata> {
        static METADATA: LazyLock<gst::subclass::ElementMetadata> = LazyLock::new(|| {
            gst::subclass::ElementMetadata::new(
                "Vedette event sink",
                "Sink/Analyzer/Video",
                "Tells who was seen: one line of JSON per event, to a file, a server or the bus",
                env!("CARGO_PKG_AUTHORS"),
            )
        });
        Some(&METADATA)
    }

    fn pad_templates() -> &'static [gst::PadTemplate] {
        static TEMPLATES: LazyLock<Vec<gst::PadTemplate>> = LazyLock::new(|| {
            let sink = gst::PadTemplate::new(
                "sink",
                gst::PadDirection::Sink,
                gst::PadPresence::Always,
                &frame::caps(),
            );
            sink.into_iter().collect()
        });
        &TEMPLATES
    }
}

impl BaseSinkImpl for EventSink {
    fn start(&self) -> Result<(), gst::ErrorMessage> {
        let settings = self.settings.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let weak = self.obj().downgrade();
        let report_trouble = move |trouble| {
            if let Some(sink) = weak.upgrade() {
                sink.imp().report_trouble(trouble);
            }
        };
        let delivery = Delivery::open(&settings.delivery(), report_trouble)
            .map_err(|error| gst::error_msg!(gst::ResourceError::OpenWrite, ("{error}")))?;
        self.figures.reset();
        *self.state() = Some(State {
            delivery,
            tracks: Tracks::default(),
            policy: settings.policy(),
            format: settings.format,
            snapshots: settings.snapshots,
            snapshot_dir: settings.snapshot_dir.map(PathBuf::from),
            info: None,
            started: Instant::now(),
            untracked_warned: false,
            snapshot_dir_warned: false,
        });
        Ok(())
    }

    fn stop(&self) -> Result<(), gst::ErrorMessage> {
        // A target that fails now was reported already, or is reported on the bus.
        let _ = self.finish_tracks();
        self.drain(STOP_PATIENCE);
        *self.state() = None;
        Ok(())
    }

    fn set_caps(&self, caps: &gst::Caps) -> Result<(), gst::LoggableError> {
        let info = frame::info_of(caps)?;
        if let Some(state) = &mut *self.state() {
            state.info = Some(info);
        }
        self.parent_set_caps(caps)
    }

    fn propose_allocation(&self, query: &mut gst::query::Allocation) -> Result<(), gst::LoggableError> {
        query.add_allocation_meta::<gst_video::VideoMeta>(None);
        self.parent_propose_allocation(query)
    }

    fn event(&self, event: gst::Event) -> bool {
        match event.view() {
            gst::EventView::Eos(_) => {
                if self.finish_tracks().is_err() {
                    return false;
                }
                self.drain(EOS_PATIENCE);
            }
            gst::EventView::FlushStop(_) if self.finish_tracks().is_err() => return false,
            _ => (),
        }
        self.parent_event(event)
    }

    fn render(&self, buffer: &gst::Buffer) -> Result<gst::FlowSuccess, gst::FlowError> {
        let begun = Instant::now();
        let faces = meta::faces(buffer);
        let frame_info = FrameInfo::read(buffer).unwrap_or(FrameInfo::foreign());
        let time = FrameTime::of(buffer, &self.obj().segment());
        let seen = self.seen_at(time);

        let mut guard = self.state();
        let Some(state) = &mut *guard else { return Err(gst::FlowError::Flushing) };
        let Some(info) = state.info.clone() else { return Err(gst::FlowError::NotNegotiated) };
        if state.format == EventFormat::Frame {
            let size = (info.width(), info.height());
            let line = super::frame_json::line(&state.policy.camera_id, size, time, &faces);
            let sent = state.delivery.send(Record { id: Uuid::now_v7(), line, lasting: false });
            drop(guard);
            self.figures.frame(faces.len(), begun);
            return self.flow(sent);
        }

        let untracked = !faces.is_empty() && faces.iter().all(|face| face.track_id.is_none());
        let warn_untracked = untracked && !state.untracked_warned && !frame_info.tracked;
        state.untracked_warned |= warn_untracked;
        let elapsed = gst::ClockTime::try_from(state.started.elapsed()).unwrap_or_default();
        let now = Moment {
            running_ms: time.running.unwrap_or(elapsed).mseconds(),
            stream_ms: time.stream.or(time.running).unwrap_or(elapsed).mseconds(),
            seen,
            size: FrameSize { width: info.width(), height: info.height() },
        };
        let wants_pictures = state.snapshots || state.snapshot_dir.is_some();
        let cut = |rect: &vedette_models::geometry::Rect| {
            if !wants_pictures {
                return None;
            }
            match frame::with_view(buffer, &info, |view| snapshot::cut(view, rect, &frame_info.masks)) {
                Ok(picture) => picture,
                Err(error) => {
                    self.figures.failed();
                    gst::warning!(CAT, imp = self, "no snapshot: {error}");
                    None
                }
            }
        };
        let reports = state.tracks.observe(&state.policy, now, &faces, &frame_info.ended, cut);
        drop(guard);
        if warn_untracked {
            gst::element_imp_warning!(
                self,
                gst::StreamError::Format,
                ("faces carry no track: put facetrack before eventsink, or no event is ever sent")
            );
        }
        let told = self.tell(reports);
        self.figures.frame(faces.len(), begun);
        told
    }
}

impl EventSink {
    fn state(&self) -> MutexGuard<'_, Option<State>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn stats(&self) -> gst::Structure {
        let delivery = self.state().as_ref().map(|state| state.delivery.figures()).unwrap_or_default();
        let mut structure = self.figures.to_structure("eventsink", "events");
        structure.set("delivered", delivery.delivered);
        structure.set("pending", delivery.pending);
        structure.set("rejected", delivery.rejected);
        structure.set("pictures-lost", delivery.pictures_lost);
        structure.set("lost", delivery.lost);
        structure.set("spool-bytes", delivery.spool_bytes);
        structure
    }

    /// The wall clock when the frame was taken: now, less the time it spent on its way here. A recording
    /// that is read faster than it was made has no lateness.
    fn seen_at(&self, time: FrameTime) -> DateTime<Utc> {
        let now = Utc::now();
        let Some((frame, clock)) = time.running.zip(self.obj().current_running_time()) else { return now };
        let lateness = Duration::from(clock.saturating_sub(frame)).min(MAX_LATENESS);
        now.checked_sub_signed(chrono::TimeDelta::from_std(lateness).unwrap_or_default()).unwrap_or(now)
    }

    fn finish_tracks(&self) -> Result<gst::FlowSuccess, gst::FlowError> {
        let reports = match &mut *self.state() {
            Some(state) => state.tracks.finish(&state.policy),
            None => Vec::new(),
        };
        self.tell(reports)
    }

    /// Hands events to the bus, the signal and the target. No lock is held while others look at them.
    fn tell(&self, reports: Vec<Report>) -> Result<gst::FlowSuccess, gst::FlowError> {
        for report in reports {
            let (id, line) = match self.to_line(report) {
                Ok(line) => line,
                Err(error) => {
                    self.figures.failed();
                    gst::element_imp_warning!(self, gst::StreamError::Encode, ("an event is lost: {error}"));
                    continue;
                }
            };
            self.figures.worked(1);
            let structure = gst::Structure::builder("vedette-face-event").field("event", &line).build();
            // Nobody may be listening: without a bus the message goes nowhere.
            let _ =
                self.obj().post_message(gst::message::Element::builder(structure).src(&*self.obj()).build());
            self.obj().emit_by_name::<()>("face-event", &[&line]);
            let sent = match &mut *self.state() {
                Some(state) => state.delivery.send(Record { id, line, lasting: true }),
                None => Ok(()),
            };
            self.flow(sent)?;
        }
        Ok(gst::FlowSuccess::Ok)
    }

    fn to_line(&self, report: Report) -> Result<(Uuid, String), serde_json::Error> {
        let Report { mut event, picture } = report;
        let (wants_base64, dir) = match &*self.state() {
            Some(state) => (state.snapshots, state.snapshot_dir.clone()),
            None => (false, None),
        };
        let jpeg = picture.and_then(|picture| match snapshot::jpeg(&picture) {
            Ok(jpeg) => Some(jpeg),
            Err(error) => {
                self.figures.failed();
                gst::warning!(CAT, imp = self, "no snapshot: {error}");
                None
            }
        });
        if let Some(jpeg) = jpeg {
            if let Some(dir) = dir
                && let Err(error) = snapshot::save(&dir, event.event_id, &jpeg)
            {
                self.warn_about_snapshot_dir(&dir, &error);
            }
            event.snapshot = wants_base64.then(|| STANDARD.encode(&jpeg));
        }
        Ok((event.event_id, serde_json::to_string(&event)?))
    }

    fn warn_about_snapshot_dir(&self, dir: &std::path::Path, error: &std::io::Error) {
        self.figures.failed();
        let first = match &mut *self.state() {
            Some(state) => !std::mem::replace(&mut state.snapshot_dir_warned, true),
            None => false,
        };
        if first {
            let dir = dir.display();
            gst::element_imp_warning!(
                self,
                gst::ResourceError::Write,
                ("cannot store snapshots in {dir}: {error}; make it writable or set another snapshot-dir")
            );
        }
    }

    fn flow(&self, sent: Result<(), DeliveryError>) -> Result<gst::FlowSuccess, gst::FlowError> {
        sent.map(|()| gst::FlowSuccess::Ok).map_err(|error| {
            gst::element_imp_error!(self, gst::ResourceError::Write, ("{error}"));
            gst::FlowError::Error
        })
    }

    fn drain(&self, patience: Duration) {
        let courier = self.state().as_ref().and_then(|state| state.delivery.courier());
        let left = courier.map_or(0, |courier| courier.drain(patience));
        if left > 0 {
            gst::element_imp_warning!(
                self,
                gst::ResourceError::Write,
                ("{left} events could not be delivered in time; set spool-dir to keep such events")
            );
        }
    }

    fn report_trouble(&self, trouble: Trouble) {
        match trouble {
            Trouble::Warning(text) => {
                self.figures.failed();
                gst::element_imp_warning!(self, gst::ResourceError::Write, ("{text}"));
            }
            Trouble::Recovered(text) => gst::info!(CAT, imp = self, "{text}"),
        }
    }
}
