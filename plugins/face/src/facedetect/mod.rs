//! `facedetect`: finds faces and writes each onto the buffer with box, five points and score.
//!
//! ```text
//! gst-launch-1.0 filesrc location=clip.mp4 ! decodebin ! facedetect ! faceoverlay landmarks=true \
//!     ! videoconvert ! autovideosink
//! ```
//!
//! The name is also that of an element of GStreamer's old OpenCV plugin; where that is installed,
//! `vedettefacedetect` always means this one.

mod adaptation;
mod frames;
mod gate;
mod imp;
mod line;
mod pads;
pub(crate) mod region;
mod settings;
mod workers;

use gst::glib;
use gst::prelude::*;
use gst::subclass::prelude::*;

use crate::kept::Opened;

glib::wrapper! {
    /// The element.
    pub struct FaceDetect(ObjectSubclass<imp::FaceDetect>)
        @extends gst::Element, gst::Object;
}

impl FaceDetect {
    /// What it has open, if it runs.
    pub(crate) fn opened(&self) -> Vec<Opened> {
        imp::FaceDetect::from_obj(self).opened()
    }
}

/// Makes the element known to GStreamer under both its names.
pub(crate) fn register(plugin: &gst::Plugin) -> Result<(), glib::BoolError> {
    for name in ["facedetect", "vedettefacedetect"] {
        gst::Element::register(Some(plugin), name, gst::Rank::NONE, FaceDetect::static_type())?;
    }
    Ok(())
}
