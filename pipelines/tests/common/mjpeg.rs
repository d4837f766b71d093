//! A network camera that serves MJPEG over HTTP and can be unplugged.

use std::io::{BufRead, BufReader, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use gst::prelude::*;

/// What the camera does with whoever connects.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mood {
    /// Sends pictures to those who know the password.
    Willing,
    /// Hangs up.
    Unplugged,
    /// Takes the connection and says nothing.
    Hung,
}

/// The camera.
pub struct MjpegCamera {
    address: SocketAddr,
    state: Arc<Mutex<State>>,
}

struct State {
    mood: Mood,
    connections: Vec<TcpStream>,
    attempts: usize,
}

impl MjpegCamera {
    /// A camera that asks for `admin`, `p@ss`.
    pub fn open() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let state = State { mood: Mood::Willing, connections: Vec::new(), attempts: 0 };
        let state = Arc::new(Mutex::new(state));
        let served = Arc::clone(&state);
        let picture: Arc<[u8]> = jpeg().into();
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let (served, picture) = (Arc::clone(&served), Arc::clone(&picture));
                std::thread::spawn(move || drop(serve(stream, &served, &picture)));
            }
        });
        Self { address, state }
    }

    pub fn url(&self) -> String {
        format!("http://admin:p%40ss@{}/video.mjpg?quality=5", self.address)
    }

    pub fn url_with_wrong_password(&self) -> String {
        self.url().replace("p%40ss", "hunter2")
    }

    /// Changes its mood and hangs up on everyone.
    pub fn become_(&self, mood: Mood) {
        let mut state = self.state.lock().unwrap();
        state.mood = mood;
        for connection in state.connections.drain(..) {
            let _ = connection.shutdown(Shutdown::Both);
        }
    }

    pub fn attempts(&self) -> usize {
        self.state.lock().unwrap().attempts
    }
}

fn serve(mut stream: TcpStream, state: &Mutex<State>, picture: &[u8]) -> std::io::Result<()> {
    let mood = {
        let mut state = state.lock().unwrap();
        state.connections.push(stream.try_clone()?);
        state.mood
    };
    let mut authorised = false;
    for line in BufReader::new(stream.try_clone()?).lines() {
        let line = line?;
        // `admin:p@ss` as HTTP's basic scheme writes it.
        authorised |= line.eq_ignore_ascii_case("Authorization: Basic YWRtaW46cEBzcw==");
        if line.is_empty() {
            // Whoever only looks whether the port is open asks nothing.
            state.lock().unwrap().attempts += 1;
            break;
        }
    }
    match mood {
        Mood::Unplugged => return stream.shutdown(Shutdown::Both),
        Mood::Hung => {
            // Until the other side gives up.
            let mut rest = Vec::new();
            std::io::Read::read_to_end(&mut stream, &mut rest)?;
            return Ok(());
        }
        Mood::Willing if !authorised => {
            let refusal = "HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Basic realm=\"camera\"\r\n\
                           Content-Length: 0\r\nConnection: close\r\n\r\n";
            stream.write_all(refusal.as_bytes())?;
            // Dropping it is not enough: `state` holds the connection too.
            return stream.shutdown(Shutdown::Both);
        }
        Mood::Willing => (),
    }
    stream.write_all(
        b"HTTP/1.1 200 OK\r\nContent-Type: multipart/x-mixed-replace; boundary=frame\r\nConnection: close\r\n\r\n",
    )?;
    loop {
        let head =
            format!("--frame\r\nContent-Type: image/jpeg\r\nContent-Length: {}\r\n\r\n", picture.len());
        stream.write_all(head.as_bytes())?;
        stream.write_all(picture)?;
        stream.write_all(b"\r\n")?;
        // The camera's own pace.
        std::thread::sleep(Duration::from_millis(40));
    }
}

fn jpeg() -> Vec<u8> {
    gst::init().unwrap();
    let file = tempfile::NamedTempFile::new().unwrap();
    let description = "videotestsrc num-buffers=1 ! video/x-raw,format=I420,width=320,height=240 ! jpegenc \
                       ! filesink name=out";
    let pipeline = gst::parse::launch(description).unwrap().downcast::<gst::Pipeline>().unwrap();
    pipeline.by_name("out").unwrap().set_property("location", file.path().display().to_string());
    pipeline.set_state(gst::State::Playing).unwrap();
    let bus = pipeline.bus().unwrap();
    bus.timed_pop_filtered(gst::ClockTime::from_seconds(60), &[gst::MessageType::Eos]).unwrap();
    pipeline.set_state(gst::State::Null).unwrap();
    std::fs::read(file.path()).unwrap()
}
