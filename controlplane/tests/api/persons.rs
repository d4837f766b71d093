//! Enrolling, finding, changing and removing people.

use std::path::Path;

use serde_json::{Value, json};

use crate::app::{Client, TestApp, on_postgres};
use crate::media::{Form, LATITUDE, THREE_OF_ONE, jpeg, photo, png_bomb, side_by_side, with_exif};

const REGISTER: &str = "/api/persons/register";

fn register(client: &Client, name: &str) -> Value {
    Form::default().text("name", name).photos(THREE_OF_ONE).send(client, REGISTER).expect(201)
}

/// Every file below `folder`, except the database's own.
fn files(folder: &Path) -> Vec<String> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
        } else {
            found.push(path.display().to_string());
        }
    }
    found
}

fn pictures(app: &TestApp) -> usize {
    ["photos", "staging", "snapshots"]
        .iter()
        .map(|name| files(&app.folder.path().join("data").join(name)).len())
        .sum()
}

fn assert_nothing_stored(app: &TestApp, client: &Client) {
    assert_eq!(client.get("/api/persons").expect(200)["total"], 0);
    assert_eq!(pictures(app), 0, "no photo may stay");
    let gallery = app.worker().get("/api/gallery").expect(200);
    assert_eq!(gallery["persons"], json!([]));
}

#[test]
fn three_good_photos_enrol_a_person() {
    let app = TestApp::start();
    let admin = app.admin();
    let person = Form::default()
        .text("name", " Barack ")
        .text("email", "Barack@Example.org")
        .text("department", "Government")
        .photos(THREE_OF_ONE)
        .send(&admin, REGISTER)
        .expect(201);
    assert_eq!((&person["name"], &person["email"]), (&json!("Barack"), &json!("barack@example.org")));
    assert_eq!((&person["face_count"], &person["is_active"]), (&json!(3), &json!(true)));
    for (index, sample) in person["samples"].as_array().unwrap().iter().enumerate() {
        assert_eq!((&sample["index"], &sample["accepted"]), (&json!(index), &json!(true)), "{sample}");
        assert_eq!(sample["filename"], THREE_OF_ONE[index]);
        assert!(sample["quality"].as_f64().unwrap() >= 0.5, "{sample}");
        assert!(sample.get("reason").is_none(), "{sample}");
    }

    let path = format!("/api/persons/{}", person["id"].as_str().unwrap());
    let details = admin.get(&path).expect(200);
    assert_eq!((&details["detection_count"], &details["last_seen"]), (&json!(0), &Value::Null));
    assert_eq!(details["faces"].as_array().unwrap().len(), 3);
    let face = &details["faces"][0];
    assert!(face.get("template").is_none(), "templates never leave by this door: {face}");
    let kept = admin.get(face["url"].as_str().unwrap());
    assert_eq!((kept.status, kept.header("content-type")), (200, "image/jpeg"));
    assert!(kept.header("cache-control").starts_with("private"));
    assert!(image::load_from_memory(&kept.bytes).is_ok());

    let gallery = app.worker().get("/api/gallery").expect(200);
    assert_eq!(gallery["persons"][0]["id"], person["id"]);
    assert_eq!(gallery["persons"][0]["templates"].as_array().unwrap().len(), 3);
}

fn contains(bytes: &[u8], part: &[u8]) -> bool {
    bytes.windows(part.len()).any(|window| window == part)
}

#[test]
fn kept_photos_are_small_upright_and_without_metadata() {
    let app = TestApp::with(
        "security: {force_password_change: false}\nface_recognition: {registration: {min_samples: 1}}\n",
    );
    let admin = app.admin();
    let original = image::load_from_memory(&photo("obama.jpg")).unwrap();
    let large = jpeg(&original.resize(10_000, 2400, image::imageops::Triangle).rotate270());
    // Orientation 6: to be turned by 90° clockwise.
    let sent = with_exif(&large, 6);
    assert!(contains(&sent, b"Exif") && contains(&sent, &LATITUDE) && contains(&sent, b"secret"));

    let form = Form::default().text("name", "Barack").file("images", "a.jpg", &sent);
    let person = form.send(&admin, REGISTER).expect(201);
    let path = format!("/api/persons/{}/faces", person["id"].as_str().unwrap());
    let faces = admin.get(&path).expect(200);
    let kept = admin.get(faces[0]["url"].as_str().unwrap()).bytes;
    let picture = image::load_from_memory(&kept).unwrap();
    assert_eq!(picture.height(), 1600);
    assert!(picture.width() < picture.height(), "it was sent lying on its side");
    assert!(!contains(&kept, b"Exif") && !contains(&kept, &LATITUDE) && !contains(&kept, b"secret"));
}

