//! Quality on real photos: whatever makes a picture of a face worse may not make it count for more.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use common::{media_folder, photo, yunet};
use image::RgbImage as Pixels;
use image::imageops::{self, FilterType};
use vedette_models::detect::{DetectScratch, DetectedFace, DetectorOptions};
use vedette_models::geometry::{Landmarks, Point, Rect};
use vedette_models::image::RgbImage;
use vedette_models::quality::Quality;

/// What rounding pixels to whole numbers may move a score by.
const ROUNDING: f32 = 0.01;

/// The largest face of each photo of the repository.
fn portraits() -> Vec<(String, Pixels, DetectedFace)> {
    let detector = yunet();
    let mut portraits = Vec::new();
    let mut files: Vec<_> =
        std::fs::read_dir(media_folder()).unwrap().map(|file| file.unwrap().path()).collect();
    files.retain(|file| file.extension().is_some_and(|extension| extension == "jpg"));
    files.sort();
    for file in files {
        let mut faces = detector
            .detect(&photo(&file).view(), &DetectorOptions::default(), &mut DetectScratch::default())
            .unwrap();
        faces.sort_by(|a, b| b.rect.area().total_cmp(&a.rect.area()));
        let name = file.file_name().unwrap().to_str().unwrap().to_owned();
        let face = *faces.first().unwrap_or_else(|| panic!("{name} shows a face"));
        portraits.push((name, image::open(&file).unwrap().to_rgb8(), face));
    }
    assert!(portraits.len() >= 5);
    portraits
}

fn assess(pixels: &Pixels, face: &DetectedFace) -> Quality {
    let (width, height) = pixels.dimensions();
    let picture = RgbImage::from_bytes(width, height, pixels.as_raw().clone()).unwrap();
    Quality::assess(&picture.view(), face)
}

/// Asserts that `worsen` lets the score of no portrait rise from one step to the next, and that the last step leaves
/// next to nothing of it.
fn assert_falls<T: Copy + std::fmt::Debug>(
    what: &str,
    steps: &[T],
    worsen: impl Fn(&Pixels, &DetectedFace, T) -> (Pixels, DetectedFace),
) {
    // Of a face that the frame cuts off, a change of its points can bring more into the frame.
    for (name, pixels, face) in
        portraits().into_iter().filter(|(_, pixels, face)| assess(pixels, face).visible > 0.9)
    {
        let mut before = assess(&pixels, &face);
        for step in steps {
            let (worse, moved) = worsen(&pixels, &face, *step);
            let after = assess(&worse, &moved);
            assert!(
                after.score <= before.score + ROUNDING,
                "{name}, {what} {step:?}: {after:?} after {before:?}"
            );
            before = after;
        }
        assert!(before.score < 0.1, "{name}, {what} {:?}: {before:?}", steps.last());
    }
}

/// The face's distance between the eyes, in pixels: what blur has to be measured by.
fn eye_distance(face: &DetectedFace) -> f32 {
    let [left, right, ..] = face.landmarks;
    (right.x - left.x).hypot(right.y - left.y)
}

fn scaled(face: &DetectedFace, factor: f32) -> DetectedFace {
    let Rect { x, y, width, height } = face.rect;
    DetectedFace {
        rect: Rect::new(x * factor, y * factor, width * factor, height * factor),
        landmarks: face.landmarks.map(|point| Point::new(point.x * factor, point.y * factor)),
        score: face.score,
    }
}

#[test]
fn blur_never_makes_it_better() {
    assert_falls("blur of eye distances", &[0.01, 0.02, 0.04, 0.08, 0.16, 0.32], |pixels, face, sigma| {
        (imageops::blur(pixels, sigma * eye_distance(face)), *face)
    });
}

