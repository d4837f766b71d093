//! The example programs in Rust and in Python, run as one would: they tell who is on a video.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::path::{Path, PathBuf};
use std::process::Command;

use vedette_events::FaceEvent;

/// The folder cargo builds into.
fn build_folder() -> PathBuf {
    let test = std::env::current_exe().unwrap();
    test.parent().unwrap().parent().unwrap().to_owned()
}

/// A video of two seconds, and a gallery of who is in it.
fn material(folder: &Path) -> [PathBuf; 2] {
    let files = [folder.join("door cam.mp4"), folder.join("gallery.json")];
    let still = common::still("obama.jpg", "I420", 20);
    common::run(&format!("{still} ! x264enc ! mp4mux ! filesink location=\"{}\"", files[0].display()));
    common::gallery(&files[1], &[("Barack", &["obama2.jpg"])]);
    files
}

/// Runs a program that prints events, and checks that they tell who was there.
fn assert_tells(mut command: Command) {
    let output = command.output().unwrap_or_else(|error| {
        panic!("{command:?}: {error}; `cargo test --test examples` builds no example, `cargo test` and `cargo build --examples` do")
    });
    let told = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{told}");
    let events = String::from_utf8(output.stdout).unwrap();
    let events: Vec<FaceEvent> = events.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let names: Vec<&str> =
        events.iter().filter_map(|event| Some(event.person.as_ref()?.name.as_str())).collect();
    assert!(!names.is_empty() && names.iter().all(|name| *name == "Barack"), "{events:?}");
    assert!(told.contains(&format!("{} events", events.len())), "the signal tells of as many: {told}");
}

#[test]
fn a_program_in_rust_tells_who_is_there() {
    let folder = tempfile::tempdir().unwrap();
    let mut watch = Command::new(build_folder().join("examples/watch"));
    watch.args(material(folder.path()));
    assert_tells(watch);

    let output = Command::new(build_folder().join("examples/watch")).arg("/nowhere.mp4").output().unwrap();
    assert!(!output.status.success() && output.stderr.starts_with(b"watch: "));
}

#[test]
fn a_program_in_python_tells_who_is_there() {
    let folder = tempfile::tempdir().unwrap();
    let plugins = folder.path().join("plugins");
    std::fs::create_dir(&plugins).unwrap();
    let library = build_folder().join("deps/libgstvedette.so");
    std::os::unix::fs::symlink(library, plugins.join("libgstvedette.so")).unwrap();
    // Debian's interpreter: it is the one Debian's bindings are for.
    let mut watch = Command::new("/usr/bin/python3");
    watch.arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/watch.py"));
    watch.args(material(folder.path()));
    watch.env("GST_PLUGIN_PATH", plugins).env("GST_REGISTRY", folder.path().join("registry"));
    assert_tells(watch);
}
