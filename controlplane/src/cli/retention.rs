//! `vedette retention`.

use anyhow::{Context as _, Result, ensure};
use clap::{Args, Subcommand};

use super::ConfigArguments;
use crate::storage::Storage;
use crate::{database, retention, startup};

#[derive(Debug, Args)]
pub(super) struct RetentionArguments {
    #[command(flatten)]
    config: ConfigArguments,
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Remove what was kept as long as the settings say (`retention`), as servers do every hour; they may run meanwhile
    Run {
        /// Remove nothing, tell what would be removed
        #[arg(long)]
        dry_run: bool,
    },
}

pub(super) async fn run(arguments: RetentionArguments) -> Result<()> {
    let config = arguments.config.load()?;
    let (environment, settings) = (&config.environment, &config.file.retention);
    startup::prepare_data_dir(&environment.data_dir)?;
    let db = database::connect(environment).await?;
    let Action::Run { dry_run } = arguments.action;
    if dry_run {
        let report = retention::preview(&db, settings).await.context("the database cannot be asked")?;
        println!("would be removed: {report}");
    } else {
        let storage = Storage::open(environment).await?;
        let report = retention::run(&db, &storage, settings).await;
        let report = report.context("not everything could be removed; the next run goes on")?;
        ensure!(report.is_some(), "a server is at it just now, or was stopped within the last minute");
        report.iter().for_each(|report| println!("removed: {report}"));
    }
    db.close().await.context("the database did not close")
}
