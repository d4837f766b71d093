//! `make bench`: the whole pipeline against the loop of the Python app Vedette replaces, on one clip, in one run.
//!
//! The Python side and its clip are not part of the checkout: without them the elements alone are measured, on a
//! clip made here.

use std::{
    fs,
    path::{Path, PathBuf},
    process::ExitCode,
    time::Duration,
};

use anyhow::{Context as _, Result, ensure};
use vedette_models::pack::Role;
use vedette_tests::{
    checkout,
    material::Material,
    measure::{self, Run},
    python,
    terminal::{find_photo, recognise, sightings},
};

fn main() -> ExitCode {
    match bench() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bench: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn bench() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let shared = checkout::shared_dir();
    let material = Material::find(None, folder.path())?;
    let truth = &material.truth;
    println!(
        "{}: {} frames, {} × {}, {} people enrolled, {} appearances; every second frame is analysed",
        material.video.file_name().unwrap_or_default().display(),
        truth.frames,
        truth.width,
        truth.height,
        truth.enroll.len(),
        truth.appearances.len()
    );

    let python_fps = match shared.as_deref().map(|shared| python_loop(shared, &material, folder.path())) {
        Some(Ok(fps)) => Some(fps),
        Some(Err(error)) => {
            println!("python   skipped: {error:#}");
            None
        }
        None => {
            println!("python   skipped: VEDETTE_SHARED names no folder with the Python app's loop");
            None
        }
    };
    let gallery = material.gallery(folder.path())?;
    let ratio = |fps: f64| {
        if let Some(python_fps) = python_fps {
            println!("ratio    {:.2} × the Python app's video frames per second", fps / python_fps);
        }
    };
    ratio(elements(&material, &gallery, "", folder.path())?);
    if let Some(detector) = shared.as_deref().map(loops_detector).filter(|file| file.is_file()) {
        println!("with the detector and the input of the Python app's loop (SCRFD-500M at 640 × 640):");
        let detector = format!("model={}", detector.canonicalize()?.display());
        ratio(elements(&material, &gallery, &detector, folder.path())?);
    }
    Ok(())
}

/// The elements, from the file to the last event: start, loading of models and decoding included.
fn elements(material: &Material, gallery: &str, detector: &str, folder: &Path) -> Result<f64> {
    let (run, events) = recognise(&material.video, gallery, detector, folder)?;
    let score = material.truth.score(&sightings(&events));
    let fps = f64::from(material.truth.frames) / run.wall.as_secs_f64();
    report("vedette", fps, run.cpu, run.peak_memory_kib / 1024, &score.to_string());
    score.mistakes.iter().for_each(|mistake| println!("         {mistake}"));
    Ok(fps)
}

fn report(who: &str, fps: f64, cpu: Duration, memory_mib: u64, names: &str) {
    let cpu_s = cpu.as_secs_f64();
    println!("{who:<8} {fps:6.1} video fps, {cpu_s:5.1} CPU s, {memory_mib:4} MB at most, {names}");
}

fn loops_detector(shared: &Path) -> PathBuf {
    shared.join("data/models/scrfd_500m_kps.onnx")
}

/// The Python app's loop, by its own account, which leaves start and loading of models out.
fn python_loop(shared: &Path, material: &Material, folder: &Path) -> Result<f64> {
    let script = shared.join("tools/python_app_loop.py");
    let detector = loops_detector(shared);
    for file in [&script, &detector] {
        ensure!(file.is_file(), "{} is not there", file.display());
    }
    let embedder = folder.join("sface.onnx");
    python::write_plain_model(Role::Embedder, &embedder)?;

    // The loop looks in one folder.
    let photos = folder.join("photos");
    fs::create_dir(&photos)?;
    for photo in material.truth.enroll.values().flatten() {
        fs::copy(find_photo(&material.photo_dirs, photo)?, photos.join(photo))?;
    }
    let mut command = python::command()?;
    command.arg(&script).arg(material.video.with_extension("")).arg(&photos).arg(&detector).arg(&embedder);
    let run = measure::run(command.args(["--skip", "2"]))?.succeeded("the Python app's loop")?;
    let figures = PythonFigures::parse(&run)?;
    report("python", figures.fps, figures.cpu, run.peak_memory_kib / 1024, &figures.names);
    Ok(figures.fps)
}

/// `30.7 video fps, 43.0 CPU s, 400 MB, 900 faces embedded; named rightly 6/6, strangers named 0/8`
struct PythonFigures {
    fps: f64,
    cpu: Duration,
    names: String,
}

impl PythonFigures {
    fn parse(run: &Run) -> Result<Self> {
        let line = run.stdout.lines().last().unwrap_or_default();
        let number_before = |unit: &str| {
            let before = line.split(unit).next().filter(|before| before.len() < line.len())?;
            before.trim().rsplit(' ').next()?.parse::<f64>().ok()
        };
        let figures = || {
            let cpu = Duration::try_from_secs_f64(number_before("CPU s")?).ok()?;
            let names = line.split("; ").nth(1)?.to_owned();
            Some(Self { fps: number_before("video fps")?, cpu, names })
        };
        figures().with_context(|| format!("no figures in `{line}`"))
    }
}
