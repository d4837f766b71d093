//! InsightFace's genderage: plain bytes, red first; mean and scale are inside its graph. The way to its crop is that of
//! InsightFace's own `Attribute` class.

use crate::image::{ChannelOrder, TensorLayout};

pub(super) const LAYOUT: TensorLayout = TensorLayout { order: ChannelOrder::Rgb, mean: 0.0, scale: 1.0 };

/// How many times the longer side of the face's box the crop is wide.
pub(super) const CROP_SCALE: f32 = 1.5;
