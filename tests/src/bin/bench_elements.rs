//! Where the time of the whole pipeline goes, and what of it is neither decoding nor inference; and what a motion gate
//! saves on a clip without movement. One process, one run: `bench_elements [CLIP.mp4]`.
//!
//! Decoding is measured by itself; inference by repeating exactly what the pipeline ran, on pictures that need no scaling.

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result};
use gst::prelude::*;
use vedette_models::{
    align::TEMPLATE,
    detect::{DetectScratch, Detector, DetectorOptions},
    embed::Embedder,
    files::ModelSource,
    image::{ImageView, PixelFormat, Plane},
    pack::DEFAULT_PACK,
    session::Device,
};
use vedette_tests::{
    elements::{self, Cost},
    material::Material,
};

fn main() -> ExitCode {
    match bench() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bench_elements: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn bench() -> Result<()> {
    elements::load()?;
    let folder = tempfile::tempdir()?;
    let clip = std::env::args_os().nth(1).map(PathBuf::from);
    let material = Material::find(clip.as_deref(), folder.path())?;
    let gallery = material.gallery(folder.path())?;
    let Material { video, truth, .. } = material;
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    println!(
        "{}: {} frames, {} × {}; every second frame is looked at; {cores} cores",
        video.file_name().unwrap_or_default().display(),
        truth.frames,
        truth.width,
        truth.height
    );

    let decode = decode(&video)?;
    let whole = whole(&video, &gallery, folder.path())?;
    let fps = |cost: Cost| f64::from(truth.frames) / cost.wall.as_secs_f64();
    println!("decode alone   {:6.1} fps, {:5.2} CPU s", fps(decode), decode.cpu.as_secs_f64());
    println!("whole pipeline {:6.1} fps, {:5.2} CPU s", fps(whole.cost), whole.cost.cpu.as_secs_f64());
    println!("in milliseconds by element, waiting for a core included:");
    for (what, time) in &whole.split {
        println!("  {what:22} {:8.1}", time.as_secs_f64() * 1000.0);
    }
    let raw = inference(&whole, (truth.width, truth.height))?;
    println!(
        "inferences alone: {} detections and {} second looks {:.2} s, {} embeddings {:.2} s of one core",
        whole.detections,
        whole.second_looks,
        raw.detection.as_secs_f64(),
        whole.embeddings,
        raw.embedding.as_secs_f64()
    );
    let least = (decode.cpu + raw.detection + raw.embedding).as_secs_f64() / cores as f64;
    println!(
        "overhead: {:.2} × decoding and inference alone ({:.2} s of wall, {least:.2} s on {cores} cores)",
        whole.cost.wall.as_secs_f64() / least,
        whole.cost.wall.as_secs_f64()
    );
    still(&video)
}

fn decode(video: &Path) -> Result<Cost> {
    let launch = format!("filesrc location={} ! decodebin ! fakesink sync=false", video.display());
    // Once for the page cache and the decoder's library.
    let (first, _) = elements::play_once(&launch)?;
    let (second, cost) = elements::play_once(&launch)?;
    elements::stop(&[first, second]);
    Ok(cost)
}

/// The pipeline, its cost, and what its elements counted.
struct Whole {
    cost: Cost,
    split: Vec<(&'static str, Duration)>,
    detections: u64,
    second_looks: u64,
    embeddings: u64,
    min_face_size: u32,
}

fn whole(video: &Path, gallery: &str, folder: &Path) -> Result<Whole> {
    let launch = format!(
        "filesrc location={} ! decodebin ! facedetect name=detect inference-interval=2 ! facetrack name=track ! \
         faceembed name=embed ! facematch name=match gallery={gallery} ! \
         eventsink name=sink uri=file://{} dedup-window=0 camera-id=clip sync=false",
        video.display(),
        folder.join("events.jsonl").display()
    );
    // The second time, models and runtime are loaded as they are for a camera's second attempt: `keep` has them open.
    let keep = elements::pipeline(&launch)?;
    elements::play(std::slice::from_ref(&keep))?;
    let (pipeline, cost) = elements::play_once(&launch)?;
    let time = |element: &str, figure: &str| elements::time(&pipeline, element, figure);
    let (work, preparation) = (time("detect", "work-ms"), time("detect", "preparation-ms"));
    let embedding = time("embed", "work-ms");
    let split = vec![
        ("scale and convert", preparation),
        ("detect", work.saturating_sub(preparation)),
        ("track", time("track", "busy-ms")),
        ("judge crops", time("embed", "busy-ms").saturating_sub(embedding)),
        ("embed", embedding),
        ("match", time("match", "busy-ms")),
        ("sink", time("sink", "busy-ms")),
    ];
    let detections = elements::count(&pipeline, "detect", "inferences");
    let second_looks = elements::count(&pipeline, "detect", "second-looks");
    let embeddings = elements::count(&pipeline, "embed", "embedded");
    let detect = pipeline.by_name("detect").context("the pipeline has lost its detector")?;
    let min_face_size = detect.property("min-face-size");
    elements::stop(&[pipeline, keep]);
    Ok(Whole { cost, split, detections, second_looks, embeddings, min_face_size })
}

struct Raw {
    detection: Duration,
    embedding: Duration,
}

/// The time of one core that as many inferences take as the pipeline made.
fn inference(whole: &Whole, frame: (u32, u32)) -> Result<Raw> {
    const ROUNDS: u32 = 100;
    let source = ModelSource::pack(DEFAULT_PACK)?;
    let detector = Detector::open(&source, Device::Cpu)?;
    let input_size = detector.input_size_for(frame.0.max(frame.1), whole.min_face_size);
    let height = input_size * frame.1 / frame.0;
    let grey = vec![128_u8; (3 * input_size * input_size) as usize];
    let picture = |width: u32, height: u32| {
        ImageView::new(PixelFormat::Rgb, width, height, &[Plane { data: &grey, stride: 3 * width as usize }])
    };
    let mut scratch = DetectScratch::default();
    let mut detect = |view: &ImageView| -> Result<Duration> {
        let input_size = view.width().max(view.height());
        let options = DetectorOptions { input_size, ..DetectorOptions::default() };
        let mut total = Duration::ZERO;
        for round in 0..=ROUNDS {
            let begun = Instant::now();
            detector.detect(view, &options, &mut scratch)?;
            // The first one gets the memory.
            if round > 0 {
                total += begun.elapsed().saturating_sub(scratch.preparation());
            }
        }
        Ok(total)
    };
    let detection = detect(&picture(input_size, height)?)?;
    let second_look = detect(&picture(Detector::SECOND_LOOK_PX, Detector::SECOND_LOOK_PX)?)?;

    let embedder = Embedder::open(&source, Device::Cpu)?;
    let view = picture(input_size, height)?;
    embedder.embed(&view, &[TEMPLATE])?;
    let cpu = elements::own_cpu()?;
    for _ in 0..ROUNDS {
        embedder.embed(&view, &[TEMPLATE])?;
    }
    let embedding = elements::own_cpu()?.saturating_sub(cpu);
    let share = |time: Duration, count: u64| time.mul_f64(count as f64 / f64::from(ROUNDS));
    let detection = share(detection, whole.detections) + share(second_look, whole.second_looks);
    Ok(Raw { detection, embedding: share(embedding, whole.embeddings) })
}

/// Detection on a picture that stands still, without and with the gate.
fn still(video: &Path) -> Result<()> {
    let frames = 500;
    let run = |gate: bool| -> Result<(Duration, u64)> {
        let launch = format!(
            "filesrc location={} ! decodebin ! videoconvert ! video/x-raw,format=I420 ! imagefreeze num-buffers={frames} \
             ! facedetect name=detect motion-gate={gate} ! fakesink sync=false",
            video.display()
        );
        let (pipeline, cost) = elements::play_once(&launch)?;
        let inferences = elements::count(&pipeline, "detect", "inferences");
        elements::stop(&[pipeline]);
        Ok((cost.cpu, inferences))
    };
    let (without, with) = (run(false)?, run(true)?);
    println!(
        "a still picture, {frames} frames: {:.2} CPU s and {} inferences; with motion-gate {:.2} CPU s and {}: {:.1} times",
        without.0.as_secs_f64(),
        without.1,
        with.0.as_secs_f64(),
        with.1,
        without.0.as_secs_f64() / with.0.as_secs_f64().max(1e-9)
    );
    Ok(())
}
