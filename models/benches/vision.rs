//! What the steps around the networks cost: `cargo bench -p vedette-models`. Prints the median of many rounds.

#![allow(clippy::unwrap_used, reason = "a bench that cannot set up has nothing to measure")]

use std::hint::black_box;
use std::time::{Duration, Instant};

use vedette_models::align::{TEMPLATE, align_face};
use vedette_models::detect::DetectedFace;
use vedette_models::gallery::Gallery;
use vedette_models::geometry::{Point, Rect};
use vedette_models::image::{
    ChannelOrder, ImageView, PixelFormat, Plane, Sampling, ScaleScratch, TensorLayout, fill_tensor,
};
use vedette_models::quality::Quality;
use vedette_models::track::{Tracker, TrackerOptions};

const ROUNDS: usize = 200;

fn measure(what: &str, rounds: usize, mut work: impl FnMut()) {
    let mut times: Vec<Duration> = (0..rounds)
        .map(|_| {
            let start = Instant::now();
            work();
            start.elapsed()
        })
        .collect();
    times.sort();
    println!("{what:55} {:9.3} ms", times[rounds / 2].as_secs_f64() * 1000.0);
}

/// Bytes without any order, always the same.
fn noise(length: usize) -> Vec<u8> {
    let mut state = 1_u32;
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    };
    (0..length).map(|_| next()).collect()
}

fn scale(what: &str, view: &ImageView, content: (u32, u32), size: (u32, u32)) {
    let layout = TensorLayout { order: ChannelOrder::Bgr, mean: 0.0, scale: 1.0 };
    let (mut scratch, mut tensor) = (ScaleScratch::default(), Vec::new());
    measure(what, ROUNDS, || {
        fill_tensor(
            black_box(view),
            view.bounds(),
            content,
            size,
            layout,
            Sampling::Area,
            &mut scratch,
            &mut tensor,
        )
    });
}

fn main() {
    let bytes = noise(4 * 1920 * 1080);
    let plane = |start: usize, stride: usize| Plane { data: &bytes[start..], stride };
    let i420 = |width: usize, height: usize| {
        let planes = [plane(0, width), plane(1000, width / 2), plane(2000, width / 2)];
        ImageView::new(PixelFormat::I420, width as u32, height as u32, &planes).unwrap()
    };
    let nv12 = ImageView::new(PixelFormat::Nv12, 1280, 720, &[plane(0, 1280), plane(99, 1280)]).unwrap();
    let bgrx = ImageView::new(PixelFormat::Bgrx, 1280, 720, &[plane(0, 4 * 1280)]).unwrap();
    let (hd, full_hd) = (i420(1280, 720), i420(1920, 1080));
    scale("1280×720 I420 → 640×384 tensor", &hd, (640, 360), (640, 384));
    scale("1280×720 NV12 → 640×384 tensor", &nv12, (640, 360), (640, 384));
    scale("1280×720 BGRx → 640×384 tensor", &bgrx, (640, 360), (640, 384));
    scale("1920×1080 I420 → 640×384 tensor", &full_hd, (640, 360), (640, 384));
    scale("1280×720 I420 → 480×288 tensor", &hd, (480, 270), (480, 288));

    let landmarks =
        TEMPLATE.map(|point| Point::new(400.0 + 1.3 * point.x - 0.2 * point.y, 200.0 + 1.3 * point.y));
    let face = DetectedFace { rect: Rect::new(420.0, 200.0, 110.0, 140.0), landmarks, score: 0.9 };
    for (name, view) in [("I420", &hd), ("NV12", &nv12), ("BGRx", &bgrx)] {
        measure(&format!("alignment of a face, {name}"), ROUNDS, || {
            black_box(align_face(black_box(view), &landmarks, 112));
        });
        measure(&format!("quality of a face, {name}"), ROUNDS, || {
            black_box(Quality::assess(black_box(view), &face));
        });
    }

    let crowd: Vec<DetectedFace> = (0..50)
        .map(|index| DetectedFace {
            rect: Rect::new((index % 10) as f32 * 100.0, (index / 10) as f32 * 120.0, 80.0, 96.0),
            ..face
        })
        .collect();
    let mut tracker = Tracker::new(TrackerOptions::default());
    let mut time_ms = 0;
    measure("tracker, 50 faces", ROUNDS, || {
        time_ms += 40;
        black_box(tracker.update(time_ms, &crowd, &[]));
    });

    let vectors = noise(10_000 * 512);
    let vectors: Vec<Vec<f32>> =
        vectors.chunks(512).map(|row| row.iter().map(|byte| f32::from(*byte) - 127.5).collect()).collect();
    let mut gallery = Gallery::new(512);
    for (index, vector) in vectors.iter().enumerate() {
        gallery.add_person(format!("{index}"), "somebody", std::slice::from_ref(vector)).unwrap();
    }
    measure("gallery of 10 000 people, 512 numbers, best 2", ROUNDS, || {
        black_box(gallery.best(black_box(&vectors[77]), 2));
    });
}
