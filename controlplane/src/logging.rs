//! The log: to the terminal, and to files that are begun anew and deleted as the settings say. Warnings and errors are
//! caught as well, for the database (`logs/record.rs`). A process has one log, so what sets its level while it runs is
//! kept here for the whole process.

mod files;
pub mod traces;

use std::io::IsTerminal as _;
use std::path::Path;
use std::sync::OnceLock;

use anyhow::{Context as _, Result};
use tracing::Subscriber;
use tracing_appender::non_blocking::{NonBlocking, WorkerGuard};
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, Layer, Registry, fmt, reload};
use vedette_events::capture::{Captured, capture};

use self::files::{LogFiles, Period, Plan};
use self::traces::Traces;
use crate::config::{EnvironmentSettings, LogFormat, LogLevel, LogRotation, LoggingConfig};

/// Warnings and errors that may wait to be written into the database.
const CAPTURED_LINES: usize = 1000;

/// What the running log is changed by; empty until [`init`].
static RUNNING: OnceLock<Running> = OnceLock::new();

struct Running {
    filter: reload::Handle<EnvFilter, Registry>,
    has_traces: bool,
}

/// A log that has been started.
#[derive(Debug)]
pub struct Log {
    /// Warnings and errors.
    pub captured: Captured,
    /// What is left in memory is written and sent when this goes: it must be the last.
    pub rest: Rest,
}

/// What is left in memory. Spans go before lines, for they may have something to say.
#[derive(Debug)]
pub struct Rest {
    _traces: Option<Traces>,
    _file: Option<WorkerGuard>,
}

/// Starts logging.
///
/// # Errors
/// When the folder for the files cannot be written, or what is named as a collector of traces is no address.
pub fn init(config: &LoggingConfig, environment: &EnvironmentSettings) -> Result<Log> {
    let terminal = lines(config.format, std::io::stderr().is_terminal(), std::io::stderr);
    let (writer, guard) = file_writer(config, &environment.data_dir)?.unzip();
    let file = writer.map(|writer| lines(config.format, false, writer));
    let endpoint = environment.otlp_endpoint.as_deref();
    let (spans, traces) = endpoint.map(traces::start).transpose()?.unzip();
    let has_traces = traces.is_some();
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| filter(config.level, has_traces));
    let (filter, handle) = reload::Layer::new(filter);
    let (capture, captured) = capture(CAPTURED_LINES);
    tracing_subscriber::registry()
        .with(filter)
        .with(terminal)
        .with(file)
        .with(capture)
        .with(spans)
        .try_init()
        .context("logging was started twice")?;
    // `try_init` has just succeeded, which it does once in a process.
    let _ = RUNNING.set(Running { filter: handle, has_traces });
    Ok(Log { captured, rest: Rest { _traces: traces, _file: guard } })
}

/// Has the running log take lines from `level` on, whatever `RUST_LOG` said at the start.
///
/// # Errors
/// When this process does not log.
pub fn set_level(level: LogLevel) -> Result<()> {
    let running = RUNNING.get().context("this process has not started a log")?;
    running.filter.reload(filter(level, running.has_traces)).context("the log has ended")
}

/// Our own lines from `level` on, and warnings of everyone else. Traces want to know of statements, too.
fn filter(level: LogLevel, has_traces: bool) -> EnvFilter {
    let statements = if has_traces { ",sea_orm=info" } else { "" };
    EnvFilter::new(format!("warn,vedette={}{statements}", level.as_str()))
}

/// A layer that writes lines of this look.
fn lines<S, W>(format: LogFormat, is_coloured: bool, writer: W) -> Box<dyn Layer<S> + Send + Sync>
where
    S: Subscriber + for<'span> LookupSpan<'span> + 'static,
    W: for<'writer> MakeWriter<'writer> + Send + Sync + 'static,
{
    // That a line could not be written would be told on a terminal that may be what has gone, and panic.
    let layer = fmt::layer().log_internal_errors(false).with_writer(writer);
    match format {
        LogFormat::Text => layer.with_ansi(is_coloured).boxed(),
        LogFormat::Json => layer.json().boxed(),
    }
}

fn file_writer(config: &LoggingConfig, data_dir: &Path) -> Result<Option<(NonBlocking, WorkerGuard)>> {
    let period = match config.rotation {
        LogRotation::Never => return Ok(None),
        LogRotation::Hourly => Period::Hour,
        LogRotation::Daily => Period::Day,
    };
    let folder = data_dir.join("logs");
    let cannot_write = || format!("cannot write log files in `{}`", folder.display());
    let plan = Plan {
        folder: folder.clone(),
        period,
        max_bytes: u64::from(config.max_file_mb.get()) * 1024 * 1024,
        kept: usize::try_from(config.retention.get()).unwrap_or(usize::MAX),
    };
    let files = LogFiles::open(plan).with_context(cannot_write)?;
    Ok(Some(tracing_appender::non_blocking(files)))
}
