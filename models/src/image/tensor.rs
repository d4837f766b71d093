//! Pictures as a network takes them: one plane of numbers for each colour, written straight from the frame.

use super::{ImageView, Sampling, ScaleScratch, scale_rgb};
use crate::geometry::Rect;

/// Which colour comes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChannelOrder {
    /// Red, green, blue.
    Rgb,
    /// Blue, green, red, as OpenCV reads pictures.
    Bgr,
}

/// How a network wants its numbers: `(value − mean) · scale` for values from 0 to 255.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct TensorLayout {
    /// Order of the three planes.
    pub order: ChannelOrder,
    /// Subtracted from every value.
    pub mean: f32,
    /// Multiplied with every difference.
    pub scale: f32,
}

impl TensorLayout {
    /// The number that stands for black.
    pub fn black(&self) -> f32 {
        (0.0 - self.mean) * self.scale
    }

    /// Writes one row of 0 to 255, rounded to whole numbers as in the pictures networks are trained on, into the
    /// three planes of `tensor` (each `plane_length` long) from `at` on.
    #[inline(always)]
    pub(crate) fn write_row(&self, tensor: &mut [f32], plane_length: usize, at: usize, row: [&[f32]; 3]) {
        for (channel, values) in row.into_iter().enumerate() {
            let plane = match self.order {
                ChannelOrder::Rgb => channel,
                ChannelOrder::Bgr => 2 - channel,
            };
            let start = plane * plane_length + at;
            for (target, value) in tensor[start..start + values.len()].iter_mut().zip(values) {
                *target = (nearest_whole(*value) - self.mean) * self.scale;
            }
        }
    }
}

/// Rounds a small number. Beside 1.5 · 2²³ an f32 has no room for fractions; unlike `round` this is two additions
/// on every processor.
#[inline]
fn nearest_whole(value: f32) -> f32 {
    const NO_ROOM_FOR_FRACTIONS: f32 = 12_582_912.0;
    (value + NO_ROOM_FOR_FRACTIONS) - NO_ROOM_FOR_FRACTIONS
}

/// Scales the part of a picture within `window` to `content` (width, height) in the upper left corner of a tensor of
/// `size`; the rest is black. What lies outside the picture repeats its edge. The tensor holds `3 · size.0 · size.1`
/// numbers afterwards.
#[expect(clippy::too_many_arguments, reason = "what, whereto, how, and two buffers that are kept")]
pub fn fill_tensor(
    view: &ImageView,
    window: Rect,
    content: (u32, u32),
    size: (u32, u32),
    layout: TensorLayout,
    sampling: Sampling,
    scratch: &mut ScaleScratch,
    tensor: &mut Vec<f32>,
) {
    let (width, height) = (size.0 as usize, size.1 as usize);
    let plane_length = width * height;
    let content = (content.0.min(size.0), content.1.min(size.1));
    let is_whole = content == size;
    if !is_whole || tensor.len() != 3 * plane_length {
        tensor.clear();
        tensor.resize(3 * plane_length, layout.black());
    }
    if content.0 == 0 || content.1 == 0 {
        return;
    }
    scale_rgb(view, window, content, sampling, scratch, |row, red, green, blue| {
        layout.write_row(tensor, plane_length, row * width, [red, green, blue]);
    });
}