#[test]
fn fewer_pixels_never_make_it_better() {
    assert_falls(
        "eyes apart, in pixels",
        &[64.0, 40.0, 28.0, 20.0, 14.0, 10.0, 7.0],
        |pixels, face, apart| {
            let factor = (apart / eye_distance(face)).min(1.0);
            let side = |length: u32| ((length as f32 * factor).round() as u32).max(1);
            let (width, height) = pixels.dimensions();
            let smaller = imageops::resize(pixels, side(width), side(height), FilterType::Triangle);
            (smaller, scaled(face, factor))
        },
    );
}

#[test]
fn less_light_never_makes_it_better() {
    assert_falls("light left", &[0.8, 0.6, 0.45, 0.3, 0.2, 0.12, 0.06, 0.02], |pixels, face, share: f32| {
        let mut darker = pixels.clone();
        darker.iter_mut().for_each(|value| *value = (f32::from(*value) * share).round() as u8);
        (darker, *face)
    });
}

#[test]
fn more_light_than_the_sensor_takes_never_makes_it_better() {
    // From where the face begins to wash out: up to there, light does good.
    assert_falls("overexposed by", &[4.0, 6.0, 10.0, 20.0, 60.0, 250.0], |pixels, face, gain: f32| {
        let mut brighter = pixels.clone();
        brighter.iter_mut().for_each(|value| *value = (f32::from(*value) * gain).round().min(255.0) as u8);
        (brighter, *face)
    });
}

/// Points of a head turned to the side by so many degrees more, away from straight ahead: across the face every distance
/// shrinks, and the nose moves, because it stands out.
fn turned(face: &DetectedFace, degrees: f32, towards: f32) -> Landmarks {
    let [left_eye, right_eye, nose, left_mouth, right_mouth] = face.landmarks;
    let middle = (left_eye.x + right_eye.x + left_mouth.x + right_mouth.x) / 4.0;
    let nose_depth = 0.45 * eye_distance(face);
    let (sine, cosine) = degrees.to_radians().sin_cos();
    let shrink = |point: Point| Point::new(middle + (point.x - middle) * cosine, point.y);
    let nose = Point::new(shrink(nose).x + towards * nose_depth * sine, nose.y);
    [shrink(left_eye), shrink(right_eye), nose, shrink(left_mouth), shrink(right_mouth)]
}

#[test]
fn turning_away_never_makes_it_better() {
    assert_falls("degrees turned", &[10.0, 20.0, 30.0, 40.0, 50.0, 60.0, 70.0], |pixels, face, degrees| {
        let towards = assess(pixels, face).yaw.signum();
        (pixels.clone(), DetectedFace { landmarks: turned(face, degrees, towards), ..*face })
    });
}

#[test]
fn every_figure_stands_by_itself_and_within_its_range() {
    for (name, pixels, face) in portraits() {
        let quality = assess(&pixels, &face);
        let shares =
            [quality.score, quality.sharpness, quality.brightness, quality.visible, quality.detector_score];
        assert!(shares.iter().all(|share| (0.0..=1.0).contains(share)), "{name}: {quality:?}");
        assert_eq!(quality.detector_score, face.score);
        assert!((quality.size - face.rect.width.min(face.rect.height)).abs() < 0.01);
    }
}

#[test]
fn what_the_frame_cuts_off_counts_against_it() {
    for (name, pixels, face) in portraits() {
        let whole = assess(&pixels, &face);
        let mut before = whole;
        for share in [0.2, 0.4, 0.6] {
            let first = face.rect.x + share * face.rect.width;
            let (width, height) = pixels.dimensions();
            let cut = imageops::crop_imm(&pixels, first as u32, 0, width - first as u32, height).to_image();
            let moved = DetectedFace {
                rect: Rect::new(face.rect.x - first, face.rect.y, face.rect.width, face.rect.height),
                landmarks: face.landmarks.map(|point| Point::new(point.x - first, point.y)),
                score: face.score,
            };
            let after = assess(&cut, &moved);
            assert!(
                after.visible < before.visible && after.score <= before.score + ROUNDING,
                "{name}: {after:?}"
            );
            before = after;
        }
        assert!(before.score < 0.1 * whole.score.max(0.1), "{name}: {before:?}");
    }
}
