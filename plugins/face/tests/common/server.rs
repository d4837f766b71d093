//! A small HTTP server: hands every request to the test and answers as told.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// One request.
#[derive(Debug)]
pub struct Request {
    /// Method and path.
    pub line: String,
    /// In lower case.
    pub headers: Vec<String>,
    pub body: String,
}

/// One answer.
#[derive(Clone, Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: String,
    pub body: Vec<u8>,
}

impl Answer {
    pub fn status(status: u16) -> Self {
        Self { status, headers: String::new(), body: b"{}".to_vec() }
    }
}

type Respond = dyn Fn(&Request) -> Answer + Send + Sync;

/// Runs until the test program ends.
pub struct Server {
    pub address: SocketAddr,
    pub requests: Mutex<Receiver<Request>>,
}

impl Server {
    pub fn start(respond: impl Fn(&Request) -> Answer + Send + Sync + 'static) -> Self {
        Self::start_at("127.0.0.1:0".parse().unwrap(), respond)
    }

    pub fn start_at(
        address: SocketAddr,
        respond: impl Fn(&Request) -> Answer + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind(address).unwrap();
        let address = listener.local_addr().unwrap();
        let (sender, requests) = channel();
        let respond: Arc<Respond> = Arc::new(respond);
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let (sender, respond) = (sender.clone(), respond.clone());
                std::thread::spawn(move || {
                    serve(stream, |request| {
                        let answer = respond(&request);
                        let _ = sender.send(request);
                        answer
                    });
                });
            }
        });
        Self { address, requests: Mutex::new(requests) }
    }

    pub fn next(&self) -> Request {
        let requests = self.requests.lock().unwrap();
        requests.recv_timeout(Duration::from_secs(60)).expect("no request comes")
    }
}

/// An address nobody listens on, for now.
pub fn free_address() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

fn serve(stream: TcpStream, respond: impl Fn(Request) -> Answer) {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let mut stream = stream;
    while let Some(request) = read_request(&mut reader) {
        let Answer { status, headers, body } = respond(request);
        let head = format!("HTTP/1.1 {status} Test\r\n{headers}Content-Length: {}\r\n\r\n", body.len());
        if stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(&body)).is_err() {
            return;
        }
    }
}

fn read_request(reader: &mut BufReader<TcpStream>) -> Option<Request> {
    let mut line = String::new();
    reader.read_line(&mut line).ok().filter(|length| *length > 0)?;
    let mut headers = Vec::new();
    loop {
        let mut header = String::new();
        reader.read_line(&mut header).ok()?;
        let header = header.trim_end();
        if header.is_empty() {
            break;
        }
        // Values keep their case: tokens are compared.
        let (name, value) = header.split_once(':')?;
        headers.push(format!("{}:{value}", name.to_lowercase()));
    }
    let length = headers.iter().find_map(|header| header.strip_prefix("content-length:"));
    let mut body = vec![0; length.map_or(0, |length| length.trim().parse().unwrap())];
    reader.read_exact(&mut body).ok()?;
    Some(Request { line: line.trim_end().into(), headers, body: String::from_utf8(body).ok()? })
}
