//! How a frame becomes a detector's input: scaled into the upper left corner, the rest black, and the way
//! back from the input's pixels to the frame's.

use crate::geometry::{Landmarks, Point, Rect};

/// Both sides of an input are multiples of the coarsest stride.
pub(super) const ALIGNMENT: u32 = 32;
/// Black around SCRFD's picture, as far as it is not square. The reference implementation fills a square; faces at the border
/// see how near the input's end is: with no margin boxes differ by up to 2 pixels in photos of 5,000, with this one by 0.5.
const SCRFD_MARGIN: u32 = 64;
/// A small picture is enlarged no further: more pixels do not show more, they only take longer.
const MAX_ENLARGEMENT: f64 = 2.0;

/// Sizes and scales of one frame size and one input size.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Letterbox {
    /// Size of the scaled picture.
    pub(super) content: (u32, u32),
    /// Size of the input around it.
    pub(super) input: (u32, u32),
    /// From input to frame pixels.
    scale_x: f32,
    scale_y: f32,
    /// Where in the frame the scaled picture begins.
    origin: Point,
}

impl Letterbox {
    /// For a network that takes any size: the longest side becomes `longest_side`, the input is no larger than
    /// it must be. Each axis is mapped back by its own scale, exactly.
    pub(super) fn flexible(frame: (u32, u32), longest_side: u32) -> Self {
        let (content, input) = Self::sizes(frame, longest_side, 0);
        let scale_x = frame.0 as f32 / content.0 as f32;
        let scale_y = frame.1 as f32 / content.1 as f32;
        Self { content, input, scale_x, scale_y, origin: Point::default() }
    }

    /// The same for SCRFD, whose reference implementation maps both axes back by the scale of the height. Its
    /// width may be rounded, so that is off by up to half a pixel in some hundred; being off in the same way
    /// is worth more to those who come from there.
    pub(super) fn flexible_one_scale(frame: (u32, u32), longest_side: u32) -> Self {
        let (content, input) = Self::sizes(frame, longest_side, SCRFD_MARGIN);
        Self::one_scale(frame, content, input)
    }

    /// For SCRFD with a fixed input: the picture fills it as far as its shape allows.
    pub(super) fn fixed(frame: (u32, u32), input: (u32, u32)) -> Self {
        Self::one_scale(frame, fit(frame, input), input)
    }

    /// For a square part of a frame that fills a square input.
    pub(super) fn square(window: Rect, side: u32) -> Self {
        let scale = window.width / side as f32;
        let origin = Point::new(window.x, window.y);
        Self { content: (side, side), input: (side, side), scale_x: scale, scale_y: scale, origin }
    }

    fn sizes(frame: (u32, u32), longest_side: u32, margin: u32) -> ((u32, u32), (u32, u32)) {
        let longest_frame_side = f64::from(frame.0.max(frame.1));
        let side = longest_side.clamp(ALIGNMENT, crate::image::MAX_SIDE);
        let side = side.min((MAX_ENLARGEMENT * longest_frame_side) as u32).max(1);
        let content = fit(frame, (side, side));
        let around = |length: u32| (length + margin).min(side.max(length)).next_multiple_of(ALIGNMENT);
        (content, (around(content.0), around(content.1)))
    }

    fn one_scale(frame: (u32, u32), content: (u32, u32), input: (u32, u32)) -> Self {
        let scale = (f64::from(frame.1) / f64::from(content.1)) as f32;
        Self { content, input, scale_x: scale, scale_y: scale, origin: Point::default() }
    }

    /// The same for a part of the frame that begins at `origin`.
    pub(super) fn at(self, origin: Point) -> Self {
        Self { origin, ..self }
    }

    /// How many pixels of the frame one of the input is wide.
    pub(super) fn scale(&self) -> f32 {
        self.scale_x
    }

    /// What the scaled picture shows, in frame pixels.
    pub(super) fn content_in_frame(&self) -> Rect {
        self.rect_in_frame(Rect::new(0.0, 0.0, self.content.0 as f32, self.content.1 as f32))
    }

    pub(super) fn rect_in_frame(&self, rect: Rect) -> Rect {
        let corner = self.point_in_frame(Point::new(rect.x, rect.y));
        Rect::new(corner.x, corner.y, rect.width * self.scale_x, rect.height * self.scale_y)
    }

    pub(super) fn landmarks_in_frame(&self, landmarks: Landmarks) -> Landmarks {
        landmarks.map(|point| self.point_in_frame(point))
    }

    fn point_in_frame(&self, point: Point) -> Point {
        Point::new(self.origin.x + point.x * self.scale_x, self.origin.y + point.y * self.scale_y)
    }
}

/// The largest size of the frame's shape within `limits`. The side that is not given is rounded down, as
/// the reference implementation does.
fn fit(frame: (u32, u32), limits: (u32, u32)) -> (u32, u32) {
    let ratio = f64::from(frame.1) / f64::from(frame.0);
    let limit_ratio = f64::from(limits.1) / f64::from(limits.0);
    let (width, height) = if ratio > limit_ratio {
        ((f64::from(limits.1) / ratio) as u32, limits.1)
    } else {
        (limits.0, (f64::from(limits.0) * ratio) as u32)
    };
    (width.clamp(1, limits.0), height.clamp(1, limits.1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wide_frame_keeps_its_shape_and_is_padded_to_the_stride() {
        let letterbox = Letterbox::flexible((1280, 720), 640);
        assert_eq!((letterbox.content, letterbox.input), ((640, 360), (640, 384)));
        let rect = letterbox.rect_in_frame(Rect::new(10.0, 20.0, 30.0, 40.0));
        assert_eq!(rect, Rect::new(20.0, 40.0, 60.0, 80.0));
        let part = letterbox.at(Point::new(100.0, 50.0));
        assert_eq!(part.rect_in_frame(Rect::new(10.0, 20.0, 30.0, 40.0)), Rect::new(120.0, 90.0, 60.0, 80.0));
    }

    #[test]
    fn each_axis_has_its_own_scale_unless_the_reference_says_otherwise() {
        let letterbox = Letterbox::flexible((1000, 333), 640);
        assert_eq!(letterbox.content, (640, 213));
        let corner = letterbox.landmarks_in_frame([Point::new(640.0, 213.0); 5])[0];
        assert!((corner.x - 1000.0).abs() < 1e-3 && (corner.y - 333.0).abs() < 1e-3);
        let corner =
            Letterbox::fixed((1000, 333), (640, 640)).landmarks_in_frame([Point::new(640.0, 213.0); 5])[0];
        assert!((corner.x - 640.0 * 333.0 / 213.0).abs() < 1e-3 && (corner.y - 333.0).abs() < 1e-3);
    }

    #[test]
    fn small_pictures_are_at_most_doubled_and_odd_shapes_survive() {
        assert_eq!(Letterbox::flexible((100, 50), 640).content, (200, 100));
        assert_eq!(Letterbox::flexible((1, 1), 640).input, (32, 32));
        assert_eq!(Letterbox::flexible((32_768, 1), 640).content, (640, 1));
        assert_eq!(Letterbox::flexible((1, 32_768), 640).content, (1, 640));
        assert_eq!(Letterbox::fixed((20, 10), (640, 640)).content, (640, 320));
        assert_eq!(Letterbox::flexible((640, 480), 0).content, (32, 24));
        assert_eq!(Letterbox::flexible((640, 480), u32::MAX).content, (1280, 960));
    }
}
