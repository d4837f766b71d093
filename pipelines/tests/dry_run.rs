//! `vedette-worker --dry-run`: what it prints runs under `gst-launch-1.0`, and tells no secret unasked.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use common::clip::Clip;
use common::plane::Plane;
use common::{TOKEN, assignment, have_models};
use vedette_events::{CameraAssignment, EventKind, FaceEvent, PipelineSettings};

fn dry_run(arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_vedette-worker"));
    command.args(arguments).env_remove("VEDETTE_WORKER_TOKEN").output().unwrap()
}

/// The one line that is printed, and what is said besides.
fn line(arguments: &[&str]) -> (String, String) {
    let output = dry_run(arguments);
    let told = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{told}");
    let line = String::from_utf8(output.stdout).unwrap();
    assert_eq!(line.lines().count(), 1, "{line}");
    (line.trim_end().to_owned(), told)
}

/// A shell that finds this build's plugin.
fn shell(script: &str, folder: &Path) -> Command {
    let plugins = folder.join("plugins");
    std::fs::create_dir_all(&plugins).unwrap();
    let library: PathBuf = std::env::current_exe().unwrap().parent().unwrap().join("libgstvedette.so");
    std::os::unix::fs::symlink(library, plugins.join("libgstvedette.so")).unwrap();
    let mut shell = Command::new("sh");
    shell.args(["-c", script]).current_dir(folder);
    shell.env("GST_PLUGIN_PATH", plugins).env("GST_REGISTRY", folder.join("registry"));
    shell
}

#[test]
fn the_line_of_a_file_runs_whatever_its_name() {
    if !have_models() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(r#"it's "the" door ! fakesink $(touch oops) `x` \ a;b.mp4"#);
    Clip::of_a_portrait(50).write(&path);
    let url = url::Url::from_file_path(&path).unwrap();
    let (line, _) = line(&["--dry-run", url.as_str()]);
    let quiet = line.replacen("gst-launch-1.0 ", "gst-launch-1.0 -q ", 1);
    let output = shell(&quiet, folder.path()).output().unwrap();
    let (events, told) =
        (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap());
    assert!(output.status.success(), "{line}\n{told}");
    let events: Vec<FaceEvent> = events.lines().map(|event| serde_json::from_str(event).unwrap()).collect();
    assert!(events.iter().any(|event| event.kind == EventKind::Unknown), "{line}\n{told}\n{events:?}");
    assert!(!folder.path().join("oops").exists(), "the shell has run what stands in a file's name");
}

#[test]
fn the_line_of_a_camera_is_what_a_worker_would_run() {
    if !have_models() {
        return;
    }
    let (plane, folder) = (Plane::open(), tempfile::tempdir().unwrap());
    let camera = CameraAssignment {
        settings: PipelineSettings {
            inference_interval: 3,
            masks: vec![vec![[0.0, 0.0], [0.5, 0.0], [0.25, 1.0]]],
            ..assignment("door", 7, "").settings
        },
        ..assignment("door", 7, "test://?pattern=ball&width=320&height=240")
    };
    plane.assign(vec![camera]);
    let data = folder.path().join("data").display().to_string();
    let asked = ["--url", &plane.url(), "--token", TOKEN, "--data-dir", &data, "--dry-run", "door"];
    let (masked, told) = line(&asked);
    assert!(
        !masked.contains(TOKEN) && masked.contains("token='***'") || masked.contains("'token=***'"),
        "{masked}"
    );
    assert!(told.contains("--show-secrets"), "{told}");

    let (line, told) = line(&[&asked[..], &["--show-secrets"]].concat());
    assert!(line.contains(TOKEN) && !told.contains("--show-secrets"), "{line}\n{told}");
    assert!(line.contains("pattern=ball") && line.contains("width=320,height=240"), "{line}");
    assert!(line.contains("inference-interval=3") && line.contains("mask=0%,0%,50%,0%,25%,100%"), "{line}");
    assert!(plane.heartbeats().is_empty(), "asking takes no camera");

    let verbose = line.replacen("gst-launch-1.0 ", "exec gst-launch-1.0 -v ", 1);
    let mut child = shell(&verbose, folder.path()).stdout(Stdio::piped()).spawn().unwrap();
    let output = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
    let mut output =
        output.skip_while(|line| !(line.contains("EventSink:sink.GstPad:sink: caps = video/x-raw")));
    let caps = output.next().expect("frames reach the end of the pipeline");
    assert!(caps.contains("width=(int)320"), "{caps}");
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn passwords_are_printed_only_when_asked_for() {
    let url = "rtsp://ad%20min:pa%22ss%20wo%27rd@10.0.0.7/live?token=hush&channel=1";
    let (masked, told) = line(&["--dry-run", url]);
    assert!(!masked.contains("ss wo") && !masked.contains("hush") && masked.contains("***"), "{masked}");
    assert!(told.contains("--show-secrets"), "{told}");
    let (line, _) = line(&["--dry-run", url, "--show-secrets"]);
    assert!(line.contains("hush") && line.contains(r"'user-id=ad min'"), "{line}");
}

#[test]
fn what_cannot_be_told_is_explained() {
    let plane = Plane::open();
    let told = |arguments: &[&str]| {
        let output = dry_run(arguments);
        assert!(!output.status.success() && output.stdout.is_empty(), "{arguments:?}");
        String::from_utf8(output.stderr).unwrap()
    };
    assert!(told(&["--dry-run", "door"]).contains("--url"));
    assert!(told(&["--dry-run", "gopher://x"]).contains("rtsp://"));
    assert!(told(&["--show-secrets"]).contains("--dry-run"));
    assert!(told(&[]).contains("--url"));
    let asked = ["--url", &plane.url(), "--token", TOKEN, "--dry-run"];
    assert!(told(&[&asked[..], &["nowhere"]].concat()).contains("no camera `nowhere`"));
    assert!(told(&[&asked[..], &["../x"]].concat()).contains("no camera id"));
}
