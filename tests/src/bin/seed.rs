//! Fills an empty database with months of detections, generated inside it: for measuring, never for a real one.
//!
//! The database is the one the usual variables name: `DB_HOST` and its companions, or `VEDETTE_DATA_DIR`.

use std::process::{Command, ExitCode};
use std::time::Instant;

use anyhow::{Context as _, Result, ensure};
use clap::Parser;
use vedette_tests::{checkout, database::Store};

/// Fill an empty database with detections to measure by.
#[derive(Debug, Parser)]
struct Arguments {
    /// Detections
    #[arg(long, default_value_t = 10_000_000)]
    rows: u64,
    /// Days they are spread over, until now
    #[arg(long, default_value_t = 90)]
    days: u64,
    /// People; two of five detections are of strangers
    #[arg(long, default_value_t = 5_000)]
    people: u64,
    /// Cameras
    #[arg(long, default_value_t = 20)]
    cameras: u64,
}

fn main() -> ExitCode {
    match seed(&Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("seed: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn seed(arguments: &Arguments) -> Result<()> {
    let started = Instant::now();
    let step = |what: &str| println!("{:6.1} s  {what}", started.elapsed().as_secs_f64());
    migrate("up")?;
    let store = Store::open()?;
    let count = store.number("SELECT count(*) FROM (SELECT 1 FROM detections LIMIT 1) AS first")?;
    ensure!(count == 0, "there are detections in the database already; seed an empty one");

    let indexes = store.indexes("detections")?;
    for (name, _) in &indexes {
        store.run(&format!("DROP INDEX {name}"))?;
    }
    let period_ms = arguments.days * 86_400_000;
    let now_ms = u64::try_from(chrono::Utc::now().timestamp_millis()).context("the clock is before 1970")?;
    let values = [
        ("{rows}", arguments.rows),
        ("{people}", arguments.people),
        ("{cameras}", arguments.cameras),
        ("{period_ms}", period_ms),
        ("{start_ms}", now_ms.saturating_sub(period_ms)),
    ];
    let rows = store.choose(include_str!("../seed/sqlite.sql"), include_str!("../seed/postgres.sql"));
    store.run(
        &values.iter().fold(rows.to_owned(), |sql, (name, value)| sql.replace(name, &value.to_string())),
    )?;
    step("detections are there");

    let since_last = store.choose(
        "86400 * (julianday(timestamp) - julianday(lag(timestamp) OVER track))",
        "extract(epoch FROM timestamp - lag(timestamp) OVER track)",
    );
    let first_id = store.choose("min(id)", "min(id::text)::uuid");
    let sessions = include_str!("../seed/sessions.sql");
    store.run(&sessions.replace("{seconds_since_last}", since_last).replace("{first_id}", first_id))?;
    step("visits are there");

    store.run(&vedette_migrations::counts(store.is_postgres()).join(";\n"))?;
    step("they are counted");
    for (_, definition) in &indexes {
        store.run(definition)?;
    }
    step("they are indexed");
    store.run(store.choose("PRAGMA wal_checkpoint(TRUNCATE)", "VACUUM ANALYZE"))?;
    step("done");
    Ok(())
}

fn migrate(action: &str) -> Result<()> {
    let status = Command::new(checkout::built("vedette")?).args(["migrate", action]).status()?;
    ensure!(status.success(), "`vedette migrate {action}` fails");
    Ok(())
}
