//! The log: to the terminal, and to files that are begun anew and deleted as the settings say.

use std::fs::DirBuilder;
use std::io::IsTerminal as _;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::Path;

use anyhow::{Context as _, Result};
use tracing_appender::non_blocking::WorkerGuard;
use tracing_appender::rolling::{RollingFileAppender, Rotation};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, Layer as _, fmt};

use crate::config::{LogRotation, LoggingConfig};

/// Starts logging; what is left in memory is written when the guard goes.
///
/// # Errors
/// When the folder for the files cannot be written.
pub fn init(config: &LoggingConfig, data_dir: &Path) -> Result<Option<WorkerGuard>> {
    let terminal = fmt::layer().with_writer(std::io::stderr).with_ansi(std::io::stderr().is_terminal());
    let (file, guard) = match file_writer(config, data_dir)? {
        Some((writer, guard)) => (Some(fmt::layer().with_writer(writer).with_ansi(false)), Some(guard)),
        None => (None, None),
    };
    tracing_subscriber::registry()
        .with(terminal.with_filter(filter(config)))
        .with(file.map(|file| file.with_filter(filter(config))))
        .try_init()
        .context("logging was started twice")?;
    Ok(guard)
}

/// `RUST_LOG` if it is set; else the level of the settings for our own lines and warnings of everyone else.
fn filter(config: &LoggingConfig) -> EnvFilter {
    let level = config.level.as_str();
    EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(format!("warn,vedette={level}")))
}

type FileWriter = (tracing_appender::non_blocking::NonBlocking, WorkerGuard);

fn file_writer(config: &LoggingConfig, data_dir: &Path) -> Result<Option<FileWriter>> {
    let rotation = match config.rotation {
        LogRotation::Never => return Ok(None),
        LogRotation::Hourly => Rotation::HOURLY,
        LogRotation::Daily => Rotation::DAILY,
    };
    let folder = data_dir.join("logs");
    let cannot_write = || format!("cannot write log files in `{}`", folder.display());
    DirBuilder::new().recursive(true).mode(0o700).create(&folder).with_context(cannot_write)?;
    let appender = RollingFileAppender::builder()
        .rotation(rotation)
        .filename_prefix("vedette")
        .filename_suffix("log")
        .max_log_files(usize::try_from(config.retention.get()).unwrap_or(usize::MAX))
        .build(&folder)
        .with_context(cannot_write)?;
    Ok(Some(tracing_appender::non_blocking(appender)))
}
