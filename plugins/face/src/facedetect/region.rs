//! The part of the picture in which faces count: a rectangle or a polygon in frame pixels.

use std::str::FromStr;

use thiserror::Error;
use vedette_models::geometry::{Point, Rect};

/// More corners than anybody draws by hand.
const MOST_CORNERS: usize = 256;
/// No frame is larger.
const FARTHEST_PX: f32 = 32_768.0;

/// A rectangle or a polygon.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Region {
    corners: Vec<Point>,
}

/// A text that is no region.
#[derive(Debug, PartialEq, Eq, Error)]
#[error(
    "`{0}` is no region: give x_min,y_min,x_max,y_max for a rectangle, or x,y of three corners and more for a polygon, \
     in pixels of the frame"
)]
pub(super) struct RegionError(String);

impl FromStr for Region {
    type Err = RegionError;

    /// Numbers between commas: two points are opposite corners of a rectangle, as `gvaattachroi` of DL Streamer takes
    /// them; more are the corners of a polygon.
    fn from_str(text: &str) -> Result<Self, RegionError> {
        let invalid = || RegionError(text.chars().take(100).collect());
        let numbers: Result<Vec<f32>, _> = text.split(',').map(|number| number.trim().parse()).collect();
        let numbers = numbers.map_err(|_| invalid())?;
        let is_far = |number: &f32| !(0.0..=FARTHEST_PX).contains(number);
        if !numbers.len().is_multiple_of(2) || numbers.len() > 2 * MOST_CORNERS || numbers.iter().any(is_far)
        {
            return Err(invalid());
        }
        let points: Vec<Point> = numbers.chunks_exact(2).map(|pair| Point::new(pair[0], pair[1])).collect();
        let corners = match points[..] {
            [a, b] => vec![a, Point::new(b.x, a.y), b, Point::new(a.x, b.y)],
            _ => points,
        };
        let region = Self { corners };
        if region.corners.len() < 3 || region.bounds().is_empty() { Err(invalid()) } else { Ok(region) }
    }
}

impl Region {
    /// The rectangle around it.
    pub(super) fn bounds(&self) -> Rect {
        let (mut left, mut top) = (f32::MAX, f32::MAX);
        let (mut right, mut bottom) = (0.0_f32, 0.0_f32);
        for corner in &self.corners {
            (left, top) = (left.min(corner.x), top.min(corner.y));
            (right, bottom) = (right.max(corner.x), bottom.max(corner.y));
        }
        Rect::from_edges(left, top, right, bottom)
    }

    /// Whether a point lies inside: a ray from it crosses the outline an odd number of times.
    pub(super) fn contains(&self, point: Point) -> bool {
        let next = self.corners.iter().cycle().skip(1);
        let crosses = |(a, b): &(&Point, &Point)| {
            (a.y > point.y) != (b.y > point.y) && point.x < a.x + (b.x - a.x) * (point.y - a.y) / (b.y - a.y)
        };
        self.corners.iter().zip(next).filter(crosses).count() % 2 == 1
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn inside(region: &str, x: f32, y: f32) -> bool {
        region.parse::<Region>().unwrap().contains(Point::new(x, y))
    }

    #[test]
    fn two_points_are_a_rectangle() {
        let region: Region = "100, 50,300,200".parse().unwrap();
        assert_eq!(region.bounds(), Rect::new(100.0, 50.0, 200.0, 150.0));
        assert!(inside("100,50,300,200", 101.0, 199.0));
        assert!(inside("300,200,100,50", 101.0, 199.0), "whichever corner comes first");
        for (x, y) in [(99.0, 100.0), (301.0, 100.0), (200.0, 49.0), (200.0, 201.0)] {
            assert!(!inside("100,50,300,200", x, y), "{x}, {y}");
        }
    }

    #[test]
    fn more_points_are_a_polygon() {
        // An L: its inner corner is outside.
        let shape = "0,0,100,0,100,50,50,50,50,100,0,100";
        assert!(inside(shape, 25.0, 75.0) && inside(shape, 75.0, 25.0));
        assert!(!inside(shape, 75.0, 75.0));
        assert_eq!(shape.parse::<Region>().unwrap().bounds(), Rect::new(0.0, 0.0, 100.0, 100.0));
    }

    #[test]
    fn anything_else_is_refused() {
        for text in
            ["", "1", "1,2", "1,2,3", "1,2,3,4,5", "1,2,1,9", "a,b,c,d", "1,2,NaN,4", "-1,0,5,5", "0,0,1e9,5"]
        {
            assert!(text.parse::<Region>().is_err(), "{text}");
        }
        assert!(vec!["1,2"; 300].join(",").parse::<Region>().is_err());
    }
}
