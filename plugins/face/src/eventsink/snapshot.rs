//! The picture of a face that goes with an event: the face with some surroundings, cut straight from the
//! frame, so that only those pixels are ever converted. What lies in a privacy mask is black in it.

use std::path::Path;

use uuid::Uuid;
use vedette_models::geometry::{Polygon, Rect};
use vedette_models::image::{ImageError, ImageView, RgbImage};

use super::spool;

/// Side of the picture in terms of the longer side of the face's box.
const SURROUNDINGS: f32 = 1.8;
/// The longest side a picture has, in pixels.
const MAX_SIDE_PX: f32 = 320.0;
/// Good enough to recognise someone by, small enough to send.
const JPEG_QUALITY: u8 = 85;

/// Cuts a face out of the frame, without what lies in `masks` (shares of the frame); `None` if it lies outside.
pub(super) fn cut(view: &ImageView<'_>, face: &Rect, masks: &[Polygon]) -> Option<RgbImage> {
    let area = face.square(SURROUNDINGS).clip_to(view.width(), view.height());
    if area.is_empty() {
        return None;
    }
    let scale = (MAX_SIDE_PX / area.width.max(area.height)).min(1.0);
    // At most `MAX_SIDE_PX`, and no smaller than one pixel.
    let side = |length: f32| (length * scale).round().max(1.0) as u32;
    let mut picture = view.crop_rgb(area, side(area.width), side(area.height));
    for mask in masks {
        picture.blacken(&mask.scaled(view.width() as f32, view.height() as f32), area);
    }
    Some(picture)
}

/// The picture as JPEG.
pub(super) fn jpeg(picture: &RgbImage) -> Result<Vec<u8>, ImageError> {
    picture.to_jpeg(JPEG_QUALITY)
}

/// Keeps a picture as `<event_id>.jpg`, readable by the owner only.
pub(super) fn save(dir: &Path, event_id: Uuid, jpeg: &[u8]) -> std::io::Result<()> {
    spool::create_private_dir(dir)?;
    spool::write_private(&dir.join(format!("{event_id}.jpg")), jpeg)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use vedette_models::geometry::Point;
    use vedette_models::image::{PixelFormat, Plane};

    fn cut_from_grey(face: Rect) -> Option<(u32, u32)> {
        let data = vec![0_u8; 640 * 480];
        let plane = Plane { data: &data, stride: 640 };
        let view = ImageView::new(PixelFormat::Gray8, 640, 480, &[plane]).unwrap();
        cut(&view, &face, &[]).map(|picture| (picture.width(), picture.height()))
    }

    #[test]
    fn the_cut_has_surroundings_and_a_limit() {
        assert_eq!(cut_from_grey(Rect::new(300.0, 200.0, 50.0, 40.0)), Some((90, 90)));
        assert_eq!(cut_from_grey(Rect::new(100.0, 50.0, 400.0, 400.0)).unwrap().0, 320);
        assert_eq!(cut_from_grey(Rect::new(0.0, 0.0, 50.0, 50.0)), Some((70, 70)), "cut at the corner");
        assert_eq!(cut_from_grey(Rect::new(900.0, 0.0, 50.0, 50.0)), None);
    }

    #[test]
    fn a_mask_is_black_in_the_cut() {
        let data = vec![200_u8; 640 * 480];
        let view =
            ImageView::new(PixelFormat::Gray8, 640, 480, &[Plane { data: &data, stride: 640 }]).unwrap();
        // The right half of the frame: the cut shows columns 230 to 410, 320 of them are not masked.
        let corners = [(0.5, 0.0), (1.0, 0.0), (1.0, 1.0), (0.5, 1.0)];
        let mask = Polygon::new(corners.map(|(x, y)| Point::new(x, y)).to_vec()).unwrap();
        let picture = cut(&view, &Rect::new(270.0, 200.0, 100.0, 100.0), &[mask]).unwrap();
        assert_eq!(picture.width(), 180);
        for y in 0..180 {
            assert_eq!(picture.pixel(89, y), Some([200; 3]), "row {y}");
            assert_eq!(picture.pixel(90, y), Some([0; 3]), "row {y}");
        }
    }
}
