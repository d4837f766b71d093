//! How small a face may be in a network's input: what decides how large that input has to be, and which faces are
//! worth a second look.

use super::DetectedFace;
use super::letterbox::ALIGNMENT;
use crate::geometry::Rect;

/// The shorter side of the smallest face a network finds reliably, in pixels of its input. Measured for YuNet by
/// `tests/reach.rs`, which prints recall by size for faces as they are, turned, blurred and dark; taken over for SCRFD.
const RELIABLE_PX: u32 = 28;

/// The input of a second look: the face fills half of it, where landmarks are precise.
pub(super) const REFINED_INPUT_PX: u32 = 96;
/// How much of a face's surroundings that look takes in, in terms of the longer side of its box.
const SURROUNDINGS: f32 = 1.7;
/// A second look that finds another box than this (IoU) found another face.
pub(super) const LEAST_OVERLAP: f32 = 0.4;
/// Below this, in pixels of the input, landmarks are off by a share of the face that shows in embeddings.
const COARSE_BELOW_PX: f32 = 56.0;

/// The longest side of the input that shows faces of `face_px` at their reliable size.
pub(super) fn input_size(picture_side_px: u32, face_px: u32) -> u32 {
    let needed = (u64::from(picture_side_px) * u64::from(RELIABLE_PX)).div_ceil(u64::from(face_px.max(1)));
    let aligned = needed.next_multiple_of(u64::from(ALIGNMENT)).min(u64::from(picture_side_px));
    // No larger than a side of the picture, which is an u32.
    u32::try_from(aligned).unwrap_or(picture_side_px).max(ALIGNMENT)
}

/// Whether a face was too small for good landmarks in an input of which a pixel is `scale` pixels of the picture.
pub(super) fn is_coarse(face: &DetectedFace, scale: f32) -> bool {
    face.rect.width.max(face.rect.height) < COARSE_BELOW_PX * scale
}

/// The square a second look sees.
pub(super) fn surroundings(face: &DetectedFace) -> Rect {
    face.rect.square(SURROUNDINGS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_input_follows_from_frame_and_face_and_is_never_larger_than_the_frame() {
        assert_eq!(input_size(1280, 80), 448);
        assert_eq!(input_size(1920, 80), 672);
        assert_eq!(input_size(1280, 40), 896);
        assert_eq!(input_size(1280, 10), 1280);
        assert_eq!(input_size(1000, 10), 1000);
        assert_eq!(input_size(640, 4096), 32);
        assert_eq!((input_size(1, 80), input_size(u32::MAX, 0)), (32, u32::MAX));
    }
}
