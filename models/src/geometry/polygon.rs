//! Polygons: where somebody wants faces to be looked for, or where nobody may look.

use std::ops::Range;

use super::{Point, Rect};

/// An area with three corners or more. Its outline may cross itself: then what it encloses twice lies outside.
#[derive(Debug, Clone, PartialEq)]
pub struct Polygon {
    corners: Vec<Point>,
}

impl Polygon {
    /// The area between these corners; `None` if there is none.
    pub fn new(corners: Vec<Point>) -> Option<Self> {
        let is_finite = |corner: &Point| corner.x.is_finite() && corner.y.is_finite();
        let polygon = Self { corners };
        let is_area = polygon.corners.len() >= 3 && polygon.corners.iter().all(is_finite);
        (is_area && !polygon.bounds().is_empty()).then_some(polygon)
    }

    /// Its corners, in their order.
    pub fn corners(&self) -> &[Point] {
        &self.corners
    }

    /// The rectangle around it.
    pub fn bounds(&self) -> Rect {
        let (mut left, mut top) = (f32::MAX, f32::MAX);
        let (mut right, mut bottom) = (f32::MIN, f32::MIN);
        for corner in &self.corners {
            (left, top) = (left.min(corner.x), top.min(corner.y));
            (right, bottom) = (right.max(corner.x), bottom.max(corner.y));
        }
        Rect::from_edges(left, top, right, bottom)
    }

    /// The same area in another unit: `x` and `y` of it are one of this.
    pub fn scaled(&self, x: f32, y: f32) -> Self {
        let corners = self.corners.iter().map(|corner| Point::new(corner.x * x, corner.y * y));
        Self { corners: corners.collect() }
    }

    /// Whether a point lies inside: a ray from it to the left crosses the outline an odd number of times.
    pub fn contains(&self, point: Point) -> bool {
        self.crossings(point.y).filter(|x| *x > point.x).count() % 2 == 1
    }

    /// Tells what the polygon covers of a picture of `size` pixels that shows the rectangle `shown`: each row with its
    /// columns. A column that is covered in part counts.
    pub fn cover(
        &self,
        shown: Rect,
        (width, height): (u32, u32),
        mut covered: impl FnMut(usize, Range<usize>),
    ) {
        let (step_x, step_y) = (shown.width / width as f32, shown.height / height as f32);
        let mut edges = Vec::with_capacity(self.corners.len());
        for row in 0..height {
            edges.clear();
            edges.extend(self.crossings(shown.y + (row as f32 + 0.5) * step_y));
            edges.sort_by(f32::total_cmp);
            for span in edges.chunks_exact(2) {
                let column = |x: f32| ((x - shown.x) / step_x).clamp(0.0, width as f32);
                // Clamped to the picture's columns, so the casts lose nothing.
                let (from, to) = (column(span[0]).floor() as usize, column(span[1]).ceil() as usize);
                if from < to {
                    covered(row as usize, from..to);
                }
            }
        }
    }

    /// Where the outline crosses a horizontal line: always an even number of times.
    fn crossings(&self, y: f32) -> impl Iterator<Item = f32> {
        let next = self.corners.iter().cycle().skip(1);
        self.corners.iter().zip(next).filter_map(move |(a, b)| {
            let crosses = (a.y > y) != (b.y > y);
            crosses.then(|| a.x + (b.x - a.x) * (y - a.y) / (b.y - a.y))
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]
    use super::*;

    fn polygon(corners: &[(f32, f32)]) -> Polygon {
        Polygon::new(corners.iter().map(|(x, y)| Point::new(*x, *y)).collect()).unwrap()
    }

    /// An L: its inner corner is outside.
    fn shape() -> Polygon {
        polygon(&[(0.0, 0.0), (100.0, 0.0), (100.0, 50.0), (50.0, 50.0), (50.0, 100.0), (0.0, 100.0)])
    }

    #[test]
    fn a_point_lies_inside_or_outside() {
        let shape = shape();
        assert!(shape.contains(Point::new(25.0, 75.0)) && shape.contains(Point::new(75.0, 25.0)));
        for (x, y) in [(75.0, 75.0), (-1.0, 25.0), (101.0, 25.0), (25.0, 101.0), (25.0, -1.0)] {
            assert!(!shape.contains(Point::new(x, y)), "{x}, {y}");
        }
        assert_eq!(shape.bounds(), Rect::new(0.0, 0.0, 100.0, 100.0));
        assert!(shape.scaled(0.01, 0.02).contains(Point::new(0.75, 0.9)));
    }

    #[test]
    fn an_outline_may_cross_itself() {
        let hourglass = polygon(&[(0.0, 0.0), (10.0, 0.0), (0.0, 10.0), (10.0, 10.0)]);
        assert!(hourglass.contains(Point::new(5.0, 2.0)) && hourglass.contains(Point::new(5.0, 8.0)));
        assert!(!hourglass.contains(Point::new(1.0, 5.0)));
    }

    #[test]
    fn what_encloses_nothing_is_none() {
        for corners in [&[][..], &[(0.0, 0.0), (1.0, 1.0)], &[(0.0, 0.0), (1.0, 0.0), (2.0, 0.0)]] {
            assert_eq!(Polygon::new(corners.iter().map(|(x, y)| Point::new(*x, *y)).collect()), None);
        }
        assert_eq!(
            Polygon::new(vec![Point::new(f32::NAN, 0.0), Point::new(1.0, 0.0), Point::new(0.0, 1.0)]),
            None
        );
    }

    #[test]
    fn what_is_covered_are_the_pixels_inside() {
        // Every second pixel of the 100 × 100, so each of the 50 × 50 is two wide and high.
        let (shape, mut count) = (shape(), 0);
        shape.cover(Rect::new(0.0, 0.0, 100.0, 100.0), (50, 50), |row, columns| {
            count += columns.len();
            assert_eq!(columns, if row < 25 { 0..50 } else { 0..25 }, "row {row}");
        });
        assert_eq!(count, 25 * 50 + 25 * 25);
        // A part that begins elsewhere, and one beside the shape.
        let mut rows = Vec::new();
        shape.cover(Rect::new(40.0, 40.0, 20.0, 20.0), (20, 20), |row, columns| rows.push((row, columns)));
        assert_eq!((rows.len(), &rows[0], &rows[19]), (20, &(0, 0..20), &(19, 0..10)));
        shape.cover(Rect::new(60.0, 60.0, 20.0, 20.0), (20, 20), |row, _| panic!("row {row}"));
    }
}
