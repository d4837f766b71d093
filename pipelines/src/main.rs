//! `vedette-worker`: runs the cameras a control plane assigns to this machine.

use std::io::{IsTerminal, Read, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use clap::Parser;
use gstvedette::eventsink::SpoolCourier;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, fmt};

use vedette_events::capture::{Captured, capture};
use vedette_events::release::FULL_VERSION;
use vedette_pipelines::camera::{Patience, Surroundings};
use vedette_pipelines::crashes::Crashes;
use vedette_pipelines::heartbeat::{End, Pulse, control_plane_url};
use vedette_pipelines::journal::{self, Journal};
use vedette_pipelines::launch::ControlPlane;
use vedette_pipelines::signal::News;
use vedette_pipelines::worker::Worker;
use vedette_pipelines::{dry_run, elements, memory};

/// Cameras get this long to bring their last events to safety; with the rest the program ends within 3 s.
const SHUTDOWN: Duration = Duration::from_millis(2500);

/// Exit code of a worker that ends because something in it hangs: EX_SOFTWARE of sysexits.h.
const EXIT_OF_A_HANG: i32 = 70;

/// Runs the cameras a Vedette control plane assigns to this machine.
#[derive(Parser)]
#[command(name = "vedette-worker", version = FULL_VERSION)]
struct Arguments {
    /// Address of the control plane, such as http://192.168.1.10:8000
    #[arg(long, value_name = "URL", required_unless_present = "dry_run")]
    url: Option<String>,

    /// Token the control plane knows workers by; the environment is the safer place for it, since arguments are
    /// visible to every user of the machine
    #[arg(
        long,
        value_name = "TOKEN",
        env = "VEDETTE_WORKER_TOKEN",
        hide_env_values = true,
        required_unless_present = "dry_run"
    )]
    token: Option<String>,

    /// Where events go in place of the control plane: the Redis stream its setting events.redis_stream names, such as
    /// redis://:PASSWORD@redis.example/0?stream=events; the environment is the safer place for it
    #[arg(long = "events", value_name = "URI", env = "VEDETTE_EVENTS_URI", hide_env_values = true)]
    events_uri: Option<String>,

    /// Name of this worker, unique among the control plane's workers [default: the host's name]
    #[arg(long, value_name = "NAME")]
    id: Option<String>,

    /// Folder for events that are not delivered yet
    #[arg(long, value_name = "DIR", env = "VEDETTE_DATA_DIR", default_value = "data")]
    data_dir: PathBuf,

    /// End when standard input is closed, so as not to outlive the program that started this one
    #[arg(long)]
    exit_with_stdin: bool,

    /// Print the pipeline of a camera as a line that gst-launch-1.0 runs, and end; a camera's id, asked of the control
    /// plane, or a camera's URL
    #[arg(long, value_name = "CAMERA")]
    dry_run: Option<String>,

    /// Print passwords and tokens with it: without them the line runs only where it needs none
    #[arg(long, requires = "dry_run")]
    show_secrets: bool,
}

impl Arguments {
    /// The control plane, if it is given.
    fn control_plane(&self) -> anyhow::Result<Option<ControlPlane>> {
        let Some((url, token)) = self.url.as_ref().zip(self.token.as_ref()) else { return Ok(None) };
        if let Some(uri) = &self.events_uri {
            SpoolCourier::new(uri, None).context("--events names nothing events can be sent to")?;
        }
        let (url, token) = (control_plane_url(url)?, token.clone());
        Ok(Some(ControlPlane { url, token, events_uri: self.events_uri.clone() }))
    }
}

fn main() -> ExitCode {
    #[allow(unsafe_code, reason = "there is no thread yet")]
    // SAFETY: this is the first line of the program; it has one thread.
    unsafe {
        // ONNX Runtime would tell its maker that and where it runs, and looks here only.
        std::env::set_var("ORT_DISABLE_TELEMETRY", "1");
    }
    memory::limit_heaps();
    let arguments = Arguments::parse();
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    let terminal = fmt::layer().with_writer(std::io::stderr).with_ansi(std::io::stderr().is_terminal());
    let (capture, captured) = capture(journal::CAPACITY);
    tracing_subscriber::registry().with(filter).with(terminal).with(capture).init();
    match run(arguments, captured) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: Arguments, captured: Captured) -> anyhow::Result<()> {
    let control_plane = arguments.control_plane()?;
    if let Some(camera) = &arguments.dry_run {
        let plan = dry_run::plan(camera, control_plane.as_ref(), &arguments.data_dir)?;
        let mut output = std::io::stdout();
        writeln!(output, "gst-launch-1.0 {}", plan.line(arguments.show_secrets)?)
            .context("the line cannot be written to standard output")?;
        if plan.has_secrets() && !arguments.show_secrets {
            tracing::warn!("secrets are written as ***: with --show-secrets the line runs");
        }
        return Ok(());
    }
    let control_plane = control_plane.context("--url and --token are needed")?;
    let id = arguments.id.unwrap_or_else(|| gst::glib::host_name().to_string());
    let pulse = Pulse::new(control_plane.clone(), &id)?;
    let spool = arguments.data_dir.join("spool");
    std::fs::create_dir_all(&spool).with_context(|| {
        format!("{} cannot be created: give another folder with --data-dir", spool.display())
    })?;
    elements::init()?;
    let crashes = Crashes::open(&arguments.data_dir).and_then(|crashes| {
        crashes.record_faults()?;
        Ok(crashes)
    });
    let crashes = crashes
        .with_context(|| format!("the file `crashes` in {} cannot be used", arguments.data_dir.display()))?;

    let news = Arc::new(News::default());
    let on_signal = Arc::clone(&news);
    ctrlc::set_handler(move || on_signal.end()).context("signals cannot be handled")?;
    if arguments.exit_with_stdin {
        let on_close = Arc::clone(&news);
        std::thread::Builder::new()
            .name("stdin".into())
            .spawn(move || wait_for_stdin(&on_close))
            .context("standard input cannot be watched")?;
    }

    let surroundings = Surroundings {
        control_plane,
        data_dir: arguments.data_dir,
        patience: Patience::default(),
        news: Arc::clone(&news),
    };
    let mut worker = Worker::new(surroundings, crashes);
    tracing::info!(worker = id, version = FULL_VERSION, "started");
    let outcome = pulse.keep_beating(&mut worker, &mut Journal::of(captured), &news);
    let late = worker.shut_down(SHUTDOWN);
    if late > 0 {
        tracing::warn!(cameras = late, "cameras did not stop in time");
    }
    tracing::info!(worker = id, "ended");
    if let End::Hang(_) = outcome? {
        leave();
    }
    Ok(())
}

/// Ends the process without anything that would wait for a thread that hangs.
fn leave() -> ! {
    #[allow(unsafe_code, reason = "the library that wraps it offers nothing else")]
    // SAFETY: it ends the process, and nothing of it is left to be in an unsafe state.
    unsafe {
        nix::libc::_exit(EXIT_OF_A_HANG)
    }
}

/// Returns when the other end of standard input is closed; what is written there means nothing.
fn wait_for_stdin(news: &News) {
    let mut buffer = [0; 256];
    while std::io::stdin().read(&mut buffer).is_ok_and(|read| read > 0) {}
    news.end();
}
