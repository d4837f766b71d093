//! Where the time of the whole pipeline goes, and what of it is neither decoding nor inference; and what a motion gate
//! saves on a clip without movement. One process, one run: `bench_elements [CLIP.mp4]`.
//!
//! Decoding is measured by itself; inference by repeating exactly what the pipeline ran, on pictures that need no scaling: once
//! each on an idle machine, whose cores then are at their fastest, and once all of it at a time, as the pipeline has to do it.

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
    sync::atomic::{AtomicU64, Ordering::Relaxed},
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
    let inference = Inference::prepare(&whole, (truth.width, truth.height))?;
    let raw = inference.one_by_one(&whole)?;
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
    let bare = inference.beside_decoding(&whole, &video, cores)?;
    println!(
        "          {:.2} × the same decoding and inferences at a time, without the elements ({:.2} s)",
        whole.cost.wall.as_secs_f64() / bare.as_secs_f64(),
        bare.as_secs_f64()
    );
    still(&video)
}

fn decode(video: &Path) -> Result<Cost> {
    // Once for the page cache and the decoder's library.
    decode_once(video)?;
    decode_once(video)
}

fn decode_once(video: &Path) -> Result<Cost> {
    let launch = format!("filesrc location={} ! decodebin ! fakesink sync=false", video.display());
    let (pipeline, cost) = elements::play_once(&launch)?;
    elements::stop(&[pipeline]);
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

/// What the pipeline infers, ready to be done without it.
struct Inference {
    detector: Detector,
    embedder: Embedder,
    grey: Vec<u8>,
    /// Of the detector's input.
    width: u32,
    height: u32,
}

impl Inference {
    fn prepare(whole: &Whole, frame: (u32, u32)) -> Result<Self> {
        let source = ModelSource::pack(DEFAULT_PACK)?;
        let detector = Detector::open(&source, Device::Cpu)?;
        let width = detector.input_size_for(frame.0.max(frame.1), whole.min_face_size);
        let grey = vec![128_u8; (3 * width * width) as usize];
        let embedder = Embedder::open(&source, Device::Cpu)?;
        Ok(Self { detector, embedder, grey, width, height: width * frame.1 / frame.0 })
    }

    fn picture(&self, width: u32, height: u32) -> Result<ImageView<'_>> {
        let plane = Plane { data: &self.grey, stride: 3 * width as usize };
        Ok(ImageView::new(PixelFormat::Rgb, width, height, &[plane])?)
    }

    fn detect(&self, scratch: &mut DetectScratch) -> Result<()> {
        self.detect_in(&self.picture(self.width, self.height)?, scratch)
    }

    fn look_again(&self, scratch: &mut DetectScratch) -> Result<()> {
        self.detect_in(&self.picture(Detector::SECOND_LOOK_PX, Detector::SECOND_LOOK_PX)?, scratch)
    }

    fn detect_in(&self, view: &ImageView<'_>, scratch: &mut DetectScratch) -> Result<()> {
        let options =
            DetectorOptions { input_size: view.width().max(view.height()), ..DetectorOptions::default() };
        self.detector.detect(view, &options, scratch)?;
        Ok(())
    }

    fn embed(&self) -> Result<()> {
        self.embedder.embed(&self.picture(self.width, self.height)?, &[TEMPLATE])?;
        Ok(())
    }

    /// The time of one core that as many inferences take as the pipeline made.
    fn one_by_one(&self, whole: &Whole) -> Result<Raw> {
        const ROUNDS: u32 = 100;
        let mut scratch = DetectScratch::default();
        let mut timed = |look: fn(&Self, &mut DetectScratch) -> Result<()>| -> Result<Duration> {
            let mut total = Duration::ZERO;
            for round in 0..=ROUNDS {
                let begun = Instant::now();
                look(self, &mut scratch)?;
                // The first one gets the memory.
                if round > 0 {
                    total += begun.elapsed().saturating_sub(scratch.preparation());
                }
            }
            Ok(total)
        };
        let (detection, second_look) = (timed(Self::detect)?, timed(Self::look_again)?);
        self.embed()?;
        let cpu = elements::own_cpu()?;
        for _ in 0..ROUNDS {
            self.embed()?;
        }
        let embedding = elements::own_cpu()?.saturating_sub(cpu);
        let share = |time: Duration, count: u64| time.mul_f64(count as f64 / f64::from(ROUNDS));
        let detection = share(detection, whole.detections) + share(second_look, whole.second_looks);
        Ok(Raw { detection, embedding: share(embedding, whole.embeddings) })
    }

    /// The wall time of as many inferences on all cores while the clip is decoded.
    fn beside_decoding(&self, whole: &Whole, video: &Path, cores: usize) -> Result<Duration> {
        let (embeddings, detections) = (AtomicU64::new(whole.embeddings), AtomicU64::new(whole.detections));
        let second_looks = AtomicU64::new(whole.second_looks);
        let take = |left: &AtomicU64| left.fetch_update(Relaxed, Relaxed, |left| left.checked_sub(1)).is_ok();
        let begun = Instant::now();
        std::thread::scope(|scope| {
            let work = |index: usize| {
                let mut scratch = DetectScratch::default();
                // Others than the first would wait for its session.
                while index == 0 && take(&embeddings) {
                    self.embed()?;
                }
                while take(&detections) {
                    self.detect(&mut scratch)?;
                }
                while take(&second_looks) {
                    self.look_again(&mut scratch)?;
                }
                anyhow::Ok(())
            };
            let threads: Vec<_> = (0..cores).map(|index| scope.spawn(move || work(index))).collect();
            decode_once(video)?;
            for thread in threads {
                thread.join().map_err(|_| anyhow::anyhow!("an inference panicked"))??;
            }
            anyhow::Ok(begun.elapsed())
        })
    }
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
