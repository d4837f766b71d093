//! A control plane of a few routes on a local port: answers heartbeats with what a test assigns, collects events.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Instant;

use chrono::{DateTime, Utc};
use vedette_events::{CameraAssignment, CameraReport, CameraState, FaceEvent, Heartbeat, HeartbeatReply};

use super::{LONG, TOKEN};

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

impl Shared {
    /// Also after a test has failed with it locked: the destructors still want to run.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[derive(Default)]
struct State {
    cameras: Vec<CameraAssignment>,
    heartbeats: Vec<Heartbeat>,
    events: Vec<FaceEvent>,
    /// When each of them came in.
    received_at: Vec<DateTime<Utc>>,
    closing: bool,
}

/// The control plane; closes its port when dropped.
pub struct Plane {
    address: SocketAddr,
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

impl Plane {
    pub fn open() -> Self {
        Self::open_at("127.0.0.1:0".parse().unwrap())
    }

    /// Opens where another one was closed.
    pub fn open_at(address: SocketAddr) -> Self {
        let listener = TcpListener::bind(address).unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared::default());
        let served = Arc::clone(&shared);
        let accept = move || {
            for stream in listener.incoming().map_while(Result::ok) {
                if served.lock().closing {
                    break;
                }
                let served = Arc::clone(&served);
                std::thread::spawn(move || serve(stream, &served));
            }
        };
        Self { address, shared, thread: Some(std::thread::spawn(accept)) }
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub fn assign(&self, cameras: Vec<CameraAssignment>) {
        self.shared.lock().cameras = cameras;
    }

