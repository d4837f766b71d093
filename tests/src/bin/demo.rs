//! The demo behind `make run`: a server, one enrolled person and a camera that sees that person and two strangers.
//!
//! Everything lies in one folder (`data/demo`), so the second run starts where the first stopped. The camera is a
//! clip made on the spot and played again and again.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    fs,
    io::{self, Write as _},
    net::TcpListener,
    path::{Path, PathBuf},
    process::ExitCode,
    sync::mpsc::{Receiver, RecvTimeoutError, channel},
    time::Duration,
};

use anyhow::{Context as _, Result, bail};
use chrono::{DateTime, Local, SecondsFormat, Utc};
use clap::Parser;
use serde_json::{Value, json};
use vedette_tests::{
    api::{Api, FIRST_LOGIN},
    checkout,
    clip::{Clip, KNOWN},
    server::{Plan, Server},
};

const CAMERA_ID: &str = "demo";
const CAMERA_NAME: &str = "Demo camera";
/// The person is out of sight for a few seconds only: a window would swallow every appearance but the first.
const CONFIG_OVERRIDES: &str = "detection:\n  deduplication_window: 0\n";
const POLL_PAUSE: Duration = Duration::from_millis(300);
const CAMERA_TIMEOUT: Duration = Duration::from_secs(60);
/// Similarity from which a name is more than likely.
const SURE_SIMILARITY: f64 = 0.5;

/// Shows Vedette at work on a clip it makes itself.
#[derive(Parser)]
struct Options {
    /// Port of the dashboard and the REST API
    #[arg(long, default_value_t = 8000)]
    port: u16,
    /// Folder for everything the demo writes
    #[arg(long, default_value = "data/demo")]
    data_dir: PathBuf,
    /// End after the first recognised person
    #[arg(long)]
    once: bool,
}

