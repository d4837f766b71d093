//! How small a face may be: recall by the size of faces in the network's input, for faces as they are, turned, blurred and
//! dark, and what their embeddings lose. Prints tables (`--nocapture`); `detect/reach.rs` rests on them.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::path::PathBuf;

use common::{media_folder, photo, sface, shared, yunet};
use vedette_models::Photo;
use vedette_models::detect::{DetectScratch, DetectedFace, Detector, DetectorOptions};
use vedette_models::embed::Embedder;
use vedette_models::geometry::{Point, Rect};
use vedette_models::image::RgbImage;

/// Shorter sides of faces in the input, in pixels.
const SIZES_PX: [u32; 9] = [10, 12, 14, 16, 18, 20, 24, 28, 32];
/// Smaller faces of a photo have no pixels to spare for being reduced.
const LEAST_FACE_PX: f32 = 72.0;
/// What of a face's surroundings is seen with it, in terms of its box.
const SURROUNDINGS: f32 = 5.0;

/// A picture with one face whose place is known.
struct Portrait {
    image: RgbImage,
    face: Rect,
}

/// What is done to a picture.
#[derive(Clone, Copy, Debug)]
enum Change {
    None,
    Moved,
    RotatedLeft,
    RotatedRight,
    Squeezed,
    Blurred,
    Dark,
}

const CHANGES: [Change; 7] = [
    Change::None,
    Change::Moved,
    Change::RotatedLeft,
    Change::RotatedRight,
    Change::Squeezed,
    Change::Blurred,
    Change::Dark,
];

/// Every photo of the repository, and those of the shared folder where it is there.
fn photos() -> Vec<PathBuf> {
    let folders = [Some(media_folder()), shared("data/faces/people"), shared("data/faces/groups")];
    let files = folders.into_iter().flatten().flat_map(|folder| std::fs::read_dir(folder).unwrap());
    let mut files: Vec<PathBuf> = files.map(|entry| entry.unwrap().path()).collect();
    files.retain(|path| path.extension().is_some_and(|extension| extension == "jpg" || extension == "png"));
    files.sort_by_key(|path| path.file_name().map(ToOwned::to_owned));
    // The same photo may lie in two folders.
    files.dedup_by_key(|path| path.file_name().map(ToOwned::to_owned));
    files
}

/// The faces of a photo that are large enough, each cut out with its surroundings.
fn portraits(detector: &Detector, photo: &Photo) -> Vec<Portrait> {
    let options = DetectorOptions { input_size: 1280, threshold: Some(0.7), ..DetectorOptions::default() };
    let view = photo.view();
    let faces = detector.detect(&view, &options, &mut DetectScratch::default()).unwrap();
    let faces = faces.iter().filter(|face| face.rect.width.min(face.rect.height) >= LEAST_FACE_PX);
    faces
        .map(|face| {
            let around = face.rect.square(SURROUNDINGS).clip_to(view.width(), view.height());
            let image = view.crop_rgb(around, around.width as u32, around.height as u32);
            let rect =
                Rect::new(face.rect.x - around.x, face.rect.y - around.y, face.rect.width, face.rect.height);
            Portrait { image, face: rect }
        })
        .collect()
}

impl Portrait {
    fn changed(&self, change: Change) -> Self {
        let (width, height) = (self.image.width(), self.image.height());
        let side = self.face.width.min(self.face.height);
        match change {
            Change::None => Self { image: self.image.clone(), face: self.face },
            Change::Moved => {
                // A third of the face: another place within the cells of the network's grid.
                let by = (side / 3.0).floor();
                let rect = Rect::new(by, by, width as f32 - by, height as f32 - by);
                let image = self.image.view().crop_rgb(rect, rect.width as u32, rect.height as u32);
                let face = self.face;
                Self { image, face: Rect::new(face.x - by, face.y - by, face.width, face.height) }
            }
            Change::RotatedLeft => self.rotated(-25.0),
            Change::RotatedRight => self.rotated(25.0),
            Change::Squeezed => {
                // As a head turned by some 40 degrees is narrower.
                let narrow = (width as f32 * 0.75) as u32;
                let image = self.image.view().crop_rgb(self.image.view().bounds(), narrow, height);
                let face = self.face;
                Self { image, face: Rect::new(face.x * 0.75, face.y, face.width * 0.75, face.height) }
            }
            Change::Blurred => {
                // Out of focus by a twelfth of the face.
                let factor = side / 12.0;
                let small = |length: u32| ((length as f32 / factor) as u32).max(1);
                let small =
                    self.image.view().crop_rgb(self.image.view().bounds(), small(width), small(height));
                Self { image: small.view().crop_rgb(small.view().bounds(), width, height), face: self.face }
            }
            Change::Dark => {
                let mut state = 1_u32;
                let darken = |value: &u8| {
                    state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                    let noise = (state >> 24) as f32 / 32.0 - 4.0;
                    (f32::from(*value) * 0.15 + 4.0 + noise).clamp(0.0, 255.0) as u8
                };
                let bytes = self.image.as_bytes().iter().map(darken).collect();
                Self { image: RgbImage::from_bytes(width, height, bytes).unwrap(), face: self.face }
            }
        }
    }

