//! Pictures of cameras: of one that is only tried, and of one that runs.

use anyhow::Result;
use serde_json::{Value, json};
use vedette_tests::clip::Clip;

use crate::scene::Scene;

fn probe(scene: &Scene, url: &str) -> Result<Value> {
    scene.api.post("/api/cameras/probe", &json!({ "url": url }))?.expect(200)
}

#[test]
fn a_camera_can_be_tried_before_it_is_made() -> Result<()> {
    let scene = Scene::set()?;
    let (video, truth) = scene.clip("demo", &Clip::demo())?;

    let seen = probe(&scene, &format!("file://{}", video.display()))?;
    assert_eq!(seen["reachable"], true, "{seen}");
    assert_eq!(seen["resolution"], format!("{}x{}", truth.width, truth.height));
    assert_eq!(seen["codec"], "H.264");
    assert!(seen["fps"].as_f64().is_some_and(|fps| fps > 1.0), "{seen}");
    let thumbnail = seen["thumbnail"].as_str().unwrap_or_default();
    assert!(thumbnail.starts_with("data:image/jpeg;base64,/9j/"), "{thumbnail:.60}");

    let nothing = probe(&scene, "file:///nowhere/clip.mp4")?;
    assert_eq!((&nothing["reachable"], &nothing["thumbnail"]), (&json!(false), &Value::Null));
    assert!(nothing["reason"].as_str().unwrap_or_default().contains("was not found"), "{nothing}");

    // Nobody listens on port 1.
    let refused = probe(&scene, "rtsp://viewer:hunter2@127.0.0.1:1/stream")?;
    let reason = refused["reason"].as_str().unwrap_or_default();
    assert!(
        refused["reachable"] == false && reason.contains("127.0.0.1") && !reason.contains("hunter2"),
        "{refused}"
    );

    scene.api.post("/api/cameras/probe", &json!({ "url": "gopher://x" }))?.expect(422)?;
    Ok(())
}

#[test]
fn a_running_camera_shows_what_it_sees() -> Result<()> {
    let scene = Scene::set()?;
    let camera = json!({ "id": "cam", "url": "test://?width=640&height=360&fps=10" });
    scene.api.post("/api/cameras", &camera)?.expect(201)?;
    scene.api.get("/api/cameras/cam/snapshot")?.expect(404)?;
    scene.api.post("/api/cameras/cam/start", &json!({}))?.expect(200)?;
    scene.await_status("cam", "running")?;

    let answer = scene.api.get("/api/cameras/cam/snapshot")?;
    assert_eq!(answer.status, 200);
    let picture = image::load_from_memory(&answer.body)?;
    assert_eq!((picture.width(), picture.height()), (640, 360));
    // Colour bars: whatever the encoder does, the left edge is bright and a picture of one colour is no bars.
    let colours = picture.to_rgb8();
    assert!(colours.get_pixel(5, 5).0.iter().all(|value| *value > 150));
    assert_ne!(colours.get_pixel(5, 5), colours.get_pixel(600, 5));
    scene.api.get("/api/cameras/other/snapshot")?.expect(404)?;
    Ok(())
}
