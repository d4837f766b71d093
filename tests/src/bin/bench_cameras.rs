//! Many cameras in one process: `bench_cameras [CLIP.mp4]`. What each adds in memory, whether together they do as many
//! frames as one alone, and whether each gets its share. Every camera plays the same clip, as fast as it may.

use std::{path::PathBuf, process::ExitCode, time::Duration};

use anyhow::{Context as _, Result};
use vedette_tests::{elements, material::Material, processes};

const CAMERAS: [usize; 5] = [1, 2, 4, 8, 16];

fn main() -> ExitCode {
    // Each number of cameras has a process of its own: memory that was given back would hide what is needed.
    let outcome = match std::env::var("CAMERAS").ok().and_then(|count| count.parse().ok()) {
        Some(count) => cameras(count),
        None => all(),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bench_cameras: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn all() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let clip = std::env::args_os().nth(1).map(PathBuf::from);
    let material = Material::find(clip.as_deref(), folder.path())?;
    let gallery = material.gallery(folder.path())?;
    let Material { video, truth, .. } = material;
    println!(
        "{} × {}, {} frames a camera, every second one looked at",
        truth.width, truth.height, truth.frames
    );
    println!("cameras    fps together   of one    memory    per further camera   slowest camera's share");
    let mut first = None;
    for count in CAMERAS {
        let output = std::process::Command::new(std::env::current_exe()?)
            .env("CAMERAS", count.to_string())
            .env("CLIP", &video)
            .env("GALLERY", &gallery)
            .output()?;
        let line = String::from_utf8_lossy(&output.stdout).into_owned();
        let mut numbers = line.split_whitespace().map_while(|number| number.parse::<f64>().ok());
        let mut next = || {
            let complaint = String::from_utf8_lossy(&output.stderr).into_owned();
            numbers.next().with_context(|| format!("{count} cameras: {complaint}"))
        };
        let (frames_per_s, memory_mib, share) = (next()?, next()?, next()?);
        let (first_fps, first_mib) = *first.get_or_insert((frames_per_s, memory_mib));
        let per_camera = (memory_mib - first_mib) / (count.max(2) - 1) as f64;
        println!(
            "{count:7}  {frames_per_s:12.1}  {:6.0} %  {memory_mib:5.0} MB  {per_camera:15.1} MB  {:20.0} %",
            100.0 * frames_per_s / first_fps,
            100.0 * share
        );
    }
    Ok(())
}

/// Plays that many cameras and prints frames a second, memory in MB, and the slowest camera's share of the mean.
fn cameras(count: usize) -> Result<()> {
    elements::load()?;
    let variable = |name: &str| std::env::var(name).with_context(|| format!("{name} is not set"));
    let (clip, gallery) = (variable("CLIP")?, variable("GALLERY")?);
    let launch = format!(
        "filesrc location={clip} ! decodebin ! facedetect name=detect inference-interval=2 ! facetrack ! faceembed ! \
         facematch gallery={gallery} ! eventsink name=sink uri=file:///dev/null dedup-window=0 camera-id=clip sync=false"
    );
    let pipelines = (0..count).map(|_| elements::pipeline(&launch)).collect::<Result<Vec<_>>>()?;
    let started = pipelines.clone();
    let (halfway, stop) = std::sync::mpsc::channel::<()>();
    // How far each has come once the fastest one is through half of its clip.
    let watcher = std::thread::spawn(move || {
        let frames = |pipeline: &gst::Pipeline| elements::count(pipeline, "sink", "frames");
        loop {
            let counts: Vec<u64> = started.iter().map(frames).collect();
            let most = counts.iter().max().copied().unwrap_or_default();
            let is_over = stop.recv_timeout(Duration::from_millis(20))
                != Err(std::sync::mpsc::RecvTimeoutError::Timeout);
            if most >= 300 || is_over {
                let mean = counts.iter().sum::<u64>() as f64 / counts.len().max(1) as f64;
                return counts.iter().min().copied().unwrap_or_default() as f64 / mean.max(1.0);
            }
        }
    });
    let cost = elements::play(&pipelines)?;
    drop(halfway);
    let share = watcher.join().ok().context("nobody watched")?;
    let frames: u64 = pipelines.iter().map(|pipeline| elements::count(pipeline, "sink", "frames")).sum();
    let memory_kib = processes::peak_memory_kib(std::process::id()).context("memory is not known")?;
    println!("{} {} {share}", frames as f64 / cost.wall.as_secs_f64(), memory_kib / 1024);
    elements::stop(&pipelines);
    Ok(())
}
