//! What goes wrong says what to do, and takes nothing else down.

use std::{fs, net::TcpListener, path::Path, process::Command};

use anyhow::{Context as _, Result, ensure};
use serde_json::json;
use vedette_tests::{
    api::wait_for,
    checkout,
    clip::{Clip, KNOWN, walk},
    server::{Plan, log_tail},
    terminal::gst_command,
};

use crate::scene::{PATIENCE, Scene, turn};

/// Starts a server that cannot start, and returns what it said.
fn refusal(plan: &Plan) -> Result<String> {
    let mut child = plan.spawn()?;
    let ended = wait_for("the server to refuse", PATIENCE, || Ok(child.try_wait()?));
    if ended.is_err() {
        child.kill()?;
        child.wait()?;
    }
    let said = log_tail(&plan.log_path());
    ensure!(!ended?.success(), "it ended as if all were well:\n{said}");
    ensure!(!said.contains("panicked"), "{said}");
    Ok(said)
}

#[test]
fn a_busy_port_is_named() -> Result<()> {
    let _turn = turn();
    let folder = tempfile::tempdir()?;
    let holder = TcpListener::bind(("127.0.0.1", 0))?;
    let port = holder.local_addr()?.port();
    let said = refusal(&Plan { port, ..Plan::for_test(folder.path())? })?;
    ensure!(said.contains(&port.to_string()), "{said}");
    Ok(())
}

#[test]
fn a_data_folder_that_is_none_is_named() -> Result<()> {
    let _turn = turn();
    let folder = tempfile::tempdir()?;
    let plan = Plan::for_test(folder.path())?;
    fs::write(plan.data_dir(), "a file where a folder should be")?;
    let said = refusal(&plan)?;
    ensure!(said.contains(&*plan.data_dir().to_string_lossy()), "{said}");
    Ok(())
}

#[test]
fn an_unknown_key_is_named_with_its_line() -> Result<()> {
    let _turn = turn();
    let folder = tempfile::tempdir()?;
    let overrides = "detection:\n  deduplication_window: 0\n  nonsense: 1\n".into();
    let said = refusal(&Plan { overrides, ..Plan::for_test(folder.path())? })?;
    ensure!(said.contains("nonsense") && said.contains("config.dev.yaml") && said.contains('3'), "{said}");
    Ok(())
}

#[test]
fn a_value_out_of_range_is_named_with_its_key() -> Result<()> {
    let _turn = turn();
    let folder = tempfile::tempdir()?;
    let overrides = "detection:\n  confidence_threshold: 7\n".into();
    let said = refusal(&Plan { overrides, ..Plan::for_test(folder.path())? })?;
    ensure!(said.contains("confidence_threshold"), "{said}");
    Ok(())
}

#[test]
fn a_model_with_a_wrong_hash_is_named() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let pack = folder.path().join("opencv");
    fs::create_dir(&pack)?;
    let detector = "face_detection_yunet_2023mar_int8bq.onnx";
    fs::write(pack.join(detector), "not a model")?;
    let output = Command::new(checkout::built("vedette")?)
        .args(["models", "verify", "opencv"])
        .env("VEDETTE_MODELS_DIR", folder.path())
        .output()?;
    let said = String::from_utf8_lossy(&output.stderr) + String::from_utf8_lossy(&output.stdout);
    ensure!(!output.status.success() && said.contains(detector), "{said}");
    ensure!(said.contains("models fetch opencv"), "it does not say what to do: {said}");
    Ok(())
}

/// Starts a pipeline with the detector set to `setting`, which cannot work, and returns what it said.
fn detector_refusal(setting: &str) -> Result<String> {
    let folder = tempfile::tempdir()?;
    let output = gst_command("gst-launch-1.0", folder.path())?
        .args(["-q", "videotestsrc", "num-buffers=2", "!", "vedettefacedetect", setting, "!", "fakesink"])
        .output()?;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    ensure!(!output.status.success(), "it ended as if all were well:\n{said}");
    Ok(said)
}

#[test]
fn a_missing_model_names_the_command_that_fetches_it() -> Result<()> {
    let said = detector_refusal("pack=buffalo_s")?;
    ensure!(said.contains("vedette models fetch buffalo_s"), "{said}");
    Ok(())
}

