//! The `vedette` command as a process: what it prints, how it ends.

use std::fs::File;
use std::io::{BufRead as _, BufReader, Seek as _, Write as _};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::json;
use tempfile::TempDir;

use crate::app::Client;

/// Standard input that holds `text`.
pub(crate) fn input(text: &str) -> Stdio {
    let mut file: File = tempfile::tempfile().unwrap();
    file.write_all(text.as_bytes()).unwrap();
    file.rewind().unwrap();
    file.into()
}

pub(crate) struct Installation(pub(crate) TempDir);

impl Installation {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let base = "server: {port: 0}\nworkers: {local: false}\nlogging: {rotation: never}\n";
        std::fs::write(folder.path().join("config.yaml"), base).unwrap();
        Self(folder)
    }

    pub(crate) fn data_dir(&self) -> std::path::PathBuf {
        self.0.path().join("data")
    }

    /// A command that knows nothing of this machine's environment.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_vedette"));
        command
            .args(arguments)
            .arg("--config")
            .arg(self.0.path())
            .current_dir(self.0.path())
            .env_clear()
            .env("VEDETTE_DATA_DIR", self.data_dir())
            .stdin(Stdio::null());
        command
    }

    fn run(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().unwrap()
    }

    fn fails(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        let told = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{told}");
        assert!(told.contains("error: ") && !told.contains("panicked"), "{told}");
        told
    }

    fn succeeds(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }
}

/// Reads the log until the server listens; the rest is read in the background so that it never waits.
fn wait_until_it_listens(server: &mut Child) -> Vec<String> {
    let mut lines = BufReader::new(server.stderr.take().unwrap()).lines().map_while(Result::ok);
    let mut seen = Vec::new();
    for line in lines.by_ref() {
        let is_listening = line.contains("listening on http://");
        seen.push(line);
        if is_listening {
            std::thread::spawn(move || lines.for_each(drop));
            return seen;
        }
    }
    panic!("the server does not listen:\n{}", seen.join("\n"));
}

pub(crate) fn stops_cleanly(mut server: Child, signal: Signal) {
    kill(Pid::from_raw(server.id().try_into().unwrap()), signal).unwrap();
    assert!(server.wait().unwrap().success());
}

#[test]
fn it_serves_until_it_is_told_to_stop() {
    for signal in [Signal::SIGTERM, Signal::SIGINT] {
        let installation = Installation::new();
        let mut server = installation.command(&["serve"]).stderr(Stdio::piped()).spawn().unwrap();
        wait_until_it_listens(&mut server);
        stops_cleanly(server, signal);
    }
}

#[test]
fn production_makes_up_a_first_password_and_shows_it_once() {
    let installation = Installation::new();
    let start = || {
        let mut server = installation
            .command(&["serve"])
            .env("CONFIG_ENV", "production")
            .env("JWT_SECRET", "0123456789abcdef0123456789abcdef")
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let told = wait_until_it_listens(&mut server);
        stops_cleanly(server, Signal::SIGTERM);
        told.into_iter().filter(|line| line.contains("the password is")).count()
    };
    assert_eq!((start(), start()), (1, 0));
}

#[test]
fn mistakes_in_the_settings_stop_the_start() {
    let installation = Installation::new();
    std::fs::write(installation.0.path().join("config.dev.yaml"), "server:\n  prot: 1\n").unwrap();
    let told = installation.fails(&["serve"]);
    assert!(told.contains("config.dev.yaml") && told.contains("prot") && told.contains("line 2"), "{told}");
}

#[test]
fn a_data_folder_that_is_a_file_stops_the_start() {
    let installation = Installation::new();
    std::fs::write(installation.data_dir(), "not a folder").unwrap();
    for command in [&["serve"][..], &["migrate", "status"], &["user", "passwd", "admin"]] {
        let told = installation.fails(command);
        assert!(told.contains("VEDETTE_DATA_DIR"), "{told}");
    }
}

#[test]
fn a_corrupt_database_stops_the_start() {
    let installation = Installation::new();
    std::fs::create_dir(installation.data_dir()).unwrap();
    std::fs::write(installation.data_dir().join("vedette.db"), "this is no database ".repeat(1000)).unwrap();
    let told = installation.fails(&["serve"]);
    assert!(told.contains("vedette.db") && told.contains("backup"), "{told}");
}

