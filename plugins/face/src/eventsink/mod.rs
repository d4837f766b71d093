//! `eventsink`: turns what the elements before found into events, and delivers them.
//!
//! A track that is decided, improved, corrected or gone is one line of JSON (a `FaceEvent`). It goes to `uri`,
//! onto the bus as an element message `vedette-face-event`, and to the signal `face-event`.
//!
//! ```text
//! gst-launch-1.0 -q filesrc location=clip.mp4 ! decodebin ! facedetect inference-interval=2 ! facetrack \
//!     ! faceembed ! facematch gallery=file:///path/people.json ! eventsink uri=stdout: camera-id=door sync=false
//! ```

mod courier;
mod delivery;
mod frame_json;
mod handover;
mod http;
mod imp;
mod leftover;
mod redis;
mod settings;
mod snapshot;
mod spool;
mod target;
mod tracks;

use gst::glib;
use gst::prelude::*;

pub(crate) use http::agent;
pub use leftover::{SpoolCourier, SpoolCourierError};
pub(crate) use target::without_secrets;

/// What a line is about.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, glib::Enum)]
#[enum_type(name = "GstVedetteEventFormat")]
#[repr(u32)]
pub enum EventFormat {
    /// One event of one track.
    #[default]
    #[enum_value(name = "Event: one line for each event of a track", nick = "event")]
    Event,
    /// Everything in one frame.
    #[enum_value(name = "Frame: one line for each frame, in gvametaconvert's layout", nick = "frame")]
    Frame,
}

glib::wrapper! {
    /// The element.
    pub struct EventSink(ObjectSubclass<imp::EventSink>)
        @extends gst_base::BaseSink, gst::Element, gst::Object;
}

/// Makes the element known to GStreamer.
pub(crate) fn register(plugin: &gst::Plugin) -> Result<(), glib::BoolError> {
    EventFormat::static_type().mark_as_plugin_api(gst::PluginAPIFlags::empty());
    gst::Element::register(Some(plugin), "eventsink", gst::Rank::NONE, EventSink::static_type())
}