#[test]
fn a_broken_model_is_named() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let model = folder.path().join("broken.onnx");
    fs::write(&model, "not a model")?;
    let said = detector_refusal(&format!("model={}", model.display()))?;
    ensure!(said.contains("broken.onnx"), "{said}");
    Ok(())
}

#[test]
fn a_camera_that_cannot_be_read_says_so_and_disturbs_no_other() -> Result<()> {
    let scene = Scene::set()?;
    let (video, truth) = scene.clip("good", &Clip::of(vec![walk(KNOWN, "obama2.jpg", 0.2, 2.0, 0)]))?;
    scene.enrol(&truth)?;

    let whole = fs::read(&video)?;
    let broken_off = scene.folder().join("broken_off.mp4");
    fs::write(&broken_off, &whole[..whole.len() / 2])?;
    let empty = scene.folder().join("empty.mp4");
    fs::write(&empty, "")?;
    let absent = scene.folder().join("absent.mp4");
    let text = scene.folder().join("text.mp4");
    fs::write(&text, "This is no video at all. ".repeat(200))?;

    for (id, file) in [("broken_off", &broken_off), ("empty", &empty), ("absent", &absent), ("text", &text)] {
        scene.start_camera(id, file, false)?;
        let camera = wait_for(&format!("camera `{id}` to fail"), PATIENCE, || {
            let camera = scene.camera(id)?;
            Ok((camera["status"] == "error").then_some(camera))
        })?;
        let reason = camera["last_error"].as_str().unwrap_or_default();
        ensure!(!reason.is_empty(), "camera `{id}` fails without a reason: {camera}");
    }
    scene.start_camera("good", &video, false)?;
    scene.await_status("good", "stopped")?;
    scene.await_detection("the good camera to see someone", "good", |seen| seen["person_name"] == KNOWN)?;
    Ok(())
}

#[test]
fn damage_in_the_middle_of_a_video_does_not_end_it() -> Result<()> {
    let scene = Scene::set()?;
    let walks = vec![walk(KNOWN, "obama2.jpg", 0.2, 2.0, 0), walk(KNOWN, "obama2.jpg", 5.0, 2.0, 0)];
    let (video, truth) = scene.clip("whole", &Clip::of(walks))?;
    scene.enrol(&truth)?;
    let damaged = scene.folder().join("damaged.mp4");
    damage(&video, &damaged)?;
    scene.start_camera("damaged", &damaged, false)?;
    scene.await_status("damaged", "stopped")?;
    scene.await_detection("someone behind the damage", "damaged", |seen| {
        seen["person_name"] == KNOWN && seen["stream_time_ms"].as_u64() > Some(4_800)
    })?;
    let health = scene.api.get("/api/health")?.expect(200)?;
    ensure!(health["status"] == "healthy", "{health}");
    Ok(())
}

/// Copies a video with some of its pictures, at about two fifths, overwritten.
fn damage(video: &Path, damaged: &Path) -> Result<()> {
    let mut bytes = fs::read(video)?;
    let start = bytes.len() * 2 / 5;
    for (index, byte) in bytes[start..start + 20_000].iter_mut().enumerate() {
        *byte = (index * 31 % 251) as u8;
    }
    fs::write(damaged, bytes).context("cannot write the damaged copy")
}

#[test]
fn people_without_a_face_are_refused_with_a_reason_for_each_photo() -> Result<()> {
    let scene = Scene::set()?;
    let blank = scene.folder().join("blank.jpg");
    image::RgbImage::from_pixel(320, 240, image::Rgb([90, 120, 90])).save(&blank)?;
    let photos = vec![blank.clone(), blank.clone(), blank];
    let answer = scene.api.register("Nobody", &photos)?;
    let reasons = answer.json();
    ensure!(answer.status == 422, "{}: {reasons}", answer.status);
    ensure!(reasons["details"].as_array().is_some_and(|details| details.len() >= 3), "{reasons}");
    let people = scene.api.get("/api/persons")?.expect(200)?;
    ensure!(people["total"] == json!(0), "something was stored: {people}");
    Ok(())
}
