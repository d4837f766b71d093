//! `make bench-http`: Vedette's control plane against the FastAPI server in `tests/peers`, on one database and the same
//! models, in one run; and the memory the control plane takes while nothing happens.
//!
//! Both answer the same questions in turns, over connections that are kept open; before that it is checked that they
//! answer the same things. Neither writes a line for each request. The questions come from this process, which
//! takes its share of the same processor: the faster server loses more by it.

use std::{
    fs,
    io::Cursor,
    path::Path,
    process::{Command, ExitCode},
    thread,
    time::Duration,
};

use anyhow::{Context as _, Result, bail, ensure};
use chrono::DateTime;
use clap::Parser;
use image::{codecs::jpeg::JpegEncoder, imageops};
use serde_json::Value;
use vedette_tests::{
    api::{Api, FIRST_LOGIN, wait_for},
    checkout,
    load::{Load, Question, drive},
    peer::{Peer, PeerOptions},
    processes,
    server::{Plan, Server, free_port},
};

/// No camera is run and nobody is held back.
const OVERRIDES: &str = "workers: {local: false}\nlogging: {level: warn, rotation: never}\n\
                         security: {force_password_change: false, rate_limit: 0}\n\
                         retention: {detections: 0, snapshots: 0, unknowns: 0}\n";
const JWT_SECRET: &str = "a secret for a benchmark, at least 32 characters";
const LIST: &str = "/api/detections";
/// Person in the picture, and photos to know her by.
const ENROLLED: [&str; 3] = ["obama.jpg", "obama2.jpg", "obama3.jpg"];
const PICTURE: &str = "obama3.jpg";
const PICTURE_SIZE: (u32, u32) = (640, 480);
/// A figure is read after the server has been left alone for so long.
const PAUSE: Duration = Duration::from_secs(5);
const READY_TIMEOUT: Duration = Duration::from_secs(60);

/// Compare Vedette's control plane with a FastAPI server, and measure its idle memory.
#[derive(Debug, Parser)]
struct Arguments {
    /// Detections in the database, over 30 days
    #[arg(long, default_value_t = 100_000)]
    rows: u64,
    /// Seconds each server is asked one question, all turns together
    #[arg(long, default_value_t = 12)]
    seconds: u64,
    /// Turns each server has at one question
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..))]
    turns: u32,
    /// Connections for what the database answers
    #[arg(long, default_value_t = 16)]
    connections: usize,
    /// Connections for pictures; a single one is measured, too
    #[arg(long, default_value_t = 4)]
    picture_connections: usize,
    /// Processes of the FastAPI server, each with its own models
    #[arg(long, default_value_t = 1)]
    peer_processes: usize,
    /// Cores the FastAPI server spreads one inference over; 0 = all, as InsightFace has it
    #[arg(long, default_value_t = 0)]
    peer_threads: usize,
    /// Measure idle memory only
    #[arg(long)]
    memory_only: bool,
}

