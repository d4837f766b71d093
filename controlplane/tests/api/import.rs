//! `vedette import`: a table of people against a running server.

use std::path::Path;
use std::process::{Command, Output};

use serde_json::json;

use crate::app::{TestApp, database_in};
use crate::media::{THREE_OF_ONE, photo};

/// A folder with a table and photos: one person by a list, one by a folder.
fn roster(folder: &Path) {
    for name in THREE_OF_ONE {
        std::fs::write(folder.join(name), photo(name)).unwrap();
    }
    std::fs::create_dir(folder.join("46")).unwrap();
    std::fs::write(folder.join("46/a.jpg"), photo("biden.jpg")).unwrap();
    let photos = THREE_OF_ONE.join(";");
    let table = format!("name,employee_id,email,photos\nBarack,44,b@example.org,{photos}\nJoe,46,,\n");
    std::fs::write(folder.join("people.csv"), table).unwrap();
}

fn import(folder: &Path, arguments: &[&str], variables: &[(&str, &str)]) -> (bool, String, Output) {
    let output = Command::new(env!("CARGO_BIN_EXE_vedette"))
        .args(["import", "people.csv", "--photos", "."])
        .args(arguments)
        .current_dir(folder)
        .env_clear()
        .envs(variables.iter().copied())
        .output()
        .unwrap();
    let told = [output.stderr.as_slice(), output.stdout.as_slice()].concat();
    (output.status.success(), String::from_utf8(told).unwrap(), output)
}

#[test]
fn people_of_a_table_are_registered_once() {
    let app = TestApp::start();
    let admin = app.admin();
    let folder = tempfile::tempdir().unwrap();
    roster(folder.path());
    let url = format!("http://{}", app.address);
    let login = app.anyone().log_in("admin", crate::app::FIRST_PASSWORD).expect(200);
    let token = [("VEDETTE_TOKEN", login["access_token"].as_str().unwrap())];
    let run = || import(folder.path(), &["--url", &url, "--report", "refused.csv"], &token);

    let (is_complete, told, _) = run();
    assert!(!is_complete, "one of them has too few photos: {told}");
    assert!(told.contains("[1/2] Barack: enrolled with 3 of 3 photos"), "{told}");
    assert!(told.contains("1 enrolled, 0 there already, 1 refused"), "{told}");
    let report = std::fs::read_to_string(folder.path().join("refused.csv")).unwrap();
    assert!(report.contains("3,Joe,46,") && report.contains("1 of 1 photos can be used"), "{report}");
    assert_eq!(admin.get("/api/persons").expect(200)["items"][0]["employee_id"], "44");

    for name in ["b.jpg", "c.jpg"] {
        std::fs::write(folder.path().join("46").join(name), photo("biden.jpg")).unwrap();
    }
    let (is_complete, told, _) = run();
    assert!(is_complete && told.contains("1 enrolled, 1 there already, 0 refused"), "{told}");
    let (is_complete, told, _) = run();
    assert!(is_complete && told.contains("0 enrolled, 2 there already, 0 refused"), "{told}");
    assert_eq!(admin.get("/api/persons").expect(200)["total"], 2);
}

#[test]
fn a_local_import_needs_no_token_and_leaves_no_key() {
    let app = TestApp::start();
    let folder = tempfile::tempdir().unwrap();
    roster(folder.path());
    let config = format!("server: {{port: {}}}\n", app.address.port());
    std::fs::write(folder.path().join("config.yaml"), config).unwrap();
    let data_dir = app.folder.path().join("data").display().to_string();
    let database = database_in(app.folder.path());
    let mut variables = vec![("VEDETTE_DATA_DIR", data_dir.as_str())];
    variables.extend(database.iter().map(|(name, value)| (name.as_str(), value.as_str())));
    let (_, told, _) = import(folder.path(), &["--config", "."], &variables);
    assert!(told.contains("1 enrolled"), "{told}");
    let admin = app.admin();
    assert_eq!(admin.get("/api/persons").expect(200)["total"], 1);
    assert_eq!(admin.get("/api/api-keys").expect(200)["total"], 0);
}

#[test]
fn an_import_that_cannot_begin_says_why() {
    let app = TestApp::start();
    let folder = tempfile::tempdir().unwrap();
    roster(folder.path());
    let url = format!("http://{}", app.address);
    let fails = |arguments: &[&str]| {
        let (is_complete, told, output) = import(folder.path(), arguments, &[]);
        assert!(!is_complete && !told.contains("panicked"), "{told}");
        assert!(matches!(output.status.code(), Some(1 | 2)), "{told}");
        told
    };
    assert!(fails(&["--url", &url]).contains("--token"));
    assert!(fails(&["--url", &url, "--token", "wrong"]).contains("API key"));
    assert!(fails(&["--url", "ftp://x", "--token", "x"]).contains("http://"));
    let admin = app.admin();
    let reader = admin.post("/api/api-keys", &json!({ "name": "reader", "scopes": ["read"] })).expect(201);
    let told = fails(&["--url", &url, "--token", reader["key"].as_str().unwrap()]);
    assert!(told.contains("operate"), "{told}");
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    assert!(fails(&["--url", &format!("http://{nobody}"), "--token", "x"]).contains("no answer"));
    std::fs::write(folder.path().join("people.csv"), "nome\nAda\n").unwrap();
    assert!(fails(&["--url", &url, "--token", "x"]).contains("nome"));
    assert_eq!(admin.get("/api/persons").expect(200)["total"], 0);
}
