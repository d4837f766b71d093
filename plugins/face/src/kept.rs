//! Models and galleries of a pipeline, to be kept open while there is none: whoever builds the next pipeline soon, as
//! after a lost connection, finds them open.

use std::any::Any;
use std::sync::Arc;

use gst::prelude::*;

use crate::facedetect::FaceDetect;
use crate::faceembed::FaceEmbed;
use crate::facematch::FaceMatch;

/// Something open that closes with its last user.
pub(crate) type Opened = Arc<dyn Any + Send + Sync>;

/// Keeps open what the elements of a pipeline had open, for as long as it lives. Others share it meanwhile.
#[derive(Default)]
pub struct KeptOpen(#[expect(dead_code, reason = "held, never looked at")] Vec<Opened>);

impl KeptOpen {
    /// What the elements in `bin` have open now: nothing before they are paused or playing.
    pub fn of(bin: &gst::Bin) -> Self {
        let mut opened = Vec::new();
        for element in bin.iterate_recurse().into_iter().flatten() {
            if let Some(element) = element.downcast_ref::<FaceDetect>() {
                opened.extend(element.opened());
            } else if let Some(element) = element.downcast_ref::<FaceEmbed>() {
                opened.extend(element.opened());
            } else if let Some(element) = element.downcast_ref::<FaceMatch>() {
                opened.extend(element.opened());
            }
        }
        Self(opened)
    }
}
