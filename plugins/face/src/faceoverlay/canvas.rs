//! Painting on a frame in whatever format it has, without converting it.

use gst_video::{VideoColorMatrix, VideoColorRange, VideoFormat, VideoFrameRef, prelude::*};

/// A colour as red, green, blue.
pub(super) type Rgb = [u8; 3];

/// A rectangle in whole pixels that lies inside the frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Area {
    pub(super) left: usize,
    pub(super) top: usize,
    pub(super) right: usize,
    pub(super) bottom: usize,
}

/// Opacity of each pixel of a small picture, 0…255.
pub(super) struct Mask {
    pub(super) width: usize,
    pub(super) height: usize,
    pub(super) opacity: Vec<u8>,
}

/// One kind of sample of a frame: a colour channel or luma, or chroma at half the size.
#[derive(Clone, Copy)]
struct Channel {
    plane: usize,
    /// Bytes from one sample to the next.
    step: usize,
    /// Byte of the first sample.
    offset: usize,
    /// Log2 of how many pixels one sample covers, each way.
    shift: u32,
    /// Which value of a colour goes here.
    component: usize,
}

impl Channel {
    const LUMA: Self = Self { plane: 0, step: 1, offset: 0, shift: 0, component: 0 };

    const fn chroma(plane: usize, step: usize, offset: usize, component: usize) -> Self {
        Self { plane, step, offset, shift: 1, component }
    }

    const fn packed(step: usize, offset: usize, component: usize) -> Self {
        Self { plane: 0, step, offset, shift: 0, component }
    }
}

const I420: &[Channel] = &[Channel::LUMA, Channel::chroma(1, 1, 0, 1), Channel::chroma(2, 1, 0, 2)];
const NV12: &[Channel] = &[Channel::LUMA, Channel::chroma(1, 2, 0, 1), Channel::chroma(1, 2, 1, 2)];
const GRAY8: &[Channel] = &[Channel::LUMA];
const RGB: &[Channel] = &[Channel::packed(3, 0, 0), Channel::packed(3, 1, 1), Channel::packed(3, 2, 2)];
const BGR: &[Channel] = &[Channel::packed(3, 2, 0), Channel::packed(3, 1, 1), Channel::packed(3, 0, 2)];
const RGBX: &[Channel] = &[Channel::packed(4, 0, 0), Channel::packed(4, 1, 1), Channel::packed(4, 2, 2)];
const BGRX: &[Channel] = &[Channel::packed(4, 2, 0), Channel::packed(4, 1, 1), Channel::packed(4, 0, 2)];

fn channels_of(format: VideoFormat) -> &'static [Channel] {
    match format {
        VideoFormat::I420 => I420,
        VideoFormat::Nv12 => NV12,
        VideoFormat::Gray8 => GRAY8,
        VideoFormat::Rgb => RGB,
        VideoFormat::Bgr => BGR,
        VideoFormat::Rgba | VideoFormat::Rgbx => RGBX,
        VideoFormat::Bgra | VideoFormat::Bgrx => BGRX,
        _ => &[],
    }
}

/// A frame to paint on.
pub(crate) struct Canvas<'a> {
    planes: [&'a mut [u8]; 4],
    strides: [usize; 4],
    channels: &'static [Channel],
    width: usize,
    height: usize,
    coefficients: Option<Coefficients>,
}

/// From red, green, blue to luma and chroma.
#[derive(Clone, Copy)]
struct Coefficients {
    red: f32,
    blue: f32,
    luma_offset: f32,
    luma_gain: f32,
    chroma_gain: f32,
}

impl<'a> Canvas<'a> {
    /// Paints on a frame mapped for writing.
    pub(super) fn new(frame: &'a mut VideoFrameRef<&mut gst::BufferRef>) -> Self {
        let (format, width, height) = (frame.format(), frame.width() as usize, frame.height() as usize);
        let mut strides = [0; 4];
        for (stride, given) in strides.iter_mut().zip(frame.plane_stride()) {
            *stride = usize::try_from(*given).unwrap_or_default();
        }
        let colorimetry = frame.info().colorimetry();
        let is_yuv = matches!(format, VideoFormat::I420 | VideoFormat::Nv12 | VideoFormat::Gray8);
        let coefficients = is_yuv.then(|| Coefficients::new(&colorimetry, format, height));
        let channels = channels_of(format);
        Self { planes: frame.planes_data_mut(), strides, channels, width, height, coefficients }
    }

    /// Paints on a picture in RGB, without gaps between its rows.
    pub(crate) fn of_rgb(picture: &'a mut [u8], width: usize, height: usize) -> Self {
        let (planes, strides) = ([picture, &mut [], &mut [], &mut []], [3 * width, 0, 0, 0]);
        Self { planes, strides, channels: RGB, width, height, coefficients: None }
    }

