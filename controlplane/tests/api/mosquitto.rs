//! A real MQTT broker: Debian's mosquitto, with users, TLS, and what it has to keep on disk.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;
use tempfile::TempDir;

use crate::app::{TestApp, eventually};
use crate::redis_server::{free_port, write_identity};

pub(crate) const USER: &str = "vedette";
pub(crate) const PASSWORD: &str = "pass word: of # the broker";
/// Starts the broker, tells its process id, and ends it as soon as its own standard input ends: with us.
const SCRIPT: &str = "PATH=$PATH:/usr/sbin; mosquitto -c mosquitto.conf >>mosquitto.log 2>&1 & echo $!; \
                      cat >/dev/null; kill -9 $!";

pub(crate) struct Mosquitto {
    port: u16,
    tls_port: u16,
    folder: TempDir,
    shell: Child,
    pid: Pid,
}

impl Mosquitto {
    /// A broker; `None`, which is said, where it is not installed.
    pub(crate) fn start() -> Option<Self> {
        let look = "PATH=$PATH:/usr/sbin; command -v mosquitto && command -v mosquitto_sub";
        if !Command::new("sh").args(["-c", look]).output().is_ok_and(|output| output.status.success()) {
            println!("skipped: mosquitto is not installed");
            return None;
        }
        // Tests of one process run beside each other: each gets ports of its own.
        static NEXT: Mutex<u16> = Mutex::new(0);
        let mut next = NEXT.lock().unwrap_or_else(PoisonError::into_inner);
        let port = free_port((*next).max(free_port(0) + 5_000));
        let tls_port = free_port(port + 1);
        *next = tls_port + 1;
        drop(next);
        let folder = tempfile::tempdir().unwrap();
        write_identity(folder.path());
        let user = Command::new("id").arg("-un").output().unwrap();
        let settings = format!(
            "user {}\nallow_anonymous false\npassword_file passwords\npersistence true\npersistence_location {}/\n\
             listener {port} 127.0.0.1\nlistener {tls_port} 127.0.0.1\ncertfile tls.crt\nkeyfile tls.key\n",
            String::from_utf8(user.stdout).unwrap().trim(),
            folder.path().display()
        );
        std::fs::write(folder.path().join("mosquitto.conf"), settings).unwrap();
        let made = Command::new("mosquitto_passwd")
            .args(["-c", "-b", "passwords", USER, PASSWORD])
            .current_dir(folder.path())
            .output()
            .unwrap();
        assert!(made.status.success(), "{made:?}");
        let (shell, pid) = run(&folder);
        let broker = Self { port, tls_port, folder, shell, pid };
        broker.wait_until_it_answers();
        Some(broker)
    }

    fn wait_until_it_answers(&self) {
        eventually("mosquitto answers", || std::net::TcpStream::connect(("127.0.0.1", self.port)).ok());
    }

    /// Ends it; what it has to keep, it writes down.
    pub(crate) fn go_down(&mut self) {
        kill(self.pid, Signal::SIGTERM).unwrap();
        eventually("mosquitto ends", || kill(self.pid, None).err());
        drop(self.shell.stdin.take());
        self.shell.wait().unwrap();
    }

    /// Starts it again, with what it had on disk.
    pub(crate) fn come_up(&mut self) {
        (self.shell, self.pid) = run(&self.folder);
        self.wait_until_it_answers();
    }

    /// A server that publishes there.
    pub(crate) fn app(&self, yaml: &str) -> TestApp {
        self.app_with(yaml, &[("MQTT_PORT", &self.port.to_string()), ("MQTT_PASSWORD", PASSWORD)])
    }

    /// The same over TLS.
    pub(crate) fn app_over_tls(&self, yaml: &str) -> TestApp {
        let ca_file = self.folder.path().join("ca.crt").display().to_string();
        let port = self.tls_port.to_string();
        let tls = [("MQTT_PORT", port.as_str()), ("MQTT_TLS", "true"), ("MQTT_CA_FILE", &ca_file)];
        self.app_with(yaml, &[&tls[..], &[("MQTT_PASSWORD", PASSWORD)]].concat())
    }

    /// A server that knows no password of it.
    pub(crate) fn app_with_wrong_password(&self, yaml: &str) -> TestApp {
        self.app_with(yaml, &[("MQTT_PORT", &self.port.to_string()), ("MQTT_PASSWORD", "wrong")])
    }

    fn app_with(&self, yaml: &str, variables: &[(&str, &str)]) -> TestApp {
        let ours = [("MQTT_HOST", "127.0.0.1"), ("MQTT_USER", USER)];
        TestApp::with_variables(yaml, &[&ours, variables].concat())
    }

    /// Somebody who hears everything, what is said while they or the broker are away, too.
    pub(crate) fn subscribe(&self) -> Subscriber {
        // By the line, or what it says of the protocol would wait for the first message.
        let mut client = Command::new("stdbuf")
            .args(["-oL", "mosquitto_sub"])
            .args(["-h", "127.0.0.1", "-p", &self.port.to_string(), "-u", USER, "-P", PASSWORD])
            .args(["-i", "listener", "-c", "-q", "1", "-t", "#", "-d", "-F", "%t %p"])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(client.stdout.take().unwrap()).lines();
        let (tell, lines_told) = channel();
        std::thread::spawn(move || lines.map_while(Result::ok).try_for_each(|line| tell.send(line)));
        let subscriber = Subscriber { client, lines: lines_told };
        while !subscriber.line().contains("received SUBACK") {}
        subscriber
    }
}

impl Drop for Mosquitto {
    fn drop(&mut self) {
        drop(self.shell.stdin.take());
        self.shell.wait().unwrap();
    }
}

fn run(folder: &TempDir) -> (Child, Pid) {
    let mut shell = Command::new("sh")
        .args(["-c", SCRIPT])
        .current_dir(folder.path())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(shell.stdout.take().unwrap()).read_line(&mut line).unwrap();
    (shell, Pid::from_raw(line.trim().parse().unwrap()))
}

pub(crate) struct Subscriber {
    client: Child,
    lines: Receiver<String>,
}

impl Subscriber {
    fn line(&self) -> String {
        self.lines.recv_timeout(Duration::from_secs(30)).expect("the broker says nothing")
    }

    /// The next message and its topic.
    pub(crate) fn next(&self) -> (String, Value) {
        loop {
            // Besides messages there are lines about the protocol.
            let line = self.line();
            if let Some((topic, payload)) = line.split_once(' ')
                && let Ok(payload @ Value::Object(_)) = serde_json::from_str(payload)
            {
                return (topic.to_owned(), payload);
            }
        }
    }
}

impl Drop for Subscriber {
    fn drop(&mut self) {
        self.client.kill().unwrap();
        self.client.wait().unwrap();
    }
}
