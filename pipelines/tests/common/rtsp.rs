//! A network camera over RTSP in a process of its own, so that it can be killed, frozen and cut off. See
//! `rtsp_camera.py` for what it can be told.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

/// A camera and the address it is at, also while it is gone.
pub struct RtspCamera {
    host: String,
    port: u16,
    options: Vec<String>,
    /// What it is run in, such as a network of its own.
    inside: Vec<String>,
    process: Option<Process>,
}

struct Process {
    child: Child,
    stdin: ChildStdin,
    stdout: BufReader<ChildStdout>,
}

/// Whether this machine has what the camera is made of; says so when it has not.
pub fn have_server() -> bool {
    let import =
        "import gi; gi.require_version('GstRtspServer', '1.0'); from gi.repository import GstRtspServer";
    let imported = Command::new("/usr/bin/python3").args(["-c", import]).stderr(Stdio::null()).status();
    let have = imported.is_ok_and(|status| status.success());
    if !have {
        eprintln!(
            "skipped: no RTSP server; the Debian packages python3-gi and gir1.2-gst-rtsp-server-1.0 have one"
        );
    }
    have
}

impl RtspCamera {
    /// A camera of this machine with `options` of `rtsp_camera.py`.
    pub fn open(options: &[&str]) -> Self {
        let free = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = free.local_addr().unwrap().port();
        drop(free);
        Self::open_in(&[], "127.0.0.1", port, options)
    }

    /// A camera at a given address, run by the command `inside`.
    pub fn open_in(inside: &[&str], host: &str, port: u16, options: &[&str]) -> Self {
        let owned = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
        let (options, inside) = (owned(options), owned(inside));
        let mut camera = Self { host: host.into(), port, options, inside, process: None };
        camera.start();
        camera
    }

    /// Its URL; `scheme` is `rtsp` or a relative.
    pub fn url_as(&self, scheme: &str) -> String {
        format!("{scheme}://{}:{}/live", self.host, self.port)
    }

    pub fn url(&self) -> String {
        self.url_as("rtsp")
    }

    /// Its URL with a user and password before the host.
    pub fn url_for(&self, login: &str) -> String {
        format!("rtsp://{login}@{}:{}/live", self.host, self.port)
    }

    /// Starts it and waits until it can be connected to.
    pub fn start(&mut self) {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/common/rtsp_camera.py");
        let words = self.inside.iter().map(String::as_str).chain(["/usr/bin/python3"]).collect::<Vec<_>>();
        let mut child = Command::new(words[0])
            .args(&words[1..])
            .arg(script)
            .args(["--address", &self.host, "--port", &self.port.to_string()])
            .args(&self.options)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let (stdin, stdout) = (child.stdin.take().unwrap(), BufReader::new(child.stdout.take().unwrap()));
        let process = self.process.insert(Process { child, stdin, stdout });
        assert_eq!(process.answer(), format!("ready {}", self.port));
    }

    /// Ends it as a power cut does, and waits until it is gone.
    pub fn kill(&mut self) {
        if let Some(mut process) = self.process.take() {
            process.child.kill().unwrap();
            process.child.wait().unwrap();
        }
    }

    /// Stops its process in its tracks, or lets it go on; the kernel goes on taking connections for it.
    pub fn suspend(&mut self, suspended: bool) {
        let pid = self.process.as_ref().expect("the camera is on").child.id().to_string();
        let signal = if suspended { "-STOP" } else { "-CONT" };
        assert!(Command::new("kill").args([signal, &pid]).status().unwrap().success());
    }

    /// Has it do something, and waits until it is done.
    pub fn tell(&mut self, command: &str) {
        let process = self.process.as_mut().expect("the camera is on");
        writeln!(process.stdin, "{command}").unwrap();
        assert_eq!(process.answer(), "done");
    }
}

impl Process {
    fn answer(&mut self) -> String {
        let mut line = String::new();
        self.stdout.read_line(&mut line).unwrap();
        line.trim_end().to_owned()
    }
}

impl Drop for RtspCamera {
    fn drop(&mut self) {
        if let Some(mut process) = self.process.take() {
            let _ = process.child.kill();
            let _ = process.child.wait();
        }
    }
}
