//! The photos in `tests/media`: where the face is in each, and crops of them to put into a clip.
//!
//! The faces were measured by hand, not by the detector under test.

use anyhow::{Context as _, Result};
use image::{RgbImage, imageops};

use crate::checkout;

/// A photo and the face in it, in the photo's pixels.
#[derive(Clone, Copy, Debug)]
struct Portrait {
    photo: &'static str,
    centre_x: u32,
    centre_y: u32,
    face_height: u32,
}

const PORTRAITS: [Portrait; 6] = [
    Portrait { photo: "obama.jpg", centre_x: 446, centre_y: 230, face_height: 312 },
    Portrait { photo: "obama2.jpg", centre_x: 284, centre_y: 372, face_height: 350 },
    Portrait { photo: "obama3.jpg", centre_x: 340, centre_y: 190, face_height: 158 },
    Portrait { photo: "obama_partial_face.jpg", centre_x: 70, centre_y: 230, face_height: 312 },
    Portrait { photo: "biden.jpg", centre_x: 263, centre_y: 168, face_height: 186 },
    Portrait { photo: "astronaut.jpg", centre_x: 224, centre_y: 117, face_height: 124 },
];

/// Head and shoulders: the crop is this many times as high and as wide as the face is high.
const CROP_PER_FACE: f64 = 2.1;

/// Head and shoulders of a photo in `tests/media`, scaled so that the face is `face_height_px` high.
///
/// # Errors
/// When the photo is not one of `tests/media` or cannot be read.
pub fn head_and_shoulders(photo: &str, face_height_px: u32) -> Result<RgbImage> {
    let portrait = PORTRAITS
        .iter()
        .find(|portrait| portrait.photo == photo)
        .with_context(|| format!("nobody measured the face in `{photo}`; add it to tests/src/portrait.rs"))?;
    let path = checkout::media_dir().join(photo);
    let picture = image::open(&path).with_context(|| format!("cannot read {}", path.display()))?.into_rgb8();

    let side = (f64::from(portrait.face_height) * CROP_PER_FACE) as u32;
    let left = portrait.centre_x.saturating_sub(side / 2);
    let top = portrait.centre_y.saturating_sub(side / 2);
    let right = (portrait.centre_x + side / 2).min(picture.width());
    let bottom = (portrait.centre_y + side / 2).min(picture.height());
    let crop = imageops::crop_imm(&picture, left, top, right - left, bottom - top);

    let scale = f64::from(face_height_px) / f64::from(portrait.face_height);
    let scaled = |length: u32| ((f64::from(length) * scale).round() as u32).max(1);
    let (width, height) = (scaled(right - left), scaled(bottom - top));
    Ok(imageops::resize(&crop.to_image(), width, height, imageops::FilterType::CatmullRom))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn every_measured_photo_is_there_and_holds_its_face() {
        for portrait in PORTRAITS {
            let crop = head_and_shoulders(portrait.photo, 120).unwrap();
            assert!(crop.height() > 150 && crop.height() <= 260, "{}: {}", portrait.photo, crop.height());
            assert!(crop.width() > 100, "{}: {}", portrait.photo, crop.width());
        }
    }

    #[test]
    fn an_unmeasured_photo_is_named_in_the_error() {
        let error = head_and_shoulders("nobody.jpg", 120).unwrap_err().to_string();
        assert!(error.contains("nobody.jpg"), "{error}");
    }
}
