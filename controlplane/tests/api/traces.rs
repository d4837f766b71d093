//! Traces, as a collector gets them.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message as _;
use serde_json::json;

use crate::app::{FIRST_PASSWORD, WORKER_TOKEN};
use crate::ingest::event;
use crate::logs::{Server, installed};

const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
const CALLER: &str = "b7ad6b7169203331";

/// A collector that takes OTLP over HTTP, and keeps what it was sent.
struct Collector {
    url: String,
    sent: Arc<Mutex<Vec<Vec<u8>>>>,
}

impl Collector {
    fn open() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let sent = Arc::new(Mutex::new(Vec::new()));
        let taken = Arc::clone(&sent);
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let taken = Arc::clone(&taken);
                std::thread::spawn(move || take(stream, &taken));
            }
        });
        Self { url, sent }
    }

    fn spans(&self) -> Vec<Span> {
        let decode = |body: &Vec<u8>| ExportTraceServiceRequest::decode(body.as_slice()).unwrap();
        let requests: Vec<_> = self.sent.lock().unwrap().iter().map(decode).collect();
        let resources = requests.into_iter().flat_map(|request| request.resource_spans);
        resources
            .flat_map(|of_resource| of_resource.scope_spans)
            .flat_map(|of_scope| of_scope.spans)
            .collect()
    }

    fn bytes(&self) -> Vec<u8> {
        self.sent.lock().unwrap().concat()
    }
}

/// Takes the requests of one connection.
fn take(stream: TcpStream, taken: &Mutex<Vec<Vec<u8>>>) {
    let mut answer = stream.try_clone().unwrap();
    let mut reader = BufReader::new(stream);
    loop {
        let mut head = Vec::new();
        loop {
            let mut line = String::new();
            if reader.read_line(&mut line).unwrap_or(0) == 0 {
                return;
            }
            if line == "\r\n" {
                break;
            }
            head.push(line.trim().to_lowercase());
        }
        assert!(head[0].starts_with("post /v1/traces "), "{head:?}");
        assert!(head.contains(&"content-type: application/x-protobuf".to_owned()), "{head:?}");
        let length = head.iter().find_map(|line| line.strip_prefix("content-length: ")).unwrap();
        let mut body = vec![0; length.parse().unwrap()];
        reader.read_exact(&mut body).unwrap();
        taken.lock().unwrap().push(body);
        answer.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").unwrap();
    }
}

fn attribute(span: &Span, name: &str) -> Option<Value> {
    let found = span.attributes.iter().find(|attribute| attribute.key == name)?;
    found.value.clone()?.value
}

fn text(text: &str) -> Option<Value> {
    Some(Value::StringValue(text.to_owned()))
}

#[test]
fn a_request_and_what_it_has_others_do_reach_a_collector() {
    let collector = Collector::open();
    let installation = installed("rotation: never");
    // Sent when the server ends, and not a moment earlier.
    let variables = [("OTEL_EXPORTER_OTLP_ENDPOINT", &*collector.url), ("OTEL_BSP_SCHEDULE_DELAY", "600000")];
    let server = Server::start_with(&installation, "traced", &variables);
    let traced = |trace: &str| format!("00-{trace}-{CALLER}-01");
    let admin = server.admin().with_header("traceparent", &traced(TRACE));
    admin.get("/api/users?search=somebody").expect(200);
    let worker = server.anyone().with_header("Authorization", &format!("Bearer {WORKER_TOKEN}"));
    let other = TRACE.replace('0', "1");
    let worker = worker.with_header("traceparent", &traced(&other));
    worker.post("/api/ingest", &json!([event(1, None)])).expect(200);
    server.anyone().with_header("traceparent", "00-nonsense").get("/api/health").expect(200);
    server.stop();

    let spans = collector.spans();
    let of = |trace: &str| -> Vec<&Span> {
        spans.iter().filter(|span| hex::encode(&span.trace_id) == *trace).collect()
    };
    let users = of(TRACE);
    let request = users.iter().find(|span| span.name == "request").unwrap();
    assert_eq!(hex::encode(&request.parent_span_id), CALLER);
    assert_eq!(attribute(request, "http.request.method"), text("GET"));
    assert_eq!(attribute(request, "url.path"), text("/api/users"));
    assert_eq!(attribute(request, "http.response.status_code"), Some(Value::IntValue(200)));
    let statement = users.iter().find(|span| span.name.starts_with("sea_orm.")).unwrap();
    assert_eq!(statement.parent_span_id, request.span_id);
    assert_eq!(attribute(statement, "db.operation"), text("SELECT"));
    assert!(statement.start_time_unix_nano >= request.start_time_unix_nano);
    assert!(statement.end_time_unix_nano <= request.end_time_unix_nano);

    let ingested = of(&other);
    let request = ingested.iter().find(|span| span.name == "request").unwrap();
    let batch = ingested.iter().find(|span| span.name == "ingest").unwrap();
    assert_eq!(batch.parent_span_id, request.span_id);
    assert_eq!(attribute(batch, "events"), Some(Value::IntValue(1)));
    assert!(ingested.iter().any(|span| span.parent_span_id == batch.span_id), "statements belong to it");
    let is_statement = |span: &&Span| span.name.starts_with("sea_orm.");
    assert!(
        spans.iter().filter(is_statement).all(|span| !span.parent_span_id.is_empty()),
        "none on their own"
    );

    let bytes = collector.bytes();
    for secret in ["somebody", FIRST_PASSWORD, WORKER_TOKEN, "Bearer"] {
        let is_there = bytes.windows(secret.len()).any(|window| window == secret.as_bytes());
        assert!(!is_there, "{secret} was sent");
    }
}

#[test]
fn a_collector_that_is_away_holds_nobody_up() {
    let installation = installed("rotation: never");
    let nobody = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let url = format!("http://{nobody}");
    let variables = [("OTEL_EXPORTER_OTLP_ENDPOINT", &*url), ("OTEL_BSP_SCHEDULE_DELAY", "20")];
    let server = Server::start_with(&installation, "untraced", &variables);
    let admin = server.admin();
    (0..50).for_each(|_| drop(admin.get("/api/users").expect(200)));
    let told = server.stop();
    assert_eq!(told.matches("takes no traces").count(), 1, "{told}");
}