    /// The part of a rectangle that lies inside the frame, if any.
    pub(super) fn area(&self, left: f32, top: f32, right: f32, bottom: f32) -> Option<Area> {
        let inside = |value: f32, limit: usize| value.clamp(0.0, limit as f32) as usize;
        let area = Area {
            left: inside(left, self.width),
            top: inside(top, self.height),
            right: inside(right, self.width),
            bottom: inside(bottom, self.height),
        };
        (area.right > area.left && area.bottom > area.top).then_some(area)
    }

    pub(super) fn width(&self) -> usize {
        self.width
    }

    pub(super) fn height(&self) -> usize {
        self.height
    }

    /// Fills an area.
    pub(super) fn fill(&mut self, area: Area, colour: Rgb) {
        let samples = self.samples(colour);
        for channel in self.channels {
            let value = samples[channel.component];
            self.for_each(channel, area, |sample, _, _| *sample = value);
        }
    }

    /// Draws the border of an area inwards.
    pub(super) fn outline(&mut self, area: Area, thickness: usize, colour: Rgb) {
        let inner_top = (area.top + thickness).min(area.bottom);
        let inner_bottom = area.bottom.saturating_sub(thickness).max(inner_top);
        let inner_left = (area.left + thickness).min(area.right);
        let inner_right = area.right.saturating_sub(thickness).max(inner_left);
        for side in [
            Area { bottom: inner_top, ..area },
            Area { top: inner_bottom, ..area },
            Area { top: inner_top, bottom: inner_bottom, right: inner_left, ..area },
            Area { top: inner_top, bottom: inner_bottom, left: inner_right, ..area },
        ] {
            if side.right > side.left && side.bottom > side.top {
                self.fill(side, colour);
            }
        }
    }

    /// Paints a colour through a mask whose upper left corner is at (`left`, `top`).
    pub(super) fn paint(&mut self, left: usize, top: usize, mask: &Mask, colour: Rgb) {
        let right = (left + mask.width).min(self.width);
        let bottom = (top + mask.height).min(self.height);
        if right <= left || bottom <= top {
            return;
        }
        let area = Area { left, top, right, bottom };
        let samples = self.samples(colour);
        for channel in self.channels {
            let value = u32::from(samples[channel.component]);
            self.for_each(channel, area, |sample, x, y| {
                let (column, row) = (x.saturating_sub(left), y.saturating_sub(top));
                let opacity = mask.opacity.get(row * mask.width + column).copied().unwrap_or_default();
                let opacity = u32::from(opacity);
                // Both weights sum to 255: the result is a byte.
                *sample = ((u32::from(*sample) * (255 - opacity) + value * opacity + 127) / 255) as u8;
            });
        }
    }

    /// Replaces an area by squares of one colour each, `across` of them along the longer side.
    pub(super) fn pixelate(&mut self, area: Area, across: usize) {
        let longer = (area.right - area.left).max(area.bottom - area.top);
        // Even sides keep luma and chroma squares in step.
        let side = (longer.div_ceil(across.max(1)).max(2) + 1) & !1;
        for top in (area.top..area.bottom).step_by(side) {
            for left in (area.left..area.right).step_by(side) {
                let right = (left + side).min(area.right);
                let bottom = (top + side).min(area.bottom);
                for channel in self.channels {
                    self.flatten(channel, Area { left, top, right, bottom });
                }
            }
        }
    }

    /// Gives every sample of an area the area's mean.
    fn flatten(&mut self, channel: &Channel, area: Area) {
        let (mut sum, mut count) = (0_u64, 0_u64);
        self.for_each(channel, area, |sample, _, _| {
            sum += u64::from(*sample);
            count += 1;
        });
        if let Some(mean) = sum.checked_div(count) {
            // The mean of bytes is a byte.
            self.for_each(channel, area, |sample, _, _| *sample = mean as u8);
        }
    }

    /// Visits the samples of a channel that lie in an area, each with the pixel it belongs to.
    fn for_each(&mut self, channel: &Channel, area: Area, mut visit: impl FnMut(&mut u8, usize, usize)) {
        let stride = self.strides[channel.plane];
        let data = &mut *self.planes[channel.plane];
        let scale = 1 << channel.shift;
        let first = area.left >> channel.shift;
        let last = area.right.div_ceil(scale);
        for row in area.top >> channel.shift..area.bottom.div_ceil(scale) {
            let start = row * stride + first * channel.step;
            let end = (row * stride + last * channel.step).min(data.len());
            let Some(samples) = data.get_mut(start..end) else { continue };
            for (index, group) in samples.chunks_mut(channel.step).enumerate() {
                if let Some(sample) = group.get_mut(channel.offset) {
                    visit(sample, (first + index) << channel.shift, row << channel.shift);
                }
            }
        }
    }

    /// The colour as the values of the format's components.
    fn samples(&self, colour: Rgb) -> [u8; 3] {
        self.coefficients.map_or(colour, |coefficients| coefficients.convert(colour))
    }
}

