//! Single frames as JPEG, for programs that run the elements and want to show what a camera sees.

use gst_video::VideoInfo;
use vedette_models::geometry::Rect;

use crate::facedetect::region::Areas;
use crate::frame;

/// Good enough to look at, small enough to send.
const JPEG_QUALITY: u8 = 80;

/// The raw formats a frame may have: what the elements take.
pub fn caps() -> gst::Caps {
    frame::caps()
}

/// The frame in `buffer` as JPEG, reduced so that no side is longer than `max_side` pixels, and black where `mask` (as
/// `facedetect` takes it) says.
///
/// # Errors
/// When `caps` and `buffer` do not make a picture, or `mask` no areas.
pub fn jpeg(
    buffer: &gst::BufferRef,
    caps: &gst::CapsRef,
    max_side: u32,
    mask: Option<&str>,
) -> Result<Vec<u8>, gst::LoggableError> {
    let info: VideoInfo = frame::info_of(caps)?;
    let longest = info.width().max(info.height()).max(1);
    let scale = (f64::from(max_side) / f64::from(longest)).min(1.0);
    let side = |length: u32| (f64::from(length) * scale).round().max(1.0) as u32;
    let size = (side(info.width()), side(info.height()));
    let areas = Areas::new(None, mask, (info.width(), info.height()))
        .map_err(|error| gst::loggable_error!(gst::CAT_RUST, "{error}"))?;
    let mut picture = frame::with_view(buffer, &info, |view| view.crop_rgb(view.bounds(), size.0, size.1))
        .map_err(|error| gst::loggable_error!(gst::CAT_RUST, "{error}"))?;
    for mask in areas.masks().iter() {
        picture.blacken(mask, Rect::new(0.0, 0.0, info.width() as f32, info.height() as f32));
    }
    picture.to_jpeg(JPEG_QUALITY).map_err(|error| gst::loggable_error!(gst::CAT_RUST, "{error}"))
}