#[test]
fn a_busy_port_stops_the_start() {
    let installation = Installation::new();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port().to_string();
    let told = installation.fails(&["serve", "--port", &port]);
    assert!(told.contains(&port) && told.contains("--port"), "{told}");
}

#[test]
fn postgres_that_is_not_there_stops_the_start() {
    let installation = Installation::new();
    let nobody = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port().to_string();
    let output = installation
        .command(&["serve"])
        .envs([("DB_HOST", "127.0.0.1"), ("DB_PORT", &nobody), ("DB_USER", "u"), ("DB_PASSWORD", "hidden")])
        .output()
        .unwrap();
    let told = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{told}");
    assert!(told.contains("DB_HOST") && !told.contains("hidden"), "{told}");
}

#[test]
fn migrations_go_up_and_down() {
    let installation = Installation::new();
    let all_in = |status: &str, state: &str| status.lines().all(|line| line.starts_with(state));
    assert!(all_in(&installation.succeeds(&["migrate", "status"]), "pending"));
    assert!(all_in(&installation.succeeds(&["migrate", "up"]), "applied"));
    installation.fails(&["migrate", "down"]);
    installation.fails(&["migrate", "fresh"]);
    let last = installation.succeeds(&["migrate", "down", "--yes"]);
    assert!(last.lines().last().unwrap().starts_with("pending"), "{last}");
    let steps = last.lines().count().to_string();
    assert!(all_in(&installation.succeeds(&["migrate", "fresh", "--yes"]), "applied"));
    assert!(all_in(&installation.succeeds(&["migrate", "down", "--yes", "--steps", &steps]), "pending"));
    assert!(all_in(&installation.succeeds(&["migrate", "up"]), "applied"));
}

#[test]
fn users_are_made_and_given_passwords() {
    let installation = Installation::new();
    let run = |arguments: &[&str], password: &str| {
        installation.command(arguments).stdin(input(&format!("{password}\n"))).output().unwrap()
    };
    let create = ["user", "create", "Ada", "--role", "operator", "--email", "ada@example.org"];
    assert!(run(&create, "a good password").status.success());
    assert_eq!(run(&create, "a good password").status.code(), Some(1), "the name is taken");
    assert_eq!(run(&["user", "create", "bob"], "short").status.code(), Some(1));
    assert!(run(&["user", "passwd", "ada"], "another password").status.success());
    assert_eq!(run(&["user", "passwd", "nobody"], "another password").status.code(), Some(1));
}

#[test]
fn settings_are_checked_and_shown_without_a_start() {
    let installation = Installation::new();
    assert!(installation.succeeds(&["config", "check"]).contains("development"));
    let shown = installation.succeeds(&["config", "print"]);
    assert!(shown.contains("port: 0  # config.yaml") && shown.contains("# environment"), "{shown}");
    assert!(!installation.data_dir().exists(), "looking changes nothing");
    std::fs::write(installation.0.path().join("config.dev.yaml"), "server:\n  prot: 1\n").unwrap();
    for action in ["check", "print"] {
        let told = installation.fails(&["config", action]);
        assert!(told.contains("config.dev.yaml") && told.contains("line 2"), "{told}");
    }
}

