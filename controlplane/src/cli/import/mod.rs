//! `vedette import`: many people at once, from a table and a folder of photos.
//!
//! Everything goes over the REST API, like any other client's requests, so that every check of a registration
//! holds here, too. Whoever is there already is skipped: an import that broke off is simply run again.

mod client;
mod roster;

use std::fs::File;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};
use chrono::{TimeDelta, Utc};
use clap::Args;
use sea_orm::DatabaseConnection;
use uuid::Uuid;

use self::client::{Client, Outcome};
use self::roster::Row;
use super::ConfigArguments;
use crate::api_keys::{self, NewKey, Scope};
use crate::audit::Actor;
use crate::startup;

/// A local import that is killed leaves a key behind; it ends after this.
const KEY_LIFETIME: TimeDelta = TimeDelta::hours(12);

#[derive(Debug, Args)]
pub(super) struct ImportArguments {
    #[command(flatten)]
    config: ConfigArguments,
    /// Table with the columns name, email, employee_id, phone, department, designation, photos (CSV; only name is
    /// needed). `photos` lists files separated by `;`; without it, they are all those in the folder named after
    /// the employee_id
    people: PathBuf,
    /// Folder the photos are in
    #[arg(long, value_name = "DIR")]
    photos: PathBuf,
    /// Server to register them at [default: the one of this machine's settings, which has to be running]
    #[arg(long, value_name = "URL", requires = "token")]
    url: Option<String>,
    /// Access token of an operator, or an API key with the scope operate
    #[arg(long, env = "VEDETTE_TOKEN", hide_env_values = true)]
    token: Option<String>,
    /// Write who was refused, and why, into this file (CSV)
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,
}

pub(super) fn run(arguments: ImportArguments) -> Result<()> {
    let table = File::open(&arguments.people);
    let table = table.with_context(|| format!("cannot read `{}`", arguments.people.display()))?;
    let rows = roster::read(table, &arguments.photos)
        .with_context(|| format!("cannot use `{}`", arguments.people.display()))?;
    let tally = match (&arguments.url, &arguments.token) {
        (Some(url), Some(token)) => import(&Client::new(url, token)?, &rows)?,
        _ => import_locally(&arguments.config, &rows)?,
    };
    if let Some(file) = &arguments.report {
        write_report(file, &tally).with_context(|| format!("cannot write `{}`", file.display()))?;
    }
    let refused = tally.refused.len();
    println!("{} enrolled, {} there already, {refused} refused", tally.enrolled, tally.known);
    ensure!(refused == 0, "{refused} of {} people were not enrolled; the lines above say why", rows.len());
    Ok(())
}

/// How it went.
#[derive(Debug, Default)]
struct Tally<'a> {
    enrolled: usize,
    known: usize,
    refused: Vec<(&'a Row, Vec<String>)>,
}

/// Registers everyone who is not there yet; one line tells how each went.
fn import<'a>(client: &Client, rows: &'a [Row]) -> Result<Tally<'a>> {
    let people = client.people()?;
    let mut tally = Tally::default();
    for (index, row) in rows.iter().enumerate() {
        let outcome = match (people.find(row), &row.photos) {
            (Some(outcome), _) => outcome,
            (None, Ok(photos)) => client.register(row, photos)?,
            (None, Err(reason)) => Outcome::Refused(vec![reason.clone()]),
        };
        eprintln!("[{}/{}] {}: {outcome}", index + 1, rows.len(), row.name);
        match outcome {
            Outcome::Enrolled { .. } => tally.enrolled += 1,
            Outcome::Known => tally.known += 1,
            Outcome::Refused(reasons) => tally.refused.push((row, reasons)),
        }
    }
    Ok(tally)
}

/// Registers at the server of this machine's settings, by a key made for this one import. Whoever may write its
/// database needs no other leave.
fn import_locally<'a>(arguments: &ConfigArguments, rows: &'a [Row]) -> Result<Tally<'a>> {
    let config = arguments.load()?;
    let server = &config.file.server;
    ensure!(
        server.port != 0,
        "server.port is 0, so nobody knows where the server listens: name it with --url"
    );
    let address = startup::reachable((server.host, server.port).into());
    let runtime = super::runtime()?;
    let (db, key_id, key) = runtime.block_on(async {
        let db = startup::open_database(&config.environment).await?;
        let new = NewKey {
            name: "vedette import".to_owned(),
            scopes: vec![Scope::Operate],
            expires_at: Some(Utc::now() + KEY_LIFETIME),
        };
        let created = api_keys::create(&db, &Actor::command_line(), None, new).await?;
        anyhow::Ok((db, created.view.id, created.key))
    })?;
    let imported = Client::new(&format!("http://{address}"), &key).and_then(|client| import(&client, rows));
    runtime.block_on(remove_key(db, key_id))?;
    imported
}

async fn remove_key(db: DatabaseConnection, id: Uuid) -> Result<()> {
    api_keys::delete(&db, &Actor::command_line(), id)
        .await
        .context("cannot remove the key of this import")?;
    db.close().await.context("the database did not close")
}

fn write_report(file: &Path, tally: &Tally<'_>) -> Result<()> {
    let mut report = csv::Writer::from_path(file)?;
    report.write_record(["line", "name", "employee_id", "reason"])?;
    for (row, reasons) in &tally.refused {
        let employee_id = row.employee_id.as_deref().unwrap_or_default();
        report.write_record([&row.line.to_string(), &row.name, employee_id, &reasons.join("; ")])?;
    }
    Ok(report.flush()?)
}
