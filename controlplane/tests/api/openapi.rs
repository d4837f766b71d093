//! The API's description: there for everybody, complete, and true about who may do what.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use crate::app::{Answer, Client, TestApp};

const PASSWORD: &str = "correct horse battery 9";
/// Id of nothing there is.
const NOTHING: &str = "00000000-0000-7000-8000-000000000000";

/// One operation of the description.
struct Operation {
    method: String,
    path: String,
    described: Value,
}

impl Operation {
    /// The roles or scopes it names for a way to sign in; `None` when that way does not open it.
    fn needs(&self, scheme: &str) -> Option<Vec<String>> {
        let ways = self.described["security"].as_array()?;
        let names = ways.iter().find_map(|way| way.get(scheme))?;
        Some(serde_json::from_value(names.clone()).unwrap())
    }

    fn is_public(&self) -> bool {
        self.described["security"].as_array().is_none_or(Vec::is_empty)
    }

    fn is_documented(&self, status: u16) -> bool {
        self.described["responses"].get(status.to_string()).is_some()
    }

    /// Asks without a body for things that are not there.
    fn ask(&self, client: &Client) -> Answer {
        let fill = |part| if str::starts_with(part, '{') { NOTHING } else { part };
        let path: Vec<&str> = self.path.split('/').map(fill).collect();
        client.send(&self.method, &path.join("/"), None, Vec::new())
    }
}

fn operations(document: &Value) -> Vec<Operation> {
    let of_path = |(path, item): (&String, &Value)| {
        let of_method = |(method, described): (&String, &Value)| Operation {
            method: method.to_uppercase(),
            path: path.clone(),
            described: described.clone(),
        };
        item.as_object().unwrap().iter().map(of_method).collect::<Vec<_>>()
    };
    document["paths"].as_object().unwrap().iter().flat_map(of_path).collect()
}

fn described(app: &TestApp) -> Value {
    let answer = app.anyone().get("/api/openapi.json");
    assert_eq!(answer.header("content-type"), "application/json");
    answer.expect(200)
}

#[test]
fn anybody_may_read_it() {
    let app = TestApp::start();
    let document = described(&app);
    assert!(document["openapi"].as_str().unwrap().starts_with("3.1."), "{}", document["openapi"]);
    assert_eq!(document["info"]["version"], env!("CARGO_PKG_VERSION"));
    let mut ids = BTreeSet::new();
    for operation in operations(&document) {
        let id = operation.described["operationId"].as_str().unwrap().to_owned();
        assert!(operation.described["summary"].as_str().is_some_and(|text| !text.is_empty()), "{id}");
        assert!(ids.insert(id.clone()), "{id} twice");
    }
}

/// Everything a reference names has to be there.
#[test]
fn nothing_it_refers_to_is_missing() {
    fn references(value: &Value, found: &mut BTreeSet<String>) {
        match value {
            Value::Object(map) => {
                found.extend(map.get("$ref").and_then(Value::as_str).map(str::to_owned));
                map.values().for_each(|value| references(value, found));
            }
            Value::Array(items) => items.iter().for_each(|item| references(item, found)),
            _ => {}
        }
    }
    let app = TestApp::start();
    let document = described(&app);
    let mut found = BTreeSet::new();
    references(&document, &mut found);
    assert!(found.len() > 30, "{found:?}");
    for reference in found {
        let pointer = reference.strip_prefix('#').unwrap();
        assert!(document.pointer(pointer).is_some(), "{reference}");
    }
}

/// Comments are written for who reads the code; what is made of them has to do without it.
#[test]
fn nothing_is_told_in_terms_of_the_code() {
    let text = described(&TestApp::start()).to_string();
    for trace in ["[`", "```", "::", "`None`", "`Some`"] {
        let place = text.find(trace).map(|at| text.split_at(at).1.chars().take(80).collect::<String>());
        assert_eq!(place, None, "{trace}");
    }
}

