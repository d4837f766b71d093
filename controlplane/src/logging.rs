//! The log: to the terminal, and to files that are begun anew and deleted as the settings say. A process has one
//! log, so what sets its level while it runs is kept here for the whole process.

use std::fs::DirBuilder;
use std::io::IsTerminal as _;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::Path;
use std::sync::OnceLock;

use anyhow::{Context as _, Result};
use tracing_appender::non_blocking::WorkerGuard;
use tracing_appender::rolling::{RollingFileAppender, Rotation};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, Registry, fmt, reload};

use crate::config::{LogLevel, LogRotation, LoggingConfig};

/// Sets what the running log takes; empty until [`init`].
static FILTER: OnceLock<reload::Handle<EnvFilter, Registry>> = OnceLock::new();

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
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| filter(config.level));
    let (filter, handle) = reload::Layer::new(filter);
    tracing_subscriber::registry()
        .with(filter)
        .with(terminal)
        .with(file)
        .try_init()
        .context("logging was started twice")?;
    // `try_init` has just succeeded, which it does once in a process.
    let _ = FILTER.set(handle);
    Ok(guard)
}

/// Has the running log take lines from `level` on, whatever `RUST_LOG` said at the start.
///
/// # Errors
/// When this process does not log.
pub fn set_level(level: LogLevel) -> Result<()> {
    let handle = FILTER.get().context("this process has not started a log")?;
    handle.reload(filter(level)).context("the log has ended")
}

/// Our own lines from `level` on, and warnings of everyone else.
fn filter(level: LogLevel) -> EnvFilter {
    EnvFilter::new(format!("warn,vedette={}", level.as_str()))
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
