//! A receiver of webhooks: a small HTTP server that keeps what it is told, and answers as it is bid.

use std::collections::HashMap;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use serde_json::Value;

use crate::app::eventually;
use crate::redis_server::free_port;

/// What it was told in one request.
#[derive(Clone, Debug)]
pub(crate) struct Received {
    pub(crate) path: String,
    /// Values by name in small letters.
    pub(crate) headers: HashMap<String, String>,
    pub(crate) body: Vec<u8>,
}

impl Received {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    pub(crate) fn delivery_id(&self) -> &str {
        &self.headers["x-vedette-delivery"]
    }

    /// The signature it should bear, as Python's library computes it.
    pub(crate) fn expected_signature(&self, secret: &str) -> String {
        let script = "import hashlib, hmac, sys\n\
                      message = sys.argv[2].encode() + b'.' + bytes.fromhex(sys.argv[3])\n\
                      print('sha256=' + hmac.new(sys.argv[1].encode(), message, hashlib.sha256).hexdigest())";
        let arguments = [secret, &self.headers["x-vedette-timestamp"], &hex::encode(&self.body)];
        let output = Command::new("python3").args(["-c", script]).args(arguments).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }
}

/// What it does with a request after keeping it.
#[derive(Clone, Debug)]
pub(crate) enum Behaviour {
    Answer(u16),
    Redirect(String),
    /// It keeps the connection open and says nothing.
    Hang,
}

pub(crate) struct Receiver {
    port: u16,
    received: Arc<Mutex<Vec<Received>>>,
    behaviour: Arc<Mutex<Behaviour>>,
    listening: Option<(Arc<AtomicBool>, JoinHandle<()>)>,
}

impl Receiver {
    pub(crate) fn start() -> Self {
        let mut receiver = Self::down();
        receiver.come_up();
        receiver
    }

    /// One that is not there yet.
    pub(crate) fn down() -> Self {
        // Tests of one process run beside each other: each gets ports of its own.
        static NEXT: Mutex<u16> = Mutex::new(0);
        let mut next = NEXT.lock().unwrap();
        let port = free_port(*next);
        *next = port + 1;
        let behaviour = Arc::new(Mutex::new(Behaviour::Answer(204)));
        Self { port, received: Arc::default(), behaviour, listening: None }
    }

    pub(crate) fn come_up(&mut self) {
        let listener = eventually("the port is free", || TcpListener::bind(("127.0.0.1", self.port)).ok());
        listener.set_nonblocking(true).unwrap();
        let is_over = Arc::new(AtomicBool::new(false));
        let (over, received, behaviour) =
            (Arc::clone(&is_over), Arc::clone(&self.received), Arc::clone(&self.behaviour));
        let accept = move || {
            let mut held = Vec::new();
            while !over.load(Ordering::Relaxed) {
                let Ok((stream, _)) = listener.accept() else {
                    std::thread::sleep(Duration::from_millis(2));
                    continue;
                };
                stream.set_nonblocking(false).unwrap();
                stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
                held.extend(serve(stream, &received, &behaviour));
            }
        };
        self.listening = Some((is_over, std::thread::spawn(accept)));
    }

    pub(crate) fn go_down(&mut self) {
        if let Some((is_over, thread)) = self.listening.take() {
            is_over.store(true, Ordering::Relaxed);
            thread.join().unwrap();
        }
    }

    pub(crate) fn behave(&self, behaviour: Behaviour) {
        *self.behaviour.lock().unwrap() = behaviour;
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }

    pub(crate) fn received(&self) -> Vec<Received> {
        self.received.lock().unwrap().clone()
    }

    /// What it was told, as soon as that is so many times.
    pub(crate) fn wait_for(&self, number: usize) -> Vec<Received> {
        eventually("the receiver is told", || Some(self.received()).filter(|told| told.len() >= number))
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.go_down();
    }
}

/// Serves one request; hands a connection back that is to stay open.
fn serve(
    stream: TcpStream,
    received: &Mutex<Vec<Received>>,
    behaviour: &Mutex<Behaviour>,
) -> Option<TcpStream> {
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    reader.read_line(&mut line).ok()?;
    let path = line.split(' ').nth(1)?.to_owned();
    assert!(line.starts_with("POST "), "{line}");
    let mut headers = HashMap::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        let Some((name, value)) = line.trim_end().split_once(": ") else { break };
        headers.insert(name.to_ascii_lowercase(), value.to_owned());
    }
    let mut body = vec![0; headers["content-length"].parse().unwrap()];
    reader.read_exact(&mut body).ok()?;
    received.lock().unwrap().push(Received { path, headers, body });
    let behaviour = behaviour.lock().unwrap().clone();
    let mut stream = reader.into_inner();
    let head = match behaviour {
        Behaviour::Answer(status) => format!("HTTP/1.1 {status} As told\r\n"),
        Behaviour::Redirect(to) => format!("HTTP/1.1 307 Elsewhere\r\nLocation: {to}\r\n"),
        Behaviour::Hang => return Some(stream),
    };
    // Whoever asked may be gone.
    let _ = stream.write_all(format!("{head}Content-Length: 0\r\nConnection: close\r\n\r\n").as_bytes());
    None
}
