//! The elements as one uses them at a terminal: a gallery from folders of photos, `gst-launch-1.0`, events on stdout.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{Context as _, Result, ensure};
use vedette_events::{EventKind, FaceEvent};

use crate::{
    checkout,
    measure::{self, Run},
    truth::{Sighting, Truth},
};

/// A GStreamer tool that knows this build's elements; its registry lies in `folder`.
///
/// # Errors
/// When the elements are not built.
pub fn gst_command(program: &str, folder: &Path) -> Result<Command> {
    let plugin = checkout::built("libgstvedette.so")?;
    let mut command = Command::new(program);
    command
        .env("GST_PLUGIN_PATH", plugin.parent().unwrap_or(&plugin))
        .env("GST_REGISTRY", folder.join("registry"))
        .stdin(Stdio::null());
    Ok(command)
}

/// Everyone a clip knows, as one folder of photos for each person under `folder`; photos come from the first of
/// `photo_dirs` that has them.
///
/// # Errors
/// When a photo is missing or cannot be copied.
pub fn lay_out_people(truth: &Truth, photo_dirs: &[PathBuf], folder: &Path) -> Result<()> {
    for (name, photos) in &truth.enroll {
        let person = folder.join(name);
        fs::create_dir_all(&person)?;
        for photo in photos {
            let source = find_photo(photo_dirs, photo)?;
            fs::copy(&source, person.join(photo))
                .with_context(|| format!("cannot copy {}", source.display()))?;
        }
    }
    Ok(())
}

/// A photo in the first of `photo_dirs` that has it.
///
/// # Errors
/// When none has.
pub fn find_photo(photo_dirs: &[PathBuf], photo: &str) -> Result<PathBuf> {
    let candidates = photo_dirs.iter().map(|dir| dir.join(photo));
    candidates.into_iter().find(|path| path.is_file()).with_context(|| format!("there is no photo `{photo}`"))
}

/// Makes a gallery file of folders of photos and returns its URI.
///
/// # Errors
/// When `vedette gallery build` fails.
pub fn build_gallery(people: &Path, out: &Path) -> Result<String> {
    let output = Command::new(checkout::built("vedette")?)
        .args(["gallery", "build"])
        .arg(people)
        .arg("--out")
        .arg(out)
        .stdin(Stdio::null())
        .output()?;
    ensure!(output.status.success(), "gallery build: {}", String::from_utf8_lossy(&output.stderr));
    Ok(format!("file://{}", out.display()))
}

/// Every second frame of `video` through all the elements, `facedetect` with what `detector` sets; what it cost, and the
/// events.
///
/// # Errors
/// When the pipeline fails or prints anything but events.
pub fn recognise(
    video: &Path,
    gallery: &str,
    detector: &str,
    folder: &Path,
) -> Result<(Run, Vec<FaceEvent>)> {
    let line = format!(
        "filesrc location={} ! decodebin ! facedetect inference-interval=2 {detector} ! facetrack ! faceembed ! \
         facematch gallery={gallery} ! eventsink uri=stdout: dedup-window=0 camera-id=clip sync=false",
        video.display()
    );
    // A machine's first pipeline looks through all plugins and writes down what there is; that is not this clip's cost.
    gst_command("gst-inspect-1.0", folder)?.arg("vedettefacedetect").output()?;
    let run = measure::run(gst_command("gst-launch-1.0", folder)?.arg("-q").args(line.split_whitespace()))?
        .succeeded("gst-launch-1.0")?;
    let event = |line: &str| serde_json::from_str(line).with_context(|| format!("this is no event: {line}"));
    let events = run.stdout.lines().map(event).collect::<Result<_>>()?;
    Ok((run, events))
}

/// What events say about who was seen where and when.
pub fn sightings(events: &[FaceEvent]) -> Vec<Sighting> {
    let present = events.iter().filter(|event| event.kind != EventKind::Left);
    let sighting = |event: &FaceEvent| Sighting {
        time_s: event.stream_time_ms as f64 / 1000.0,
        centre_y: f64::from(event.bounding_box.y) + f64::from(event.bounding_box.height) / 2.0,
        name: event.person.as_ref().map(|person| person.name.clone()),
    };
    present.map(sighting).collect()
}
