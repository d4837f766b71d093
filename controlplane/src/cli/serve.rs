//! `vedette serve`.

use std::net::IpAddr;

use anyhow::{Context as _, Result};
use clap::Args;
use tokio::signal::unix::{SignalKind, signal};

use super::ConfigArguments;
use crate::logging;
use crate::startup::{self, App};

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

pub(super) async fn run(arguments: ServeArguments) -> Result<()> {
    let mut config = arguments.config.load()?;
    let server = &mut config.file.server;
    server.host = arguments.host.unwrap_or(server.host);
    server.port = arguments.port.unwrap_or(server.port);

    startup::prepare_data_dir(&config.environment.data_dir)?;
    let _log = logging::init(&config.file.logging, &config.environment.data_dir)?;
    tracing::info!(
        version = env!("CARGO_PKG_VERSION"),
        stage = ?config.stage,
        settings = config.folder.as_deref().map_or("built-in".into(), |folder| folder.display().to_string()),
        data = %config.environment.data_dir.display(),
        "starting"
    );
    let mut interrupt = signal(SignalKind::interrupt()).context("signals cannot be handled")?;
    let mut terminate = signal(SignalKind::terminate()).context("signals cannot be handled")?;
    let app = App::start(config).await?;
    app.run(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    })
    .await
}
