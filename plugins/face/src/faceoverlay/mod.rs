//! `faceoverlay`: draws what the elements before found onto the picture, or makes faces unrecognisable.
//!
//! ```text
//! gst-launch-1.0 filesrc location=clip.mp4 ! decodebin ! facedetect ! facetrack ! faceembed \
//!     ! facematch gallery=file:///path/people.json ! faceoverlay blur=unknown ! videoconvert ! autovideosink
//! ```
//!
//! The name is also that of an element of GStreamer's own `faceoverlay` plugin, which pastes pictures onto
//! faces. Behind another element of this plugin in the same launch line it means this one; alone,
//! `vedettefaceoverlay` always does.

pub(crate) mod canvas;
pub(crate) mod drawing;
mod imp;
mod text;

use gst::glib;
use gst::prelude::*;

/// Whose faces are made unrecognisable.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, glib::Enum)]
#[enum_type(name = "GstVedetteBlur")]
#[repr(u32)]
pub enum Blur {
    /// Nobody's.
    #[default]
    #[enum_value(name = "None: nobody", nick = "none")]
    None,
    /// Everybody's who is not known, or not yet.
    #[enum_value(name = "Unknown: everybody who is not known, or not yet", nick = "unknown")]
    Unknown,
    /// Everybody's.
    #[enum_value(name = "All: everybody", nick = "all")]
    All,
}

glib::wrapper! {
    /// The element.
    pub struct FaceOverlay(ObjectSubclass<imp::FaceOverlay>)
        @extends gst_base::BaseTransform, gst::Element, gst::Object;
}

/// Makes the element known to GStreamer under both its names.
pub(crate) fn register(plugin: &gst::Plugin) -> Result<(), glib::BoolError> {
    Blur::static_type().mark_as_plugin_api(gst::PluginAPIFlags::empty());
    for name in ["faceoverlay", "vedettefaceoverlay"] {
        gst::Element::register(Some(plugin), name, gst::Rank::NONE, FaceOverlay::static_type())?;
    }
    Ok(())
}
