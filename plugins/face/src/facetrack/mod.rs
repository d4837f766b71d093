//! `facetrack`: follows faces from frame to frame. Every face gets the number of its track; frames the detector
//! did not look at get the boxes where the tracks should be by then.
//!
//! ```text
//! gst-launch-1.0 filesrc location=clip.mp4 ! decodebin ! facedetect inference-interval=3 ! facetrack \
//!     ! faceoverlay ! videoconvert ! autovideosink
//! ```

mod imp;

use gst::glib;
use gst::prelude::*;

glib::wrapper! {
    /// The element.
    pub struct FaceTrack(ObjectSubclass<imp::FaceTrack>)
        @extends gst_base::BaseTransform, gst::Element, gst::Object;
}

/// Makes the element known to GStreamer.
pub(crate) fn register(plugin: &gst::Plugin) -> Result<(), glib::BoolError> {
    gst::Element::register(Some(plugin), "facetrack", gst::Rank::NONE, FaceTrack::static_type())
}
