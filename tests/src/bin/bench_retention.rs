//! Measures retention and erasure over the REST API: how fast old detections go while new ones come in, what that does to
//! those who hand them in, and how long it takes to erase a person.
//!
//! Starts servers of its own, on an empty PostgreSQL if `DB_HOST` names one, else on SQLite, and on a bucket of S3 if
//! `STORAGE_URL` names one. All detections are handed in as workers do it, each with a picture.

use std::io::Cursor;
use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use chrono::{TimeDelta, Utc};
use clap::Parser;
use image::{ImageFormat, imageops::FilterType};
use serde_json::{Value, json};
use vedette_tests::api::{Api, FIRST_LOGIN};
use vedette_tests::measure::percentile;
use vedette_tests::server::{Plan, Server, free_port};
use vedette_tests::{checkout, portrait};

const SETTINGS: &str = "workers: {local: false}\nlogging: {rotation: never, level: warn}\n\
                        security: {force_password_change: false, rate_limit: 0}\n\
                        face_recognition: {registration: {min_samples: 1}}\n";
const KEEP: &str = "retention: {detections: 0, snapshots: 0, unknowns: 0}\n";
const REMOVE: &str = "retention: {detections: 90, snapshots: 30, unknowns: 30}\n";
const WORKER_TOKEN: &str = "token of the benchmark";
/// Old detections are older than is kept.
const OLD: TimeDelta = TimeDelta::days(100);
const FILLING_BATCH: usize = 1_000;

/// Measure retention and erasure.
#[derive(Debug, Parser)]
struct Arguments {
    /// Old detections that retention finds
    #[arg(long, default_value_t = 50_000)]
    old: usize,
    /// Detections of the person who is erased
    #[arg(long, default_value_t = 10_000)]
    erased: usize,
    /// Events in a batch, as a worker hands them in
    #[arg(long, default_value_t = 50)]
    batch: usize,
    /// Seconds of ingest without retention, to compare
    #[arg(long, default_value_t = 20)]
    seconds: u64,
}

