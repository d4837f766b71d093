//! `make run`: the demo from its first start to Ctrl-C.

use std::{
    fs::{self, File},
    net::TcpListener,
    os::unix::{fs::PermissionsExt as _, process::CommandExt as _},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use anyhow::{Context as _, Result, ensure};
use nix::{
    sys::signal::{Signal, killpg},
    unistd::Pid,
};
use vedette_tests::{api::wait_for, checkout, clip::KNOWN, processes, server::free_port};

use crate::scene::{PATIENCE, turn};

struct Demo {
    child: Child,
    output: PathBuf,
    data: PathBuf,
}

impl Demo {
    /// In a process group of its own, as a shell at a terminal starts it.
    fn start(folder: &Path, port: u16, options: &[&str]) -> Result<Self> {
        let (output, data) = (folder.join("output"), folder.join("data"));
        let file = File::create(&output)?;
        let child = Command::new(checkout::built("demo")?)
            .arg("--data-dir")
            .arg(&data)
            .args(["--port", &port.to_string()])
            .args(options)
            .process_group(0)
            .stdin(Stdio::null())
            .stdout(file.try_clone()?)
            .stderr(file)
            .spawn()?;
        Ok(Self { child, output, data })
    }

    fn said(&self) -> String {
        fs::read_to_string(&self.output).unwrap_or_default()
    }

    fn await_words(&mut self, words: &str) -> Result<()> {
        wait_for(&format!("the demo to say `{words}`"), PATIENCE, || {
            let said = self.said();
            let has_ended = self.child.try_wait()?.is_some();
            ensure!(!has_ended || said.contains(words), "the demo ended:\n{said}");
            Ok(said.contains(words).then_some(()))
        })
        .with_context(|| format!("so far it said\n{}", self.said()))
    }

    fn await_end(&mut self) -> Result<i32> {
        let status = wait_for("the demo to end", PATIENCE, || Ok(self.child.try_wait()?))
            .with_context(|| format!("so far it said\n{}", self.said()))?;
        status.code().with_context(|| format!("{status}"))
    }

    fn leaves_nothing_running(&self) -> Result<()> {
        let left = processes::with_argument(&self.data.to_string_lossy());
        ensure!(left.is_empty(), "left running: {left:?}");
        Ok(())
    }
}

impl Drop for Demo {
    fn drop(&mut self) {
        // Only what a failing test leaves; gone already otherwise.
        processes::signal(self.child.id(), Signal::SIGTERM);
        let _ = self.child.wait();
    }
}

#[test]
fn it_recognises_someone_and_starts_again_where_it_was() -> Result<()> {
    let _turn = turn();
    let folder = tempfile::tempdir()?;
    let mut first = Demo::start(folder.path(), free_port()?, &["--once"])?;
    ensure!(first.await_end()? == 0, "{}", first.said());
    let said = first.said();
    ensure!(said.contains("Dashboard  http://127.0.0.1:") && said.contains(KNOWN), "{said}");
    first.leaves_nothing_running()?;

    let login = first.data.join("login");
    let password = fs::read_to_string(&login)?;
    ensure!(fs::metadata(&login)?.permissions().mode() & 0o077 == 0, "others can read the password");
    ensure!(said.contains(password.trim()), "the password is not told: {said}");

    let mut second = Demo::start(folder.path(), free_port()?, &[])?;
    second.await_words("Ctrl-C")?;
    ensure!(second.said().contains(password.trim()), "another password: {}", second.said());
    ensure!(!second.said().contains("enrolled Barack"), "enrolled twice: {}", second.said());
    second.await_words("Unknown")?;
    second.await_words("sure (")?;

    let group = Pid::from_raw(second.child.id().try_into()?);
    killpg(group, Signal::SIGINT)?;
    ensure!(second.await_end()? == 0, "{}", second.said());
    second.leaves_nothing_running()
}

#[test]
fn it_stops_when_asked_to_by_a_supervisor() -> Result<()> {
    let _turn = turn();
    let folder = tempfile::tempdir()?;
    let mut demo = Demo::start(folder.path(), free_port()?, &[])?;
    demo.await_words("Ctrl-C")?;
    processes::signal(demo.child.id(), Signal::SIGTERM);
    ensure!(demo.await_end()? == 0, "{}", demo.said());
    demo.leaves_nothing_running()
}

#[test]
fn it_says_when_its_port_is_taken() -> Result<()> {
    let _turn = turn();
    let folder = tempfile::tempdir()?;
    let holder = TcpListener::bind(("127.0.0.1", 0))?;
    let port = holder.local_addr()?.port();
    let mut demo = Demo::start(folder.path(), port, &[])?;
    ensure!(demo.await_end()? == 1, "{}", demo.said());
    let said = demo.said();
    ensure!(said.contains(&format!("port {port} is taken")) && said.contains("make run PORT="), "{said}");
    Ok(())
}
