//! The default pack's network: SSR-Net for the age (Yang and others, IJCAI 2018) and mini-Xception for the gender (Arriaga and
//! others, 2017) in one graph, which takes plain bytes, red first; what either wants otherwise is inside the graph.
//!
//! SSR-Net was trained on pictures that were made small by plain bilinear sampling: with anything finer it
//! is off by seven years in place of five, nearly always downwards.

use crate::image::{ChannelOrder, TensorLayout};

pub(super) const LAYOUT: TensorLayout = TensorLayout { order: ChannelOrder::Rgb, mean: 0.0, scale: 1.0 };

/// How many times the longer side of the face's box the crop is wide: of those tried from 1.0 to 2.0, the best for both.
pub(super) const CROP_SCALE: f32 = 1.65;