fn main() -> ExitCode {
    let options = Options::parse();
    let outcome = stop_signal().and_then(|stop| match run(&options, &stop) {
        // Ctrl-C reaches the server too: whatever failed for its being gone is no failure.
        Err(_) if stop.try_recv().is_ok() => Ok(()),
        outcome => outcome,
    });
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("demo: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(options: &Options, stop: &Receiver<()>) -> Result<()> {
    if TcpListener::bind(("127.0.0.1", options.port)).is_err() {
        bail!(
            "port {} is taken by another program; choose another one, as in `make run PORT={}`",
            options.port,
            options.port.saturating_add(1)
        );
    }
    fs::create_dir_all(&options.data_dir)
        .with_context(|| format!("cannot make the data folder {}", options.data_dir.display()))?;
    let folder = options.data_dir.canonicalize()?;

    say("making the clip and starting the server …");
    let (video, truth) = Clip::demo().make(&folder.join("clip"))?;
    let plan = Plan {
        folder: folder.clone(),
        port: options.port,
        overrides: CONFIG_OVERRIDES.into(),
        env: Vec::new(),
        own_group: false,
    };
    let mut server = plan.start()?;
    show(&mut server, &folder, &video, &truth.enroll, options.once, stop)?;
    server.stop()
}

/// Sets the scene over the REST API and tells who is seen until it is time to stop.
fn show(
    server: &mut Server,
    folder: &Path,
    video: &Path,
    people: &BTreeMap<String, Vec<String>>,
    once: bool,
    stop: &Receiver<()>,
) -> Result<()> {
    let mut api = server.api();
    let password = log_in(&mut api, &folder.join("login"))?;
    for (name, photos) in people {
        enrol(&api, name, photos)?;
    }
    let started = Utc::now();
    start_camera(&api, video)?;

    say("");
    say(&format!("  Dashboard  {}", api.url("/")));
    say(&format!("  Login      {} / {password}", FIRST_LOGIN.0));
    say("");
    say(&format!("{KNOWN} is enrolled, the others are strangers. Ctrl-C ends it."));
    say("");
    watch(server, &api, started, once, stop)
}

/// A channel that says when Ctrl-C, SIGTERM or the terminal's end asks this program to stop.
fn stop_signal() -> Result<Receiver<()>> {
    let (sender, receiver) = channel();
    let on_signal = move || {
        // Sending fails only when the program is already on its way out.
        let _ = sender.send(());
    };
    ctrlc::set_handler(on_signal).context("cannot listen for Ctrl-C")?;
    Ok(receiver)
}

/// Logs in; the first time the well-known password is replaced by a random one, kept in `login_file`.
fn log_in(api: &mut Api, login_file: &Path) -> Result<String> {
    let (username, first_password) = FIRST_LOGIN;
    let kept = fs::read_to_string(login_file).map(|text| text.trim().to_owned()).ok();
    if let Some(password) = &kept
        && api.log_in(username, password).is_ok()
    {
        return Ok(password.clone());
    }
    api.log_in(username, first_password).with_context(|| {
        format!(
            "neither the password in {} nor the first one is right; remove the folder to begin anew",
            login_file.display()
        )
    })?;
    // Kept before it is set, so that no crash in between loses it.
    let password = kept.unwrap_or_else(random_password);
    write_private(login_file, &password)?;
    api.change_password(username, first_password, &password)?;
    Ok(password)
}

fn random_password() -> String {
    const CHARACTERS: &[u8] = b"abcdefghijkmnpqrstuvwxyzABCDEFGHJKLMNPQRSTUVWXYZ23456789";
    let character = || char::from(CHARACTERS[rand::random_range(0..CHARACTERS.len())]);
    let group = || (0..5).map(|_| character()).collect::<String>();
    // The groups make it easy to type, the last part pleases every rule about passwords.
    format!("{}-{}-{}-{}7", group(), group(), group(), "Vd")
}

fn write_private(path: &Path, text: &str) -> Result<()> {
    use std::os::unix::fs::OpenOptionsExt as _;
    fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(path)
        .and_then(|mut file| writeln!(file, "{text}"))
        .with_context(|| format!("cannot write {}", path.display()))
}

fn enrol(api: &Api, name: &str, photos: &[String]) -> Result<()> {
    let known = api.get("/api/persons?page_size=500")?.expect(200)?;
    let is_there =
        known["items"].as_array().is_some_and(|items| items.iter().any(|item| item["name"] == name));
    if is_there {
        return Ok(());
    }
    let photos: Vec<PathBuf> = photos.iter().map(|photo| checkout::media_dir().join(photo)).collect();
    api.register(name, &photos)?.expect(201)?;
    say(&format!("enrolled {name} with {} photos", photos.len()));
    Ok(())
}

fn start_camera(api: &Api, video: &Path) -> Result<()> {
    let path = format!("/api/cameras/{CAMERA_ID}");
    let camera = json!({
        "id": CAMERA_ID, "name": CAMERA_NAME, "url": format!("file://{}", video.display()), "enabled": true, "loop": true,
    });
    match api.get(&path)?.status {
        404 => api.post("/api/cameras", &camera)?.expect(201)?,
        // The folder may have been moved since.
        _ => api.put(&path, &camera)?.expect(200)?,
    };
    api.post(&format!("{path}/start"), &json!({}))?.expect(200)?;
    vedette_tests::api::wait_for("the camera to run", CAMERA_TIMEOUT, || {
        let camera = api.get(&path)?.expect(200)?;
        match camera["status"].as_str() {
            Some("running") => Ok(Some(())),
            Some("error") => bail!("the camera cannot run: {}", camera["last_error"].as_str().unwrap_or("?")),
            _ => Ok(None),
        }
    })
}

fn watch(
    server: &mut Server,
    api: &Api,
    started: DateTime<Utc>,
    once: bool,
    stop: &Receiver<()>,
) -> Result<()> {
    let mut from = started.to_rfc3339_opts(SecondsFormat::Millis, true);
    let mut teller = Teller::default();
    loop {
        match stop.recv_timeout(POLL_PAUSE) {
            Err(RecvTimeoutError::Timeout) => {}
            Ok(()) | Err(RecvTimeoutError::Disconnected) => {
                say("stopping …");
                return Ok(());
            }
        }
        if let Some(status) = server.exit_status()? {
            bail!("`vedette serve` ended ({status}):\n{}", server.log_tail());
        }
        // A request may fail while the server stops; whether it did is seen in the next round.
        let Ok(detections) = api.detections(CAMERA_ID, Some(&from)) else { continue };
        for detection in teller.news(&detections) {
            say(&line(detection));
            if once && !detection["person_id"].is_null() {
                return Ok(());
            }
        }
        if let Some(last) = detections.last().and_then(|detection| detection["timestamp"].as_str()) {
            from = last.to_owned();
        }
    }
}

/// Remembers what was told, so that nothing is told twice.
#[derive(Default)]
struct Teller {
    /// Detections of the last round: the next one begins with some of them.
    seen: HashSet<String>,
    /// Who each track in sight was said to be.
    told: HashMap<u64, Value>,
}

impl Teller {
    /// The detections that say something new.
    fn news<'a>(&mut self, detections: &'a [Value]) -> Vec<&'a Value> {
        let id = |detection: &Value| detection["id"].as_str().unwrap_or_default().to_owned();
        let unseen = detections.iter().filter(|detection| !self.seen.contains(&id(detection)));
        let news = unseen.filter(|detection| Self::is_news(&mut self.told, detection)).collect();
        if !detections.is_empty() {
            self.seen = detections.iter().map(id).collect();
        }
        news
    }

    fn is_news(told: &mut HashMap<u64, Value>, detection: &Value) -> bool {
        let track = detection["track_id"].as_u64().unwrap_or_default();
        let who = detection["person_id"].clone();
        match detection["kind"].as_str() {
            Some("left") => {
                told.remove(&track);
                false
            }
            // A better picture of someone already told of is none.
            Some("updated") => told.insert(track, who.clone()).is_none_or(|before| before != who),
            _ => {
                told.insert(track, who);
                true
            }
        }
    }
}

/// `12:03:11  Demo camera   Barack Obama   sure (0.71)`
fn line(detection: &Value) -> String {
    let time = detection["timestamp"].as_str().and_then(|time| DateTime::parse_from_rfc3339(time).ok());
    let clock = time.map_or_else(Local::now, |time| time.with_timezone(&Local)).format("%H:%M:%S");
    let (name, how_sure) = match (detection["person_name"].as_str(), detection["similarity"].as_f64()) {
        (Some(name), Some(similarity)) if similarity >= SURE_SIMILARITY => {
            (name, format!("sure ({similarity:.2})"))
        }
        (Some(name), similarity) => (name, format!("likely ({:.2})", similarity.unwrap_or(0.0))),
        (None, _) => ("Unknown", String::new()),
    };
    format!("{clock}  {CAMERA_NAME}   {name:<14} {how_sure}").trim_end().to_owned()
}

fn say(line: &str) {
    // Someone may have closed the pipe this is written into; the demo goes on.
    let _ = writeln!(io::stdout(), "{line}").and_then(|()| io::stdout().flush());
}
