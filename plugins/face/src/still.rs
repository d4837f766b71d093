//! Single frames as JPEG, for programs that run the elements and want to show what a camera sees.

use std::fmt::Display;

use gst_video::VideoInfo;
use vedette_models::geometry::Rect;
use vedette_models::image::RgbImage;

use crate::facedetect::region::Areas;
use crate::faceoverlay::canvas::Canvas;
use crate::faceoverlay::drawing;
use crate::{frame, meta};

/// Good enough to look at, small enough to send.
const JPEG_QUALITY: u8 = 80;
/// The same of pictures that follow each other.
const LIVE_QUALITY: u8 = 70;

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
    reduced(buffer, caps, max_side, mask)?.0.to_jpeg(JPEG_QUALITY).map_err(|error| failed(&error))
}

/// The same of a frame that went through the elements, with boxes and names of its faces.
///
/// # Errors
/// As [`jpeg`].
pub fn annotated_jpeg(
    buffer: &gst::BufferRef,
    caps: &gst::CapsRef,
    max_side: u32,
    mask: Option<&str>,
) -> Result<Vec<u8>, gst::LoggableError> {
    let (mut picture, scale) = reduced(buffer, caps, max_side, mask)?;
    let mut faces = meta::faces(buffer);
    for face in &mut faces {
        face.rect = face.rect.scaled(scale, scale);
        // Of the frame, and not drawn.
        face.landmarks = None;
    }
    let (width, height) = (picture.width() as usize, picture.height() as usize);
    let mut canvas = Canvas::of_rgb(picture.as_bytes_mut(), width, height);
    drawing::draw(&mut canvas, &faces, drawing::Settings::default());
    picture.to_jpeg(LIVE_QUALITY).map_err(|error| failed(&error))
}

/// The frame as a picture, and how large that is in terms of the frame.
fn reduced(
    buffer: &gst::BufferRef,
    caps: &gst::CapsRef,
    max_side: u32,
    mask: Option<&str>,
) -> Result<(RgbImage, f32), gst::LoggableError> {
    let info: VideoInfo = frame::info_of(caps)?;
    let longest = info.width().max(info.height()).max(1);
    let scale = (f64::from(max_side) / f64::from(longest)).min(1.0);
    let side = |length: u32| (f64::from(length) * scale).round().max(1.0) as u32;
    let size = (side(info.width()), side(info.height()));
    let areas = Areas::new(None, mask, (info.width(), info.height())).map_err(|error| failed(&error))?;
    let mut picture = frame::with_view(buffer, &info, |view| view.crop_rgb(view.bounds(), size.0, size.1))
        .map_err(|error| failed(&error))?;
    for mask in areas.masks().iter() {
        picture.blacken(mask, Rect::new(0.0, 0.0, info.width() as f32, info.height() as f32));
    }
    Ok((picture, scale as f32))
}

fn failed(error: &dyn Display) -> gst::LoggableError {
    gst::loggable_error!(gst::CAT_RUST, "{error}")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use gst_video::VideoFormat;
    use vedette_models::photo::Photo;

    #[test]
    fn boxes_are_where_faces_are_in_the_smaller_picture_and_masks_are_black() {
        gst::init().unwrap();
        meta::FrameInfo::register();
        let info = VideoInfo::builder(VideoFormat::Gray8, 640, 360).build().unwrap();
        let mut buffer = gst::Buffer::from_mut_slice(vec![100_u8; info.size()]);
        let face = Rect::new(320.0, 120.0, 160.0, 160.0);
        assert!(meta::add_face(buffer.get_mut().unwrap(), (640, 360), &face, []));
        let caps = info.to_caps().unwrap();
        let jpeg = annotated_jpeg(&buffer, &caps, 320, Some("0%,0%,25%,0%,25%,100%,0%,100%")).unwrap();
        let photo = Photo::decode(&jpeg).unwrap();
        let picture = photo.image();
        assert_eq!((picture.width(), picture.height()), (320, 180));
        let brightness = |x, y| picture.pixel(x, y).unwrap()[0];
        assert!(brightness(160, 100) > 180, "the box's left edge is light: {}", brightness(160, 100));
        assert!((80..120).contains(&brightness(200, 100)), "the face itself is as it was");
        assert!((80..120).contains(&brightness(120, 100)), "so is the rest");
        assert!(brightness(40, 100) < 20, "nobody may look here");
    }
}