impl Coefficients {
    fn new(colorimetry: &gst_video::VideoColorimetry, format: VideoFormat, height: usize) -> Self {
        let is_bt709 = match colorimetry.matrix() {
            VideoColorMatrix::Bt709 => true,
            VideoColorMatrix::Bt601 | VideoColorMatrix::Fcc => false,
            _ => height > 576,
        };
        let is_full = match colorimetry.range() {
            VideoColorRange::Range0_255 => true,
            VideoColorRange::Range16_235 => false,
            _ => format == VideoFormat::Gray8,
        };
        let (red, blue) = if is_bt709 { (0.2126, 0.0722) } else { (0.299, 0.114) };
        let (luma_offset, luma_gain, chroma_gain) =
            if is_full { (0.0, 1.0, 1.0) } else { (16.0, 219.0 / 255.0, 224.0 / 255.0) };
        Self { red, blue, luma_offset, luma_gain, chroma_gain }
    }

    fn convert(self, colour: Rgb) -> [u8; 3] {
        let [red, green, blue] = colour.map(f32::from);
        let luma = self.red * red + (1.0 - self.red - self.blue) * green + self.blue * blue;
        let u = (blue - luma) / (2.0 * (1.0 - self.blue)) * self.chroma_gain + 128.0;
        let v = (red - luma) / (2.0 * (1.0 - self.red)) * self.chroma_gain + 128.0;
        // Float to byte casts saturate.
        [luma * self.luma_gain + self.luma_offset, u, v].map(|value| value.round() as u8)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::frame::FORMATS;
    use vedette_models::image::RgbImage;

    /// Paints on a black frame and reads the result back in RGB.
    fn painted(format: VideoFormat, paint: impl FnOnce(&mut Canvas<'_>)) -> RgbImage {
        gst::init().unwrap();
        let info = gst_video::VideoInfo::builder(format, 65, 49).build().unwrap();
        let mut buffer = gst::Buffer::with_size(info.size()).unwrap();
        let buffer = buffer.get_mut().unwrap();
        {
            let mut frame = VideoFrameRef::from_buffer_ref_writable(buffer, &info).unwrap();
            let mut canvas = Canvas::new(&mut frame);
            canvas.fill(canvas.area(0.0, 0.0, 65.0, 49.0).unwrap(), [0, 0, 0]);
            paint(&mut canvas);
        }
        crate::frame::with_view(buffer, &info, |view| view.to_rgb()).unwrap()
    }

    fn near(pixel: Option<[u8; 3]>, colour: Rgb) -> bool {
        pixel.unwrap().iter().zip(colour).all(|(a, b)| a.abs_diff(b) <= 6)
    }

    #[test]
    fn colours_are_right_in_every_format_and_stay_inside() {
        let colour = [46, 204, 113];
        for format in FORMATS {
            let picture = painted(format, |canvas| {
                let area = canvas.area(16.0, 16.0, 32.0, 32.0).unwrap();
                canvas.fill(area, colour);
            });
            let inside = picture.pixel(24, 24);
            if format == VideoFormat::Gray8 {
                assert!(near(inside, [146; 3]), "{inside:?}");
            } else {
                assert!(near(inside, colour), "{format}: {inside:?}");
            }
            for (x, y) in [(12, 24), (36, 24), (24, 12), (24, 36)] {
                assert!(near(picture.pixel(x, y), [0; 3]), "{format} at {x},{y}");
            }
        }
    }

    #[test]
    fn an_outline_leaves_the_middle_alone() {
        let picture = painted(VideoFormat::Rgb, |canvas| {
            let area = canvas.area(10.0, 10.0, 40.0, 40.0).unwrap();
            canvas.outline(area, 2, [255; 3]);
        });
        assert_eq!(picture.pixel(11, 25), Some([255; 3]));
        assert_eq!(picture.pixel(39, 39), Some([255; 3]));
        assert_eq!(picture.pixel(25, 25), Some([0; 3]));
        assert_eq!(picture.pixel(40, 25), Some([0; 3]));
    }

    #[test]
    fn pixelating_leaves_few_colours() {
        for format in FORMATS {
            let picture = painted(format, |canvas| {
                for x in 16..48 {
                    let stripe = canvas.area(x as f32, 0.0, x as f32 + 1.0, 49.0).unwrap();
                    canvas.fill(stripe, [(x * 5) as u8; 3]);
                }
                let area = canvas.area(16.0, 8.0, 48.0, 40.0).unwrap();
                canvas.pixelate(area, 4);
            });
            let colours: std::collections::BTreeSet<_> = (17..47).map(|x| picture.pixel(x, 24)).collect();
            assert!(colours.len() <= 8, "{format}: {} colours", colours.len());
        }
    }

    #[test]
    fn painting_over_the_edge_is_cut_off() {
        let mask = Mask { width: 20, height: 20, opacity: vec![255; 400] };
        for format in FORMATS {
            let picture = painted(format, |canvas| canvas.paint(60, 45, &mask, [255; 3]));
            assert!(picture.pixel(64, 48).unwrap()[0] > 240, "{format}");
        }
    }
}
