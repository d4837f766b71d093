//! Buffers as pictures: which formats the elements take, and a mapped buffer as the view the models read.

use gst_video::{VideoColorMatrix, VideoColorRange, VideoFormat, VideoFrameRef, VideoInfo, prelude::*};
use thiserror::Error;
use vedette_models::image::{ColourMatrix, ColourRange, ImageError, ImageView, PixelFormat, Plane};

/// The formats every element takes as they come.
pub(crate) const FORMATS: [VideoFormat; 9] = [
    VideoFormat::I420,
    VideoFormat::Nv12,
    VideoFormat::Rgb,
    VideoFormat::Bgr,
    VideoFormat::Rgba,
    VideoFormat::Bgra,
    VideoFormat::Rgbx,
    VideoFormat::Bgrx,
    VideoFormat::Gray8,
];

/// A buffer that cannot be looked at. The stream can go on: the next one may be whole.
#[derive(Debug, Error)]
pub(crate) enum FrameError {
    /// No caps came before it.
    #[error("a frame came before its format was known")]
    NoFormat,
    /// The memory is too short or cannot be read.
    #[error("the frame cannot be read, it is shorter than its format asks for")]
    Map,
    /// The format is none of [`FORMATS`].
    #[error("frames of format {0} cannot be read, put videoconvert before this element")]
    Format(VideoFormat),
    /// The planes do not make a picture.
    #[error(transparent)]
    Image(#[from] ImageError),
}

/// Caps of all pads.
pub(crate) fn caps() -> gst::Caps {
    gst_video::VideoCapsBuilder::new().format_list(FORMATS).build()
}

/// The always-present sink and source pad of a filter.
pub(crate) fn filter_pad_templates() -> Vec<gst::PadTemplate> {
    [("sink", gst::PadDirection::Sink), ("src", gst::PadDirection::Src)]
        .into_iter()
        .filter_map(|(name, direction)| {
            gst::PadTemplate::new(name, direction, gst::PadPresence::Always, &caps()).ok()
        })
        .collect()
}

/// Reads the format from caps.
pub(crate) fn info_of(caps: &gst::CapsRef) -> Result<VideoInfo, gst::LoggableError> {
    VideoInfo::from_caps(caps).map_err(|_| gst::loggable_error!(gst::CAT_RUST, "caps {caps:?} are no video"))
}

/// Runs `look` on the picture in `buffer`, mapped for reading only.
pub(crate) fn with_view<T>(
    buffer: &gst::BufferRef,
    info: &VideoInfo,
    look: impl FnOnce(&ImageView<'_>) -> T,
) -> Result<T, FrameError> {
    let frame = VideoFrameRef::from_buffer_ref_readable(buffer, info).map_err(|_| FrameError::Map)?;
    let view = view_of(&frame, info)?;
    Ok(look(&view))
}

fn view_of<'a>(
    frame: &'a VideoFrameRef<&gst::BufferRef>,
    info: &VideoInfo,
) -> Result<ImageView<'a>, FrameError> {
    let format = pixel_format(frame.format())?;
    let mut planes = [Plane::default(); 3];
    let planes = planes.get_mut(..format.plane_count()).unwrap_or_default();
    for (index, plane) in (0..).zip(planes.iter_mut()) {
        let data = frame.plane_data(index).map_err(|_| FrameError::Map)?;
        let stride = frame.plane_stride().get(index as usize).copied().unwrap_or_default();
        let stride = usize::try_from(stride).map_err(|_| FrameError::Map)?;
        *plane = Plane { data, stride };
    }
    let view = ImageView::new(format, frame.width(), frame.height(), planes)?;
    Ok(with_colorimetry(view, &info.colorimetry()))
}