fn main() -> ExitCode {
    match bench(&Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bench_retention: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn bench(arguments: &Arguments) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let picture = picture()?;
    let server = start(folder.path(), KEEP)?;
    let operator = admin(&server)?;
    let [stays, goes] = [enrol(&operator, "biden.jpg")?, enrol(&operator, "obama.jpg")?];
    let picture_bytes = picture.len();
    let sender = Sender { api: server.api().with_token(WORKER_TOKEN), picture: STANDARD.encode(picture) };

    let started = Instant::now();
    sender.fill(arguments.old, OLD, &stays)?;
    sender.fill(arguments.erased, TimeDelta::zero(), &goes)?;
    let (number, seconds) = (arguments.old + arguments.erased, started.elapsed().as_secs_f64());
    println!("{number} detections with pictures of {picture_bytes} bytes handed in within {seconds:.0} s");

    let end = Instant::now() + Duration::from_secs(arguments.seconds);
    let alone = sender.send_until(arguments.batch, &stays, || Ok(Instant::now() >= end))?;
    print_ingest("alone", &alone, arguments.batch);
    drop(server);

    let server = start(folder.path(), REMOVE)?;
    let sender = Sender { api: server.api().with_token(WORKER_TOKEN), ..sender };
    let is_done = || Ok(figure(&server, "vedette_retention_last_pass_timestamp_seconds")? > 0.0);
    let beside = sender.send_until(arguments.batch, &stays, is_done)?;
    print_ingest("beside retention", &beside, arguments.batch);
    let removed = figure(&server, "vedette_retention_removed_total{what=\"detections\"}")?;
    ensure!(removed >= arguments.old as f64, "{removed} detections were removed, not {}", arguments.old);
    let seconds = figure(&server, "vedette_retention_last_pass_duration_seconds")?;
    println!(
        "retention beside ingest: {:.0} detections/s with their pictures ({removed} in {seconds:.1} s)",
        removed / seconds
    );

    let started = Instant::now();
    admin(&server)?.delete(&format!("/api/persons/{}?erase=true", text(&goes["id"])?))?.expect(204)?;
    let ms = started.elapsed().as_secs_f64() * 1000.0;
    println!("a person with {} detections erased in {ms:.0} ms", arguments.erased);
    Ok(())
}

fn start(folder: &Path, retention: &str) -> Result<Server> {
    let env = vec![
        ("VEDETTE_WORKER_TOKEN".to_owned(), WORKER_TOKEN.to_owned()),
        ("VEDETTE_KEY".to_owned(), "42".repeat(32)),
    ];
    let (folder, overrides) = (folder.to_path_buf(), format!("{SETTINGS}{retention}"));
    Plan { folder, port: free_port()?, overrides, env, own_group: true }.start()
}

fn admin(server: &Server) -> Result<Api> {
    let mut api = server.api();
    api.log_in(FIRST_LOGIN.0, FIRST_LOGIN.1)?;
    Ok(api)
}

fn enrol(admin: &Api, photo: &str) -> Result<Value> {
    admin.register(photo, &[checkout::media_dir().join(photo)])?.expect(201)
}

fn text(value: &Value) -> Result<&str> {
    value.as_str().with_context(|| format!("{value} is no text"))
}

/// A snapshot of ordinary size.
fn picture() -> Result<Vec<u8>> {
    let portrait = portrait::head_and_shoulders("biden.jpg", 112)?;
    let side = 256;
    let picture = image::imageops::resize(&portrait, side, side, FilterType::Triangle);
    let mut jpeg = Cursor::new(Vec::new());
    picture.write_to(&mut jpeg, ImageFormat::Jpeg)?;
    Ok(jpeg.into_inner())
}

/// One of the figures at `/metrics`.
fn figure(server: &Server, name: &str) -> Result<f64> {
    let answer = server.api().get("/metrics")?;
    let text = String::from_utf8(answer.body)?;
    let value = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    Ok(value.with_context(|| format!("there is no figure {name}"))?.parse()?)
}

/// A worker.
struct Sender {
    api: Api,
    /// What every event shows, in base64.
    picture: String,
}

impl Sender {
    /// Hands in detections of somebody, so long ago.
    fn fill(&self, number: usize, age: TimeDelta, person: &Value) -> Result<()> {
        let mut left = number;
        while left > 0 {
            let size = left.min(FILLING_BATCH);
            self.send(size, age, person)?;
            left -= size;
        }
        Ok(())
    }

    /// Hands in batch after batch, of now, and tells how long each took.
    fn send_until(
        &self,
        size: usize,
        person: &Value,
        mut is_over: impl FnMut() -> Result<bool>,
    ) -> Result<Vec<Duration>> {
        const LOOK: Duration = Duration::from_millis(200);
        let (mut times, mut looked_at) = (Vec::new(), Instant::now());
        loop {
            times.push(self.send(size, TimeDelta::zero(), person)?);
            if looked_at.elapsed() > LOOK {
                if is_over()? {
                    return Ok(times);
                }
                looked_at = Instant::now();
            }
        }
    }

    fn send(&self, size: usize, age: TimeDelta, person: &Value) -> Result<Duration> {
        let batch: Vec<Value> = (0..size).map(|place| self.event(place, age, person)).collect();
        let batch = json!(batch);
        let started = Instant::now();
        let receipt = self.api.post("/api/ingest", &batch)?.expect(200)?;
        ensure!(receipt["accepted"] == size, "not all were new: {receipt}");
        Ok(started.elapsed())
    }

    fn event(&self, place: usize, age: TimeDelta, person: &Value) -> Value {
        json!({
            "event_id": uuid::Uuid::now_v7(), "kind": "recognized", "camera_id": format!("cam_{:02}", place % 20),
            "track_id": place, "timestamp": Utc::now() - age, "stream_time_ms": 41200,
            "bounding_box": { "x": 312, "y": 96, "width": 128, "height": 156 },
            "frame": { "width": 1280, "height": 720 }, "confidence": 0.93, "quality": 0.81,
            "person": { "id": person["id"], "name": person["name"], "similarity": 0.71, "margin": 0.2 },
            "snapshot": self.picture,
        })
    }
}

fn print_ingest(how: &str, times: &[Duration], batch: usize) {
    let mut sorted = times.to_vec();
    sorted.sort_unstable();
    let seconds = times.iter().sum::<Duration>().as_secs_f64();
    let ms = |share: f64| percentile(&sorted, share).as_secs_f64() * 1000.0;
    println!(
        "ingest {how}: {:.0} events/s; a batch of {batch}: median {:.1} ms, p99 {:.1} ms, slowest {:.1} ms",
        (times.len() * batch) as f64 / seconds,
        ms(0.5),
        ms(0.99),
        ms(1.0),
    );
}
