//! `vedette migrate`.

use anyhow::{Context as _, Result, ensure};
use clap::{Args, Subcommand};
use sea_orm::DatabaseConnection;
use vedette_migrations::{Migrator, MigratorTrait as _};

use super::ConfigArguments;
use crate::{database, startup};

#[derive(Debug, Args)]
pub(super) struct MigrateArguments {
    #[command(flatten)]
    config: ConfigArguments,
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Apply every migration that is pending
    Up,
    /// Take the last migrations back, with the data of the tables they made
    Down {
        /// How many
        #[arg(long, default_value_t = 1)]
        steps: u32,
        /// Do it though data is lost
        #[arg(long)]
        yes: bool,
    },
    /// List the migrations and whether they are applied
    Status,
    /// Drop every table and make them anew, empty
    Fresh {
        /// Do it though all data is lost
        #[arg(long)]
        yes: bool,
    },
}

pub(super) async fn run(arguments: MigrateArguments) -> Result<()> {
    let config = arguments.config.load()?;
    startup::prepare_data_dir(&config.environment.data_dir)?;
    database::migrate(&config.environment, async |db| migrate(db, arguments.action).await).await
}

async fn migrate(db: &DatabaseConnection, action: Action) -> Result<()> {
    match action {
        Action::Up => Migrator::up(db, None).await.context("cannot apply the migrations")?,
        Action::Down { steps, yes } => {
            ensure!(yes, "this deletes data: say so with --yes");
            Migrator::down(db, Some(steps)).await.context("cannot take the migrations back")?;
        }
        Action::Fresh { yes } => {
            ensure!(yes, "this deletes all data: say so with --yes");
            Migrator::fresh(db).await.context("cannot make the tables anew")?;
        }
        Action::Status => {}
    }
    let migrations =
        Migrator::get_migration_with_status(db).await.context("cannot read which migrations are applied")?;
    for migration in migrations {
        println!("{:8} {}", migration.status().to_string().to_lowercase(), migration.name());
    }
    Ok(())
}
