//! SFace: plain bytes, red first. Mean and scale are inside its graph.

use crate::image::{ChannelOrder, TensorLayout};

pub(super) const LAYOUT: TensorLayout = TensorLayout { order: ChannelOrder::Rgb, mean: 0.0, scale: 1.0 };
