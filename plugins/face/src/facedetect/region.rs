//! Where faces count: everywhere or in some regions of the picture, and in none of its masks. Areas are rectangles or
//! polygons, in pixels of the frame or in hundredths of its width and height.

use std::sync::Arc;

use thiserror::Error;
use vedette_models::geometry::{Point, Polygon, Rect};

/// More areas than anybody draws by hand, …
const MOST_AREAS: usize = 64;
/// … and more corners.
const MOST_CORNERS: usize = 256;
/// No frame is larger.
const FARTHEST_PX: f32 = 32_768.0;

/// A text that is no list of areas.
#[derive(Debug, PartialEq, Eq, Error)]
#[error(
    "{property}: `{text}` is no area: give x_min,y_min,x_max,y_max for a rectangle, or x,y of three corners and more for \
     a polygon, in pixels of the frame or all with % for hundredths of it; a ; between two areas"
)]
pub(crate) struct RegionError {
    property: &'static str,
    text: String,
}

/// Regions and masks on frames of one size.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Areas {
    /// The texts they come from, and the frame's width and height.
    origin: (Option<String>, Option<String>, (u32, u32)),
    /// Where faces count, in pixels; none means everywhere.
    regions: Vec<Polygon>,
    /// Where nobody looks, in pixels.
    masks: Arc<[Polygon]>,
}

impl Areas {
    /// Reads the properties `roi` and `mask` for frames of that size. A text without anything in it is as good as none.
    ///
    /// # Errors
    /// When one holds something else than areas.
    pub(crate) fn new(roi: Option<&str>, mask: Option<&str>, frame: (u32, u32)) -> Result<Self, RegionError> {
        Ok(Self {
            regions: parse("roi", roi, frame)?,
            masks: parse("mask", mask, frame)?.into(),
            origin: (roi.map(str::to_owned), mask.map(str::to_owned), frame),
        })
    }

    /// Whether these are the areas that [`Areas::new`] would make.
    pub(super) fn are_of(&self, roi: Option<&str>, mask: Option<&str>, frame: (u32, u32)) -> bool {
        (self.origin.0.as_deref(), self.origin.1.as_deref(), self.origin.2) == (roi, mask, frame)
    }

    /// Whether a face in the middle of which the point lies counts.
    pub(super) fn count(&self, point: Point) -> bool {
        let contain = |areas: &[Polygon]| areas.iter().any(|area| area.contains(point));
        (self.regions.is_empty() || contain(&self.regions)) && !contain(&self.masks)
    }

    /// The rectangle around all regions.
    pub(super) fn window(&self) -> Option<Rect> {
        let bounds = self.regions.iter().map(Polygon::bounds);
        bounds.reduce(|a, b| {
            let (left, top) = (a.x.min(b.x), a.y.min(b.y));
            Rect::from_edges(left, top, a.right().max(b.right()), a.bottom().max(b.bottom()))
        })
    }

    /// The masks in pixels.
    pub(crate) fn masks(&self) -> &Arc<[Polygon]> {
        &self.masks
    }

    /// The masks as shares of the frame.
    pub(super) fn mask_shares(&self) -> Vec<Polygon> {
        let (width, height) = self.origin.2;
        self.masks.iter().map(|mask| mask.scaled(1.0 / width as f32, 1.0 / height as f32)).collect()
    }
}

/// Areas between semicolons.
fn parse(property: &'static str, text: Option<&str>, frame: (u32, u32)) -> Result<Vec<Polygon>, RegionError> {
    let Some(text) = text.filter(|text| !text.trim().is_empty()) else { return Ok(Vec::new()) };
    let invalid = |text: &str| RegionError { property, text: text.chars().take(100).collect() };
    if text.split(';').count() > MOST_AREAS {
        return Err(invalid(text));
    }
    text.split(';').map(|area| parse_area(area, frame).ok_or_else(|| invalid(area))).collect()
}

