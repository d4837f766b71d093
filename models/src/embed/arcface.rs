//! ArcFace and its kin: red first, −1 to 1.

use crate::image::{ChannelOrder, TensorLayout};

pub(super) const LAYOUT: TensorLayout =
    TensorLayout { order: ChannelOrder::Rgb, mean: 127.5, scale: 1.0 / 127.5 };
