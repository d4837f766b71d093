//! Made-up faces whose properties are known: a pattern of blocks as the face's detail, the template as its points.

#![allow(clippy::unwrap_used)]

use super::*;
use crate::align::TEMPLATE;
use crate::image::RgbImage;

/// A picture of 400×400 with a frontal face of `scale` times the template's size at (100, 80). The face's detail
/// is a landscape of hills `spacing` pixels apart, of the given middle and depth.
fn portrait(scale: f32, middle: f32, depth: f32, spacing: u32) -> (RgbImage, DetectedFace) {
    let hill = |x: u32, y: u32| {
        let noise = x.wrapping_mul(2_654_435_761) ^ y.wrapping_mul(2_246_822_519);
        let noise = ((noise ^ (noise >> 13)).wrapping_mul(3_266_489_917) >> 16) & 0xff;
        noise as f32 / 127.5 - 1.0
    };
    let smooth = |part: f32| part * part * (3.0 - 2.0 * part);
    let mut bytes = Vec::new();
    for y in 0..400_u32 {
        for x in 0..400_u32 {
            let (column, row) = (x / spacing, y / spacing);
            let across = smooth((x % spacing) as f32 / spacing as f32);
            let along = smooth((y % spacing) as f32 / spacing as f32);
            let upper = hill(column, row) * (1.0 - across) + hill(column + 1, row) * across;
            let lower = hill(column, row + 1) * (1.0 - across) + hill(column + 1, row + 1) * across;
            let height = upper * (1.0 - along) + lower * along;
            bytes.extend([(middle + depth * height).clamp(0.0, 255.0) as u8; 3]);
        }
    }
    let landmarks = TEMPLATE.map(|point| Point::new(100.0 + point.x * scale, 80.0 + point.y * scale));
    let rect = Rect::new(100.0 + 18.0 * scale, 80.0 + 5.0 * scale, 76.0 * scale, 105.0 * scale);
    (RgbImage::from_bytes(400, 400, bytes).unwrap(), DetectedFace { rect, landmarks, score: 0.9 })
}

fn assess(image: &RgbImage, face: &DetectedFace) -> (Quality, Option<QualityIssue>) {
    Quality::assess_with_issue(&image.view(), face)
}

#[test]
fn a_good_portrait_passes_with_room() {
    let (image, face) = portrait(2.0, 120.0, 90.0, 6);
    let (quality, issue) = assess(&image, &face);
    assert!(quality.score >= 0.75, "{quality:?}");
    assert_eq!(issue, None);
    assert!(quality.yaw.abs() < 5.0 && quality.pitch.abs() < 5.0 && quality.roll.abs() < 2.0, "{quality:?}");
    assert!((quality.brightness - 120.0 / 255.0).abs() < 0.08);
    assert_eq!((quality.size, quality.visible), (152.0, 1.0));
}

#[test]
fn each_flaw_alone_is_enough_and_is_named() {
    let good = portrait(2.0, 120.0, 90.0, 6);
    let moved = |by: (f32, f32)| {
        let (image, mut face) = good.clone();
        face.landmarks = face.landmarks.map(|point| Point::new(point.x + by.0, point.y + by.1));
        (face.rect.x, face.rect.y) = (face.rect.x + by.0, face.rect.y + by.1);
        (image, face)
    };
    let mut profile = good.clone();
    profile.1.landmarks[2].x += 60.0;
    let mut doubtful = good.clone();
    doubtful.1.score = 0.35;
    for (name, (image, face), wanted) in [
        ("small", portrait(0.25, 120.0, 90.0, 1), QualityIssue::Small),
        ("blurred", portrait(2.0, 120.0, 90.0, 60), QualityIssue::Blurred),
        ("dark", portrait(2.0, 14.0, 10.0, 6), QualityIssue::Dark),
        ("flat", portrait(2.0, 120.0, 7.0, 6), QualityIssue::Dark),
        ("bright", portrait(2.0, 254.0, 30.0, 6), QualityIssue::Bright),
        ("cut at the left", moved((-200.0, 0.0)), QualityIssue::CutOff),
        ("cut at the top", moved((0.0, -170.0)), QualityIssue::CutOff),
        ("profile", profile, QualityIssue::Turned),
        ("doubtful", doubtful, QualityIssue::Unclear),
    ] {
        let (quality, issue) = assess(&image, &face);
        assert!(quality.score < 0.6, "{name}: {quality:?}");
        assert_eq!(issue, Some(wanted), "{name}: {quality:?}");
        assert!(quality.score.is_finite());
    }
}

#[test]
fn a_sharper_and_larger_crop_ranks_higher() {
    let score = |scale, block| {
        let (image, face) = portrait(scale, 120.0, 90.0, block);
        assess(&image, &face).0.score
    };
    assert!(score(2.0, 6) > score(2.0, 20));
    assert!(score(1.2, 4) > score(0.6, 2));
}

#[test]
fn a_face_that_is_none_has_no_quality() {
    let (image, mut face) = portrait(2.0, 120.0, 90.0, 6);
    face.landmarks = [Point::new(7.0, 7.0); 5];
    assert_eq!(assess(&image, &face).0.score, 0.0);
    face.landmarks = [Point::new(f32::NAN, 7.0); 5];
    assert_eq!(assess(&image, &face).0.score, 0.0);
    // Far outside the picture, and in a picture of one pixel.
    let (_, mut face) = portrait(2.0, 120.0, 90.0, 6);
    face.landmarks = face.landmarks.map(|point| Point::new(point.x + 1e6, point.y - 1e6));
    assert_eq!(assess(&image, &face).0.score, 0.0);
    let dot = RgbImage::from_bytes(1, 1, vec![9; 3]).unwrap();
    assert_eq!(assess(&dot, &face).0.score, 0.0);
}
