//! Every error in the one form, wherever it arises.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;

use serde_json::json;

use crate::app::TestApp;

#[test]
fn unknown_paths_are_not_found() {
    let app = TestApp::start();
    for path in ["/api", "/api/nothing", "/api/cameras/a/b/c", "/api/%00", "/api/auth"] {
        for method in ["GET", "POST", "DELETE", "PATCH"] {
            app.anyone().send(method, path, None, Vec::new()).expect_error(404, "NotFoundException");
        }
    }
}

#[test]
fn a_wrong_method_is_told_apart() {
    let app = TestApp::start();
    for (method, path) in [("DELETE", "/api/health"), ("GET", "/api/auth/login"), ("PATCH", "/api/cameras")] {
        app.anyone().send(method, path, None, Vec::new()).expect_error(405, "NotFoundException");
    }
}

#[test]
fn bodies_that_do_not_hold_are_refused() {
    let app = TestApp::start();
    let admin = app.admin();
    let json_type = Some("application/json");
    let send = |kind, body: &[u8]| admin.send("POST", "/api/cameras", kind, body.to_vec());
    send(json_type, b"{\"id\":").expect_error(422, "ValidationException");
    send(json_type, b"").expect_error(422, "ValidationException");
    send(json_type, b"\xff\xfe").expect_error(422, "ValidationException");
    send(json_type, b"{\"id\":\"a\",\"url\":\"0\"} x").expect_error(422, "ValidationException");
    send(Some("text/plain"), b"{}").expect_error(415, "FileProcessingException");
    send(None, b"{}").expect_error(415, "FileProcessingException");
    let deep = [vec![b'['; 100_000], vec![b']'; 100_000]].concat();
    send(json_type, &deep).expect_error(422, "ValidationException");
    send(json_type, &vec![b' '; 1024 * 1024]).expect_error(413, "FileProcessingException");
}

#[test]
fn the_field_that_failed_is_named() {
    let app = TestApp::start();
    let answer = app.admin().post("/api/cameras", &json!({ "id": 7, "url": "0" })).expect(422);
    assert_eq!(answer["details"][0]["field"], "id", "{answer}");
}

#[test]
fn a_viewer_may_look_but_not_touch() {
    let app = TestApp::start();
    let database = app.folder.path().join("data");
    let status = std::process::Command::new(env!("CARGO_BIN_EXE_vedette"))
        .args(["user", "create", "viewer", "--config"])
        .arg(app.folder.path().join("config"))
        .env("VEDETTE_DATA_DIR", database)
        .envs(crate::app::database_in(app.folder.path()))
        .stdin(crate::command_line::input("a good password\n"))
        .status()
        .unwrap();
    assert!(status.success());
    let viewer = app.anyone().signed_in("viewer", "a good password");
    viewer.get("/api/cameras").expect(200);
    let body = json!({ "id": "a", "url": "0" });
    viewer.post("/api/cameras", &body).expect_error(403, "AuthorizationException");
    viewer.delete("/api/cameras/a").expect_error(403, "AuthorizationException");
}

#[test]
fn an_array_is_no_object_however_its_items_are_ordered() {
    let app = TestApp::start();
    let admin = app.admin();
    for body in [json!([]), json!([null, null]), json!([{ "full_name": "Ada" }])] {
        admin.put("/api/auth/me", &body).expect_error(422, "ValidationException");
    }
}

#[test]
fn every_answer_carries_the_security_headers() {
    let app = TestApp::start();
    for path in ["/", "/docs", "/redoc", "/api/health", "/api/nothing", "/nothing"] {
        let answer = app.anyone().get(path);
        let policy = answer.header("content-security-policy");
        assert!(policy.contains("script-src 'self';") && !policy.contains("unsafe"), "{policy}");
        assert_eq!(answer.header("x-content-type-options"), "nosniff");
        assert_eq!(answer.header("x-request-id").len(), 32);
    }
    assert_eq!(app.anyone().get("/api/health").header("cache-control"), "no-store");
}

#[test]
fn nonsense_on_the_wire_does_no_harm() {
    let app = TestApp::start();
    for bytes in [
        &b"\x16\x03\x01\x02\x00"[..],
        b"GET / HTTP/9.9\r\n\r\n",
        b"\r\n\r\n\r\n",
        b"GET /\xff HTTP/1.1\r\n\r\n",
    ] {
        let mut stream = TcpStream::connect(app.address).unwrap();
        stream.write_all(bytes).unwrap();
        stream.shutdown(std::net::Shutdown::Write).unwrap();
        let mut answer = Vec::new();
        // Closed or refused, either is fine.
        let _ = stream.read_to_end(&mut answer);
    }
    app.anyone().get("/api/health").expect(200);
}
