//! Non-maximum suppression: of boxes that overlap too much, the surest one stays. The only one in the tree.

use super::DetectedFace;

/// More candidates than this are never looked at; a sensible threshold leaves a few dozen.
const MAX_CANDIDATES: usize = 2000;

/// Sorts by score, surest first, and drops every face that overlaps a surer one by more than `threshold` (IoU).
/// Equal scores keep their order.
pub fn suppress(faces: &mut Vec<DetectedFace>, threshold: f32) {
    faces.sort_by(|a, b| b.score.total_cmp(&a.score));
    faces.truncate(MAX_CANDIDATES);
    let mut kept = 0;
    for index in 0..faces.len() {
        let candidate = faces[index];
        let is_new = faces[..kept].iter().all(|surer| surer.rect.iou(&candidate.rect) <= threshold);
        if is_new {
            faces[kept] = candidate;
            kept += 1;
        }
    }
    faces.truncate(kept);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::geometry::Rect;

    fn face(x: f32, score: f32) -> DetectedFace {
        DetectedFace { rect: Rect::new(x, 0.0, 10.0, 10.0), score, ..DetectedFace::default() }
    }

    #[test]
    fn the_surest_of_overlapping_faces_stays() {
        let mut faces = vec![face(1.0, 0.7), face(0.0, 0.9), face(50.0, 0.6), face(2.0, 0.8)];
        suppress(&mut faces, 0.4);
        assert_eq!(faces, [face(0.0, 0.9), face(50.0, 0.6)]);
    }

    #[test]
    fn a_dropped_face_suppresses_nobody() {
        // Each overlaps the next by 3/7; the first and the third by 1/9 only.
        let mut faces = vec![face(0.0, 0.9), face(4.0, 0.8), face(8.0, 0.7)];
        suppress(&mut faces, 0.3);
        assert_eq!(faces, [face(0.0, 0.9), face(8.0, 0.7)]);
    }

    #[test]
    fn faces_side_by_side_all_stay() {
        let mut faces = vec![face(0.0, 0.5), face(10.0, 0.6), face(20.0, 0.7)];
        suppress(&mut faces, 0.0);
        assert_eq!(faces.len(), 3);
        suppress(&mut Vec::new(), 0.5);
    }
}
