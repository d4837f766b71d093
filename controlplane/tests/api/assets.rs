//! The dashboard's files.

use crate::app::TestApp;

#[test]
fn the_dashboard_is_served_and_revalidated() {
    let app = TestApp::start();
    let page = app.anyone().get("/");
    assert_eq!((page.status, page.header("content-type")), (200, "text/html; charset=utf-8"));
    assert_eq!(page.text, app.anyone().get("/index.html").text);
    let etag = page.header("etag").to_owned();
    let again = app.anyone().with_header("If-None-Match", &etag).get("/");
    assert_eq!((again.status, again.text.as_str()), (304, ""));
    assert_eq!(app.anyone().with_header("If-None-Match", "\"other\"").get("/").status, 200);
}

#[test]
fn pages_scripts_and_styles_have_their_types() {
    let app = TestApp::start();
    assert_eq!(app.anyone().get("/scripts/main.js").header("content-type"), "text/javascript; charset=utf-8");
    assert_eq!(app.anyone().get("/styles/base.css").header("content-type"), "text/css; charset=utf-8");
    assert_eq!(app.anyone().get("/docs").header("content-type"), "text/html; charset=utf-8");
    assert_eq!(app.anyone().get("/icon.svg").header("content-type"), "image/svg+xml");
}

#[test]
fn other_paths_are_not_found_in_plain_words() {
    let app = TestApp::start();
    for path in [
        "/nothing.js",
        "/scripts",
        "/../Cargo.toml",
        "/%2e%2e/Cargo.toml",
        "/package.json",
        "/tests/words.test.js",
        "/vendor/README.md",
    ] {
        let answer = app.anyone().get(path);
        assert_eq!(
            (answer.status, answer.header("content-type")),
            (404, "text/plain; charset=utf-8"),
            "{path}"
        );
    }
    assert_eq!(app.anyone().send("POST", "/nothing", None, Vec::new()).status, 404);
    assert_eq!(app.anyone().send("POST", "/", None, Vec::new()).status, 405);
}
