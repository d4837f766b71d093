//! Clients that send a large upload they may not send get to read why.

use std::future::poll_fn;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use bytes::Bytes;
use serde_json::json;
use warp::http::Request;

use crate::app::{FIRST_PASSWORD, TestApp};

const REGISTER: &str = "/api/persons/register";
/// More than the network's buffers on the way take.
const LARGE: usize = 48 * 1024 * 1024;
static PIECE: [u8; 64 * 1024] = [b'x'; 64 * 1024];

/// A client that reads nothing before it has sent everything.
struct Stubborn(BufReader<TcpStream>);

impl Stubborn {
    fn of(app: &TestApp) -> Self {
        let stream = TcpStream::connect(app.address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
        Self(BufReader::new(stream))
    }

    fn send_head(&mut self, path: &str, headers: &str, body_bytes: usize) {
        let head =
            format!("POST {path} HTTP/1.1\r\nHost: vedette\r\nContent-Length: {body_bytes}\r\n{headers}\r\n");
        self.0.get_mut().write_all(head.as_bytes()).unwrap();
    }

    /// What follows the head: the beginning of a form with one large file.
    fn send_body(&mut self, body_bytes: usize) {
        let start = "--X\r\nContent-Disposition: form-data; name=\"images\"; filename=\"a.jpg\"\r\n\r\n";
        let stream = self.0.get_mut();
        stream.write_all(start.as_bytes()).expect("the connection stands");
        let mut left = body_bytes - start.len();
        while left > 0 {
            let piece = &PIECE[..left.min(PIECE.len())];
            stream.write_all(piece).expect("the connection stands");
            left -= piece.len();
        }
    }

    /// The status of the next answer, whatever it is, and its body.
    fn read(&mut self) -> (u16, String) {
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            assert_ne!(
                self.0.read_line(&mut head).expect("an answer"),
                0,
                "the end instead of an answer: {head}"
            );
        }
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
        let mut body = vec![0; length.map_or(0, |length| length.parse().unwrap())];
        self.0.read_exact(&mut body).unwrap();
        (head[9..12].parse().unwrap(), String::from_utf8(body).unwrap())
    }

    /// Sends a large form and reads the answer; then the connection is good for another request.
    fn upload(&mut self, path: &str, headers: &str) -> (u16, String) {
        self.send_head(path, &format!("Content-Type: multipart/form-data; boundary=X\r\n{headers}"), LARGE);
        self.send_body(LARGE);
        let answer = self.read();
        self.ask_something_else();
        answer
    }

    fn ask_something_else(&mut self) {
        self.0.get_mut().write_all(b"GET /api/health HTTP/1.1\r\nHost: vedette\r\n\r\n").unwrap();
        assert_eq!(self.read().0, 200);
    }
}

fn bearer(app: &TestApp, username: &str, password: &str) -> String {
    let login = app.anyone().log_in(username, password).expect(200);
    format!("Authorization: Bearer {}\r\n", login["access_token"].as_str().unwrap())
}

#[test]
fn who_sends_a_large_form_in_vain_reads_why() {
    let app = TestApp::with("security: {force_password_change: false, rate_limit: {upload: 3}}");
    let viewer = json!({ "username": "ada", "password": "a password of the tests" });
    app.admin().post("/api/users", &viewer).expect(201);
    let viewer = bearer(&app, "ada", "a password of the tests");
    let admin = bearer(&app, "admin", FIRST_PASSWORD);
    let mut client = Stubborn::of(&app);

    assert_eq!(client.upload(REGISTER, "").0, 401);
    assert_eq!(client.upload(REGISTER, &viewer).0, 403);
    let (status, too_large) = client.upload(REGISTER, &admin);
    assert_eq!(status, 413, "{too_large}");
    assert!(too_large.contains("larger than 20 MiB"), "{too_large}");
    assert_eq!(client.upload(REGISTER, &admin).0, 429, "the fourth within a minute");
    assert_eq!(client.upload("/api/nowhere", &admin).0, 404);
    assert_eq!(client.upload("/api/cameras", &admin).0, 413, "too large before it is of the wrong kind");
}

#[test]
fn who_waits_for_leave_gets_the_answer_instead() {
    let app = TestApp::start();
    let mut client = Stubborn::of(&app);
    let expecting = "Content-Type: multipart/form-data; boundary=X\r\nExpect: 100-continue\r\n";
    client.send_head(REGISTER, expecting, LARGE);
    assert_eq!(client.read().0, 401, "no leave is given");
    // Some have not waited long enough and send it anyway.
    client.send_body(LARGE);
    client.ask_something_else();

    let admin = bearer(&app, "admin", FIRST_PASSWORD);
    client.send_head(REGISTER, &format!("{expecting}{admin}"), LARGE);
    assert_eq!(client.read().0, 100);
    client.send_body(LARGE);
    assert_eq!(client.read().0, 413);
    client.ask_something_else();
}

#[test]
fn an_upload_over_http_2_is_not_broken_off() {
    let app = TestApp::start();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let status = runtime.block_on(async {
        let stream = tokio::net::TcpStream::connect(app.address).await.unwrap();
        let (mut client, connection) = h2::client::handshake(stream).await.unwrap();
        tokio::spawn(connection);
        let request = Request::post(format!("http://{}{REGISTER}", app.address))
            .header("content-type", "multipart/form-data; boundary=X")
            .body(())
            .unwrap();
        let (answer, mut body) = client.send_request(request, false).unwrap();
        let mut left = LARGE;
        while left > 0 {
            body.reserve_capacity(left.min(PIECE.len()));
            let granted = poll_fn(|cx| body.poll_capacity(cx)).await.expect("the stream stands");
            let piece = Bytes::from_static(&PIECE).slice(..granted.expect("the stream stands").min(left));
            left -= piece.len();
            body.send_data(piece, left == 0).expect("the stream stands");
        }
        answer.await.unwrap().status().as_u16()
    });
    assert_eq!(status, 401);
}

#[test]
fn a_request_under_way_is_answered_before_the_server_ends() {
    let app = TestApp::start();
    let body = json!({ "username": "admin", "password": FIRST_PASSWORD }).to_string();
    let (address, (first, rest)) = (app.address, body.split_at(body.len() / 2));
    let mut client = Stubborn::of(&app);
    client.send_head(
        "/api/auth/login",
        "Content-Type: application/json\r\nExpect: 100-continue\r\n",
        body.len(),
    );
    assert_eq!(client.read().0, 100, "the server waits for the body");
    client.0.get_mut().write_all(first.as_bytes()).unwrap();
    let stopping = std::thread::spawn(move || app.stop());
    crate::app::eventually("nobody new is let in", || TcpStream::connect(address).err());
    client.0.get_mut().write_all(rest.as_bytes()).unwrap();
    let (status, answer) = client.read();
    assert_eq!(status, 200, "{answer}");
    stopping.join().unwrap();
}
