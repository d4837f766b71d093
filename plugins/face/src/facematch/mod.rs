//! `facematch`: says who each track is, or that it is nobody of the gallery.
//!
//! A decision rests on all good crops of a track together and needs a clear lead over the next most similar
//! person; a stranger stays a stranger. The gallery is read again whenever it changes.
//!
//! ```text
//! vedette gallery build people/ --out people.json
//! gst-launch-1.0 -q filesrc location=clip.mp4 ! decodebin ! facedetect inference-interval=2 ! facetrack \
//!     ! faceembed ! facematch gallery=people.json ! eventsink uri=stdout: sync=false
//! ```

mod imp;
mod matcher;
mod source;

use gst::glib;
use gst::prelude::*;
use gst::subclass::prelude::*;

use crate::kept::Opened;

glib::wrapper! {
    /// The element.
    pub struct FaceMatch(ObjectSubclass<imp::FaceMatch>)
        @extends gst_base::BaseTransform, gst::Element, gst::Object;
}

impl FaceMatch {
    /// What it has open, if it runs.
    pub(crate) fn opened(&self) -> Vec<Opened> {
        imp::FaceMatch::from_obj(self).opened()
    }
}

/// Makes the element known to GStreamer.
pub(crate) fn register(plugin: &gst::Plugin) -> Result<(), glib::BoolError> {
    gst::Element::register(Some(plugin), "facematch", gst::Rank::NONE, FaceMatch::static_type())
}
