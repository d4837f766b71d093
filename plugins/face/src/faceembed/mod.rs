//! `faceembed`: judges how good each face's picture is, and turns the ones worth it into numbers that can be
//! compared.
//!
//! Embedding is the dear step of the whole chain, so it is done per track, not per frame: the first good
//! crop at once, a few more as time passes, and after that only clearly better ones. Age and gender, if asked for, are
//! estimated from the same crops and told once for the whole track.
//!
//! ```text
//! gst-launch-1.0 filesrc location=clip.mp4 ! decodebin ! facedetect ! facetrack ! faceembed \
//!     ! eventsink format=frame sync=false
//! ```

mod choice;
mod imp;
mod settings;

use gst::glib;
use gst::prelude::*;
use gst::subclass::prelude::*;

use crate::kept::Opened;

glib::wrapper! {
    /// The element.
    pub struct FaceEmbed(ObjectSubclass<imp::FaceEmbed>)
        @extends gst_base::BaseTransform, gst::Element, gst::Object;
}

impl FaceEmbed {
    /// What it has open, if it runs.
    pub(crate) fn opened(&self) -> Vec<Opened> {
        imp::FaceEmbed::from_obj(self).opened()
    }
}

/// Makes the element known to GStreamer.
pub(crate) fn register(plugin: &gst::Plugin) -> Result<(), glib::BoolError> {
    gst::Element::register(Some(plugin), "faceembed", gst::Rank::NONE, FaceEmbed::static_type())
}
