//! Processes that are killed and started again, and the two servers that are not ours: PostgreSQL and Redis.

use std::fs::{self, File};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use anyhow::{Context as _, Result, bail, ensure};
use nix::sys::signal::Signal;
use nix::unistd::{User, geteuid};
use vedette_tests::api::wait_for;
use vedette_tests::processes;
use vedette_tests::server::free_port;

use crate::stage::PATIENCE;

/// A process that can be killed and started again; killed when dropped.
pub(crate) struct Actor {
    name: &'static str,
    command: Command,
    pub(crate) child: Child,
    log: PathBuf,
}

impl Actor {
    pub(crate) fn start(name: &'static str, mut command: Command, log: PathBuf) -> Result<Self> {
        let output = File::options().create(true).append(true).open(&log)?;
        command.stdin(Stdio::null()).stdout(output.try_clone()?).stderr(output);
        let child = command.spawn().with_context(|| format!("cannot start {name}"))?;
        Ok(Self { name, command, child, log })
    }

    pub(crate) fn start_again(&mut self) -> Result<()> {
        self.child = self.command.spawn().with_context(|| format!("cannot start {} again", self.name))?;
        Ok(())
    }

    pub(crate) fn kill(&mut self) -> Result<()> {
        processes::signal(self.child.id(), Signal::SIGKILL);
        self.child.wait()?;
        Ok(())
    }

    pub(crate) fn ensure_runs(&mut self) -> Result<()> {
        if let Some(status) = self.child.try_wait()? {
            bail!("{} ended by itself ({status}); its log is\n{}", self.name, self.log_tail());
        }
        Ok(())
    }

    pub(crate) fn log_tail(&self) -> String {
        let text = fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(20)..].join("\n")
    }
}

impl Drop for Actor {
    fn drop(&mut self) {
        // One that is gone already needs no more.
        let _ = self.kill();
    }
}

/// As docker/compose.prod.yaml has it.
pub(crate) fn redis(port: u16, folder: &Path) -> Result<Command> {
    let data = folder.join("redis");
    fs::create_dir_all(&data)?;
    let mut command = Command::new("redis-server");
    command
        .args(["--bind", "127.0.0.1", "--port", &port.to_string(), "--save", ""])
        .args(["--appendonly", "yes", "--appendfsync", "always", "--dir"])
        .arg(&data)
        .process_group(0);
    Ok(command)
}

pub(crate) fn redis_cli(port: u16, arguments: &[&str]) -> Result<String> {
    let output = Command::new("redis-cli").args(["-p", &port.to_string()]).args(arguments).output()?;
    ensure!(output.status.success(), "redis-cli {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

pub(crate) fn await_redis(port: u16) -> Result<()> {
    wait_for("Redis", PATIENCE, || {
        Ok(redis_cli(port, &["PING"]).is_ok_and(|answer| answer.trim() == "PONG").then_some(()))
    })
}

/// A PostgreSQL of our own, with the settings it comes with.
pub(crate) struct Database {
    folder: PathBuf,
    pub(crate) port: u16,
    /// Debian keeps its programs off the path, one folder for each version.
    programs: PathBuf,
}

impl Database {
    pub(crate) fn create(folder: &Path) -> Result<Self> {
        let versions = fs::read_dir("/usr/lib/postgresql").context("PostgreSQL is not installed")?;
        let programs = versions.filter_map(Result::ok).map(|entry| entry.path().join("bin")).max();
        let programs = programs.context("PostgreSQL is not installed")?;
        let database = Self { folder: folder.join("data"), port: free_port()?, programs };
        let password = folder.join("password");
        fs::write(&password, "vedette")?;
        if geteuid().is_root() {
            let postgres = User::from_name("postgres")?.context("there is no user `postgres`")?;
            for path in [folder, &password] {
                std::os::unix::fs::chown(path, Some(postgres.uid.as_raw()), Some(postgres.gid.as_raw()))?;
            }
        }
        let mut initdb = database.program("initdb")?;
        initdb
            .arg("--pgdata")
            .arg(&database.folder)
            .args(["--username", "vedette", "--auth", "scram-sha-256", "--encoding", "UTF8", "--pwfile"])
            .arg(&password);
        let output = initdb.output()?;
        ensure!(output.status.success(), "initdb: {}", String::from_utf8_lossy(&output.stderr));
        Ok(database)
    }

    /// One of its programs, run as a user it accepts: it refuses to be root.
    fn program(&self, name: &str) -> Result<Command> {
        let mut command = Command::new(self.programs.join(name));
        command.env("LC_ALL", "C").current_dir("/");
        if geteuid().is_root() {
            let postgres = User::from_name("postgres")?.context("there is no user `postgres`")?;
            command.uid(postgres.uid.as_raw()).gid(postgres.gid.as_raw());
        }
        Ok(command)
    }

    pub(crate) fn server(&self) -> Result<Command> {
        let mut command = self.program("postgres")?;
        command
            .arg("-D")
            .arg(&self.folder)
            .args(["-h", "127.0.0.1", "-p", &self.port.to_string(), "-c", "unix_socket_directories="])
            .process_group(0);
        Ok(command)
    }

    /// Waits until it answers. Started while children of a killed one are still about, it ends at once: again, then.
    pub(crate) fn await_ready(&self, server: &mut Actor) -> Result<()> {
        wait_for("PostgreSQL", PATIENCE, || {
            if server.child.try_wait()?.is_some() {
                server.start_again()?;
            }
            Ok(self.query("postgres", "SELECT 1").is_ok().then_some(()))
        })
        .with_context(|| server.log_tail())
    }

    /// What a statement answers, a row a line.
    pub(crate) fn query(&self, database: &str, statement: &str) -> Result<String> {
        let mut psql = Command::new("psql");
        psql.args(["-h", "127.0.0.1", "-p", &self.port.to_string(), "-U", "vedette", "-d", database]).args([
            "--no-psqlrc",
            "-qAt",
            "-c",
            statement,
        ]);
        let output = psql.env("PGPASSWORD", "vedette").output().context("cannot run psql")?;
        ensure!(output.status.success(), "psql: {}", String::from_utf8_lossy(&output.stderr));
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }
}
