//! Measures lists, summaries and ingest over the REST API, on the database the usual variables name and `seed` filled.
//!
//! Prints median and 99th percentile of each query, the plan of each statement behind it, and the events ingested
//! per second. Starts a server of its own, with a folder of its own for all but the database.

use std::collections::BTreeSet;
use std::fs;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use chrono::{SecondsFormat, TimeDelta, Utc};
use clap::Parser;
use rand::Rng as _;
use serde_json::{Value, json};
use vedette_tests::api::{Api, FIRST_LOGIN};
use vedette_tests::database::Store;
use vedette_tests::measure::percentile;
use vedette_tests::server::{Plan, Server, free_port};

const OVERRIDES: &str = "workers: {local: false}\nlogging: {rotation: never}\n\
                         security: {force_password_change: false, rate_limit: 0}\n\
                         retention: {detections: 0, snapshots: 0, unknowns: 0}\n";
const WORKER_TOKEN: &str = "token of the benchmark";

/// Measure lists, summaries and ingest on a database filled by `seed`.
#[derive(Debug, Parser)]
struct Arguments {
    /// How often each query is asked, after three times to warm up
    #[arg(long, default_value_t = 30, value_parser = clap::builder::RangedU64ValueParser::<usize>::new().range(1..))]
    rounds: usize,
    /// Events in one batch
    #[arg(long, default_value_t = 1000)]
    batch: usize,
    /// Batches ingested; 0 = none, and the database stays as it is
    #[arg(long, default_value_t = 50)]
    batches: usize,
    /// Print the plans of the statements behind each query
    #[arg(long)]
    plans: bool,
}

