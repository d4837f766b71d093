//! How soon an alert is told, and what becomes of alerts while a receiver is away.
//!
//! Events are handed in one by one, as cameras would; each makes an alert that is posted to a webhook and published to a
//! real MQTT broker (mosquitto, where it is installed). The delay is the time from sending the event to having the alert.
//! Then the webhook's receiver goes away, events go on, and it comes back.

use std::{
    collections::HashMap,
    fs,
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{TcpListener, TcpStream},
    path::Path,
    process::{Child, Command, ExitCode, Stdio},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail, ensure};
use chrono::Utc;
use clap::Parser;
use serde_json::{Value, json};
use uuid::Uuid;
use vedette_tests::{
    api::{Api, FIRST_LOGIN, wait_for},
    measure::percentile,
    server::{Plan, free_port},
};

const OVERRIDES: &str = "workers: {local: false}\nlogging: {level: error, rotation: never}\n\
                         security: {force_password_change: false, rate_limit: 0}\n";
const WORKER_TOKEN: &str = "worker token of the benchmark";
const TOPIC: &str = "vedette/alerts";
const TIMEOUT: Duration = Duration::from_secs(120);
/// How long a receiver's thread sleeps when nobody connects.
const IDLE: Duration = Duration::from_micros(200);

/// Measure the delay from an event to its alert, over webhook and MQTT, and what an absent receiver costs.
#[derive(Debug, Parser)]
struct Arguments {
    /// Events of the first part
    #[arg(long, default_value_t = 500)]
    events: usize,
    /// Pause between events, in milliseconds
    #[arg(long, default_value_t = 20)]
    pause_ms: u64,
    /// Seconds the receiver is away
    #[arg(long, default_value_t = 60)]
    away_s: u64,
}

