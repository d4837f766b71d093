//! `vedette doctor`: looks over this machine and says, in the order one would mend it, what keeps Vedette from working and
//! what to do. It changes nothing.

use std::fmt;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, bail};
use sea_orm::DatabaseConnection;
use vedette_events::release::FULL_VERSION;
use vedette_migrations::{Migrator, MigratorTrait as _};
use vedette_models::analyzer::Analyzer;

use super::ConfigArguments;
use crate::config::{Config, EnvironmentSettings};
use crate::redis_link::RedisLink;
use crate::vision::Vision;
use crate::{database, startup, supervisor};

#[derive(Debug, clap::Args)]
pub(super) struct DoctorArguments {
    #[command(flatten)]
    config: ConfigArguments,
}

/// What came of a look at one thing.
enum Finding {
    /// It is as it should be.
    Fine(String),
    /// Something to know, or that does without.
    Hint(String),
    /// It has to be mended.
    Fault(String),
}

impl Finding {
    fn of(outcome: Result<String>) -> Self {
        outcome.map_or_else(|error| Self::Fault(format!("{error:#}")), Self::Fine)
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fine(what) => write!(f, "ok\t{what}"),
            Self::Hint(what) => write!(f, "note\t{what}"),
            Self::Fault(what) => write!(f, "bad\t{what}"),
        }
    }
}

/// Elements cameras need, and the Debian package that has them.
const MEDIA: [(&str, &str); 5] = [
    ("decodebin", "gstreamer1.0-plugins-base"),
    ("rtspsrc", "gstreamer1.0-plugins-good"),
    ("h264parse", "gstreamer1.0-plugins-bad"),
    ("hlsdemux", "gstreamer1.0-plugins-bad"),
    ("avdec_h264", "gstreamer1.0-libav"),
];

/// Names of our elements that other plugins' elements have as well, with the one that is ours alone.
const NAMESAKES: [(&str, &str); 2] =
    [("facedetect", "vedettefacedetect"), ("faceoverlay", "vedettefaceoverlay")];

pub(super) async fn run(arguments: DoctorArguments) -> Result<()> {
    let mut faults = 0_usize;
    let mut tell = |findings: Vec<Finding>| {
        for finding in findings {
            println!("{finding}");
            faults += usize::from(matches!(finding, Finding::Fault(_)));
        }
    };
    let mut runs_cameras = true;
    match arguments.config.load() {
        Ok(config) => {
            tell(vec![settings(&config), data_folder(&config.environment.data_dir)]);
            tell(vec![database(&config.environment).await]);
            tell(redis(&config.environment).await.into_iter().collect());
            tell(vec![models(&config)]);
            runs_cameras = config.file.workers.local;
            if runs_cameras {
                tell(vec![worker(&config.environment)]);
            }
        }
        Err(error) => tell(vec![Finding::Fault(format!("settings: {error:#}"))]),
    }
    tell(gstreamer(runs_cameras));
    match faults {
        0 => Ok(()),
        1 => bail!("one thing has to be mended, see above"),
        _ => bail!("{faults} things have to be mended, see above"),
    }
}

fn settings(config: &Config) -> Finding {
    let folder = config.folder.as_deref().map_or("built-in".into(), |folder| folder.display().to_string());
    Finding::Fine(format!("settings: {folder}, {}", config.stage.as_str()))
}

fn data_folder(folder: &Path) -> Finding {
    if !folder.exists() {
        return Finding::Hint(format!("data folder: `{}` is made at the first start", folder.display()));
    }
    let told = startup::prepare_data_dir(folder);
    Finding::of(told.map(|()| format!("data folder: `{}` is writable", folder.display())))
}

async fn database(settings: &EnvironmentSettings) -> Finding {
    let file = database::sqlite_file(&settings.data_dir);
    if settings.postgres.is_none() && !file.exists() {
        return Finding::Hint("database: SQLite, made at the first start".to_owned());
    }
    let name = if settings.postgres.is_some() { "PostgreSQL" } else { "SQLite" };
    let pending = async |db: &DatabaseConnection| {
        Migrator::get_pending_migrations(db).await.context("cannot read which migrations are applied")
    };
    let outcome = async { pending(&database::connect(settings).await?).await }.await;
    match outcome {
        Ok(pending) if pending.is_empty() => {
            Finding::Fine(format!("database: {name}, its tables are up to date"))
        }
        Ok(pending) => {
            let count = pending.len();
            Finding::Hint(format!("database: {name}, {count} changes to its tables come at the next start"))
        }
        Err(error) => Finding::Fault(format!("database: {error:#}")),
    }
}

