//! Whether two pictures show one person.

use serde_json::json;

use crate::app::{Client, TestApp};
use crate::media::{Form, jpeg, photo, png_bomb, side_by_side};

#[test]
fn two_pictures_show_one_person_or_not() {
    let app = TestApp::start();
    let admin = app.admin();
    let verify = |a: &str, b: &str| {
        let form = Form::default().file("image_a", a, &photo(a)).file("image_b", b, &photo(b));
        form.send(&admin, "/api/verify").expect(200)
    };
    let same = verify("obama.jpg", "obama2.jpg");
    assert_eq!(same["verified"], true, "{same}");
    let other = verify("obama.jpg", "biden.jpg");
    assert_eq!(other["verified"], false, "{other}");
    assert!(other["similarity"].as_f64().unwrap() < other["threshold"].as_f64().unwrap());

    let wall = jpeg(&image::RgbImage::new(320, 240).into());
    let form = Form::default().file("image_a", "a", &photo("obama.jpg")).file("image_b", "b", &wall);
    let message = form.send(&admin, "/api/verify").expect_error(422, "FaceDetectionException");
    assert!(message.contains("image_b"), "{message}");
}

#[test]
fn what_is_wrong_with_a_picture_is_said_with_its_field() {
    let app = TestApp::start();
    let admin = app.admin();
    let verify = |client: &Client, a: &[u8], b: &[u8]| {
        Form::default().file("image_a", "a", a).file("image_b", "b", b).send(client, "/api/verify")
    };
    let good = photo("obama.jpg");
    for (bad, status) in
        [(b"".as_slice(), 400), (&good[..good.len() / 2], 400), (b"Dear Sir", 415), (&png_bomb(), 413)]
    {
        let message = verify(&admin, &good, bad).expect_error(status, "FileProcessingException");
        assert!(message.starts_with("image_b: "), "{message}");
        let message = verify(&admin, bad, &good).expect_error(status, "FileProcessingException");
        assert!(message.starts_with("image_a: "), "{message}");
    }
    let answer = Form::default().file("image_a", "a", &good).send(&admin, "/api/verify").expect(422);
    assert_eq!(answer["details"][0]["field"], "image_b", "{answer}");
    Form::default().text("image", "x").send(&admin, "/api/verify").expect_error(422, "ValidationException");
    admin.post("/api/verify", &json!({})).expect_error(415, "FileProcessingException");
    let anyone = Form::default().text("image", "x").send(&app.anyone(), "/api/verify");
    anyone.expect_error(401, "AuthenticationException");
}

#[test]
fn the_largest_face_of_a_picture_counts_and_nothing_is_kept() {
    let app = TestApp::start();
    let admin = app.admin();
    let key = admin.post("/api/api-keys", &json!({ "name": "door", "scopes": ["read"] })).expect(201);
    let door = app.anyone().with_header("X-API-Key", key["key"].as_str().unwrap());
    let two = side_by_side("obama_partial_face.jpg", "biden.jpg");
    let verify = |name: &str| {
        let form = Form::default().file("image_a", "two.jpg", &two).file("image_b", name, &photo(name));
        form.send(&door, "/api/verify").expect(200)["verified"] == true
    };
    assert_ne!(verify("obama.jpg"), verify("biden.jpg"), "one of them is the larger face");
    assert_eq!(admin.get("/api/persons").expect(200)["total"], 0);
}