    /// Rotated about the face's middle; what was outside is black.
    fn rotated(&self, degrees: f32) -> Self {
        let (width, height) = (self.image.width(), self.image.height());
        let centre = self.face.centre();
        let (sin, cos) = degrees.to_radians().sin_cos();
        let mut bytes = Vec::with_capacity(self.image.as_bytes().len());
        for y in 0..height {
            for x in 0..width {
                let (dx, dy) = (x as f32 - centre.x, y as f32 - centre.y);
                let from = Point::new(centre.x + dx * cos - dy * sin, centre.y + dx * sin + dy * cos);
                let is_inside = from.x >= 0.0 && from.y >= 0.0;
                let pixel = is_inside.then(|| self.image.pixel(from.x as u32, from.y as u32)).flatten();
                bytes.extend(pixel.unwrap_or_default());
            }
        }
        Self { image: RgbImage::from_bytes(width, height, bytes).unwrap(), face: self.face }
    }

    /// The face where it is expected, with its shorter side at `side_px` pixels of the network's input.
    fn look(&self, detector: &Detector, side_px: u32, refine: bool) -> Option<DetectedFace> {
        let view = self.image.view();
        let longest = view.width().max(view.height()) as f32;
        let scale = side_px as f32 / self.face.width.min(self.face.height);
        let options = DetectorOptions {
            input_size: (longest * scale).round() as u32,
            refine_landmarks: refine,
            ..DetectorOptions::default()
        };
        let faces = detector.detect(&view, &options, &mut DetectScratch::default()).unwrap();
        faces.into_iter().find(|face| face.rect.iou(&self.face) > 0.35)
    }
}

/// Prints recall by size and gives the worst of all changes for each size.
fn print_recall(name: &str, detector: &Detector, portraits: &[Portrait]) -> Vec<(u32, f32)> {
    eprintln!("{name}: share of {} faces found, by their shorter side in the input", portraits.len());
    let sizes: String = SIZES_PX.iter().map(|size| format!("{size:6}")).collect();
    eprintln!("{:14}{sizes} px", "");
    let mut worst = SIZES_PX.map(|size| (size, 1.0_f32)).to_vec();
    for change in CHANGES {
        let changed: Vec<Portrait> = portraits.iter().map(|portrait| portrait.changed(change)).collect();
        // What cannot be found at any size says nothing about size.
        let findable: Vec<&Portrait> =
            changed.iter().filter(|portrait| portrait.look(detector, 64, false).is_some()).collect();
        let mut line = format!("{:14}", format!("{change:?}"));
        for (size, worst) in &mut worst {
            let found = findable.iter().filter(|portrait| portrait.look(detector, *size, false).is_some());
            let recall = found.count() as f32 / findable.len().max(1) as f32;
            line += &format!("{recall:6.3}");
            *worst = worst.min(recall);
        }
        eprintln!("{line}   of {}", findable.len());
    }
    worst
}

/// Prints what embeddings lose when the landmarks come from a small input: cosines to the embedding at full size.
fn print_cosines(detector: &Detector, embedder: &Embedder, portraits: &[Portrait]) -> Vec<(u32, f32, f32)> {
    eprintln!(
        "cosine to the embedding from landmarks at 128 px: mean and least 5 %, before and after a second look"
    );
    let mut results = Vec::new();
    for size in SIZES_PX {
        let cosines = |refine: bool| -> (f32, f32) {
            let mut cosines: Vec<f32> = portraits
                .iter()
                .filter_map(|portrait| {
                    let wanted = portrait.look(detector, 128, false)?;
                    let face = portrait.look(detector, size, refine)?;
                    let view = portrait.image.view();
                    let both = embedder.embed(&view, &[wanted.landmarks, face.landmarks]).ok()?;
                    Some(both[0].cosine(&both[1]))
                })
                .collect();
            cosines.sort_by(f32::total_cmp);
            let mean = cosines.iter().sum::<f32>() / cosines.len().max(1) as f32;
            (mean, cosines[cosines.len() / 20])
        };
        let (coarse, refined) = (cosines(false), cosines(true));
        eprintln!("{size:4} px  {:.3} {:.3}   {:.3} {:.3}", coarse.0, coarse.1, refined.0, refined.1);
        results.push((size, refined.0, refined.1));
    }
    results
}

#[test]
fn faces_are_found_from_the_size_on_that_inputs_are_made_for() {
    let yunet = yunet();
    let all: Vec<Portrait> = photos().iter().flat_map(|path| portraits(&yunet, &photo(path))).collect();
    let worst = print_recall("YuNet", &yunet, &all);
    // The size inputs are made for: a side of 64,000 pixels hides what is added to reach a multiple of 32.
    let promised_px = yunet.input_size_for(64_000, 640) / 100;
    for (size, recall) in worst.iter().filter(|(size, _)| *size >= promised_px) {
        assert!(*recall >= 0.9, "of faces of {size} px only {recall} are found");
    }
    print_cosines(&yunet, &sface(), &all);
}
