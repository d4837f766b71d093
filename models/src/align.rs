//! Alignment: the similarity transform that brings a face's five points onto the ArcFace template, and the
//! upright crop read through it straight from the frame. Sampling is plainly bilinear with a black border,
//! as the networks' own training pictures were made; anything finer changes the embeddings.

use crate::geometry::{Landmarks, Point, Rect};
use crate::image::{ImageView, RgbImage, WarpScratch, warp_rgb};

/// Side of the crops the networks here were trained on.
pub const CROP_SIDE: u32 = 112;

/// Where the five points lie in a crop of [`CROP_SIDE`].
pub const TEMPLATE: Landmarks = [
    Point::new(38.2946, 51.6963),
    Point::new(73.5318, 51.5014),
    Point::new(56.0252, 71.7366),
    Point::new(41.5493, 92.3655),
    Point::new(70.7299, 92.2041),
];

/// Rotation, one scale for both axes, and a shift: `(x, y) → (a·x − b·y + shift.x, b·x + a·y + shift.y)`. In
/// double precision, since frames are large and crops small.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SimilarityTransform {
    a: f64,
    b: f64,
    shift_x: f64,
    shift_y: f64,
}

impl SimilarityTransform {
    /// The transform that brings `from` nearest to `to` in the sense of least squares (Umeyama's estimate: with
    /// points as complex numbers the best rotation and scale are one quotient). Nothing if the points of
    /// `from` coincide or are not made of numbers.
    pub fn estimate(from: &Landmarks, to: &Landmarks) -> Option<Self> {
        let (from_mean, to_mean) = (mean(from), mean(to));
        let (mut real, mut imaginary, mut spread) = (0.0, 0.0, 0.0);
        for (from, to) in from.iter().zip(to) {
            let (fx, fy) = (f64::from(from.x) - from_mean.0, f64::from(from.y) - from_mean.1);
            let (tx, ty) = (f64::from(to.x) - to_mean.0, f64::from(to.y) - to_mean.1);
            real += fx * tx + fy * ty;
            imaginary += fx * ty - fy * tx;
            spread += fx * fx + fy * fy;
        }
        let (a, b) = (real / spread, imaginary / spread);
        let is_usable = spread.is_finite() && spread > 1e-6 && a.hypot(b) > 1e-9;
        is_usable.then_some(Self {
            a,
            b,
            shift_x: to_mean.0 - a * from_mean.0 + b * from_mean.1,
            shift_y: to_mean.1 - b * from_mean.0 - a * from_mean.1,
        })
    }

    /// The transform from a frame to an aligned crop of the given side.
    pub fn to_crop(landmarks: &Landmarks, side: u32) -> Option<Self> {
        let ratio = side as f32 / CROP_SIDE as f32;
        let template = TEMPLATE.map(|point| Point::new(point.x * ratio, point.y * ratio));
        Self::estimate(landmarks, &template)
    }

    /// The transform from a frame to a crop of the given side that shows a square of the frame as it is, without turning
    /// it. Nothing if the square is empty or not made of numbers.
    pub fn to_square_crop(square: &Rect, side: u32) -> Option<Self> {
        let side = f64::from(side);
        let (centre_x, centre_y) = (f64::from(square.centre().x), f64::from(square.centre().y));
        let a = side / f64::from(square.width);
        let is_usable = !square.is_empty() && a.is_finite() && a > 1e-9;
        // Centre to centre as InsightFace does it: half a pixel up and left of where the areas would coincide.
        is_usable.then_some(Self {
            a,
            b: 0.0,
            shift_x: side / 2.0 - a * centre_x,
            shift_y: side / 2.0 - a * centre_y,
        })
    }

    /// How many pixels of the result one pixel becomes.
    pub fn scale(&self) -> f32 {
        self.a.hypot(self.b) as f32
    }

    /// Where a point goes.
    pub fn apply(&self, x: f64, y: f64) -> (f64, f64) {
        (self.a * x - self.b * y + self.shift_x, self.b * x + self.a * y + self.shift_y)
    }

    /// The way back. The scale is never nothing, see [`Self::estimate`].
    pub fn inverse(&self) -> Self {
        let square = self.a * self.a + self.b * self.b;
        let (a, b) = (self.a / square, -self.b / square);
        Self {
            a,
            b,
            shift_x: -(a * self.shift_x - b * self.shift_y),
            shift_y: -(b * self.shift_x + a * self.shift_y),
        }
    }
}

fn mean(points: &Landmarks) -> (f64, f64) {
    let sum =
        points.iter().fold((0.0, 0.0), |sum, point| (sum.0 + f64::from(point.x), sum.1 + f64::from(point.y)));
    (sum.0 / points.len() as f64, sum.1 / points.len() as f64)
}