#[test]
fn too_few_good_photos_store_nothing_and_say_why() {
    let app = TestApp::start();
    let admin = app.admin();
    let whole = photo("obama.jpg");
    let bad: [(&str, Vec<u8>, &str); 6] = [
        ("empty.jpg", Vec::new(), "empty"),
        ("letter.jpg", b"Dear Sir or Madam".to_vec(), "JPEG, PNG or WebP"),
        ("cut.jpg", whole[..whole.len() / 2].to_vec(), "damaged or incomplete"),
        ("bomb.png", png_bomb(), "20000×10000"),
        (
            "wall.jpg",
            jpeg(&image::RgbImage::from_pixel(640, 480, image::Rgb([90, 120, 90])).into()),
            "no face",
        ),
        ("two.jpg", side_by_side("obama.jpg", "biden.jpg"), "crop the photo"),
    ];
    let mut form = Form::default().text("name", "Barack").photos(["obama.jpg", "obama2.jpg"]);
    for (name, bytes, _) in &bad {
        form = form.file("images", name, bytes);
    }
    let answer = form.send(&admin, REGISTER);
    let details = answer.json()["details"].clone();
    let message = answer.expect_error(422, "FaceDetectionException");
    assert!(message.contains("2 of 8"), "{message}");
    for (index, (name, _, reason)) in bad.iter().enumerate() {
        let detail = &details[index + 2];
        assert_eq!((&detail["index"], &detail["filename"]), (&json!(index + 2), &json!(name)));
        assert_eq!(detail["accepted"], false);
        assert!(detail["reason"].as_str().unwrap().contains(reason), "{detail}");
    }
    assert_eq!(details[0]["accepted"], true);
    assert_nothing_stored(&app, &admin);
}

#[test]
fn a_photo_of_somebody_else_is_refused() {
    let app = TestApp::start();
    let admin = app.admin();
    let photos = ["biden.jpg", "obama.jpg", "obama2.jpg", "obama3.jpg"];
    let person = Form::default().text("name", "Barack").photos(photos).send(&admin, REGISTER).expect(201);
    assert_eq!(person["face_count"], 3);
    let odd = &person["samples"][0];
    assert_eq!(odd["accepted"], false);
    assert!(odd["reason"].as_str().unwrap().contains("another person"), "{odd}");
}

#[test]
fn a_poor_photo_is_refused_with_its_defect() {
    let app = TestApp::start();
    let admin = app.admin();
    let original = image::load_from_memory(&photo("obama.jpg")).unwrap();
    let poor = [
        ("blurred.jpg", jpeg(&original.blur(12.0)), "blurred"),
        ("dark.jpg", jpeg(&original.brighten(-235)), "dark"),
        ("small.jpg", jpeg(&original.resize(80, 80, image::imageops::Triangle)), "small"),
    ];
    let mut form = Form::default().text("name", "Barack");
    for (name, bytes, _) in &poor {
        form = form.file("images", name, bytes);
    }
    let answer = form.send(&admin, REGISTER);
    let details = answer.json()["details"].clone();
    answer.expect_error(422, "FaceDetectionException");
    for (index, (name, _, reason)) in poor.iter().enumerate() {
        let told = details[index]["reason"].as_str().unwrap();
        assert!(told.contains(reason) || told.contains("no face"), "{name}: {told}");
    }
    assert_nothing_stored(&app, &admin);
}

#[test]
fn a_face_that_is_enrolled_already_needs_force() {
    let app = TestApp::start();
    let admin = app.admin();
    let first = register(&admin, "Barack");
    let again = || Form::default().text("name", "Barry").photos(THREE_OF_ONE);
    let answer = again().send(&admin, REGISTER);
    let detail = answer.json()["details"][0].clone();
    answer.expect_error(409, "DuplicateResourceException");
    assert_eq!((&detail["person_id"], &detail["name"]), (&first["id"], &json!("Barack")));
    assert!(detail["similarity"].as_f64().unwrap() > 0.9, "{detail}");
    assert_eq!(pictures(&app), 3);

    again().text("force", "true").send(&admin, REGISTER).expect(201);
    assert_eq!(admin.get("/api/persons").expect(200)["total"], 2);
}