fn main() -> ExitCode {
    match bench(&Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bench_alerts: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// When alerts came, by the track number of their event, which is told as the camera's name.
#[derive(Clone, Default)]
struct Arrivals(Arc<Mutex<HashMap<String, Vec<Instant>>>>);

impl Arrivals {
    fn note(&self, message: &Value) {
        let now = Instant::now();
        let camera = message["alert"]["camera_id"].as_str().unwrap_or_default().to_owned();
        self.lock().entry(camera).or_default().push(now);
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<String, Vec<Instant>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until every one of `sent` is there.
    fn wait_for(&self, sent: &HashMap<String, Instant>) -> Result<()> {
        wait_for("all alerts", TIMEOUT, || {
            let arrived = self.lock();
            Ok(sent.keys().all(|camera| arrived.contains_key(camera)).then_some(()))
        })
    }

    /// Times from sending to the first arrival, sorted.
    fn delays(&self, sent: &HashMap<String, Instant>) -> Vec<Duration> {
        let arrived = self.lock();
        let delay =
            |(camera, sent): (&String, &Instant)| Some(arrived.get(camera)?.first()?.duration_since(*sent));
        let mut delays: Vec<Duration> = sent.iter().filter_map(delay).collect();
        delays.sort();
        delays
    }

    /// How many of `sent` came more than once.
    fn doubled(&self, sent: &HashMap<String, Instant>) -> usize {
        let arrived = self.lock();
        sent.keys().filter(|camera| arrived.get(*camera).is_some_and(|times| times.len() > 1)).count()
    }
}

fn bench(arguments: &Arguments) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let broker = Broker::start(folder.path())?;
    let mut env = vec![("VEDETTE_WORKER_TOKEN".to_owned(), WORKER_TOKEN.to_owned())];
    if let Some(broker) = &broker {
        env.push(("MQTT_HOST".to_owned(), "127.0.0.1".to_owned()));
        env.push(("MQTT_PORT".to_owned(), broker.port.to_string()));
    }
    let plan = Plan {
        folder: folder.path().join("server"),
        port: free_port()?,
        overrides: OVERRIDES.to_owned(),
        env,
        own_group: true,
    };
    let server = plan.start()?;
    let mut api = server.api();
    api.log_in(FIRST_LOGIN.0, FIRST_LOGIN.1)?;
    let worker = server.api().with_token(WORKER_TOKEN);

    let (over_http, over_mqtt) = (Arrivals::default(), Arrivals::default());
    let port = free_port()?;
    let receiver = Receiver::start(port, over_http.clone())?;
    let subscriber = broker.as_ref().map(|broker| broker.subscribe(over_mqtt.clone())).transpose()?;
    let without = hand_in(&worker, arguments, "before", arguments.events)?;
    let mut rule = json!({
        "name": "Benchmark", "kind": "unknown_person", "cooldown_s": 0,
        "webhook_url": format!("http://127.0.0.1:{port}/"),
    });
    if broker.is_some() {
        rule["mqtt_topic"] = json!(TOPIC);
    }
    api.post("/api/alerts/rules", &rule)?.expect(201)?;
    // The first of all makes connections.
    let first = hand_in(&worker, arguments, "first", 1)?;
    over_http.wait_for(&first.sent)?;

    let events = arguments.events;
    let with = hand_in(&worker, arguments, "event", events)?;
    over_http.wait_for(&with.sent)?;
    println!("{events} events, one every {} ms or as soon as the last is taken", arguments.pause_ms);
    print_times("  ingest without a rule", &without.answers);
    print_times("  ingest with the rule", &with.answers);
    print_times("  event to webhook", &over_http.delays(&with.sent));
    if subscriber.is_some() {
        over_mqtt.wait_for(&with.sent)?;
        print_times("  event to MQTT", &over_mqtt.delays(&with.sent));
        println!("  twice over MQTT: {}", over_mqtt.doubled(&with.sent));
    }
    println!("  twice at the webhook: {}", over_http.doubled(&with.sent));
    away(arguments, &api, &worker, receiver, port, &over_http)
}

/// The receiver goes, events go on, and it comes back.
fn away(
    arguments: &Arguments,
    api: &Api,
    worker: &Api,
    receiver: Receiver,
    port: u16,
    arrivals: &Arrivals,
) -> Result<()> {
    drop(receiver);
    let gone = Instant::now();
    let away = Duration::from_secs(arguments.away_s);
    let (mut sent, mut answers) = (HashMap::new(), Vec::new());
    let mut round = 0;
    while gone.elapsed() < away {
        round += 1;
        let handed_in = hand_in(worker, arguments, &format!("away{round}"), 10)?;
        sent.extend(handed_in.sent);
        answers.extend(handed_in.answers);
        thread::sleep(Duration::from_millis(800));
    }
    answers.sort();
    let waiting = outbox(api)?;
    let back = Instant::now();
    let _receiver = Receiver::start(port, arrivals.clone())?;
    arrivals.wait_for(&sent)?;
    let caught_up = back.elapsed();
    println!("the receiver away for {} s, {} events meanwhile", arguments.away_s, sent.len());
    print_times("  ingest meanwhile", &answers);
    println!("  in the outbox when it came back: {waiting}");
    println!("  until all were told: {:.1} s", caught_up.as_secs_f64());
    let lost = sent.len() - arrivals.delays(&sent).len();
    println!("  lost: {lost}, twice: {}", arrivals.doubled(&sent));
    Ok(())
}

fn outbox(api: &Api) -> Result<String> {
    let metrics = String::from_utf8(api.get("/metrics")?.body)?;
    let waiting = metrics.lines().find_map(|line| line.strip_prefix("vedette_alert_outbox "));
    waiting.map(str::to_owned).context("the figures do not tell what waits")
}

/// Events that were handed in.
struct HandedIn {
    /// When each was sent, by its camera.
    sent: HashMap<String, Instant>,
    /// How long the answers took, sorted.
    answers: Vec<Duration>,
}

fn hand_in(worker: &Api, arguments: &Arguments, name: &str, number: usize) -> Result<HandedIn> {
    let (mut sent, mut answers) = (HashMap::new(), Vec::new());
    for index in 0..number {
        let camera_id = format!("{name}-{index}");
        let event = json!({
            "event_id": Uuid::now_v7(), "kind": "unknown", "camera_id": camera_id, "track_id": index,
            "timestamp": Utc::now(), "stream_time_ms": 0, "confidence": 0.9, "quality": 0.8,
            "bounding_box": { "x": 10, "y": 10, "width": 90, "height": 90 },
            "frame": { "width": 1280, "height": 720 },
        });
        let start = Instant::now();
        worker.post("/api/ingest", &json!([event]))?.expect(200)?;
        answers.push(start.elapsed());
        sent.insert(camera_id, start);
        thread::sleep(Duration::from_millis(arguments.pause_ms).saturating_sub(start.elapsed()));
    }
    answers.sort();
    Ok(HandedIn { sent, answers })
}

fn print_times(what: &str, sorted: &[Duration]) {
    let ms = |share: f64| percentile(sorted, share).as_secs_f64() * 1000.0;
    println!("{what:<26} p50 {:8.2} ms  p99 {:8.2} ms  most {:8.2} ms", ms(0.5), ms(0.99), ms(1.0));
}

/// A receiver of webhooks; dropped, it refuses connections.
struct Receiver {
    is_over: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Receiver {
    fn start(port: u16, arrivals: Arrivals) -> Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", port)).context("the receiver cannot listen")?;
        listener.set_nonblocking(true)?;
        let is_over = Arc::new(AtomicBool::new(false));
        let over = Arc::clone(&is_over);
        let accept = move || {
            while !over.load(Ordering::Relaxed) {
                match listener.accept() {
                    // Whoever breaks off comes again.
                    Ok((stream, _)) => drop(serve(stream, &arrivals)),
                    Err(_) => thread::sleep(IDLE),
                }
            }
        };
        Ok(Self { is_over, thread: Some(thread::spawn(accept)) })
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn serve(stream: TcpStream, arrivals: &Arrivals) -> Result<()> {
    stream.set_nonblocking(false)?;
    stream.set_read_timeout(Some(Duration::from_secs(5)))?;
    let mut reader = BufReader::new(stream);
    let mut length = 0;
    loop {
        let mut line = String::new();
        ensure!(reader.read_line(&mut line)? > 0, "the request breaks off");
        if line.trim().is_empty() {
            break;
        }
        if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse()?;
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    arrivals.note(&serde_json::from_slice(&body)?);
    let answer = b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n";
    Ok(reader.into_inner().write_all(answer)?)
}

/// A mosquitto of its own; dropped, it is gone.
struct Broker {
    port: u16,
    process: Child,
}

impl Broker {
    /// `None`, which is said, where it is not installed.
    fn start(folder: &Path) -> Result<Option<Self>> {
        let port = free_port()?;
        let settings = folder.join("mosquitto.conf");
        fs::write(
            &settings,
            format!("listener {port} 127.0.0.1\nallow_anonymous true\npersistence false\n"),
        )?;
        let started = Command::new("mosquitto")
            .arg("-c")
            .arg(&settings)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        let Ok(process) = started else {
            println!("skipped over MQTT: mosquitto is not installed");
            return Ok(None);
        };
        let broker = Self { port, process };
        wait_for("mosquitto", TIMEOUT, || Ok(TcpStream::connect(("127.0.0.1", port)).ok()))?;
        Ok(Some(broker))
    }

    fn subscribe(&self, arrivals: Arrivals) -> Result<Subscriber> {
        // By the line, or what it says of the protocol would wait for the first message.
        let mut process = Command::new("stdbuf")
            .args(["-oL", "mosquitto_sub"])
            .args(["-h", "127.0.0.1", "-p", &self.port.to_string(), "-q", "1", "-t", TOPIC, "-d"])
            .stdout(Stdio::piped())
            .spawn()
            .context("mosquitto_sub cannot be started: package mosquitto-clients")?;
        let Some(stdout) = process.stdout.take() else { bail!("mosquitto_sub has no output") };
        let mut lines = BufReader::new(stdout).lines();
        for line in &mut lines {
            if line?.contains("received SUBACK") {
                break;
            }
        }
        thread::spawn(move || {
            for message in lines.map_while(Result::ok).filter_map(|line| serde_json::from_str(&line).ok()) {
                arrivals.note(&message);
            }
        });
        Ok(Subscriber(process))
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Hears what the broker is told; dropped, it is gone.
struct Subscriber(Child);

impl Drop for Subscriber {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
