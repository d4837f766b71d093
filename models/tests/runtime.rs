//! What becomes of a process whose ONNX Runtime is missing or broken. A process loads one library and keeps it,
//! so each case is a process of its own: this test's own program, told to open a session.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::path::Path;
use std::process::{Command, Output};

use vedette_models::files::{ModelSource, ModelStore};
use vedette_models::pack::{Packs, Role};
use vedette_models::session::{SessionOptions, SessionPool};

/// Opens a session from several threads at once, in a process of its own, with `library` as ONNX Runtime.
fn open_with_library(library: &Path) -> Output {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "child_opens_sessions", "--ignored", "--nocapture"])
        .env("ORT_DYLIB_PATH", library)
        .output()
        .unwrap()
}

fn fetched_library() -> std::path::PathBuf {
    let library = Packs::builtin().unwrap().runtime.for_this_machine().expect("a platform we ship for");
    ModelStore::locate().find_runtime(library).expect("run `vedette models fetch opencv` first")
}

#[test]
#[ignore = "only makes sense in the processes the other tests start"]
fn child_opens_sessions() {
    let open = || {
        let model = ModelSource::pack("opencv").unwrap().open(Role::Detector, Ok).unwrap();
        let opened =
            SessionPool::open(model.bytes, SessionOptions { label: model.name, ..Default::default() });
        match opened {
            Ok(_) => "it works".into(),
            Err(error) => error.to_string(),
        }
    };
    let answers: Vec<String> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..4).map(|_| scope.spawn(open)).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    assert!(answers.iter().all(|answer| *answer == answers[0]), "{answers:?}");
    println!("answer: {}", answers[0]);
}

/// What the threads of the child were told; that there is an answer proves that it neither hung nor died.
fn answer(output: &Output) -> String {
    let printed = String::from_utf8_lossy(&output.stdout).into_owned();
    let complaints = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{printed}\n{complaints}");
    printed.lines().find_map(|line| line.split_once("answer: ")).expect("an answer").1.to_owned()
}

#[test]
fn several_threads_start_the_library_once_and_quietly() {
    let output = open_with_library(&fetched_library());
    assert_eq!(answer(&output), "it works");
    assert_eq!(String::from_utf8_lossy(&output.stderr), "", "ONNX Runtime's warnings stay out of stderr");
}

#[test]
fn missing_library_is_an_error_that_says_what_to_do() {
    let answer = answer(&open_with_library(Path::new("/nowhere/libonnxruntime.so")));
    assert!(answer.contains("/nowhere/libonnxruntime.so"), "{answer}");
    assert!(answer.contains("vedette models fetch opencv"), "{answer}");
}

#[test]
fn other_library_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let text = folder.path().join("libonnxruntime.so");
    std::fs::write(&text, "not a library").unwrap();
    assert!(answer(&open_with_library(&text)).contains("not a 64-bit shared library"));
    // The library this program itself is linked to is a real one, and no ONNX Runtime.
    let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
    let library = maps
        .lines()
        .find_map(|line| line.find('/').map(|at| &line[at..]).filter(|path| path.contains("libc.so")));
    let answer = answer(&open_with_library(Path::new(library.expect("a C library"))));
    assert!(answer.contains("it is another library"), "{answer}");
}

#[test]
fn library_that_was_cut_short_does_not_kill_the_process() {
    let bytes = std::fs::read(fetched_library()).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let library = folder.path().join("libonnxruntime.so");
    std::fs::write(&library, &bytes[..bytes.len() / 2]).unwrap();
    assert!(answer(&open_with_library(&library)).contains("incomplete"));
}
