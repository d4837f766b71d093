//! Text is compressed for whoever takes it so; pictures are not.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;

use serde_json::json;

use crate::app::{Client, TestApp};
use crate::ingest::event;

/// Head and body, as they are on the wire.
fn fetch(app: &TestApp, path: &str, token: &str, accept: &str) -> (String, Vec<u8>) {
    let mut stream = TcpStream::connect(app.address).unwrap();
    let request = format!(
        "GET {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: {token}\r\nAccept-Encoding: {accept}\r\n\
         Connection: close\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    let end = answer.windows(4).position(|window| window == b"\r\n\r\n").unwrap();
    let head = String::from_utf8(answer[..end].to_vec()).unwrap().to_lowercase();
    (head, answer[end + 4..].to_vec())
}

fn app_with_a_long_list() -> (TestApp, Client, String) {
    let app = TestApp::start();
    let login = app.anyone().log_in("admin", crate::app::FIRST_PASSWORD).expect(200);
    let token = format!("Bearer {}", login["access_token"].as_str().unwrap());
    let events: Vec<_> = (0..30).map(|number| event(number + 1, None)).collect();
    app.worker().post("/api/ingest", &json!(events)).expect(200);
    let admin = app.anyone().with_header("Authorization", &token);
    (app, admin, token)
}

#[test]
fn text_is_compressed_on_request() {
    let (app, admin, token) = app_with_a_long_list();
    for path in ["/api/detections", "/api/detections?format=csv", "/scripts/main.js", "/styles/base.css"] {
        let (plain_head, plain) = fetch(&app, path, &token, "identity");
        assert!(!plain_head.contains("content-encoding"), "{plain_head}");
        for encoding in ["gzip", "br"] {
            let (head, body) = fetch(&app, path, &token, encoding);
            assert!(head.contains(&format!("content-encoding: {encoding}")), "{path}: {head}");
            assert!(head.contains("vary: ") && head.contains("accept-encoding"), "{head}");
            assert!(body.len() < plain.len() * 2 / 3, "{path}: {} of {}", body.len(), plain.len());
        }
    }
    // This client takes gzip and unpacks it.
    let unpacked = admin.get("/api/detections");
    let plain = admin.with_header("Accept-Encoding", "identity").get("/api/detections");
    assert_eq!(unpacked.json(), plain.json());
}

#[test]
fn pictures_and_small_answers_are_left_alone() {
    let (app, admin, token) = app_with_a_long_list();
    let list = admin.get("/api/detections").expect(200);
    let snapshot = list["items"][0]["snapshot_url"].as_str().unwrap();
    for path in [snapshot, "/api/health"] {
        let (head, _) = fetch(&app, path, &token, "gzip, br");
        assert!(head.starts_with("http/1.1 200") && !head.contains("content-encoding"), "{head}");
    }
}

#[test]
fn a_compressed_file_is_revalidated_by_its_weak_validator() {
    let app = TestApp::start();
    let (head, _) = fetch(&app, "/scripts/main.js", "", "gzip");
    let etag = head.lines().find_map(|line| line.strip_prefix("etag: ")).unwrap().replace("w/", "W/");
    assert!(etag.starts_with("W/\""), "{etag}");
    assert_eq!(app.anyone().with_header("If-None-Match", &etag).get("/scripts/main.js").status, 304);
}