fn main() -> ExitCode {
    match bench(&Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bench_database: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn bench(arguments: &Arguments) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let server = start(folder.path(), "warn")?;
    let mut api = server.api();
    api.log_in(FIRST_LOGIN.0, FIRST_LOGIN.1)?;
    let people = people(&api)?;
    let queries = queries(&people)?;

    println!("{:>9} {:>9}  {:>9}", "median", "p99", "total");
    for path in &queries {
        measure(&api, path, arguments.rounds)?;
    }
    drop(server);
    if arguments.plans {
        let store = Store::open()?;
        for path in &queries {
            print_plans(&store, path)?;
        }
    }
    if arguments.batches > 0 {
        let server = start(folder.path(), "warn")?;
        ingest(&server, &people, arguments)?;
    }
    Ok(())
}

fn start(folder: &std::path::Path, log: &str) -> Result<Server> {
    let mut env = vec![
        ("VEDETTE_WORKER_TOKEN".to_owned(), WORKER_TOKEN.to_owned()),
        ("RUST_LOG".to_owned(), log.to_owned()),
    ];
    if let Ok(data_dir) = std::env::var("VEDETTE_DATA_DIR") {
        let data_dir = fs::canonicalize(&data_dir).with_context(|| format!("there is no `{data_dir}`"))?;
        env.push(("VEDETTE_DATA_DIR".to_owned(), data_dir.display().to_string()));
    }
    let overrides = OVERRIDES.to_owned();
    Plan { folder: folder.to_path_buf(), port: free_port()?, overrides, env, own_group: true }.start()
}

fn people(api: &Api) -> Result<Vec<Value>> {
    let list = api.get("/api/persons?page_size=500")?.expect(200)?;
    let people = list["items"].as_array().context("no list of people")?.clone();
    ensure!(!people.is_empty(), "nobody is enrolled: fill the database with `seed` first");
    Ok(people)
}

/// Every filter alone and in the combinations a dashboard asks for, every order, and summaries.
fn queries(people: &[Value]) -> Result<Vec<String>> {
    let frequent = people[0]["id"].as_str().context("a person has no id")?;
    let rare = people[people.len() - 1]["id"].as_str().context("a person has no id")?;
    let days_ago =
        |days: i64| (Utc::now() - TimeDelta::days(days)).to_rfc3339_opts(SecondsFormat::Millis, true);
    let (month, week, day, tomorrow) = (days_ago(30), days_ago(7), days_ago(1), days_ago(-1));
    let lists = [
        String::new(),
        "sort=timestamp".to_owned(),
        "page=2000&page_size=500".to_owned(),
        format!("person_id={frequent}"),
        format!("person_id={rare}&sort=-confidence"),
        format!("person_id={frequent}&camera_id=cam_03&kind=left"),
        "camera_id=cam_07".to_owned(),
        format!("camera_id=cam_07&from={week}"),
        format!("from={week}&to={day}"),
        format!("from={month}&known=false"),
        "known=true".to_owned(),
        "known=false".to_owned(),
        "known=true&kind=unknown".to_owned(),
        "kind=updated".to_owned(),
        "camera_id=cam_07&known=true&kind=recognized".to_owned(),
        "min_confidence=0.6".to_owned(),
        "min_confidence=0.95".to_owned(),
        "min_confidence=0.9999".to_owned(),
        "min_confidence=0.9&camera_id=cam_07".to_owned(),
        format!("min_confidence=0.9&known=false&from={week}"),
        format!("min_confidence=0.95&person_id={frequent}"),
        "sort=confidence".to_owned(),
        "sort=-confidence".to_owned(),
        "sort=-quality".to_owned(),
        "sort=similarity".to_owned(),
        "sort=-similarity".to_owned(),
        "sort=camera_id".to_owned(),
        "sort=person_name".to_owned(),
        "sort=-person_name".to_owned(),
        "sort=-confidence&camera_id=cam_07".to_owned(),
        format!("sort=-confidence&from={day}"),
        format!("sort=-similarity&from={week}&known=true"),
    ];
    let summaries = [
        "days=1".to_owned(),
        "days=7".to_owned(),
        "days=30".to_owned(),
        "days=30&camera_id=cam_07".to_owned(),
        "days=30&timezone=Europe/Berlin".to_owned(),
        "days=30&timezone=Asia/Kolkata".to_owned(),
        format!("from={month}&to={day}"),
        "days=90".to_owned(),
    ];
    let lists = lists.into_iter().map(|query| format!("/api/detections?{query}"));
    let summaries = summaries.into_iter().map(|query| format!("/api/analytics/summary?{query}"));
    let sessions = [
        String::new(),
        "sort=-exit_time".to_owned(),
        "page=2000&page_size=50".to_owned(),
        format!("person_id={frequent}"),
        "camera_id=cam_07".to_owned(),
        "open=true".to_owned(),
        "open=false".to_owned(),
        format!("from={week}"),
        format!("from={month}&to={week}"),
        format!("camera_id=cam_07&from={month}&to={day}"),
        format!("from={tomorrow}"),
    ];
    let sessions = sessions.into_iter().map(|query| format!("/api/sessions?{query}"));
    Ok(lists.chain(summaries).chain(sessions).collect())
}

fn measure(api: &Api, path: &str, rounds: usize) -> Result<()> {
    const WARM_UP: usize = 3;
    let (mut times, mut total) = (Vec::with_capacity(rounds), Value::Null);
    for round in 0..rounds + WARM_UP {
        let started = Instant::now();
        let answer = api.get(path)?.expect(200)?;
        if round >= WARM_UP {
            times.push(started.elapsed());
        }
        total = answer.get("total").or_else(|| answer.get("total_detections")).cloned().unwrap_or_default();
    }
    times.sort_unstable();
    let ms = |share: f64| percentile(&times, share).as_secs_f64() * 1000.0;
    let total = total.as_str().map_or_else(|| total.to_string(), str::to_owned);
    println!("{:6.1} ms {:6.1} ms  {total:>9}  {path}", ms(0.5), ms(0.99));
    Ok(())
}

/// Asks once of a server that logs its statements, and has the database explain them.
fn print_plans(store: &Store, path: &str) -> Result<()> {
    println!("\n{path}");
    let folder = tempfile::tempdir()?;
    let mut server = start(folder.path(), "warn,sqlx::query=trace")?;
    let mut api = server.api();
    api.log_in(FIRST_LOGIN.0, FIRST_LOGIN.1)?;
    let log = server.plan().log_path();
    let before = fs::read_to_string(&log)?.len();
    api.get(path)?.expect(200)?;
    server.stop()?;
    let text = fs::read_to_string(&log)?;
    let statements: BTreeSet<String> = text[before..].lines().filter_map(statement).collect();
    for statement in statements {
        println!("  {statement}");
        store.plan(&statement)?.iter().for_each(|line| println!("      {line}"));
    }
    Ok(())
}

/// The statement in a line of the log, if it reads what this is about.
fn statement(line: &str) -> Option<String> {
    let (_, rest) = line.split_once("db.statement=\"")?;
    let end = rest.find("\" rows_affected")?;
    let text = rest[..end].replace("\\n", " ").replace("\\\"", "\"").replace("\\\\", "\\");
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let tables = ["detection", "visitor", "session"];
    let is_ours = text.starts_with("SELECT") && tables.iter().any(|table| text.contains(table));
    is_ours.then_some(text)
}

/// Events as workers send them, now; one batch after the other, then two at a time.
fn ingest(server: &Server, people: &[Value], arguments: &Arguments) -> Result<()> {
    for senders in [1, 2] {
        let batches: Vec<Vec<Value>> =
            (0..arguments.batches).map(|_| batch(people, arguments.batch)).collect();
        let started = Instant::now();
        std::thread::scope(|scope| {
            let send = |batches: &[Vec<Value>]| -> Result<Vec<Duration>> {
                let api = server.api().with_token(WORKER_TOKEN);
                batches
                    .iter()
                    .map(|batch| {
                        let started = Instant::now();
                        let receipt = api.post("/api/ingest", &json!(batch))?.expect(200)?;
                        ensure!(receipt["accepted"] == batch.len(), "not all were new: {receipt}");
                        Ok(started.elapsed())
                    })
                    .collect()
            };
            let share = batches.len().div_ceil(senders).max(1);
            let threads: Vec<_> =
                batches.chunks(share).map(|batches| scope.spawn(move || send(batches))).collect();
            let mut times: Vec<Duration> = Vec::new();
            for thread in threads {
                times.extend(thread.join().map_err(|_| anyhow::anyhow!("a sender broke down"))??);
            }
            let seconds = started.elapsed().as_secs_f64();
            times.sort_unstable();
            let rate = (arguments.batches * arguments.batch) as f64 / seconds;
            let median = percentile(&times, 0.5);
            println!(
                "ingest, {senders} at a time: {rate:.0} events/s, {:.0} ms a batch",
                median.as_secs_f64() * 1000.0
            );
            Ok::<_, anyhow::Error>(())
        })?;
    }
    Ok(())
}

fn batch(people: &[Value], size: usize) -> Vec<Value> {
    let mut random = rand::rng();
    (0..size)
        .map(|_| {
            let person = random.random_bool(0.6).then(|| &people[random.random_range(0..people.len())]);
            let kind = match random.random_range(0..20) {
                0..9 => person.map_or("unknown", |_| "recognized"),
                9..11 => "updated",
                _ => "left",
            };
            let confidence: f32 = random.random_range(0.5..1.0);
            json!({
                "event_id": uuid::Uuid::now_v7(), "kind": kind,
                "camera_id": format!("cam_{:02}", random.random_range(0..20)), "track_id": random.random_range(0..1_000_000),
                "timestamp": Utc::now() - TimeDelta::seconds(random.random_range(0..600)), "stream_time_ms": 41200,
                "bounding_box": { "x": 312, "y": 96, "width": 128, "height": 156 },
                "frame": { "width": 1280, "height": 720 }, "confidence": confidence, "quality": 0.81,
                "person": person.map(|person| json!({
                    "id": person["id"], "name": person["name"], "similarity": 0.71, "margin": 0.2
                })),
            })
        })
        .collect()
}
