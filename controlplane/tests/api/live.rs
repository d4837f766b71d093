//! News over the WebSocket.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use serde_json::{Value, json};
use tungstenite::client::IntoClientRequest as _;
use tungstenite::{Error, Message, WebSocket};

use crate::app::{FIRST_PASSWORD, TestApp};
use crate::ingest::event;
use crate::workers::{beat, report};

/// Somebody who watches.
pub(crate) struct Watcher<S = TcpStream>(WebSocket<S>);

impl Watcher {
    pub(crate) fn connect(address: SocketAddr, headers: &[(&'static str, &str)]) -> Result<Self, u16> {
        Self::over(tcp(address), &address.to_string(), headers)
    }

    pub(crate) fn of(app: &TestApp, token: &str) -> Self {
        Self::connect(app.address, &[("authorization", &format!("Bearer {token}"))]).unwrap()
    }
}

impl<S: Read + Write> Watcher<S> {
    /// Somebody who watches over this stream to `host`.
    pub(crate) fn over(stream: S, host: &str, headers: &[(&'static str, &str)]) -> Result<Self, u16> {
        let mut request = format!("ws://{host}/api/live").into_client_request().unwrap();
        for (name, value) in headers {
            request.headers_mut().insert(*name, value.parse().unwrap());
        }
        match tungstenite::client::client(request, stream) {
            Ok((socket, answer)) => {
                let offered = headers.iter().any(|(name, _)| *name == "sec-websocket-protocol");
                assert_eq!(answer.headers().get("sec-websocket-protocol").is_some(), offered);
                Ok(Self(socket))
            }
            Err(tungstenite::HandshakeError::Failure(Error::Http(answer))) => Err(answer.status().as_u16()),
            Err(error) => panic!("{error}"),
        }
    }

    /// The next piece of news.
    pub(crate) fn next(&mut self) -> Value {
        loop {
            match self.0.read().unwrap() {
                Message::Text(text) => return serde_json::from_str(&text).unwrap(),
                Message::Close(frame) => panic!("sent away: {frame:?}"),
                _ => {}
            }
        }
    }

    /// Why one is sent away.
    pub(crate) fn farewell(mut self) -> String {
        loop {
            match self.0.read().unwrap() {
                Message::Close(frame) => return frame.unwrap().reason.to_string(),
                Message::Text(text) => panic!("{text}"),
                _ => {}
            }
        }
    }
}

/// A connection on which no answer in half a minute is a failure.
pub(crate) fn tcp(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    stream
}

pub(crate) fn token(app: &TestApp) -> String {
    app.anyone().log_in("admin", FIRST_PASSWORD).expect(200)["access_token"].as_str().unwrap().to_owned()
}

#[test]
fn events_are_told_as_they_are_stored() {
    let app = TestApp::start();
    let mut watcher = Watcher::of(&app, &token(&app));
    let one = event(1, None);
    app.worker().post("/api/ingest", &json!([one, one])).expect(200);
    app.worker().post("/api/ingest", &json!([one, event(2, None)])).expect(200);
    let first = watcher.next();
    assert_eq!((&first["type"], &first["data"]["event_id"]), (&json!("event"), &one["event_id"]));
    assert!(first["data"].get("embedding").is_none() && first["data"].get("snapshot").is_none());
    let listed = app.admin().get(&format!("/api/detections/{}", first["data"]["id"].as_str().unwrap()));
    assert_eq!(listed.expect(200), first["data"], "as the list shows it");
    assert_eq!(watcher.next()["data"]["event_id"], event(2, None)["event_id"], "what was there is no news");
}

#[test]
fn what_becomes_of_cameras_is_told() {
    let app = TestApp::start();
    let admin = app.admin();
    admin.post("/api/cameras", &json!({ "id": "cam", "url": "test://" })).expect(201);
    let mut watcher = Watcher::of(&app, &token(&app));
    // The first look, which finds out what there is, is over when this change is told.
    let mut told = Value::Null;
    let mut name = 0;
    crate::app::eventually("a change is told", || {
        name += 1;
        admin.put("/api/cameras/cam", &json!({ "name": format!("Door {name}") })).expect(200);
        watcher.0.get_ref().set_nonblocking(true).unwrap();
        let message = watcher.0.read().ok()?;
        told = serde_json::from_str(message.to_text().ok()?).ok()?;
        Some(())
    });
    watcher.0.get_ref().set_nonblocking(false).unwrap();
    assert_eq!((&told["type"], &told["data"]["id"]), (&json!("camera"), &json!("cam")));

    let status_after = |watcher: &mut Watcher, status: &str| {
        while watcher.next()["data"]["status"] != status {}
    };
    admin.post("/api/cameras/cam/start", &json!({})).expect(200);
    status_after(&mut watcher, "starting");
    let run = beat(&app.worker(), "local", &[])[0]["run"].clone();
    beat(&app.worker(), "local", &[report(&run, "running")]);
    status_after(&mut watcher, "running");
    // The worker falls silent.
    status_after(&mut watcher, "reconnecting");
}

#[test]
fn only_who_is_signed_in_may_watch() {
    let app = TestApp::start();
    let refusal = |headers: &[(&'static str, &str)]| Watcher::connect(app.address, headers).err();
    assert_eq!(refusal(&[]), Some(401));
    assert_eq!(refusal(&[("authorization", "Bearer wrong")]), Some(401));
    assert_eq!(refusal(&[("sec-websocket-protocol", "bearer, wrong")]), Some(401));
    let token = token(&app);
    let query = format!("/api/live?token={token}&access_token={token}");
    let upgrade = app
        .anyone()
        .with_header("Connection", "upgrade")
        .with_header("Upgrade", "websocket")
        .with_header("Sec-WebSocket-Version", "13")
        .with_header("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==");
    upgrade.get(&query).expect_error(401, "AuthenticationException");
    app.admin().get("/api/live").expect_error(400, "FileProcessingException");
    // As clients say that they will ask again.
    let kept_open = app.admin().with_header("Connection", "keep-alive");
    kept_open.get("/api/live").expect_error(400, "FileProcessingException");

    let as_protocol = format!("bearer, {token}");
    Watcher::connect(app.address, &[("sec-websocket-protocol", &as_protocol)]).unwrap();
    let strict = TestApp::with("");
    let header = format!("Bearer {}", self::token(&strict));
    assert_eq!(Watcher::connect(strict.address, &[("authorization", &header)]).err(), Some(403));
}

#[test]
fn pages_of_strangers_may_not_watch() {
    let app =
        TestApp::with("security: {force_password_change: false, cors_origins: ['https://wall.example']}");
    let header = format!("Bearer {}", token(&app));
    let from =
        |origin: &str| Watcher::connect(app.address, &[("authorization", &header), ("origin", origin)]).err();
    assert_eq!(from(&format!("http://{}", app.address)), None);
    assert_eq!(from("https://wall.example"), None);
    assert_eq!(from("https://evil.example"), Some(403));
    assert_eq!(from("null"), Some(403));
}

#[test]
fn the_end_of_the_token_ends_the_watch() {
    let app = TestApp::start();
    let token = token(&app);
    let watcher = Watcher::of(&app, &token);
    let other = Watcher::of(&app, &self::token(&app));
    let owner = app.anyone().with_header("Authorization", &format!("Bearer {token}"));
    owner.post("/api/auth/logout", &json!({})).expect(204);
    assert_eq!(watcher.farewell(), "the token or key is void");

    let change = json!({ "old_password": FIRST_PASSWORD, "new_password": "a longer password" });
    app.admin().post("/api/auth/change-password", &change).expect(200);
    assert_eq!(other.farewell(), "the token or key is void");
}

#[test]
fn a_program_watches_as_long_as_its_key_holds() {
    let app = TestApp::start();
    let admin = app.admin();
    let [reads, hands_in] = ["read", "ingest"]
        .map(|scope| admin.post("/api/api-keys", &json!({ "name": scope, "scopes": [scope] })).expect(201));
    let with = |key: &Value| Watcher::connect(app.address, &[("x-api-key", key["key"].as_str().unwrap())]);
    assert_eq!(with(&hands_in).err(), Some(403));
    let mut watcher = with(&reads).unwrap();
    app.worker().post("/api/ingest", &json!([event(1, None)])).expect(200);
    assert_eq!(watcher.next()["type"], "event");
    admin.delete(&format!("/api/api-keys/{}", reads["id"].as_str().unwrap())).expect(204);
    assert_eq!(watcher.farewell(), "the token or key is void");
}

#[test]
fn who_falls_behind_is_dropped() {
    let app = TestApp::start();
    let mut watcher = Watcher::of(&app, &token(&app));
    let worker = app.worker();
    // The watcher does not read; what the network buffers fills up in the end.
    let mut number = 0;
    crate::app::eventually("the watcher is dropped", || {
        let events: Vec<Value> = (0..100)
            .map(|_| {
                number += 1;
                let mut event = event(number, None);
                event["snapshot"] = Value::Null;
                event
            })
            .collect();
        worker.post("/api/ingest", &json!(events)).expect(200);
        let metrics = app.anyone().get("/metrics").text;
        metrics.lines().any(|line| line == "vedette_live_clients 0").then_some(())
    });
    let mut read = || watcher.0.read();
    while read().is_ok_and(|message| !message.is_close()) {}
}