/// Numbers between commas: two points are opposite corners of a rectangle, as `gvaattachroi` of DL Streamer takes
/// them; more are the corners of a polygon.
fn parse_area(text: &str, (width, height): (u32, u32)) -> Option<Polygon> {
    let is_share = text.contains('%');
    let number = |text: &str| {
        let text = text.trim();
        let text = if is_share { text.strip_suffix('%')? } else { text };
        let farthest = if is_share { 100.0 } else { FARTHEST_PX };
        text.trim().parse::<f32>().ok().filter(|number| (0.0..=farthest).contains(number))
    };
    let numbers: Vec<f32> = text.split(',').map(number).collect::<Option<_>>()?;
    if !numbers.len().is_multiple_of(2) || numbers.len() > 2 * MOST_CORNERS {
        return None;
    }
    let points: Vec<Point> = numbers.chunks_exact(2).map(|pair| Point::new(pair[0], pair[1])).collect();
    let corners = match points[..] {
        [a, b] => vec![a, Point::new(b.x, a.y), b, Point::new(a.x, b.y)],
        _ => points,
    };
    let polygon = Polygon::new(corners)?;
    Some(if is_share { polygon.scaled(width as f32 / 100.0, height as f32 / 100.0) } else { polygon })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn areas(roi: &str, mask: &str) -> Areas {
        Areas::new(Some(roi), Some(mask), (200, 100)).unwrap()
    }

    fn counts(roi: &str, mask: &str, x: f32, y: f32) -> bool {
        areas(roi, mask).count(Point::new(x, y))
    }

    #[test]
    fn two_points_are_a_rectangle() {
        assert_eq!(areas("100, 50,300,200", "").window(), Some(Rect::new(100.0, 50.0, 200.0, 150.0)));
        assert!(counts("100,50,300,200", "", 101.0, 199.0));
        assert!(counts("300,200,100,50", "", 101.0, 199.0), "whichever corner comes first");
        for (x, y) in [(99.0, 100.0), (301.0, 100.0), (200.0, 49.0), (200.0, 201.0)] {
            assert!(!counts("100,50,300,200", "", x, y), "{x}, {y}");
        }
    }

    #[test]
    fn shares_are_of_the_frame() {
        let right = "50%,0%,100%,0%,100%,100%,50%,100%";
        assert!(counts(right, "", 101.0, 99.0) && !counts(right, "", 99.0, 50.0));
        assert_eq!(areas(right, "").window(), Some(Rect::new(100.0, 0.0, 100.0, 100.0)));
        assert_eq!(areas("", "25%,50%,75%,100%").mask_shares()[0].bounds(), Rect::new(0.25, 0.5, 0.5, 0.5));
    }

    #[test]
    fn faces_count_in_any_region_and_in_no_mask() {
        let (roi, mask) = ("0,0,50,50; 75%,0%,100%,50%", "10,10,20,20;160,0,170,20");
        for (x, y, wanted) in [
            (5.0, 5.0, true),
            (15.0, 15.0, false),
            (155.0, 10.0, true),
            (165.0, 10.0, false),
            (100.0, 10.0, false),
        ] {
            assert_eq!(counts(roi, mask, x, y), wanted, "{x}, {y}");
        }
        assert_eq!(areas(roi, mask).window(), Some(Rect::new(0.0, 0.0, 200.0, 50.0)));
        assert!(counts("", "", 100.0, 50.0) && areas(" ", "").window().is_none());
    }

    #[test]
    fn what_they_come_from_is_known() {
        let areas = areas("0,0,9,9", "");
        assert!(areas.are_of(Some("0,0,9,9"), Some(""), (200, 100)));
        assert!(!areas.are_of(Some("0,0,9,8"), Some(""), (200, 100)));
        assert!(!areas.are_of(Some("0,0,9,9"), Some(""), (100, 100)));
    }

    #[test]
    fn anything_else_is_refused() {
        for text in [
            "1",
            "1,2",
            "1,2,3",
            "1,2,3,4,5",
            "1,2,1,9",
            "a,b,c,d",
            "1,2,NaN,4",
            "-1,0,5,5",
            "0,0,1e9,5",
            "0,0,50%,50%",
            "0%,0%,101%,50%",
            "0,0,9,9;",
            ";0,0,9,9",
            "0,0,9,9;1,2",
        ] {
            assert!(Areas::new(Some(text), None, (200, 100)).is_err(), "{text}");
            assert!(Areas::new(None, Some(text), (200, 100)).is_err(), "{text}");
        }
        assert!(Areas::new(Some(&vec!["1,2"; 300].join(",")), None, (200, 100)).is_err());
        assert!(Areas::new(Some(&vec!["0,0,9,9"; 65].join(";")), None, (200, 100)).is_err());
    }
}
