//! Asks a server the same again and again over connections that are kept open, and times the answers.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, anyhow, ensure};
use http_body_util::{BodyExt as _, Full};
use hyper::{
    Method, Request, StatusCode,
    body::Bytes,
    client::conn::http1,
    header::{AUTHORIZATION, CONTENT_TYPE, HOST},
};
use hyper_util::rt::TokioIo;
use tokio::{net::TcpStream, runtime::Builder, task::JoinSet};

/// What is asked.
#[derive(Clone, Debug)]
pub struct Question {
    request: Request<Full<Bytes>>,
}

impl Question {
    /// GET of a path, with a token.
    ///
    /// # Errors
    /// When the path or the token cannot be sent.
    pub fn get(path: &str, token: &str) -> Result<Self> {
        Self::new(Method::GET, path, token, "text/plain", Bytes::new())
    }

    /// POST of one file in a form, with a token.
    ///
    /// # Errors
    /// When the path or the token cannot be sent.
    pub fn post_file(path: &str, token: &str, field: &str, file: &[u8]) -> Result<Self> {
        const BOUNDARY: &str = "the-end-of-this-part";
        let head = format!(
            "--{BOUNDARY}\r\nContent-Disposition: form-data; name=\"{field}\"; filename=\"picture.jpg\"\r\n\
             Content-Type: image/jpeg\r\n\r\n"
        );
        let tail = format!("\r\n--{BOUNDARY}--\r\n");
        let body = [head.as_bytes(), file, tail.as_bytes()].concat();
        let content_type = format!("multipart/form-data; boundary={BOUNDARY}");
        Self::new(Method::POST, path, token, &content_type, body.into())
    }

    fn new(method: Method, path: &str, token: &str, content_type: &str, body: Bytes) -> Result<Self> {
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header(HOST, "127.0.0.1")
            .header(AUTHORIZATION, format!("Bearer {token}"))
            .header(CONTENT_TYPE, content_type)
            .body(Full::new(body))?;
        Ok(Self { request })
    }
}

/// What came of it.
#[derive(Clone, Debug, Default)]
pub struct Load {
    elapsed: Duration,
    latencies: Vec<Duration>,
}

impl Load {
    /// Puts another turn's figures to these.
    pub fn add(&mut self, turn: Self) {
        self.elapsed += turn.elapsed;
        self.latencies.extend(turn.latencies);
        self.latencies.sort_unstable();
    }

    /// Answers a second.
    pub fn rate(&self) -> f64 {
        self.latencies.len() as f64 / self.elapsed.as_secs_f64()
    }

    /// The time within which this share (0…1) of all answers came.
    pub fn latency(&self, share: f64) -> Duration {
        crate::measure::percentile(&self.latencies, share)
    }
}

/// Asks on `connections` at the same time, from one thread, until `duration` is over.
///
/// # Errors
/// When the server cannot be reached or answers anything but 200.
pub fn drive(port: u16, question: &Question, connections: usize, duration: Duration) -> Result<Load> {
    let runtime = Builder::new_current_thread().enable_all().build()?;
    let started = Instant::now();
    let latencies = runtime.block_on(async {
        let mut clients = JoinSet::new();
        for _ in 0..connections {
            clients.spawn(ask(port, question.clone(), started + duration));
        }
        let mut latencies = Vec::new();
        while let Some(answered) = clients.join_next().await {
            latencies.extend(answered.map_err(|_| anyhow!("a client broke down"))??);
        }
        Ok::<_, anyhow::Error>(latencies)
    })?;
    let mut load = Load::default();
    load.add(Load { elapsed: started.elapsed(), latencies });
    Ok(load)
}

async fn ask(port: u16, question: Question, end: Instant) -> Result<Vec<Duration>> {
    let stream = TcpStream::connect(("127.0.0.1", port)).await.context("the server cannot be reached")?;
    stream.set_nodelay(true)?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    let connection = tokio::spawn(connection);
    let mut latencies = Vec::new();
    while Instant::now() < end {
        let started = Instant::now();
        sender.ready().await?;
        let response = sender.send_request(question.request.clone()).await?;
        let status = response.status();
        let body = response.into_body().collect().await?.to_bytes();
        ensure!(status == StatusCode::OK, "{status}: {}", String::from_utf8_lossy(&body));
        latencies.push(started.elapsed());
    }
    drop(sender);
    connection.await??;
    Ok(latencies)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::{
        io::{BufRead as _, BufReader, Read as _, Write as _},
        net::TcpListener,
        thread,
    };

    use super::*;

    /// Answers on one connection until it is closed; the number of requests and the last one's body.
    fn serve(listener: &TcpListener, status: &str) -> (usize, Vec<u8>) {
        let mut stream = BufReader::new(listener.accept().unwrap().0);
        let (mut served, mut body) = (0, Vec::new());
        loop {
            let mut length = 0;
            loop {
                let mut line = String::new();
                if stream.read_line(&mut line).unwrap() == 0 {
                    return (served, body);
                }
                if let Some(value) = line.to_lowercase().strip_prefix("content-length: ") {
                    length = value.trim().parse().unwrap();
                }
                if line == "\r\n" {
                    break;
                }
            }
            body.resize(length, 0);
            stream.read_exact(&mut body).unwrap();
            served += 1;
            let answer = format!("HTTP/1.1 {status}\r\nContent-Length: 2\r\n\r\nok");
            stream.get_mut().write_all(answer.as_bytes()).unwrap();
        }
    }

    #[test]
    fn every_answer_of_a_kept_connection_counts() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let server = thread::spawn(move || serve(&listener, "200 OK"));
        let question = Question::post_file("/", "token", "image", b"a picture").unwrap();
        let load = drive(port, &question, 1, Duration::from_millis(50)).unwrap();
        let (served, body) = server.join().unwrap();
        assert_eq!(load.latencies.len(), served);
        assert!(served > 1 && load.latency(0.5) <= load.latency(0.99));
        let text = String::from_utf8(body).unwrap();
        assert!(text.contains("name=\"image\"") && text.contains("\r\n\r\na picture\r\n--"), "{text}");
    }

    #[test]
    fn a_refusal_is_no_answer() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let server = thread::spawn(move || serve(&listener, "429 Too Many Requests"));
        let question = Question::get("/api/health", "token").unwrap();
        let refused = drive(port, &question, 1, Duration::from_secs(5)).unwrap_err().to_string();
        assert!(refused.starts_with("429"), "{refused}");
        assert_eq!(server.join().unwrap().0, 1);
    }
}
