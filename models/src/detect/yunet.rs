//! YuNet's outputs: for each of three strides, one prediction a cell. Boxes are a centre relative to the cell
//! and the logarithm of a size, both in strides.

use super::{Candidates, STRIDES};
use crate::geometry::{Landmarks, Point, Rect};
use crate::image::{ChannelOrder, Sampling, TensorLayout};

/// Blue first, plain bytes.
pub(super) const LAYOUT: TensorLayout = TensorLayout { order: ChannelOrder::Bgr, mean: 0.0, scale: 1.0 };

/// No reference implementation reduces pictures for it: the better way.
pub(super) const SAMPLING: Sampling = Sampling::Area;

/// The outputs of one stride.
pub(super) struct Stride<'a> {
    pub(super) class: &'a [f32],
    pub(super) objectness: &'a [f32],
    pub(super) boxes: &'a [f32],
    pub(super) landmarks: &'a [f32],
}

/// Names of the outputs of a stride, in the order of [`Stride`]'s fields.
pub(super) fn output_names(stride: u32) -> [String; 4] {
    ["cls", "obj", "bbox", "kps"].map(|kind| format!("{kind}_{stride}"))
}

/// Collects what scores at least the threshold, in pixels of the input of width `input_width`.
pub(super) fn decode(strides: &[Stride; 3], input_width: u32, candidates: &mut Candidates) {
    for (outputs, stride) in strides.iter().zip(STRIDES) {
        let columns = (input_width / stride).max(1) as usize;
        let stride = stride as f32;
        let boxes = outputs.boxes.chunks_exact(4);
        let landmarks = outputs.landmarks.chunks_exact(10);
        let scores = outputs.class.iter().zip(outputs.objectness);
        for (cell, (((class, objectness), bounds), points)) in scores.zip(boxes).zip(landmarks).enumerate() {
            let score = (class.clamp(0.0, 1.0) * objectness.clamp(0.0, 1.0)).sqrt();
            if !candidates.wants(score) {
                continue;
            }
            let (column, row) = ((cell % columns) as f32, (cell / columns) as f32);
            let at = |x: f32, y: f32| Point::new((column + x) * stride, (row + y) * stride);
            let (width, height) = (bounds[2].exp() * stride, bounds[3].exp() * stride);
            let rect = Rect::from_centre(at(bounds[0], bounds[1]), width, height);
            let landmarks: Landmarks =
                std::array::from_fn(|index| at(points[2 * index], points[2 * index + 1]));
            candidates.add(rect, landmarks, score);
        }
    }
}