fn main() -> ExitCode {
    match bench(&Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bench_http: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn bench(arguments: &Arguments) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let picture = picture()?;
    if !arguments.memory_only {
        compare(arguments, &folder.path().join("http"), &picture)?;
    }
    idle_memory(&folder.path().join("memory"), &picture)
}

/// A JPEG of the size with one face in it.
fn picture() -> Result<Vec<u8>> {
    let path = checkout::media_dir().join(PICTURE);
    let photo = image::open(&path).with_context(|| format!("cannot read {}", path.display()))?.into_rgb8();
    let (width, height) = PICTURE_SIZE;
    let upper_part = imageops::crop_imm(&photo, 0, 0, photo.width(), photo.width() * height / width);
    let scaled = imageops::resize(&upper_part.to_image(), width, height, imageops::FilterType::CatmullRom);
    let mut jpeg = Cursor::new(Vec::new());
    scaled.write_with_encoder(JpegEncoder::new_with_quality(&mut jpeg, 90))?;
    Ok(jpeg.into_inner())
}

fn compare(arguments: &Arguments, folder: &Path, picture: &[u8]) -> Result<()> {
    let plan = Plan {
        folder: folder.to_path_buf(),
        port: free_port()?,
        overrides: OVERRIDES.to_owned(),
        env: vec![("JWT_SECRET".to_owned(), JWT_SECRET.to_owned())],
        own_group: true,
    };
    seed(&plan.data_dir(), arguments.rows)?;
    let data_dir = plan.data_dir();
    let server = plan.start()?;
    let mut api = server.api();
    api.log_in(FIRST_LOGIN.0, FIRST_LOGIN.1)?;
    enrol(&api)?;
    let token = api.token().context("the server gave no token")?;
    let options = PeerOptions { processes: arguments.peer_processes, threads: arguments.peer_threads };
    let peer = Peer::start(folder, &data_dir, JWT_SECRET, options)?;
    check_answers(&api, &peer.api().with_token(token), picture)?;

    let health = Question::get("/api/health", token)?;
    let list = Question::get(LIST, token)?;
    let detect = Question::post_file("/api/detect", token, "image", picture)?;
    let rows = arguments.rows;
    let questions = [
        ("health".to_owned(), &health, arguments.connections),
        (format!("list of {rows} detections"), &list, arguments.connections),
        ("detect, one at a time".to_owned(), &detect, 1),
        (
            format!("detect, {} at a time", arguments.picture_connections),
            &detect,
            arguments.picture_connections,
        ),
    ];
    println!("{:<26} {:>10}  {:>9}  {:>9}", "", "requests/s", "p50", "p99");
    for (name, question, connections) in questions {
        let (vedette, python) = in_turns(arguments, (&server, &peer), question, connections)?;
        println!("{name}, {connections} connections");
        print_figures("  vedette", &vedette);
        print_figures("  fastapi", &python);
        println!("  ratio {:30.1} ×", vedette.rate() / python.rate());
    }
    Ok(())
}

fn seed(data_dir: &Path, rows: u64) -> Result<()> {
    fs::create_dir_all(data_dir)?;
    let seeded = Command::new(checkout::built("seed")?)
        .args(["--rows", &rows.to_string(), "--days", "30", "--people", "500"])
        .env("VEDETTE_DATA_DIR", data_dir)
        .env_remove("DB_HOST")
        .output()?;
    ensure!(seeded.status.success(), "`seed` fails: {}", String::from_utf8_lossy(&seeded.stderr).trim());
    Ok(())
}

fn enrol(api: &Api) -> Result<()> {
    let photos = ENROLLED.map(|photo| checkout::media_dir().join(photo));
    api.register("Barack Obama", &photos)?.expect(201)?;
    Ok(())
}

/// Asks one server, then the other, until each has had its turns. The first moments of a turn do not count.
fn in_turns(
    arguments: &Arguments,
    (server, peer): (&Server, &Peer),
    question: &Question,
    connections: usize,
) -> Result<(Load, Load)> {
    const WARM_UP: Duration = Duration::from_secs(1);
    let duration = Duration::from_secs(arguments.seconds) / arguments.turns;
    let (mut vedette, mut python) = (Load::default(), Load::default());
    for _ in 0..arguments.turns {
        for (port, load) in [(server.plan().port, &mut vedette), (peer.port(), &mut python)] {
            drive(port, question, connections, WARM_UP)?;
            load.add(drive(port, question, connections, duration)?);
        }
    }
    Ok((vedette, python))
}

fn print_figures(who: &str, load: &Load) {
    let ms = |share: f64| load.latency(share).as_secs_f64() * 1000.0;
    println!("{who:<26} {:10.0}  {:6.2} ms  {:6.2} ms", load.rate(), ms(0.5), ms(0.99));
}

/// What both answer must be the same, or they do different work.
fn check_answers(vedette: &Api, python: &Api, picture: &[u8]) -> Result<()> {
    let ask = |api: &Api| -> Result<(Value, Value)> {
        let list = api.get(LIST)?.expect(200)?;
        let faces = api.post_picture("/api/detect", "image", picture)?.expect(200)?;
        Ok((list, faces))
    };
    let ((ours, our_faces), (theirs, their_faces)) = (ask(vedette)?, ask(python)?);
    if let Some(difference) = difference(&ours, &theirs) {
        bail!("the lists differ: {difference}");
    }
    let faces = |answer: &Value| answer["faces"].as_array().map_or(0, Vec::len);
    ensure!(faces(&our_faces) == 1 && faces(&their_faces) == 1, "not one face: {our_faces} {their_faces}");
    let (our_face, their_face) = (&our_faces["faces"][0], &their_faces["faces"][0]);
    let is_named = !our_face["person"].is_null() && our_face["person"]["id"] == their_face["person"]["id"];
    let sides = ["x", "y", "width", "height"];
    let pixel = |face: &Value, side: &str| face["bounding_box"][side].as_f64().unwrap_or(f64::NAN);
    let is_there = sides.iter().all(|side| (pixel(our_face, side) - pixel(their_face, side)).abs() <= 2.0);
    ensure!(is_named && is_there, "the faces differ:\n{our_face}\n{their_face}");
    Ok(())
}

/// Where two answers differ first, if they do. How times and numbers are written does not matter.
fn difference(one: &Value, other: &Value) -> Option<String> {
    match (one, other) {
        (Value::Object(one), Value::Object(other)) if one.keys().eq(other.keys()) => {
            let mut fields = one.iter().zip(other.values());
            fields.find_map(|((key, one), other)| Some(format!("{key}: {}", difference(one, other)?)))
        }
        (Value::Array(one), Value::Array(other)) if one.len() == other.len() => {
            let mut entries = one.iter().zip(other).enumerate();
            entries.find_map(|(index, (one, other))| Some(format!("{index}: {}", difference(one, other)?)))
        }
        _ => (!is_same(one, other)).then(|| format!("{one} and {other}")),
    }
}

fn is_same(one: &Value, other: &Value) -> bool {
    if let (Some(one), Some(other)) = (one.as_f64(), other.as_f64()) {
        return (one - other).abs() < 1e-6;
    }
    let time = |value: &Value| DateTime::parse_from_rfc3339(value.as_str()?).ok();
    one == other || time(one).is_some_and(|one| time(other) == Some(one))
}

/// With the configuration Vedette ships with, but for the port: no camera, its own worker.
fn idle_memory(folder: &Path, picture: &[u8]) -> Result<()> {
    let plan = Plan {
        folder: folder.to_path_buf(),
        port: free_port()?,
        overrides: "{}\n".to_owned(),
        env: Vec::new(),
        own_group: true,
    };
    let server = plan.start()?;
    let mut api = server.api();
    wait_for("the models", READY_TIMEOUT, || {
        let health = api.get("/api/health")?.expect(200)?;
        let is_ready = health["face_detector"] == "initialized" && health["workers"]["connected"] == 1;
        Ok(is_ready.then_some(()))
    })?;
    println!("resident memory without cameras, default configuration");
    print_memory(&server, "ready", PAUSE)?;
    for file in page()? {
        ensure!(api.get(&file)?.status == 200, "there is no page `{file}`");
    }
    print_memory(&server, "after a page was loaded", PAUSE)?;
    let password = "a password of the benchmark 9";
    api.log_in(FIRST_LOGIN.0, FIRST_LOGIN.1)?;
    api.change_password(FIRST_LOGIN.0, FIRST_LOGIN.1, password)?;
    print_memory(&server, "after signing in", PAUSE)?;
    api.post_picture("/api/detect", "image", picture)?.expect(200)?;
    print_memory(&server, "after the first picture", PAUSE)?;
    Ok(())
}

/// Everything the dashboard's page loads.
fn page() -> Result<Vec<String>> {
    let mut files = vec!["/".to_owned()];
    for folder in ["scripts", "styles"] {
        for entry in fs::read_dir(checkout::root().join("frontend").join(folder))? {
            files.push(format!("/{folder}/{}", entry?.file_name().to_string_lossy()));
        }
    }
    Ok(files)
}

fn print_memory(server: &Server, when: &str, pause: Duration) -> Result<()> {
    thread::sleep(pause);
    let mib = |pid: u32| processes::memory_kib(pid).map(|kib| kib as f64 / 1024.0);
    let own = mib(server.pid()).context("the server is gone")?;
    let worker: f64 = server.workers().into_iter().filter_map(mib).sum();
    println!("  {when:<26} control plane {own:5.0} MB, its worker {worker:5.0} MB");
    Ok(())
}