#[test]
fn a_mail_address_or_employee_id_belongs_to_one_active_person() {
    let app = TestApp::start();
    let admin = app.admin();
    let form = |field: &str, value: &str| {
        let form = Form::default().text("name", "Barack").text("force", "true");
        form.text(field, value).photos(THREE_OF_ONE)
    };
    for (field, value) in [("email", "a@example.org"), ("employee_id", "7")] {
        let holder = form(field, value).send(&admin, REGISTER).expect(201);
        let answer = form(field, value).send(&admin, REGISTER);
        let detail = answer.json()["details"][0].clone();
        answer.expect_error(409, "DuplicateResourceException");
        assert_eq!((&detail["field"], &detail["person_id"]), (&json!(field), &holder["id"]));
        admin.delete(&format!("/api/persons/{}", holder["id"].as_str().unwrap())).expect(204);
        form(field, value).send(&admin, REGISTER).expect(201);
        let back = format!("/api/persons/{}?force=true", holder["id"].as_str().unwrap());
        let back = admin.put(&back, &json!({ "is_active": true }));
        back.expect_error(409, "DuplicateResourceException");
    }
}

#[test]
fn who_comes_back_must_have_a_face_of_their_own() {
    let app = TestApp::start();
    let admin = app.admin();
    let person = register(&admin, "Barack");
    let path = format!("/api/persons/{}", person["id"].as_str().unwrap());
    admin.put(&path, &json!({ "is_active": true })).expect(200);
    admin.delete(&path).expect(204);
    let other = register(&admin, "Another");

    let back = json!({ "name": "Barack again", "is_active": true });
    let answer = admin.put(&path, &back);
    let detail = answer.json()["details"][0].clone();
    answer.expect_error(409, "DuplicateResourceException");
    assert_eq!((&detail["person_id"], &detail["field"]), (&other["id"], &json!("is_active")));
    assert!(detail["similarity"].as_f64() > Some(0.9), "{detail}");
    let details = admin.get(&path).expect(200);
    assert_eq!((&details["name"], &details["is_active"]), (&json!("Barack"), &json!(false)));
    admin.put(&path, &json!({ "name": "Barack again" })).expect(200);

    admin.put(&format!("{path}?force=true"), &back).expect(200);
    assert_eq!(app.worker().get("/api/gallery").expect(200)["persons"].as_array().unwrap().len(), 2);
}

#[test]
fn of_requests_at_the_same_moment_one_enrols() {
    let app = TestApp::start();
    let admin = app.admin();
    let attempt = || {
        let admin = admin.clone();
        std::thread::spawn(move || {
            Form::default().text("name", "Barack").photos(THREE_OF_ONE).send(&admin, REGISTER).status
        })
    };
    let attempts = [attempt(), attempt(), attempt()];
    let mut statuses = attempts.map(|attempt| attempt.join().unwrap());
    statuses.sort_unstable();
    assert_eq!(statuses, [201, 409, 409]);
    assert_eq!(pictures(&app), 3);
}

#[test]
fn who_may_not_enrol_is_told_so() {
    let app = TestApp::start();
    let form = || Form::default().text("name", "Barack").photos(THREE_OF_ONE);
    form().send(&app.anyone(), REGISTER).expect_error(401, "AuthenticationException");
    let viewer = json!({ "username": "ada", "password": "a password of the tests" });
    app.admin().post("/api/users", &viewer).expect(201);
    let viewer = app.anyone().signed_in("ada", "a password of the tests");
    form().send(&viewer, REGISTER).expect_error(403, "AuthorizationException");
}

