//! The decoders against hand-made outputs; the real networks are checked in the crate's `tests/`.

use super::*;
use crate::geometry::Point;

fn candidates(threshold: f32) -> Candidates {
    // 1280×720 in an input of 640×384: everything comes out doubled.
    Candidates::new(Letterbox::flexible((1280, 720), 640), threshold, 0)
}

/// Outputs without any face for an input of 640×384.
fn silence(per_cell: usize, stride: u32) -> Vec<f32> {
    vec![0.0; (640 / stride * (384 / stride)) as usize * per_cell]
}

#[test]
fn yunet_boxes_are_centres_and_logarithms() {
    let quiet: Vec<[Vec<f32>; 4]> =
        STRIDES.iter().map(|stride| [1, 1, 4, 10].map(|per_cell| silence(per_cell, *stride))).collect();
    let mut outputs = quiet;
    // Stride 16 has 40 columns: cell 83 lies in column 3 of row 2.
    outputs[1][0][83] = 0.81;
    outputs[1][1][83] = 1.7;
    outputs[1][2][83 * 4..84 * 4].copy_from_slice(&[0.5, 0.25, 4.0_f32.ln(), 5.0_f32.ln()]);
    outputs[1][3][83 * 10..83 * 10 + 2].copy_from_slice(&[-1.0, 1.0]);
    let strides: Vec<yunet::Stride> = outputs
        .iter()
        .map(|[class, objectness, boxes, landmarks]| yunet::Stride { class, objectness, boxes, landmarks })
        .collect();
    let mut found = candidates(0.6);
    let strides: [yunet::Stride; 3] = strides.try_into().unwrap_or_else(|_| unreachable!());
    yunet::decode(&strides, 640, &mut found);
    assert_eq!(found.faces.len(), 1);
    let face = found.faces[0];
    assert!((face.score - 0.9).abs() < 1e-6, "scores above 1 are cut off: {}", face.score);
    let (wanted, centre) = (Rect::new(48.0, -8.0, 128.0, 160.0), face.rect.centre());
    assert!((centre.x - 112.0).abs() < 1e-3 && (centre.y - 72.0).abs() < 1e-3, "{face:?}");
    assert!((face.rect.x - wanted.x).abs() < 1e-3 && (face.rect.height - wanted.height).abs() < 1e-3);
    assert_eq!(face.landmarks[0], Point::new(64.0, 96.0));
}

#[test]
fn scrfd_boxes_are_distances_from_one_of_two_anchors() {
    let mut outputs: Vec<[Vec<f32>; 3]> =
        STRIDES.iter().map(|stride| [2, 8, 20].map(|per_cell| silence(per_cell, *stride))).collect();
    // Stride 32 has 20 columns: anchor 45 is the second one of cell 22, column 2 of row 1.
    outputs[2][0][45] = 0.7;
    outputs[2][1][45 * 4..46 * 4].copy_from_slice(&[1.0, 0.5, 2.0, 1.5]);
    outputs[2][2][45 * 10..45 * 10 + 2].copy_from_slice(&[0.25, -0.25]);
    let strides: Vec<scrfd::Stride> =
        outputs.iter().map(|[scores, boxes, landmarks]| scrfd::Stride { scores, boxes, landmarks }).collect();
    let strides: [scrfd::Stride; 3] = strides.try_into().unwrap_or_else(|_| unreachable!());
    let mut found = candidates(0.5);
    scrfd::decode(&strides, 640, &mut found);
    assert_eq!(found.faces.len(), 1);
    assert_eq!(found.faces[0].rect, Rect::new(64.0, 32.0, 192.0, 128.0));
    assert_eq!(found.faces[0].landmarks[0], Point::new(144.0, 48.0));
}

#[test]
fn numbers_that_are_none_and_small_faces_are_left_out() {
    let mut found = Candidates { min_face_size: 30.0, ..candidates(0.5) };
    let points = [Point::new(1.0, 1.0); 5];
    found.add(Rect::new(0.0, 0.0, f32::NAN, 10.0), points, 0.9);
    found.add(Rect::new(0.0, 0.0, f32::INFINITY, 100.0), points, 0.9);
    found.add(Rect::new(0.0, 0.0, 100.0, 100.0), [Point::new(f32::NAN, 0.0); 5], 0.9);
    found.add(Rect::new(0.0, 0.0, 100.0, 14.0), points, 0.9);
    assert!(found.faces.is_empty());
    assert!(!found.wants(f32::NAN));
    found.add(Rect::new(0.0, 0.0, 100.0, 15.0), points, 0.9);
    assert_eq!(found.faces.len(), 1);
}

#[test]
fn the_largest_faces_are_kept_in_order() {
    let face = |side: f32, score| DetectedFace {
        rect: Rect::new(0.0, 0.0, side, side),
        score,
        ..DetectedFace::default()
    };
    let all = vec![face(10.0, 0.9), face(30.0, 0.8), face(20.0, 0.7), face(30.0, 0.6)];
    let kept = |count| {
        let mut faces = all.clone();
        keep_largest(&mut faces, count);
        faces.iter().map(|face| face.score).collect::<Vec<_>>()
    };
    assert_eq!(kept(0).len(), 4);
    assert_eq!(kept(1), [0.8]);
    assert_eq!(kept(3), [0.8, 0.7, 0.6]);
}
