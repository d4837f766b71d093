//! The command line.

mod calibrate;
mod config;
mod doctor;
mod evaluate;
mod gallery;
mod import;
mod keys;
mod migrate;
mod models;
mod retention;
mod serve;
mod user;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context as _, Result};
use clap::{Args, Parser, Subcommand};
use tokio::runtime::Runtime;
use vedette_events::release::FULL_VERSION;

use crate::config::{Config, Environment, VARIABLES};

/// Vedette: finds, follows, recognises and reports faces in camera streams.
#[derive(Debug, Parser)]
#[command(name = "vedette", version = FULL_VERSION, about, after_help = environment_help())]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

/// What is told after the commands: the variables, one a line.
fn environment_help() -> String {
    let mut help = "Environment (a file .env in the working directory is read too):\n".to_owned();
    for variable in VARIABLES {
        help.push_str(&format!("  {:22} {}\n", variable.name, variable.about));
    }
    help.push_str("Environment alone:\n");
    help.push_str(
        "  RUST_LOG               what is logged at the start, in more detail than logging.level\n",
    );
    help.push_str(
        "  VEDETTE_MODELS_DIR     model files, when they are not where the program looks by itself",
    );
    help
}

/// Where the settings are.
#[derive(Clone, Debug, Args)]
struct ConfigArguments {
    /// Folder with config.yaml and its overrides [default: controlplane/config here or in a parent folder,
    /// config beside this program, /etc/vedette, else built-in settings]
    #[arg(long, value_name = "DIR", global = true)]
    config: Option<PathBuf>,
}

impl ConfigArguments {
    fn load(&self) -> Result<Config> {
        let working_dir = std::env::current_dir().context("there is no working directory")?;
        let environment = Environment::of_process(&working_dir)?;
        Ok(Config::load(self.config.as_deref(), &environment)?)
    }

    /// The settings, with another model pack than theirs if one is given, and then with its own threshold.
    fn load_with_pack(&self, pack: Option<&str>) -> Result<Config> {
        let mut config = self.load()?;
        let recognition = &mut config.file.face_recognition;
        if let Some(pack) = pack.filter(|pack| *pack != recognition.detection_model.as_str()) {
            recognition.detection_model = pack.parse().map_err(anyhow::Error::msg)?;
            recognition.recognition_threshold = None;
        }
        Ok(config)
    }
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serve the API and the dashboard, and run cameras
    Serve(serve::ServeArguments),
    /// Bring the database's tables up to date, or see how they stand
    Migrate(migrate::MigrateArguments),
    /// Make users and set passwords
    User(user::UserArguments),
    /// Register many people, from a table and a folder of photos
    Import(import::ImportArguments),
    /// Look over this machine: settings, database, models, worker, GStreamer, and what to do where something is amiss
    Doctor(doctor::DoctorArguments),
    /// Check the settings, or show what is in effect
    Config(config::ConfigCommandArguments),
    /// See and change the key that templates and cameras' addresses are encrypted with
    Keys(keys::KeysArguments),
    /// Remove what was kept long enough, or see what that is
    Retention(retention::RetentionArguments),
    /// Fetch, list and check model files
    Models(models::ModelsArguments),
    /// Make a gallery file of photos
    Gallery(gallery::GalleryArguments),
    /// Measure how well people are recognised: error rates on photos whose people are known
    Evaluate(evaluate::EvaluateArguments),
    /// Propose the recognition threshold for a wanted rate of strangers named, from the photos of everybody enrolled
    Calibrate(calibrate::CalibrateArguments),
}

/// Runs the command the process was started with; a failure is told on standard error.
pub fn main() -> ExitCode {
    match run(Arguments::parse().command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(command: Command) -> Result<()> {
    match command {
        Command::Serve(arguments) => serve::run(arguments),
        Command::Migrate(arguments) => runtime()?.block_on(migrate::run(arguments)),
        Command::User(arguments) => runtime()?.block_on(user::run(arguments)),
        Command::Import(arguments) => import::run(arguments),
        Command::Doctor(arguments) => runtime()?.block_on(doctor::run(arguments)),
        Command::Config(arguments) => config::run(arguments),
        Command::Keys(arguments) => runtime()?.block_on(keys::run(arguments)),
        Command::Retention(arguments) => runtime()?.block_on(retention::run(arguments)),
        Command::Models(arguments) => models::run(arguments),
        Command::Gallery(arguments) => gallery::run(arguments),
        Command::Evaluate(arguments) => evaluate::run(&arguments),
        Command::Calibrate(arguments) => calibrate::run(&arguments),
    }
}

fn runtime() -> Result<Runtime> {
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("the async runtime does not start")
}
