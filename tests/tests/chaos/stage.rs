//! The processes that are killed: a worker with three cameras, a control plane, PostgreSQL and Redis, each with
//! everything it writes in a folder that outlives it.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use nix::sys::signal::Signal;
use serde_json::json;
use tempfile::TempDir;
use uuid::Uuid;
use vedette_tests::api::{Api, FIRST_LOGIN, wait_for};
use vedette_tests::clip::{Clip, KNOWN, walk};
use vedette_tests::server::{Plan, Server, free_port};
use vedette_tests::{checkout, processes};

use crate::journal::Journal;
use crate::servers::{Actor, Database, await_redis, redis, redis_cli};

pub(crate) const CAMERAS: [&str; 3] = ["door", "yard", "gate"];
const PASSWORD: &str = "Correct-Horse-9-battery";
const WORKER_TOKEN: &str = "worker-token-of-the-chaos-test";
const STREAM: &str = "events";
/// Plenty even for a busy machine: nothing here is about speed.
pub(crate) const PATIENCE: Duration = Duration::from_secs(120);

/// How events get from the worker to the control plane.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    Http,
    RedisStream,
}

/// Who is killed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Victim {
    Worker,
    ControlPlane,
    Postgres,
    Redis,
}

impl Victim {
    pub(crate) const ALL: [Self; 4] = [Self::Worker, Self::ControlPlane, Self::Postgres, Self::Redis];
}

/// Everybody, and the truth about them. Dropped in this order: who asks first.
pub(crate) struct Stage {
    worker: Actor,
    server: Server,
    postgres: Actor,
    redis: Actor,
    journal: Journal,
    database: Database,
    redis_port: u16,
    spool: PathBuf,
    _folder: TempDir,
    _database_folder: TempDir,
}

impl Stage {
    /// Everybody runs, and each camera has been seen to.
    pub(crate) fn set(way: Way) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let database_folder = tempfile::tempdir()?;
        let database = Database::create(database_folder.path())?;
        let mut postgres =
            Actor::start("PostgreSQL", database.server()?, folder.path().join("postgres.log"))?;
        let redis_port = free_port()?;
        let redis =
            Actor::start("Redis", redis(redis_port, folder.path())?, folder.path().join("redis.log"))?;
        await_redis(redis_port)?;
        database.await_ready(&mut postgres)?;
        database.query("postgres", "CREATE DATABASE vedette")?;

        let server = plan(way, &database, redis_port, &folder.path().join("server"))?.start()?;
        let mut api = server.api();
        let (username, first_password) = FIRST_LOGIN;
        api.log_in(username, first_password)?;
        api.change_password(username, first_password, PASSWORD)?;

        let data = folder.path().join("worker");
        let spool = data.join("spool");
        let folders = CAMERAS.map(|camera| spool.join(camera));
        folders.iter().try_for_each(fs::create_dir_all)?;
        let journal = Journal::keep(&folders)?;
        let worker = Actor::start(
            "the worker",
            worker(way, &api, redis_port, &data)?,
            folder.path().join("worker.log"),
        )?;
        start_cameras(&api, folder.path())?;
        Ok(Self {
            worker,
            server,
            postgres,
            redis,
            journal,
            database,
            redis_port,
            spool,
            _folder: folder,
            _database_folder: database_folder,
        })
    }

    /// Waits until the worker has put another event to safety.
    pub(crate) fn await_event(&self, timeout: Duration) -> Result<()> {
        let told = self.journal.await_event(timeout);
        told.with_context(|| {
            format!("worker:\n{}\nserver:\n{}", self.worker.log_tail(), self.server.log_tail())
        })
    }

    /// Whoever is gone without having been killed is a fault of its own.
    pub(crate) fn ensure_all_run(&mut self) -> Result<()> {
        for actor in [&mut self.worker, &mut self.postgres, &mut self.redis] {
            actor.ensure_runs()?;
        }
        match self.server.exit_status()? {
            Some(status) => {
                bail!("the control plane ended by itself ({status}):\n{}", self.server.log_tail())
            }
            None => Ok(()),
        }
    }

    pub(crate) fn kill(&mut self, victim: Victim) -> Result<()> {
        match victim {
            Victim::Worker => self.worker.kill(),
            Victim::Postgres => self.postgres.kill(),
            Victim::Redis => self.redis.kill(),
            Victim::ControlPlane => {
                self.server.kill();
                Ok(())
            }
        }
    }

    /// Starts one who was killed, and waits until it can be asked something.
    pub(crate) fn start_again(&mut self, victim: Victim) -> Result<()> {
        match victim {
            Victim::Worker => self.worker.start_again(),
            Victim::ControlPlane => {
                self.server = self.server.plan().clone().start()?;
                Ok(())
            }
            Victim::Postgres => {
                self.postgres.start_again()?;
                self.database.await_ready(&mut self.postgres)
            }
            Victim::Redis => {
                self.redis.start_again()?;
                await_redis(self.redis_port)
            }
        }
    }

    /// Stops the cameras and waits until every event has gone where it is to go; then the worker ends, too.
    pub(crate) fn come_to_rest(&mut self) -> Result<()> {
        let api = self.api()?;
        for camera in CAMERAS {
            api.post(&format!("/api/cameras/{camera}/stop"), &json!({}))?.expect(200)?;
        }
        wait_for("the worker to have no camera and nothing to send", PATIENCE, || {
            let all_stopped = CAMERAS.iter().all(|camera| {
                let camera = api.get(&format!("/api/cameras/{camera}")).map(|answer| answer.json());
                camera.is_ok_and(|camera| camera["status"] == "stopped")
            });
            Ok((all_stopped && self.spooled() == 0 && self.streamed()? == 0).then_some(()))
        })
        .with_context(|| format!("the worker's log ends with\n{}", self.worker.log_tail()))?;
        processes::signal(self.worker.child.id(), Signal::SIGTERM);
        self.worker.child.wait()?;
        // What the cameras saw last came to the disk at the latest now.
        if self.spooled() > 0 {
            self.worker.start_again()?;
            wait_for("the last events to be sent", PATIENCE, || Ok((self.spooled() == 0).then_some(())))?;
            self.worker.kill()?;
        }
        wait_for("the stream to be read", PATIENCE, || Ok((self.streamed()? == 0).then_some(())))
    }

    /// Every event that was ever in the spool; nobody writes any more.
    pub(crate) fn truth(&self) -> Result<BTreeSet<Uuid>> {
        self.journal.close()
    }

    /// The events in the database.
    pub(crate) fn stored(&self) -> Result<Vec<Uuid>> {
        let rows = self.database.query("vedette", "SELECT event_id FROM detections")?;
        rows.lines().map(|id| id.parse().with_context(|| format!("`{id}` is no event's id"))).collect()
    }

    /// The events the API tells of.
    pub(crate) fn told(&self) -> Result<Vec<Uuid>> {
        let api = self.api()?;
        let mut ids = Vec::new();
        for camera in CAMERAS {
            for detection in api.detections(camera, None)? {
                let id = detection["event_id"].as_str().context("a detection without an event's id")?;
                ids.push(id.parse()?);
            }
        }
        Ok(ids)
    }

    /// Files the worker thinks nobody will take.
    pub(crate) fn set_aside(&self) -> Vec<PathBuf> {
        let folders = CAMERAS
            .iter()
            .flat_map(|camera| ["rejected", "damaged"].map(|folder| self.spool.join(camera).join(folder)));
        folders.flat_map(|folder| files(&folder)).collect()
    }

    fn api(&self) -> Result<Api> {
        let mut api = self.server.api();
        // It may still be getting over the last kill.
        wait_for("to be let in", PATIENCE, || Ok(api.log_in(FIRST_LOGIN.0, PASSWORD).is_ok().then_some(())))?;
        Ok(api)
    }

    fn spooled(&self) -> usize {
        let events = CAMERAS.iter().flat_map(|camera| files(&self.spool.join(camera)));
        events.filter(|file| file.extension().is_some_and(|extension| extension == "json")).count()
    }

    /// Entries of the stream that no control plane has stored yet.
    fn streamed(&self) -> Result<u64> {
        let length = redis_cli(self.redis_port, &["XLEN", STREAM])?;
        length.trim().parse().with_context(|| format!("Redis answers `{length}`"))
    }
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().filter_map(Result::ok);
    entries.map(|entry| entry.path()).filter(|path| path.is_file()).collect()
}

