//! Points, rectangles, polygons and facial landmarks in picture coordinates, and the one intersection-over-union of
//! the whole tree: detection's suppression, the tracker and the evaluation all measure overlap here.

mod polygon;

pub use polygon::Polygon;

/// A position in pixels; x grows to the right, y downwards, pixel centres lie on whole numbers.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Point {
    /// Horizontal position.
    pub x: f32,
    /// Vertical position.
    pub y: f32,
}

impl Point {
    /// A point from its coordinates.
    pub const fn new(x: f32, y: f32) -> Self {
        Self { x, y }
    }

    /// Distance to another point.
    pub fn distance(self, other: Self) -> f32 {
        (self.x - other.x).hypot(self.y - other.y)
    }

    /// The point halfway to another one.
    pub fn midpoint(self, other: Self) -> Self {
        Self::new((self.x + other.x) / 2.0, (self.y + other.y) / 2.0)
    }
}

/// Five points of a face in the order of the ArcFace template: the eye on the left side of the picture, the
/// eye on the right side, the nose, the left and the right corner of the mouth.
pub type Landmarks = [Point; 5];

/// An axis-parallel rectangle. It may lie partly outside the picture; a width or height that is not positive
/// makes it empty.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Rect {
    /// Left edge.
    pub x: f32,
    /// Upper edge.
    pub y: f32,
    /// Width; the right edge is `x + width`.
    pub width: f32,
    /// Height; the lower edge is `y + height`.
    pub height: f32,
}

impl Rect {
    /// A rectangle from its upper left corner and its size.
    pub const fn new(x: f32, y: f32, width: f32, height: f32) -> Self {
        Self { x, y, width, height }
    }

    /// A rectangle from its edges.
    pub fn from_edges(left: f32, top: f32, right: f32, bottom: f32) -> Self {
        Self::new(left, top, right - left, bottom - top)
    }

    /// A rectangle from its centre and its size.
    pub fn from_centre(centre: Point, width: f32, height: f32) -> Self {
        Self::new(centre.x - width / 2.0, centre.y - height / 2.0, width, height)
    }

    /// The right edge.
    pub fn right(&self) -> f32 {
        self.x + self.width
    }

    /// The lower edge.
    pub fn bottom(&self) -> f32 {
        self.y + self.height
    }

    /// The middle of the rectangle.
    pub fn centre(&self) -> Point {
        Point::new(self.x + self.width / 2.0, self.y + self.height / 2.0)
    }

    /// Area in square pixels; nothing for an empty rectangle.
    pub fn area(&self) -> f32 {
        self.width.max(0.0) * self.height.max(0.0)
    }

    /// Whether the rectangle covers nothing, or is not made of numbers at all.
    pub fn is_empty(&self) -> bool {
        let edges_are_numbers = self.x.is_finite() && self.y.is_finite();
        !(edges_are_numbers && self.width > 0.0 && self.height > 0.0)
    }

    /// The area both rectangles cover. Each side is cut off at nothing on its own: two negative sides must
    /// not multiply to an overlap.
    pub fn intersection_area(&self, other: &Self) -> f32 {
        let width = self.right().min(other.right()) - self.x.max(other.x);
        let height = self.bottom().min(other.bottom()) - self.y.max(other.y);
        width.max(0.0) * height.max(0.0)
    }

    /// Intersection over union: 1 for equal rectangles, 0 for disjoint or empty ones.
    pub fn iou(&self, other: &Self) -> f32 {
        let intersection = self.intersection_area(other);
        let union = self.area() + other.area() - intersection;
        if intersection > 0.0 && union > 0.0 { intersection / union } else { 0.0 }
    }

    /// The part that lies within a picture of the given size; possibly empty, never with negative sides.
    pub fn clip_to(&self, width: u32, height: u32) -> Self {
        let (limit_x, limit_y) = (width as f32, height as f32);
        let (left, top) = (self.x.clamp(0.0, limit_x), self.y.clamp(0.0, limit_y));
        let (right, bottom) = (self.right().clamp(0.0, limit_x), self.bottom().clamp(0.0, limit_y));
        Self::new(left, top, (right - left).max(0.0), (bottom - top).max(0.0))
    }

    /// The same box in another unit: `x` and `y` of it are one of this.
    pub fn scaled(&self, x: f32, y: f32) -> Self {
        Self::new(self.x * x, self.y * y, self.width * x, self.height * y)
    }

    /// The square about the same centre whose side is the longer side times `scale`.
    pub fn square(&self, scale: f32) -> Self {
        let side = self.width.max(self.height) * scale;
        Self::from_centre(self.centre(), side, side)
    }

    /// The same rectangle with every side moved outwards by `margin` times the rectangle's own size.
    pub fn grown(&self, margin: f32) -> Self {
        let factor = 1.0 + 2.0 * margin;
        Self::from_centre(self.centre(), self.width * factor, self.height * factor)
    }

    /// Whether the point lies inside.
    pub fn contains(&self, point: Point) -> bool {
        point.x >= self.x && point.x < self.right() && point.y >= self.y && point.y < self.bottom()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn iou_of_equal_half_and_disjoint_rectangles() {
        let a = Rect::new(0.0, 0.0, 10.0, 10.0);
        assert_eq!(a.iou(&a), 1.0);
        assert!((a.iou(&Rect::new(5.0, 0.0, 10.0, 10.0)) - 1.0 / 3.0).abs() < 1e-6);
        // Apart in x only, in y only, and in both: the last is where two negative sides would multiply.
        for (x, y) in [(20.0, 0.0), (0.0, 20.0), (20.0, 20.0), (-20.0, -20.0), (10.0, 0.0)] {
            assert_eq!(a.iou(&Rect::new(x, y, 10.0, 10.0)), 0.0, "{x},{y}");
        }
    }

    #[test]
    fn iou_of_rectangles_that_are_no_rectangles_is_nothing() {
        let a = Rect::new(0.0, 0.0, 10.0, 10.0);
        for odd in [
            Rect::default(),
            Rect::new(3.0, 3.0, -2.0, -2.0),
            Rect::new(f32::NAN, 0.0, 10.0, f32::NAN),
            Rect::new(0.0, 0.0, f32::INFINITY, 0.0),
        ] {
            assert_eq!(a.iou(&odd), 0.0, "{odd:?}");
            assert_eq!(odd.iou(&odd), 0.0, "{odd:?}");
            assert!(odd.is_empty());
        }
    }

    #[test]
    fn clipping_keeps_the_visible_part() {
        let visible = Rect::new(-10.0, 90.0, 30.0, 30.0).clip_to(100, 100);
        assert_eq!(visible, Rect::new(0.0, 90.0, 20.0, 10.0));
        assert!(Rect::new(200.0, 200.0, 5.0, 5.0).clip_to(100, 100).is_empty());
    }

    #[test]
    fn square_and_grown_keep_the_centre() {
        let rect = Rect::new(10.0, 20.0, 30.0, 40.0);
        assert_eq!(rect.square(1.5), Rect::new(-5.0, 10.0, 60.0, 60.0));
        assert_eq!(rect.grown(0.5), Rect::new(-5.0, 0.0, 60.0, 80.0));
        assert!(rect.contains(rect.centre()) && !rect.contains(Point::new(40.0, 20.0)));
    }
}
