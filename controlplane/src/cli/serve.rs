//! `vedette serve`.

use std::net::IpAddr;
use std::os::unix::process::CommandExt as _;
use std::process::Command;

use anyhow::{Context as _, Result};
use clap::Args;
use serde_json::json;
use tokio::signal::unix::{Signal, SignalKind, signal};
use vedette_events::capture::Captured;

use super::ConfigArguments;
use crate::audit::{Action, Actor, Entry};
use crate::config::Config;
use crate::logging::{self, Log};
use crate::startup::{self, App, Ending};
use crate::state::State;

#[derive(Debug, Args)]
pub(super) struct ServeArguments {
    #[command(flatten)]
    config: ConfigArguments,
    /// Address to listen on, over server.host [such as 0.0.0.0 for every network]
    #[arg(long, value_name = "ADDRESS")]
    host: Option<IpAddr>,
    /// Port to listen on, over server.port [0 = any free one]
    #[arg(long, value_name = "PORT")]
    port: Option<u16>,
}

/// Serves until the process is told to end. What is left of the log is written last of all.
pub(super) fn run(arguments: ServeArguments) -> Result<()> {
    let mut config = arguments.config.load()?;
    let server = &mut config.file.server;
    server.host = arguments.host.unwrap_or(server.host);
    server.port = arguments.port.unwrap_or(server.port);

    startup::prepare_data_dir(&config.environment.data_dir)?;
    let Log { captured, rest } = logging::init(&config.file.logging, &config.environment)?;
    tracing::info!(
        version = vedette_events::release::FULL_VERSION,
        stage = ?config.stage,
        settings = config.folder.as_deref().map_or("built-in".into(), |folder| folder.display().to_string()),
        data = %config.environment.data_dir.display(),
        "starting"
    );
    let outcome = super::runtime()?.block_on(serve(config, arguments.config, captured));
    tracing::info!("ended");
    drop(rest);
    match outcome? {
        Ending::Told => Ok(()),
        Ending::PackIsReady => start_again(),
    }
}

/// Becomes a new process of the same program, with the same number and arguments: whoever watches over this one sees none end.
fn start_again() -> Result<()> {
    // The file this process runs, even if an upgrade has put another one in its place.
    let mut program = Command::new("/proc/self/exe");
    let mut arguments = std::env::args_os();
    if let Some(name) = arguments.next() {
        program.arg0(name);
    }
    let error = program.args(arguments).exec();
    Err(error).context("the server cannot start again by itself, so start it: it will use the new model pack")
}

async fn serve(config: Config, settings: ConfigArguments, captured: Captured) -> Result<Ending> {
    let mut interrupt = signal(SignalKind::interrupt()).context("signals cannot be handled")?;
    let mut terminate = signal(SignalKind::terminate()).context("signals cannot be handled")?;
    let hangup = signal(SignalKind::hangup()).context("signals cannot be handled")?;
    let app = App::start(config).await?.with_log(captured);
    tokio::spawn(follow_log_level(hangup, settings, app.state().clone()));
    app.run(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    })
    .await
}

/// Reads the settings again whenever the process gets SIGHUP, and takes the log's level from them; everything else
/// stays as it was at the start.
async fn follow_log_level(mut hangup: Signal, settings: ConfigArguments, state: State) {
    while hangup.recv().await.is_some() {
        let level = match settings.load() {
            Ok(config) => config.file.logging.level,
            Err(error) => {
                tracing::error!("the settings cannot be read again, so the log stays as it is: {error:#}");
                continue;
            }
        };
        if let Err(error) = logging::set_level(level) {
            tracing::error!("the level of the log cannot be set: {error:#}");
            continue;
        }
        tracing::info!(level = level.as_str(), "the level of the log was read again");
        let entry = Entry::new(Action::LogLevelChanged, &Actor::server());
        entry.with(json!({ "level": level })).write_or_log(&state.db).await;
    }
}