/// The aligned crop of a face as a picture; nothing if its landmarks are not five different places.
pub fn align_face(view: &ImageView, landmarks: &Landmarks, side: u32) -> Option<RgbImage> {
    let side = side.clamp(1, crate::image::MAX_SIDE);
    let to_frame = SimilarityTransform::to_crop(landmarks, side)?.inverse();
    let mut crop = RgbImage::black(side, side);
    warp_rgb(view, &to_frame, side, &mut WarpScratch::default(), |row, red, green, blue| {
        crop.write_row(row, red, green, blue);
    });
    Some(crop)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn transformed(points: &Landmarks, scale: f32, degrees: f32, shift: (f32, f32)) -> Landmarks {
        let (sin, cos) = degrees.to_radians().sin_cos();
        points.map(|point| {
            let (x, y) = (point.x * scale, point.y * scale);
            Point::new(x * cos - y * sin + shift.0, x * sin + y * cos + shift.1)
        })
    }

    #[test]
    fn known_transforms_are_found_again() {
        for (scale, degrees, shift) in
            [(1.0, 0.0, (0.0, 0.0)), (3.5, 30.0, (900.0, -20.0)), (0.4, -170.0, (5.0, 7.0))]
        {
            let moved = transformed(&TEMPLATE, scale, degrees, shift);
            let to_crop = SimilarityTransform::to_crop(&moved, CROP_SIDE).unwrap();
            assert!((to_crop.scale() * scale - 1.0).abs() < 1e-4);
            for (from, wanted) in moved.iter().zip(&TEMPLATE) {
                let (x, y) = to_crop.apply(f64::from(from.x), f64::from(from.y));
                assert!((x as f32 - wanted.x).abs() < 1e-3 && (y as f32 - wanted.y).abs() < 1e-3);
                let (x, y) = to_crop.inverse().apply(x, y);
                assert!((x as f32 - from.x).abs() < 1e-3 && (y as f32 - from.y).abs() < 1e-3);
            }
        }
    }

    #[test]
    fn points_that_do_not_fit_exactly_are_fitted_as_umeyama_says() {
        // Reference values from an independent least-squares solution of the same ten equations.
        let face = [(110.0, 95.0), (171.0, 101.0), (138.0, 140.0), (112.0, 168.0), (160.0, 172.0)]
            .map(|(x, y)| Point::new(x, y));
        let transform = SimilarityTransform::to_crop(&face, CROP_SIDE).unwrap();
        let error = |transform: &SimilarityTransform| -> f64 {
            face.iter()
                .zip(&TEMPLATE)
                .map(|(from, to)| {
                    let (x, y) = transform.apply(f64::from(from.x), f64::from(from.y));
                    (x - f64::from(to.x)).powi(2) + (y - f64::from(to.y)).powi(2)
                })
                .sum()
        };
        let least = error(&transform);
        for (a, b, x, y) in
            [(1e-3, 0.0, 0.0, 0.0), (0.0, 1e-3, 0.0, 0.0), (0.0, 0.0, 0.1, 0.0), (0.0, 0.0, 0.0, 0.1)]
        {
            for sign in [1.0, -1.0] {
                let other = SimilarityTransform {
                    a: transform.a + sign * a,
                    b: transform.b + sign * b,
                    shift_x: transform.shift_x + sign * x,
                    shift_y: transform.shift_y + sign * y,
                };
                assert!(error(&other) > least);
            }
        }
    }

    #[test]
    fn landmarks_that_are_no_face_have_no_transform() {
        assert_eq!(SimilarityTransform::to_crop(&[Point::new(5.0, 5.0); 5], CROP_SIDE), None);
        let mut broken = TEMPLATE;
        broken[2].x = f32::NAN;
        assert_eq!(SimilarityTransform::to_crop(&broken, CROP_SIDE), None);
    }

    #[test]
    fn a_square_crop_shows_the_square_upright() {
        let to_crop = SimilarityTransform::to_square_crop(&Rect::new(100.0, 40.0, 192.0, 192.0), 96).unwrap();
        for ((x, y), wanted) in
            [((196.0, 136.0), (48.0, 48.0)), ((100.0, 40.0), (0.0, 0.0)), ((198.0, 132.0), (49.0, 46.0))]
        {
            assert_eq!(to_crop.apply(x, y), wanted);
        }
        for empty in [
            Rect::default(),
            Rect::new(0.0, 0.0, -4.0, -4.0),
            Rect::new(f32::NAN, 0.0, 4.0, 4.0),
            Rect::new(0.0, 0.0, f32::INFINITY, f32::INFINITY),
        ] {
            assert_eq!(SimilarityTransform::to_square_crop(&empty, 96), None, "{empty:?}");
        }
    }

    #[test]
    fn an_identity_crop_copies_and_the_outside_is_black() {
        let data: Vec<u8> = (0..112 * 112 * 3).map(|index| (index % 251) as u8).collect();
        let image = RgbImage::from_bytes(112, 112, data).unwrap();
        let crop = align_face(&image.view(), &TEMPLATE, CROP_SIDE).unwrap();
        assert_eq!(crop, image);
        let shifted = TEMPLATE.map(|point| Point::new(point.x - 60.0, point.y));
        let crop = align_face(&image.view(), &shifted, CROP_SIDE).unwrap();
        assert_eq!(crop.pixel(10, 50), Some([0; 3]));
        assert_eq!(crop.pixel(70, 50), image.pixel(10, 50));
    }
}
