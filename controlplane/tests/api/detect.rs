//! Looking at pictures that are sent.

use serde_json::{Value, json};

use crate::app::TestApp;
use crate::media::{Form, THREE_OF_ONE, jpeg, photo, png_bomb, side_by_side};
use crate::workers::beat;

#[test]
fn faces_are_found_and_named() {
    let app = TestApp::start();
    let admin = app.admin();
    let person = Form::default()
        .text("name", "Barack")
        .photos(THREE_OF_ONE)
        .send(&admin, "/api/persons/register")
        .expect(201);
    let form =
        Form::default().file("image", "both.jpg", &side_by_side("obama_partial_face.jpg", "biden.jpg"));
    let answer = form.send(&admin, "/api/detect").expect(200);
    assert_eq!(answer["height"], 600);
    assert!(answer["elapsed_ms"].as_f64().unwrap() > 0.0);
    let mut faces = answer["faces"].as_array().unwrap().clone();
    faces.sort_by_key(|face| face["bounding_box"]["x"].as_u64().unwrap());
    assert_eq!(faces.len(), 2, "{answer}");
    assert_eq!(faces[0]["person"]["id"], person["id"], "{answer}");
    assert_eq!(faces[1]["person"], Value::Null, "a stranger stays a stranger: {answer}");
    for face in &faces {
        let number = |pointer: &str| face.pointer(pointer).unwrap().as_f64().unwrap();
        assert!(
            number("/bounding_box/x") + number("/bounding_box/width") <= answer["width"].as_f64().unwrap()
        );
        assert!(number("/confidence") > 0.5 && number("/quality") > 0.0);
        assert_eq!(face["landmarks"].as_array().unwrap().len(), 5);
        assert_eq!((&face["age"], &face["gender"]), (&Value::Null, &Value::Null));
    }

    let wall = jpeg(&image::RgbImage::from_pixel(320, 240, image::Rgb([90, 120, 90])).into());
    let empty = Form::default().file("image", "wall.jpg", &wall).send(&admin, "/api/detect").expect(200);
    assert_eq!(empty["faces"], json!([]));
}

#[test]
fn age_and_gender_are_estimated_if_the_settings_say_so_at_cameras_too() {
    let app =
        TestApp::with("security: {force_password_change: false}\nface_recognition: {attributes: true}\n");
    let admin = app.admin();
    let answer = Form::default()
        .file("image", "biden.jpg", &photo("biden.jpg"))
        .send(&admin, "/api/detect")
        .expect(200);
    let face = &answer["faces"][0];
    let age = face["age"].as_f64().unwrap();
    assert!((55.0..80.0).contains(&age) && age.fract() == 0.0, "{answer}");
    assert_eq!(face["gender"], "male");

    let camera = json!({ "id": "cam", "url": "rtsp://10.0.0.7/stream1" });
    admin.post("/api/cameras", &camera).expect(201);
    admin.post("/api/cameras/cam/start", &json!({})).expect(200);
    let assigned = beat(&app.worker(), "local", &[]);
    assert_eq!(assigned[0]["settings"]["attributes"], true, "{assigned}");
}

#[test]
fn files_that_are_no_pictures_are_refused() {
    let app = TestApp::start();
    let admin = app.admin();
    let whole = photo("biden.jpg");
    let bad: [(&[u8], u16); 4] =
        [(b"", 400), (&whole[..whole.len() / 2], 400), (b"Dear Sir or Madam", 415), (&png_bomb(), 413)];
    for (bytes, status) in bad {
        let answer = Form::default().file("image", "x.jpg", bytes).send(&admin, "/api/detect");
        answer.expect_error(status, "FileProcessingException");
    }
    Form::default().send(&admin, "/api/detect").expect_error(422, "ValidationException");
    Form::default().text("picture", "x").send(&admin, "/api/detect").expect_error(422, "ValidationException");
}