#[test]
fn a_registration_that_fails_half_way_leaves_nothing() {
    let app = TestApp::start();
    let admin = app.admin();
    let form = || Form::default().text("name", "Barack").text("email", "b@example.org").photos(THREE_OF_ONE);
    let photos = app.folder.path().join("data/photos");
    let left = || {
        assert_nothing_stored(&app, &admin);
        assert_eq!(std::fs::read_dir(&photos).unwrap().count(), 0, "not even a folder");
        assert!(app.query("SELECT action FROM system_logs WHERE category = 'persons'").is_empty());
    };

    // The photos cannot be put in place.
    std::fs::remove_dir(&photos).unwrap();
    std::fs::write(&photos, "in the way").unwrap();
    form().send(&admin, REGISTER).expect_error(503, "StorageException");
    std::fs::remove_file(&photos).unwrap();
    std::fs::create_dir(&photos).unwrap();
    left();

    // The database takes the person and the first template, and no more.
    on_every_template(
        &app,
        "BEFORE",
        "SELECT RAISE(ABORT, 'the disk is full') FROM face_templates",
        "IF (SELECT count(*) FROM face_templates) > 0 THEN RAISE EXCEPTION 'the disk is full'; END IF",
    );
    form().send(&admin, REGISTER).expect_error(503, "DatabaseException");
    nothing_on_templates(&app);
    left();

    // The database takes everything, the photos are in place, and the commit is refused.
    app.execute("CREATE TABLE late (id TEXT REFERENCES users(username) DEFERRABLE INITIALLY DEFERRED)");
    let insert = "INSERT INTO late VALUES ('nobody')";
    on_every_template(&app, "AFTER", insert, insert);
    form().send(&admin, REGISTER).expect_error(503, "DatabaseException");
    nothing_on_templates(&app);
    left();

    form().send(&admin, REGISTER).expect(201);
    assert_eq!(pictures(&app), 3);
}

/// Has the database do something with every template it stores, in the language of each database.
fn on_every_template(app: &TestApp, when: &str, sqlite: &str, postgres: &str) {
    app.execute(&if on_postgres() {
        format!(
            "CREATE FUNCTION interfere() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN {postgres}; RETURN NEW; END $$;
             CREATE TRIGGER interfere {when} INSERT ON face_templates FOR EACH ROW EXECUTE FUNCTION interfere()"
        )
    } else {
        format!("CREATE TRIGGER interfere {when} INSERT ON face_templates BEGIN {sqlite}; END")
    });
}

fn nothing_on_templates(app: &TestApp) {
    let table = if on_postgres() { " ON face_templates; DROP FUNCTION interfere" } else { "" };
    app.execute(&format!("DROP TRIGGER interfere{table}"));
}

#[test]
fn what_is_sent_is_limited() {
    let app = TestApp::start();
    let admin = app.admin();
    let large = vec![0xFF; 21 * 1024 * 1024];
    let form = Form::default().text("name", "Barack").file("images", "large.jpg", &large);
    let message = form.send(&admin, REGISTER).expect_error(413, "FileProcessingException");
    assert!(message.contains("large.jpg") && message.contains("20 MiB"), "{message}");

    let many = (0..21).fold(Form::default().text("name", "Barack"), |form, _| form.file("images", "a", b"x"));
    let message = many.send(&admin, REGISTER).expect_error(413, "FileProcessingException");
    assert!(message.contains("20 files"), "{message}");

    admin.post(REGISTER, &json!({})).expect_error(415, "FileProcessingException");
    let broken = admin.send("POST", REGISTER, Some("multipart/form-data; boundary=x"), b"--x\r\n".to_vec());
    broken.expect_error(400, "FileProcessingException");
    assert_nothing_stored(&app, &admin);
}

#[test]
fn wrong_fields_are_named() {
    let app = TestApp::start();
    let admin = app.admin();
    let form = Form::default().text("email", "nobody").text("nick", "x").photos(THREE_OF_ONE);
    let answer = form.send(&admin, REGISTER);
    let details = answer.json()["details"].clone();
    answer.expect_error(422, "ValidationException");
    let mut fields: Vec<&str> =
        details.as_array().unwrap().iter().map(|detail| detail["field"].as_str().unwrap()).collect();
    fields.sort_unstable();
    assert_eq!(fields, ["email", "name", "nick"]);
    let message = Form::default().text("name", "Barack").send(&admin, REGISTER);
    assert!(message.expect_error(422, "ValidationException").contains("images"));
    assert_nothing_stored(&app, &admin);
}

