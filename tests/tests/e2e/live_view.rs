//! Looking at a camera while it runs: what its worker sees and knows, at once, and nothing made for nobody.

use std::io::{BufRead, BufReader, Read};
use std::time::{Duration, SystemTime};

use anyhow::{Context as _, Result, bail, ensure};
use chrono::{DateTime, Utc};
use vedette_tests::api::{Api, wait_for};
use vedette_tests::clip::{Clip, KNOWN};

use crate::scene::{PATIENCE, Scene};

/// What `faceoverlay` draws around people it knows.
const GREEN: [u8; 3] = [46, 204, 113];
/// Pictures that say that there is none, one after the other, before that is a failure.
const MOST_DARK: usize = 12;
/// Pictures that are looked at.
const PICTURES: usize = 60;

/// Somebody who looks.
struct Viewer(BufReader<Box<dyn Read>>);

impl Viewer {
    fn of(api: &Api, path: &str) -> Result<Self> {
        let token = api.token().context("nobody is signed in")?;
        let request = ureq::get(api.url(path)).header("Authorization", format!("Bearer {token}"));
        Ok(Self(BufReader::new(Box::new(request.call()?.into_body().into_reader()))))
    }

    /// The next picture with the time of its frame; none of those that say that there is none.
    fn next(&mut self) -> Result<(image::RgbImage, DateTime<Utc>)> {
        for _ in 0..MOST_DARK {
            let (mut length, mut timestamp) = (None, None);
            loop {
                let mut line = String::new();
                ensure!(self.0.read_line(&mut line)? > 0, "the pictures end");
                match line.trim_end().split_once(": ") {
                    Some(("Content-Length", value)) => length = Some(value.parse()?),
                    Some(("X-Timestamp", value)) => timestamp = Some(value.parse()?),
                    None if length.is_some() => break,
                    _ => (),
                }
            }
            let mut picture = vec![0; length.context("a picture without a length")?];
            self.0.read_exact(&mut picture)?;
            if let Some(timestamp) = timestamp {
                return Ok((image::load_from_memory(&picture)?.to_rgb8(), timestamp));
            }
        }
        bail!("no picture comes")
    }
}

/// Pixels of that colour, as well as JPEG keeps it.
fn green_pixels(picture: &image::RgbImage) -> usize {
    let is_near = |pixel: &image::Rgb<u8>| pixel.0.iter().zip(GREEN).all(|(a, b)| a.abs_diff(b) < 30);
    picture.pixels().filter(|pixel| is_near(pixel)).count()
}

fn figure(api: &Api, name: &str) -> Result<u64> {
    let text = String::from_utf8(api.get("/metrics")?.body)?;
    let value = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    Ok(value.with_context(|| format!("no {name} in {text}"))?.parse()?)
}

#[test]
fn who_looks_sees_names_at_once_and_for_nobody_nothing_is_made() -> Result<()> {
    let scene = Scene::set()?;
    let (video, truth) = scene.clip("long", &Clip::one_long_track(8.0))?;
    scene.enrol(&truth)?;
    scene.start_camera("cam", &video, true)?;
    scene.await_status("cam", "running")?;
    scene.await_detection("the known person", "cam", |detection| detection["person_name"] == KNOWN)?;
    assert_eq!(figure(&scene.api, "vedette_live_pictures_total")?, 0);

    let mut viewer = Viewer::of(&scene.api, "/api/cameras/cam/live")?;
    let (mut delays, mut named) = (Vec::new(), 0);
    for _ in 0..PICTURES {
        let (picture, timestamp) = viewer.next()?;
        let delay = DateTime::<Utc>::from(SystemTime::now()) - timestamp;
        delays.push(delay.to_std().context("a picture of the future")?);
        ensure!(picture.dimensions() == (1280, 720), "{:?}", picture.dimensions());
        named += usize::from(green_pixels(&picture) > 500);
    }
    delays.sort();
    println!("pictures are {:?} behind, {:?} at worst", delays[PICTURES / 2], delays[PICTURES - 1]);
    println!("the known person is named in {named} of {PICTURES} pictures");
    ensure!(delays[PICTURES / 2] < Duration::from_secs(1), "{delays:?}");
    ensure!(named > PICTURES / 4, "named in {named} pictures");
    let mut small = Viewer::of(&scene.api, "/api/cameras/cam/live?max_side=320")?;
    ensure!(small.next()?.0.dimensions() == (320, 180));

    drop((viewer, small));
    wait_for("nobody to look", PATIENCE, || {
        Ok((figure(&scene.api, "vedette_live_viewers")? == 0).then_some(()))
    })?;
    wait_for("fifty frames without a picture", PATIENCE, || {
        let (frames, pictures) = figures(&scene)?;
        wait_for("fifty frames", PATIENCE, || Ok((figures(&scene)?.0 >= frames + 50).then_some(())))?;
        Ok((figures(&scene)?.1 == pictures).then_some(()))
    })
}

/// Frames that were analysed, and live pictures made of them.
fn figures(scene: &Scene) -> Result<(u64, u64)> {
    let frames = figure(&scene.api, "vedette_camera_frames_total{camera=\"cam\"}")?;
    Ok((frames, figure(&scene.api, "vedette_live_pictures_total")?))
}

#[test]
fn a_camera_that_stops_is_seen_to_stop() -> Result<()> {
    let scene = Scene::set()?;
    let camera = serde_json::json!({
        "id": "cam", "url": "test://?width=640&height=360&fps=10",
        "settings": { "masks": [[[0.0, 0.0], [0.5, 0.0], [0.5, 1.0], [0.0, 1.0]]] }
    });
    scene.api.post("/api/cameras", &camera)?.expect(201)?;
    scene.api.post("/api/cameras/cam/start", &serde_json::json!({}))?.expect(200)?;
    scene.await_status("cam", "running")?;
    let mut viewer = Viewer::of(&scene.api, "/api/cameras/cam/live")?;
    let (picture, _) = viewer.next()?;
    let brightness = |x: u32| picture.get_pixel(x, 100).0.iter().map(|value| u32::from(*value)).sum::<u32>();
    assert!(brightness(40) < 30 && brightness(400) > 100, "{} {}", brightness(40), brightness(400));

    scene.api.post("/api/cameras/cam/stop", &serde_json::json!({}))?.expect(200)?;
    for _ in 0..1000 {
        if viewer.next().is_err() {
            return Ok(());
        }
    }
    bail!("pictures of a camera that was stopped go on")
}
