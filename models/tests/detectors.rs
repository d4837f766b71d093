//! The detectors on real photos: YuNet against people's noses, SCRFD against its reference implementation.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::collections::BTreeMap;

use common::{GoldenFace, golden, media_folder, photo, photo_folders, points, shared, yunet};
use vedette_models::Photo;
use vedette_models::detect::{DetectScratch, DetectedFace, Detector, DetectorOptions};
use vedette_models::files::ModelSource;
use vedette_models::geometry::{Point, Polygon};
use vedette_models::image::{ImageView, PixelFormat, Plane};
use vedette_models::session::Device;

fn detect(detector: &Detector, photo: &Photo) -> Vec<DetectedFace> {
    detector.detect(&photo.view(), &DetectorOptions::default(), &mut DetectScratch::default()).unwrap()
}

#[test]
fn yunet_finds_everybody_in_the_group_photos() {
    let Some(folder) = shared("data/faces/groups") else { return };
    let noses: BTreeMap<String, Vec<[f32; 2]>> =
        serde_json::from_slice(&std::fs::read(folder.join("noses.json")).unwrap()).unwrap();
    let detector = yunet();
    let (mut found, mut expected) = (0, 0);
    for (name, noses) in &noses {
        let faces = detect(&detector, &photo(&folder.join(name)));
        for [x, y] in noses {
            expected += 1;
            let is_there = faces.iter().any(|face| {
                let nose = face.landmarks[2];
                (nose.x - x).hypot(nose.y - y) < 0.25 * face.rect.width
            });
            found += usize::from(is_there);
            if !is_there {
                eprintln!("{name}: nobody at {x}, {y}");
            }
        }
        for face in faces.iter().filter(|face| {
            !noses.iter().any(|[x, y]| {
                let nose = face.landmarks[2];
                (nose.x - x).hypot(nose.y - y) < 0.25 * face.rect.width
            })
        }) {
            eprintln!("{name}: somebody nobody listed at {:?}, score {}", face.rect, face.score);
        }
    }
    assert_eq!((found, expected), (46, 46));
}

#[test]
fn yunet_finds_the_one_face_of_every_portrait() {
    let detector = yunet();
    for name in ["astronaut", "biden", "obama", "obama2", "obama3", "obama_partial_face"] {
        let photo = photo(&media_folder().join(format!("{name}.jpg")));
        let faces = detect(&detector, &photo);
        assert_eq!(faces.len(), 1, "{name}: {faces:?}");
        assert!(faces[0].rect.contains(faces[0].landmarks[2]), "{name}: {faces:?}");
    }
}

#[test]
fn yunet_finds_the_same_face_in_every_pixel_format() {
    let photo = photo(&media_folder().join("astronaut.jpg"));
    let detector = yunet();
    let wanted = detect(&detector, &photo)[0];
    let (width, height) = (photo.width() as usize, photo.height() as usize);
    let pixel = |x: usize, y: usize| {
        let at = 3 * (y.min(height - 1) * width + x.min(width - 1));
        &photo.image().as_bytes()[at..at + 3]
    };
    let weigh = |x: usize, y: usize, weights: [f32; 3], offset: f32| {
        let sum: f32 =
            pixel(x, y).iter().zip(weights).map(|(value, weight)| f32::from(*value) * weight).sum();
        (sum + offset).clamp(0.0, 255.0) as u8
    };
    // BT.601 in limited range, as a decoder makes it of a picture of this height.
    let luma: Vec<u8> = (0..height)
        .flat_map(|y| (0..width).map(move |x| (x, y)))
        .map(|(x, y)| weigh(x, y, [0.2568, 0.5041, 0.0979], 16.5))
        .collect();
    let (half_width, half_height) = (width.div_ceil(2), height.div_ceil(2));
    let chroma = |weights: [f32; 3]| -> Vec<u8> {
        (0..half_height)
            .flat_map(|y| (0..half_width).map(move |x| (2 * x, 2 * y)))
            .map(|(x, y)| weigh(x, y, weights, 128.5))
            .collect()
    };
    let (u, v) = (chroma([-0.1482, -0.2910, 0.4392]), chroma([0.4392, -0.3678, -0.0714]));
    let interleaved: Vec<u8> = u.iter().zip(&v).flat_map(|(u, v)| [*u, *v]).collect();
    let bgrx: Vec<u8> = photo
        .image()
        .as_bytes()
        .chunks_exact(3)
        .flat_map(|pixel| [pixel[2], pixel[1], pixel[0], 0])
        .collect();
    let plane = |data, stride| Plane { data, stride };
    for (format, planes) in [
        (PixelFormat::I420, vec![plane(&luma, width), plane(&u, half_width), plane(&v, half_width)]),
        (PixelFormat::Nv12, vec![plane(&luma, width), plane(&interleaved, 2 * half_width)]),
        (PixelFormat::Bgrx, vec![plane(&bgrx, 4 * width)]),
        (PixelFormat::Gray8, vec![plane(&luma, width)]),
    ] {
        let view = ImageView::new(format, photo.width(), photo.height(), &planes).unwrap();
        let faces =
            detector.detect(&view, &DetectorOptions::default(), &mut DetectScratch::default()).unwrap();
        assert_eq!(faces.len(), 1, "{format:?}");
        assert!(faces[0].rect.iou(&wanted.rect) > 0.9, "{format:?}: {:?} {:?}", faces[0], wanted);
    }
}