fn plan(way: Way, database: &Database, redis_port: u16, folder: &Path) -> Result<Plan> {
    let mut overrides = String::from(
        "detection:\n  deduplication_window: 0\nsecurity:\n  rate_limit: 0\nworkers:\n  local: false\n",
    );
    if way == Way::RedisStream {
        overrides += &format!("events:\n  redis_stream: {STREAM}\n");
    }
    let env = [
        ("DB_HOST", "127.0.0.1".to_owned()),
        ("DB_PORT", database.port.to_string()),
        ("DB_NAME", "vedette".into()),
        ("DB_USER", "vedette".into()),
        ("DB_PASSWORD", "vedette".into()),
        ("REDIS_HOST", "127.0.0.1".into()),
        ("REDIS_PORT", redis_port.to_string()),
        ("VEDETTE_WORKER_TOKEN", WORKER_TOKEN.into()),
    ];
    let env = env.map(|(name, value)| (name.to_owned(), value)).into();
    Ok(Plan { folder: folder.to_path_buf(), port: free_port()?, overrides, env, own_group: true })
}

fn worker(way: Way, api: &Api, redis_port: u16, data: &Path) -> Result<Command> {
    let mut command = Command::new(checkout::built("vedette-worker")?);
    command
        .args(["--url", &api.url(""), "--id", "chaos", "--data-dir"])
        .arg(data)
        .env("VEDETTE_WORKER_TOKEN", WORKER_TOKEN)
        .process_group(0);
    if way == Way::RedisStream {
        command.env("VEDETTE_EVENTS_URI", format!("redis://127.0.0.1:{redis_port}/0?stream={STREAM}"));
    }
    Ok(command)
}

/// Three cameras that see two people pass every few seconds, for ever: one who is known, one who is not.
fn start_cameras(api: &Api, folder: &Path) -> Result<()> {
    let mut clip = Clip::of(vec![
        walk(KNOWN, "obama_partial_face.jpg", 0.2, 1.6, 0),
        walk("stranger", "astronaut.jpg", 0.8, 1.6, 1),
    ]);
    (clip.width, clip.height, clip.face_height_px, clip.fps) = (640, 360, 100, 15);
    let (video, truth) = clip.make(&folder.join("passers-by"))?;
    for (name, photos) in &truth.enroll {
        let photos: Vec<PathBuf> = photos.iter().map(|photo| checkout::media_dir().join(photo)).collect();
        api.register(name, &photos)?.expect(201)?;
    }
    for camera in CAMERAS {
        let url = format!("file://{}", video.display());
        let body = json!({"id": camera, "name": camera, "url": url, "enabled": true, "loop": true});
        api.post("/api/cameras", &body)?.expect(201)?;
        api.post(&format!("/api/cameras/{camera}/start"), &json!({}))?.expect(200)?;
    }
    Ok(())
}