#[test]
fn the_log_level_is_changed_while_the_server_runs() {
    let installation = Installation::new();
    let mut server = installation.command(&["serve"]).stderr(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(server.stderr.take().unwrap()).lines().map_while(Result::ok);
    let mut wait_for = |text: &str| {
        let mut seen = Vec::new();
        loop {
            let line = lines.next().unwrap_or_else(|| panic!("no `{text}` in:\n{}", seen.join("\n")));
            let is_found = line.contains(text);
            seen.push(line);
            if is_found {
                return seen;
            }
        }
    };
    let address = wait_for("listening on http://").pop().unwrap();
    let address = address.split("http://").nth(1).unwrap().trim().to_owned();
    let client = Client::to(&address);
    let login = |password: &str| client.clone().signed_in("admin", password);
    let change = json!({ "old_password": "admin123", "new_password": "a password of the tests" });
    login("admin123").post("/api/auth/change-password", &change).expect(200);
    let admin = login("a password of the tests");

    // Requests for the health are for debugging only.
    client.get("/api/health").expect(200);
    let answer = admin.put("/api/logs/level", &json!({ "level": "debug" })).expect(200);
    assert_eq!(answer["level"], "debug");
    client.get("/api/health").expect(200);
    let seen = wait_for("/api/health");
    assert_eq!(seen.iter().filter(|line| line.contains("/api/health")).count(), 1, "{seen:?}");

    std::fs::write(installation.0.path().join("config.dev.yaml"), "logging: {level: info}\n").unwrap();
    let hang_up = || kill(Pid::from_raw(server.id().try_into().unwrap()), Signal::SIGHUP).unwrap();
    hang_up();
    wait_for("read again");
    client.get("/api/health").expect(200);
    // What does not hold is told and changes nothing.
    std::fs::write(installation.0.path().join("config.dev.yaml"), "logging: {level: loud}\n").unwrap();
    hang_up();
    let seen = wait_for("cannot be read again");
    assert!(!seen.iter().any(|line| line.contains("/api/health")), "{seen:?}");

    admin.put("/api/logs/level", &json!({ "level": "loud" })).expect_error(422, "ValidationException");
    client.put("/api/logs/level", &json!({ "level": "debug" })).expect_error(401, "AuthenticationException");
    std::thread::spawn(move || lines.for_each(drop));
    stops_cleanly(server, Signal::SIGTERM);
}

#[test]
fn doctor_says_what_is_missing_and_changes_nothing() {
    let installation = Installation::new();
    // A pack that nobody fetches for tests.
    let settings = "workers: {local: false}\nface_recognition: {detection_model: buffalo_l}\n";
    std::fs::write(installation.0.path().join("config.yaml"), settings).unwrap();
    let output = installation.run(&["doctor"]);
    let told = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(1), "{told}");
    for line in
        ["ok\tsettings: ", "note\tdata folder: ", "note\tdatabase: SQLite", "bad\tmodels: ", "\tGStreamer: "]
    {
        assert!(told.contains(line), "{line}: {told}");
    }
    assert!(told.contains("vedette models fetch"), "{told}");
    assert!(!installation.data_dir().exists());
    std::fs::write(installation.0.path().join("config.yaml"), "workers: {locally: false}\n").unwrap();
    let output = installation.run(&["doctor"]);
    assert!(String::from_utf8(output.stdout).unwrap().contains("bad\tsettings: "));
}

/// GStreamer's OpenCV plugin has a `facedetect`, and with a fresh registry it is the one found.
#[test]
fn doctor_knows_whose_names_a_terminal_uses() {
    let installation = Installation::new();
    std::fs::write(installation.0.path().join("config.yaml"), "workers: {local: true}\n").unwrap();
    let tools = tempfile::tempdir().unwrap();
    let inspect = tools.path().join("gst-inspect-1.0");
    let script = "#!/bin/sh\ncase \"$1 $2\" in\n'--version '*) printf 'gst-inspect\\nGStreamer 1.22.0\\n';;\n\
                  *' facedetect') printf 'Plugin Details:\\n  Name                     opencv\\n';;\n*' rtspsrc') exit 1;;\n\
                  *) printf 'Plugin Details:\\n  Name                     vedette\\n';;\nesac\n";
    std::fs::write(&inspect, script).unwrap();
    std::fs::set_permissions(&inspect, std::fs::Permissions::from_mode(0o755)).unwrap();
    let output = installation
        .command(&["doctor"])
        .env("PATH", tools.path())
        .env("VEDETTE_WORKER", "/nowhere")
        .output()
        .unwrap();
    let told = String::from_utf8(output.stdout).unwrap();
    assert!(told.contains("ok\tGStreamer: GStreamer 1.22.0"), "{told}");
    assert!(told.contains("plugin `opencv`: write `vedettefacedetect`"), "{told}");
    assert!(told.contains("ok\tterminal: `faceoverlay` is Vedette's"), "{told}");
    assert!(told.contains("bad\tworker: there is no vedette-worker"), "{told}");
    assert!(
        told.contains("bad\tGStreamer: no element `rtspsrc`: install gstreamer1.0-plugins-good"),
        "{told}"
    );
}

#[test]
fn help_tells_about_every_command() {
    let output = Command::new(env!("CARGO_BIN_EXE_vedette")).arg("--help").output().unwrap();
    let help = String::from_utf8(output.stdout).unwrap();
    for word in [
        "serve",
        "migrate",
        "user",
        "import",
        "doctor",
        "config",
        "evaluate",
        "calibrate",
        "VEDETTE_DATA_DIR",
        "JWT_SECRET",
        "RUST_LOG",
    ] {
        assert!(help.contains(word), "{help}");
    }
    assert!(Path::new(env!("CARGO_BIN_EXE_vedette")).is_file());
}