#[test]
fn options_choose_among_the_faces() {
    let photo = photo(&media_folder().join("obama.jpg"));
    let detector = yunet();
    let faces = |options: DetectorOptions| {
        detector.detect(&photo.view(), &options, &mut DetectScratch::default()).unwrap().len()
    };
    let all = DetectorOptions::default();
    assert_eq!(faces(DetectorOptions { min_face_size: 2000, ..all }), 0);
    assert_eq!(faces(DetectorOptions { threshold: Some(1.0), ..all }), 0);
    assert_eq!(faces(DetectorOptions { input_size: 320, ..all }), 1);
    let crowd = DetectorOptions { threshold: Some(0.0), nms_threshold: Some(1.0), ..all };
    assert!(faces(crowd) > 100);
    assert_eq!(faces(DetectorOptions { max_faces: 3, ..crowd }), 3);
}

#[test]
fn what_is_masked_is_not_seen() {
    let photo = photo(&media_folder().join("obama.jpg"));
    let (view, detector, options) = (photo.view(), yunet(), DetectorOptions::default());
    let mut scratch = DetectScratch::default();
    let face = detector.detect(&view, &options, &mut scratch).unwrap()[0];
    let mask = |left: f32, right: f32| {
        let height = photo.height() as f32;
        let corners = [(left, 0.0), (right, 0.0), (right, height), (left, height)];
        Polygon::new(corners.map(|(x, y)| Point::new(x, y)).to_vec()).unwrap()
    };
    let mut outside =
        |masks: &[Polygon]| detector.detect_outside(masks, &view, &options, &mut scratch).unwrap();
    let centre = face.rect.centre().x;
    assert_eq!(outside(&[mask(face.rect.x, centre + face.rect.width / 4.0)]), [], "its middle is masked");
    // A slit in the middle of the face shows no face, though nothing there is masked.
    let slit = face.rect.width / 20.0;
    assert_eq!(outside(&[mask(0.0, centre - slit), mask(centre + slit, photo.width() as f32)]), []);
    let [beside] = outside(&[mask(0.0, face.rect.x - face.rect.width / 2.0)])[..] else { panic!("not one") };
    assert!(beside.rect.iou(&face.rect) > 0.9, "{beside:?} {face:?}");
    assert_eq!(outside(&[])[..], [face]);
}

#[test]
fn pictures_of_any_shape_are_survived() {
    let detector = yunet();
    let mut scratch = DetectScratch::default();
    for (width, height) in [(1, 1), (2, 3000), (3000, 2), (33, 31), (640, 480), (7, 9)] {
        let data = vec![128; 3 * width * height];
        let view = ImageView::new(
            PixelFormat::Rgb,
            width as u32,
            height as u32,
            &[Plane { data: &data, stride: 3 * width }],
        )
        .unwrap();
        let faces = detector.detect(&view, &DetectorOptions::default(), &mut scratch).unwrap();
        assert_eq!(faces, [], "{width}×{height}");
    }
}

/// Boxes, landmarks and scores of one of InsightFace's models, to a pixel of the photo, even where the network sees a
/// tenth of its size.
fn scrfd_agrees(model: &str) {
    let Some(path) = shared(&format!("data/models/scrfd_{model}.onnx")) else { return };
    let detector = Detector::open(&ModelSource::File(path), Device::Cpu).unwrap();
    let golden: BTreeMap<String, BTreeMap<String, Vec<GoldenFace>>> = golden(&format!("scrfd_{model}.json"));
    for (folder, path) in photo_folders() {
        for (name, wanted) in &golden[folder] {
            let photo = photo(&path.join(name));
            let faces = detect(&detector, &photo);
            for wanted in wanted {
                let face = faces
                    .iter()
                    .max_by(|a, b| a.rect.iou(&wanted.rect()).total_cmp(&b.rect.iou(&wanted.rect())))
                    .unwrap_or_else(|| panic!("{name}: nobody found"));
                let edges = [face.rect.x, face.rect.y, face.rect.right(), face.rect.bottom()];
                let by_edge = edges.iter().zip(wanted.edges).map(|(found, wanted)| (found - wanted).abs());
                let by_point = face.landmarks.iter().zip(points(&wanted.landmarks));
                let by_point = by_point.map(|(found, wanted)| found.distance(wanted));
                let distance = by_edge.chain(by_point).fold(0.0, f32::max);
                eprintln!(
                    "{model} {name}: off by {distance:.3} px, width {:.0}, score {:.3} {:.3}",
                    face.rect.width, face.score, wanted.score
                );
                assert!(distance <= 1.0, "{name}: off by {distance} px: {face:?} {wanted:?}");
                assert!((face.score - wanted.score).abs() < 0.01, "{name}: {face:?} {wanted:?}");
            }
            assert_eq!(faces.len(), wanted.len(), "{name}");
        }
    }
}

#[test]
fn scrfd_500m_agrees_with_the_reference() {
    scrfd_agrees("500m_kps");
}

#[test]
fn scrfd_2_5g_agrees_with_the_reference() {
    scrfd_agrees("2.5g_kps");
}
