//! The motion gate against looking at every frame: it may spare work, never a face.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use common::{Running, photo};
use gst::prelude::*;
use gstvedette::meta;
use vedette_models::Photo;
use vedette_models::detect::{DetectScratch, Detector, DetectorOptions};
use vedette_models::files::ModelSource;
use vedette_models::image::RgbImage;
use vedette_models::session::Device;

const WIDTH: u32 = 640;
const HEIGHT: u32 = 480;
/// The first frames show nobody.
const EMPTY: u32 = 10;

/// A head somewhere in the picture.
#[derive(Clone, Copy)]
struct Head {
    /// Its left upper corner; it may lie outside.
    x: f32,
    y: f32,
    /// Side of the square it fills, in pixels.
    side: f32,
    /// How much it stands out, 0 to 1.
    contrast: f32,
}

/// A head in black and white from a photo, as a square.
fn head() -> RgbImage {
    let photo = Photo::decode(&std::fs::read(photo("obama.jpg")).unwrap()).unwrap();
    let detector = Detector::open(&ModelSource::pack("opencv").unwrap(), Device::Cpu).unwrap();
    let view = photo.view();
    let faces = detector.detect(&view, &DetectorOptions::default(), &mut DetectScratch::default()).unwrap();
    view.crop_rgb(faces[0].rect.square(1.4), 256, 256)
}

/// Noise of a sensor, always the same for the same frame.
struct Noise(u32);

impl Noise {
    fn next(&mut self) -> f32 {
        self.0 = self.0.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (self.0 >> 24) as f32 / 255.0 - 0.5
    }
}

/// One frame: a wall, the head on it, the light on both.
fn picture(head: &RgbImage, place: Option<Head>, light: f32, number: u32) -> Vec<u8> {
    let mut noise = Noise(number.wrapping_mul(7919) + 1);
    let mut bytes = Vec::with_capacity((WIDTH * HEIGHT * 3) as usize);
    for y in 0..HEIGHT {
        for x in 0..WIDTH {
            let wall = 110.0 + 25.0 * (x as f32 / 90.0).sin() + 20.0 * (y as f32 / 70.0).cos();
            let mut pixel = [wall; 3];
            if let Some(place) = place {
                let (u, v) = ((x as f32 - place.x) / place.side, (y as f32 - place.y) / place.side);
                if (0.0..1.0).contains(&u) && (0.0..1.0).contains(&v) {
                    let of_head = head.pixel((u * 256.0) as u32, (v * 256.0) as u32).unwrap();
                    for (value, of_head) in pixel.iter_mut().zip(of_head) {
                        *value += (f32::from(of_head) - *value) * place.contrast;
                    }
                }
            }
            let noise = 6.0 * noise.next();
            bytes.extend(pixel.map(|value| (value * light + noise).clamp(0.0, 255.0) as u8));
        }
    }
    bytes
}

/// Whether each frame carries a face, and how many inferences that took.
fn seen(pictures: &[Vec<u8>], gate: bool) -> (Vec<bool>, u64) {
    let running = Running::start(&format!(
        "appsrc name=in format=time caps=video/x-raw,format=RGB,width={WIDTH},height={HEIGHT},framerate=25/1 \
         ! facedetect name=detect motion-gate={gate} ! appsink name=out sync=false"
    ));
    let source = running.element("in").downcast::<gst_app::AppSrc>().unwrap();
    let sink = running.element("out").downcast::<gst_app::AppSink>().unwrap();
    for (number, bytes) in (0..).zip(pictures) {
        let mut buffer = gst::Buffer::from_mut_slice(bytes.clone());
        buffer.get_mut().unwrap().set_pts(gst::ClockTime::from_mseconds(40 * number));
        source.push_buffer(buffer).unwrap();
    }
    source.end_of_stream().unwrap();
    let samples = std::iter::from_fn(|| sink.pull_sample().ok());
    let seen = samples.map(|sample| !meta::faces(sample.buffer().unwrap()).is_empty()).collect();
    assert_eq!(common::error_of(&running.finish()), None);
    (seen, running.stats("detect").get("inferences").unwrap())
}

/// Compares the gate with looking at every frame, and returns both numbers of inferences.
fn compare(what: &str, frames: u32, scene: impl Fn(u32) -> (Option<Head>, f32)) -> (u64, u64) {
    let head = head();
    let pictures: Vec<Vec<u8>> = (0..frames)
        .map(|number| {
            let (place, light) = scene(number);
            picture(&head, place.filter(|_| number >= EMPTY), light, number)
        })
        .collect();
    let (full, all) = seen(&pictures, false);
    let (gated, looked) = seen(&pictures, true);
    eprintln!(
        "{what}: {looked} of {all} frames looked at, a face in {}",
        full.iter().filter(|seen| **seen).count()
    );
    assert_eq!((full.len(), gated.len()), (pictures.len(), pictures.len()));
    assert!(full.iter().any(|seen| *seen), "{what}: there is a face to be found");
    for (number, seen) in full.iter().enumerate() {
        // A change of less than a cell's noise may take one more frame to show.
        let found = gated[number] || gated.get(number + 1).copied().unwrap_or(true);
        assert!(!seen || found, "{what}: the face of frame {number} is not seen");
    }
    (all, looked)
}

const fn head_at(x: f32, y: f32, side: f32) -> Head {
    Head { x, y, side, contrast: 1.0 }
}

#[test]
fn a_face_that_appears_is_seen_and_one_that_stands_still_stays() {
    let (all, looked) = compare("standing still", 60, |_| (Some(head_at(200.0, 150.0, 150.0)), 1.0));
    assert!(looked * 5 <= all, "{looked} of {all}");
}

#[test]
fn a_face_that_approaches_slowly_is_seen() {
    // Half a pixel a frame, from too small to be found to large.
    compare("approaching", 200, |number| {
        let side = 20.0 + 0.5 * number as f32;
        (Some(head_at(320.0 - side / 2.0, 240.0 - side / 2.0, side)), 1.0)
    });
}

#[test]
fn a_face_that_hardly_stands_out_is_seen() {
    for contrast in [0.25, 0.4] {
        compare(&format!("contrast {contrast}"), 30, |_| {
            (Some(Head { contrast, ..head_at(250.0, 170.0, 140.0) }), 1.0)
        });
    }
}

#[test]
fn a_face_that_fades_in_is_seen() {
    compare("fading in", 150, |number| {
        (Some(Head { contrast: number as f32 / 150.0, ..head_at(250.0, 170.0, 140.0) }), 1.0)
    });
}

#[test]
fn a_face_is_seen_in_flickering_light() {
    let flicker = |number: u32| 1.0 + 0.1 * (number as f32 * 2.4).sin();
    compare("flickering", 60, |number| {
        (Some(head_at(200.0, 150.0, 130.0)).filter(|_| number > 30), flicker(number))
    });
}

#[test]
fn a_face_that_comes_in_at_the_border_is_seen() {
    compare("from the left", 110, |number| (Some(head_at(-130.0 + 1.5 * number as f32, 150.0, 130.0)), 1.0));
    compare("from below", 110, |number| {
        (Some(head_at(480.0, 0.0, 110.0)).map(|head| Head { y: 485.0 - 1.5 * number as f32, ..head }), 1.0)
    });
}

#[test]
fn an_empty_scene_is_looked_at_once_a_second() {
    let head = head();
    let pictures: Vec<Vec<u8>> = (0..125).map(|number| picture(&head, None, 1.0, number)).collect();
    let (seen, looked) = seen(&pictures, true);
    assert!(seen.iter().all(|seen| !seen));
    assert_eq!(looked, 5, "five seconds");
}