/// A route hands on to `handler::name`, and so does a description: the two lists have to be one.
#[test]
fn every_route_is_described() {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut resources = 0;
    for entry in fs::read_dir(&source).unwrap() {
        let module = entry.unwrap().path().join("mod.rs");
        let Ok(text) = fs::read_to_string(&module) else { continue };
        let named = |text: &str, start: &str, end: &[char]| -> BTreeSet<String> {
            text.split(start).skip(1).filter_map(|rest| rest.split(end).next()).map(str::to_owned).collect()
        };
        let routed = named(&text, ".then(handler::", &[')']);
        let list = text.split("#[openapi(paths(").nth(1).and_then(|rest| rest.split("))]").next());
        let described = named(list.unwrap_or_default(), "handler::", &[',', '\n']);
        assert_eq!(routed, described, "{}", module.display());
        resources += usize::from(!routed.is_empty());
    }
    assert!(resources >= 14, "{resources}");
}

#[test]
fn whoever_is_not_signed_in_is_refused_wherever_it_says_so() {
    let app = TestApp::start();
    for operation in operations(&described(&app)) {
        let answer = operation.ask(&app.anyone());
        let what = format!("{} {}", operation.method, operation.path);
        assert!(!matches!(answer.status, 404 | 405) && answer.status < 500, "{what}: {}", answer.status);
        assert!(operation.is_documented(answer.status), "{what}: {}", answer.status);
        // A WebSocket's handshake is judged first.
        if !operation.is_public() && operation.path != "/api/live" {
            answer.expect_error(401, "AuthenticationException");
        }
    }
}

#[test]
fn roles_and_scopes_are_what_it_says() {
    let app = TestApp::start();
    let admin = app.admin();
    let roles = ["viewer", "operator", "admin"];
    let users = roles.map(|role| {
        let user = json!({ "username": role.to_owned() + "1", "password": PASSWORD, "role": role });
        admin.post("/api/users", &user).expect(201);
        app.anyone().signed_in(&(role.to_owned() + "1"), PASSWORD)
    });
    let scopes = ["read", "ingest", "operate"];
    let programs = scopes.map(|scope| {
        let key = admin.post("/api/api-keys", &json!({ "name": scope, "scopes": [scope] })).expect(201);
        app.anyone().with_header("X-API-Key", key["key"].as_str().unwrap())
    });
    let mut checked = 0;
    for operation in operations(&described(&app)).iter().filter(|operation| operation.path != "/api/live") {
        let what = format!("{} {}", operation.method, operation.path);
        let is_let_in = |client: &Client| {
            let answer = operation.ask(client);
            assert!(operation.is_documented(answer.status), "{what}: {}", answer.status);
            !matches!(answer.status, 401 | 403)
        };
        let [role] =
            operation.needs("token").unwrap_or_default().try_into().unwrap_or_else(|_| [String::new()]);
        if let Some(least) = roles.iter().position(|known| *known == role) {
            for (rank, user) in users.iter().enumerate() {
                assert_eq!(is_let_in(user), rank >= least, "{what} as {}", roles[rank]);
            }
            checked += 1;
        }
        if operation.is_public() || operation.needs("token").is_some_and(|roles| roles.is_empty()) {
            continue;
        }
        let [scope] =
            operation.needs("api_key").unwrap_or_default().try_into().unwrap_or_else(|_| [String::new()]);
        for (program, own) in programs.iter().zip(scopes) {
            let opens = own == scope || (own == "operate" && scope == "read");
            assert_eq!(is_let_in(program), opens, "{what} by a key that may {own}");
        }
        if operation.needs("worker").is_some() {
            assert!(is_let_in(&app.worker()), "{what} as a worker");
        }
    }
    assert!(checked > 25, "{checked}");
}

#[test]
fn a_wrong_method_is_told_the_right_ones() {
    let app = TestApp::start();
    for (path, methods) in [
        ("/api/health", "GET, HEAD"),
        ("/api/auth/login", "POST"),
        ("/api/persons/register", "POST"),
        ("/api/cameras/door", "GET, HEAD, PUT, DELETE"),
        ("/api/alerts/rules", "GET, HEAD, POST"),
        ("/index.html", "GET, HEAD"),
    ] {
        let answer = app.anyone().send("PATCH", path, None, Vec::new());
        assert_eq!((answer.status, answer.header("allow")), (405, methods), "{path}");
    }
}