    /// Waits until `wanted` finds what it looks for in what was received.
    fn wait<T>(&self, what: &str, mut wanted: impl FnMut(&State) -> Option<T>) -> T {
        let deadline = Instant::now() + LONG;
        let mut state = self.shared.lock();
        loop {
            if let Some(found) = wanted(&state) {
                return found;
            }
            let left = deadline.saturating_duration_since(Instant::now());
            assert!(!left.is_zero(), "no {what}; last heartbeat: {:?}", state.heartbeats.last());
            state = self.shared.changed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Waits for a heartbeat after now that satisfies `wanted`.
    pub fn heartbeat(&self, what: &str, wanted: impl Fn(&Heartbeat) -> bool) -> Heartbeat {
        let seen = self.shared.lock().heartbeats.len();
        self.wait(what, |state| state.heartbeats[seen..].iter().find(|it| wanted(it)).cloned())
    }

    /// Waits until some heartbeat, past ones included, had `camera` in `state`.
    pub fn report(&self, camera: &str, state: CameraState) -> CameraReport {
        self.report_of(camera, &format!("{state:?}"), |report| report.state == state)
    }

    /// Waits until some heartbeat, past ones included, had a report on `camera` that satisfies `wanted`.
    pub fn report_of(
        &self,
        camera: &str,
        what: &str,
        wanted: impl Fn(&CameraReport) -> bool,
    ) -> CameraReport {
        let of_camera = |report: &&CameraReport| report.camera_id == camera && wanted(report);
        self.wait(&format!("report of {camera}: {what}"), |state| {
            state.heartbeats.iter().flat_map(|heartbeat| &heartbeat.cameras).find(of_camera).cloned()
        })
    }

    /// Waits for an event, past ones included.
    pub fn event(&self, what: &str, wanted: impl Fn(&FaceEvent) -> bool) -> FaceEvent {
        self.wait(what, |state| state.events.iter().find(|event| wanted(event)).cloned())
    }

    /// Waits until the events so far are as wanted.
    pub fn events_until(&self, what: &str, wanted: impl Fn(&[FaceEvent]) -> bool) {
        self.wait(what, |state| wanted(&state.events).then_some(()));
    }

    pub fn events(&self) -> Vec<FaceEvent> {
        self.shared.lock().events.clone()
    }

    /// The events so far, each with the time it came in.
    pub fn received(&self) -> Vec<(FaceEvent, DateTime<Utc>)> {
        let state = self.shared.lock();
        state.events.iter().cloned().zip(state.received_at.iter().copied()).collect()
    }

    pub fn heartbeats(&self) -> Vec<Heartbeat> {
        self.shared.lock().heartbeats.clone()
    }
}

impl Drop for Plane {
    fn drop(&mut self) {
        self.shared.lock().closing = true;
        self.shared.changed.notify_all();
        // Wakes the accepting thread, so that the port is free afterwards.
        drop(TcpStream::connect(self.address));
        if let Some(thread) = self.thread.take() {
            thread.join().unwrap();
        }
    }
}

/// Answers one request and closes the connection.
fn serve(mut stream: TcpStream, shared: &Shared) {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let Some((path, headers, body)) = read_request(&mut reader) else { return };
    if shared.lock().closing {
        return;
    }
    let authorised = headers.get("authorization").is_some_and(|value| *value == format!("Bearer {TOKEN}"));
    let (status, body) = if authorised {
        answer(&path, headers.contains_key("if-none-match"), &body, shared)
    } else {
        ("401 Unauthorized", "{}".into())
    };
    let answer = format!(
        "HTTP/1.1 {status}\r\nContent-Type: application/json\r\nETag: \"1\"\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    );
    let _ = stream.write_all(answer.as_bytes());
}

fn answer(path: &str, knows_gallery: bool, body: &[u8], shared: &Shared) -> (&'static str, String) {
    let mut state = shared.lock();
    let answer = if path.starts_with("/api/workers/") && path.ends_with("/heartbeat") {
        state.heartbeats.push(serde_json::from_slice(body).unwrap());
        let reply = HeartbeatReply { cameras: state.cameras.clone(), errands: Vec::new(), live: Vec::new() };
        ("200 OK", serde_json::to_string(&reply).unwrap())
    } else if let Some(id) = path.strip_prefix("/api/workers/cameras/") {
        match state.cameras.iter().find(|camera| camera.camera_id == id) {
            Some(camera) => ("200 OK", serde_json::to_string(camera).unwrap()),
            None => ("404 Not Found", "{}".into()),
        }
    } else if path.starts_with("/api/ingest") {
        let lines = body.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
        let before = state.events.len();
        state.events.extend(lines.map(|line| serde_json::from_slice::<FaceEvent>(line).unwrap()));
        let (total, accepted) = (state.events.len(), state.events.len() - before);
        state.received_at.resize(total, Utc::now());
        ("200 OK", format!(r#"{{"accepted":{accepted},"duplicates":0}}"#))
    } else if path.starts_with("/api/gallery") {
        if knows_gallery {
            // A long poll without news.
            drop(shared.changed.wait_timeout_while(state, LONG, |state| !state.closing));
            return ("304 Not Modified", String::new());
        }
        ("200 OK", r#"{"pack":"opencv","dimension":128,"persons":[]}"#.into())
    } else {
        ("404 Not Found", "{}".into())
    };
    shared.changed.notify_all();
    answer
}

/// Path, headers by lower-case name, and body.
fn read_request(reader: &mut impl BufRead) -> Option<(String, HashMap<String, String>, Vec<u8>)> {
    let mut line = String::new();
    reader.read_line(&mut line).ok()?;
    let path = line.split_whitespace().nth(1)?.to_owned();
    let mut headers = HashMap::new();
    loop {
        line.clear();
        reader.read_line(&mut line).ok()?;
        let Some((name, value)) = line.trim_end().split_once(':') else { break };
        headers.insert(name.to_ascii_lowercase(), value.trim().to_owned());
    }
    let mut body = Vec::new();
    if let Some(length) = headers.get("content-length") {
        body.resize(length.parse().ok()?, 0);
        reader.read_exact(&mut body).ok()?;
    } else if headers.get("transfer-encoding").is_some_and(|encoding| encoding == "chunked") {
        loop {
            line.clear();
            reader.read_line(&mut line).ok()?;
            let size = usize::from_str_radix(line.trim_end(), 16).ok()?;
            let mut chunk = vec![0; size + 2];
            reader.read_exact(&mut chunk).ok()?;
            if size == 0 {
                break;
            }
            body.extend_from_slice(&chunk[..size]);
        }
    }
    Some((path, headers, body))
}