async fn redis(settings: &EnvironmentSettings) -> Option<Finding> {
    Some(match RedisLink::open(settings.redis.as_ref()?).await {
        Ok(link) if link.is_connected() => Finding::Fine(link.status()),
        // Vedette goes on without it.
        Ok(link) => Finding::Hint(link.status()),
        Err(error) => Finding::Fault(format!("redis: {error:#}")),
    })
}

/// Opens the pack as a server does, with ONNX Runtime.
fn models(config: &Config) -> Finding {
    let open = || {
        let vision = Vision::from_config(&config.file)?;
        Analyzer::open(&vision.pack().name, vision.device())?;
        Ok(format!("models: the pack `{}` works", vision.pack().name))
    };
    Finding::of(open().map_err(|error: anyhow::Error| error.context("models")))
}

fn worker(settings: &EnvironmentSettings) -> Finding {
    let Some(binary) = supervisor::find_worker(settings.worker_binary.as_deref()) else {
        return Finding::Fault(
            "worker: there is no vedette-worker beside this program or on the PATH: install it, or name it in \
             VEDETTE_WORKER"
                .to_owned(),
        );
    };
    let place = binary.display();
    match answer_of(Command::new(&binary).arg("--version")) {
        Some(told) if told.trim().ends_with(FULL_VERSION) => Finding::Fine(format!("worker: {place}")),
        Some(told) => Finding::Hint(format!(
            "worker: {place} says `{}`, this is {FULL_VERSION}: install both from one release",
            told.trim()
        )),
        None => {
            Finding::Fault(format!("worker: {place} does not run here: are GStreamer's libraries installed?"))
        }
    }
}

/// What cameras, if this machine runs any, and a terminal need of GStreamer.
fn gstreamer(runs_cameras: bool) -> Vec<Finding> {
    let Some(version) = answer_of(Command::new("gst-inspect-1.0").arg("--version")) else {
        return vec![Finding::Hint(
            "GStreamer: no gst-inspect-1.0, so no more is known: install gstreamer1.0-tools".to_owned(),
        )];
    };
    let mut findings =
        vec![Finding::Fine(format!("GStreamer: {}", version.lines().nth(1).unwrap_or_default().trim()))];
    for (element, package) in MEDIA.into_iter().filter(|_| runs_cameras) {
        if plugin_of(element).is_none() {
            findings.push(Finding::Fault(format!("GStreamer: no element `{element}`: install {package}")));
        }
    }
    if plugin_of("vedettefacedetect").is_none() {
        findings.push(Finding::Hint(
            "terminal: gst-launch-1.0 does not know Vedette's elements (the worker has them built in): name the folder \
             of libgstvedette.so in GST_PLUGIN_PATH"
                .to_owned(),
        ));
        return findings;
    }
    for (name, own_name) in NAMESAKES {
        match plugin_of(name) {
            Some(plugin) if plugin != "vedette" => findings.push(Finding::Hint(format!(
                "terminal: `{name}` in a launch line is the element of GStreamer's plugin `{plugin}`: write `{own_name}`. \
                 The worker is not affected"
            ))),
            _ => findings.push(Finding::Fine(format!("terminal: `{name}` is Vedette's"))),
        }
    }
    findings
}

/// The plugin an element comes from, if there is such an element.
fn plugin_of(element: &str) -> Option<String> {
    let told = answer_of(Command::new("gst-inspect-1.0").arg("--no-colors").arg(element))?;
    let details = told.lines().skip_while(|line| !line.starts_with("Plugin Details"));
    let mut names = details.filter_map(|line| line.trim().strip_prefix("Name "));
    Some(names.next()?.trim().to_owned())
}

/// What a command says on standard output, if it runs and ends well.
fn answer_of(command: &mut Command) -> Option<String> {
    let output = command.stdin(Stdio::null()).output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).into_owned())
}
