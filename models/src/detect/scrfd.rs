//! SCRFD's outputs: for each of three strides, two anchors a cell; boxes and landmarks are distances from the
//! anchor, in strides.

use super::{Candidates, STRIDES};
use crate::geometry::{Landmarks, Point, Rect};
use crate::image::{ChannelOrder, Sampling, TensorLayout};

/// Red first, about −1 to 1.
pub(super) const LAYOUT: TensorLayout =
    TensorLayout { order: ChannelOrder::Rgb, mean: 127.5, scale: 1.0 / 128.0 };

/// As its reference implementation reduces pictures, to find the same boxes to the pixel even in the largest. Means of
/// areas were tried: of 222 faces reduced three- to sixfold, SCRFD finds as many with either.
pub(super) const SAMPLING: Sampling = Sampling::Bilinear;

/// How many of the nine outputs there are of each kind.
pub(super) const OUTPUTS: usize = 9;

const ANCHORS: usize = 2;

/// The outputs of one stride.
pub(super) struct Stride<'a> {
    pub(super) scores: &'a [f32],
    pub(super) boxes: &'a [f32],
    pub(super) landmarks: &'a [f32],
}

/// Collects what scores at least the threshold, in pixels of the input of width `input_width`.
pub(super) fn decode(strides: &[Stride; 3], input_width: u32, candidates: &mut Candidates) {
    for (outputs, stride) in strides.iter().zip(STRIDES) {
        let columns = (input_width / stride).max(1) as usize;
        let stride = stride as f32;
        let boxes = outputs.boxes.chunks_exact(4);
        let landmarks = outputs.landmarks.chunks_exact(10);
        for (anchor, ((score, distances), points)) in
            outputs.scores.iter().zip(boxes).zip(landmarks).enumerate()
        {
            if !candidates.wants(*score) {
                continue;
            }
            let cell = anchor / ANCHORS;
            let (x, y) = ((cell % columns) as f32 * stride, (cell / columns) as f32 * stride);
            let rect = Rect::from_edges(
                x - distances[0] * stride,
                y - distances[1] * stride,
                x + distances[2] * stride,
                y + distances[3] * stride,
            );
            let landmarks: Landmarks = std::array::from_fn(|index| {
                Point::new(x + points[2 * index] * stride, y + points[2 * index + 1] * stride)
            });
            candidates.add(rect, landmarks, *score);
        }
    }
}