fn pixel_format(format: VideoFormat) -> Result<PixelFormat, FrameError> {
    Ok(match format {
        VideoFormat::I420 => PixelFormat::I420,
        VideoFormat::Nv12 => PixelFormat::Nv12,
        VideoFormat::Rgb => PixelFormat::Rgb,
        VideoFormat::Bgr => PixelFormat::Bgr,
        VideoFormat::Rgba => PixelFormat::Rgba,
        VideoFormat::Bgra => PixelFormat::Bgra,
        VideoFormat::Rgbx => PixelFormat::Rgbx,
        VideoFormat::Bgrx => PixelFormat::Bgrx,
        VideoFormat::Gray8 => PixelFormat::Gray8,
        other => return Err(FrameError::Format(other)),
    })
}

/// What the stream says about its colours, where it says anything; the view's own guess otherwise.
fn with_colorimetry<'a>(view: ImageView<'a>, colorimetry: &gst_video::VideoColorimetry) -> ImageView<'a> {
    let (guessed_matrix, guessed_range) = view.colour();
    let matrix = match colorimetry.matrix() {
        VideoColorMatrix::Bt709 => ColourMatrix::Bt709,
        VideoColorMatrix::Bt601 | VideoColorMatrix::Fcc => ColourMatrix::Bt601,
        _ => guessed_matrix,
    };
    let range = match colorimetry.range() {
        VideoColorRange::Range0_255 => ColourRange::Full,
        VideoColorRange::Range16_235 => ColourRange::Limited,
        _ => guessed_range,
    };
    view.with_colour(matrix, range)
}

/// Where `buffer` lies in the running time and in the stream, if it carries a time at all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct FrameTime {
    /// Time since the pipeline began to play; never runs backwards.
    pub(crate) running: Option<gst::ClockTime>,
    /// Position in the recording or broadcast.
    pub(crate) stream: Option<gst::ClockTime>,
}

impl FrameTime {
    /// Reads the time by the segment the buffer belongs to.
    pub(crate) fn of(buffer: &gst::BufferRef, segment: &gst::Segment) -> Self {
        let Some((segment, pts)) = segment.downcast_ref::<gst::ClockTime>().zip(buffer.pts()) else {
            return Self::default();
        };
        Self { running: segment.to_running_time(pts), stream: segment.to_stream_time(pts) }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn view_colour(caps: &str) -> (ColourMatrix, ColourRange) {
        gst::init().unwrap();
        let caps: gst::Caps = caps.parse().unwrap();
        let info = info_of(&caps).unwrap();
        let buffer = gst::Buffer::with_size(info.size()).unwrap();
        with_view(&buffer, &info, |view| view.colour()).unwrap()
    }

    #[test]
    fn colorimetry_is_carried_over() {
        let hd = "video/x-raw,format=NV12,width=64,height=64,framerate=1/1,colorimetry=bt709";
        assert_eq!(view_colour(hd), (ColourMatrix::Bt709, ColourRange::Limited));
        let jpeg = "video/x-raw,format=I420,width=64,height=64,framerate=1/1,colorimetry=1:4:0:0";
        assert_eq!(view_colour(jpeg), (ColourMatrix::Bt601, ColourRange::Full));
        let rgb = "video/x-raw,format=RGB,width=64,height=64,framerate=1/1";
        assert_eq!(view_colour(rgb).1, ColourRange::Full);
    }

    #[test]
    fn every_format_is_viewed_and_short_buffers_are_refused() {
        gst::init().unwrap();
        for format in FORMATS {
            let info = VideoInfo::builder(format, 33, 17).build().unwrap();
            let buffer = gst::Buffer::with_size(info.size()).unwrap();
            let size = with_view(&buffer, &info, |view| (view.width(), view.height())).unwrap();
            assert_eq!(size, (33, 17), "{format}");
            let short = gst::Buffer::with_size(info.size() - 1).unwrap();
            assert!(with_view(&short, &info, |_| ()).is_err(), "{format}");
        }
    }

    #[test]
    fn foreign_formats_are_refused_with_advice() {
        gst::init().unwrap();
        let info = VideoInfo::builder(VideoFormat::Yuy2, 16, 16).build().unwrap();
        let buffer = gst::Buffer::with_size(info.size()).unwrap();
        let error = with_view(&buffer, &info, |_| ()).unwrap_err().to_string();
        assert!(error.contains("videoconvert"), "{error}");
    }
}