#[test]
fn people_are_listed_found_changed_and_taken_out() {
    let app = TestApp::start();
    let admin = app.admin();
    let person = register(&admin, "Barack_1");
    let path = format!("/api/persons/{}", person["id"].as_str().unwrap());
    let total = |query: &str| admin.get(&format!("/api/persons{query}")).expect(200)["total"].clone();
    assert_eq!(admin.get("/api/persons").expect(200)["items"][0]["face_count"], 3);
    assert_eq!(
        (total("?search=RACK_"), total("?search=rack%25"), total("?search=nobody")),
        (json!(1), json!(0), json!(0))
    );
    assert_eq!((total("?is_active=false"), total("?department=Zoo")), (json!(0), json!(0)));
    admin.get("/api/persons?sort=-created_at").expect(200);
    admin.get("/api/persons?sort=shoe_size").expect_error(422, "ValidationException");

    let changed = admin.put(&path, &json!({ "name": "Barack", "department": "Zoo" })).expect(200);
    assert_eq!((&changed["name"], &changed["department"]), (&json!("Barack"), &json!("Zoo")));
    assert_eq!(
        changed["faces"].as_array().map(Vec::len),
        Some(3),
        "everything about a person, as GET has it"
    );
    assert_eq!(total("?department=Zoo"), json!(1));
    admin.put(&path, &json!({ "name": "" })).expect_error(422, "ValidationException");

    admin.delete(&path).expect(204);
    assert_eq!(admin.get(&path).expect(200)["is_active"], false);
    assert_eq!(app.worker().get("/api/gallery").expect(200)["persons"], json!([]));
    admin.put(&path, &json!({ "is_active": true })).expect(200);
    assert_eq!(app.worker().get("/api/gallery").expect(200)["persons"][0]["name"], "Barack");

    admin.get("/api/persons/7").expect_error(422, "ValidationException");
    let nobody = "/api/persons/00000000-0000-4000-8000-000000000000";
    admin.get(nobody).expect_error(404, "NotFoundException");
    admin.delete(nobody).expect_error(404, "NotFoundException");
    app.anyone().get("/api/persons").expect_error(401, "AuthenticationException");
}

#[test]
fn photos_are_added_to_a_person_and_removed() {
    let app = TestApp::start();
    let admin = app.admin();
    let person = register(&admin, "Barack");
    let path = format!("/api/persons/{}/faces", person["id"].as_str().unwrap());
    let strange = Form::default().photos(["biden.jpg"]).send(&admin, &path);
    assert!(strange.text.contains("another person"), "{}", strange.text);
    strange.expect_error(422, "FaceDetectionException");
    let added = Form::default().photos(["obama.jpg"]).send(&admin, &path).expect(201);
    assert_eq!(admin.get(&path).expect(200).as_array().unwrap().len(), 4);

    let face = added["faces"][0]["url"].as_str().unwrap().to_owned();
    admin.delete(&face).expect(204);
    admin.get(&face).expect_error(404, "NotFoundException");
    assert_eq!(pictures(&app), 3);
    let gallery = app.worker().get("/api/gallery").expect(200);
    assert_eq!(gallery["persons"][0]["templates"].as_array().unwrap().len(), 3);
}

#[test]
fn an_erased_person_leaves_nothing() {
    let app = TestApp::start();
    let admin = app.admin();
    let person = register(&admin, "Barack");
    let event = crate::ingest::event(1, Some(&person));
    app.worker().post("/api/ingest", &json!([event])).expect(200);
    assert_eq!(pictures(&app), 4);
    let path = format!("/api/persons/{}", person["id"].as_str().unwrap());
    let details = admin.get(&path).expect(200);
    assert_eq!((&details["detection_count"], &details["last_seen"]), (&json!(1), &event["timestamp"]));

    admin.delete(&format!("{path}?erase=true")).expect(204);
    admin.get(&path).expect_error(404, "NotFoundException");
    assert_eq!(admin.get("/api/detections").expect(200)["total"], 0);
    assert_nothing_stored(&app, &admin);

    // A worker that only now hands in what it saw must not bring the name back.
    let late = crate::ingest::event(2, Some(&person));
    app.worker().post("/api/ingest", &json!([late])).expect(200);
    assert_eq!(admin.get("/api/detections").expect(200)["total"], 0);
    assert_eq!(pictures(&app), 0);
    let of_nobody_we_know = json!({ "id": uuid::Uuid::new_v4(), "name": "Elsewhere" });
    let event = crate::ingest::event(3, Some(&of_nobody_we_know));
    app.worker().post("/api/ingest", &json!([event])).expect(200);
    let list = admin.get("/api/detections").expect(200);
    assert_eq!(
        (&list["items"][0]["person_id"], &list["items"][0]["person_name"]),
        (&Value::Null, &Value::Null)
    );
}
