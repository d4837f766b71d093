//! `faceembed` in pipelines.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use common::{Running, embedding, events, failure, frames, run, still};
use vedette_events::Gender;
use vedette_models::files::ModelStore;
use vedette_models::pack::{Packs, Role};

fn cosine(a: &[f32], b: &[f32]) -> f32 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

#[test]
fn one_person_is_alike_and_two_are_not() {
    let of = |name| embedding(name, "opencv");
    let [obama, obama2, biden] = ["obama.jpg", "obama2.jpg", "biden.jpg"].map(of);
    assert_eq!(obama.vector.len(), 128);
    assert!(obama.model_name.contains("sface"));
    assert!((cosine(&obama.vector, &obama.vector) - 1.0).abs() < 1e-3, "not of length one");
    let (same, other) = (cosine(&obama.vector, &obama2.vector), cosine(&obama.vector, &biden.vector));
    assert!(same > 0.5, "{same}");
    assert!(other < 0.35, "{other}");
}

#[test]
fn every_face_is_judged_and_few_are_embedded() {
    let chain = "facedetect ! facetrack min-hits=1 ! faceembed max-crops-per-track=3 refresh-interval=0";
    let frames = frames(&format!("{} ! {chain}", still("obama.jpg", "NV12", 20)));
    let judged = frames.iter().flatten().filter(|face| face.quality.is_some()).count();
    let embedded: Vec<bool> =
        frames.iter().map(|faces| faces.iter().any(|face| face.embedding.is_some())).collect();
    assert_eq!(judged, 20);
    assert!(embedded[0], "a good face is embedded at once");
    assert_eq!(embedded.iter().filter(|is_embedded| **is_embedded).count(), 3);
    let quality = frames[0][0].quality.unwrap();
    assert!(quality.score > 0.6 && quality.size > 50.0, "{quality:?}");
}

#[test]
fn the_refresh_interval_looks_again() {
    let launch = still("obama.jpg", "NV12", 30);
    let chain = "facedetect ! facetrack ! faceembed name=embed max-crops-per-track=1 refresh-interval=1000";
    let running = Running::start(&format!("{launch} ! {chain} ! fakesink"));
    assert_eq!(common::error_of(&running.finish()), None);
    assert_eq!(running.stats("embed").get::<u64>("embedded").unwrap(), 3);
}

#[test]
fn poor_faces_are_judged_but_not_embedded() {
    let chain = "facedetect ! faceembed quality-threshold=1";
    let frames = frames(&format!("{} ! {chain}", still("obama.jpg", "RGB", 2)));
    for face in frames.iter().flatten() {
        assert!(face.quality.is_some());
        assert_eq!(face.embedding, None);
    }
}

#[test]
fn a_start_that_cannot_be_says_what_to_do() {
    let error = failure("videotestsrc ! faceembed pack=nosuch ! fakesink");
    assert!(error.contains("nosuch"), "{error}");
}

const ESTIMATING: &str =
    "facedetect ! facetrack min-hits=1 ! faceembed attributes=true max-crops-per-track=3 refresh-interval=0";

#[test]
fn a_track_has_one_age_and_one_gender() {
    let frames = frames(&format!("{} ! {ESTIMATING}", still("obama.jpg", "NV12", 20)));
    let told: Vec<(f32, f64)> = frames
        .iter()
        .map(|faces| {
            let (age, gender) = (faces[0].age.as_ref().unwrap(), faces[0].gender.as_ref().unwrap());
            assert_eq!(gender.gender, Gender::Male);
            assert_eq!([&age.model_name, &gender.model_name], ["age_gender_ssrnet"; 2]);
            (age.years, gender.confidence)
        })
        .collect();
    assert!(told[0].0 > 35.0 && told[0].0 < 60.0 && told[0].1 > 0.8, "{:?}", told[0]);
    // A still video looks the same in every crop: nothing changes, however many there were, and on frames without one.
    let drift = |(years, confidence): &(f32, f64)| {
        (years - told[0].0).abs() < 1.0 && (confidence - told[0].1).abs() < 0.05
    };
    assert!(told.iter().all(drift), "{told:?}");
    let last_crop = frames.iter().rposition(|faces| faces[0].embedding.is_some()).unwrap();
    assert!(told[last_crop..].iter().all(|values| *values == told[last_crop]), "{told:?}");
}

#[test]
fn faces_nobody_follows_are_estimated_one_by_one() {
    let chain = "facedetect ! faceembed attributes=true";
    let frames = frames(&format!("{} ! {chain}", still("biden.jpg", "RGB", 2)));
    assert_eq!(frames.len(), 2);
    for face in frames.iter().flatten() {
        assert!(face.embedding.is_some());
        let years = face.age.as_ref().unwrap().years;
        assert!((55.0..80.0).contains(&years), "{years}");
        assert_eq!(face.gender.as_ref().unwrap().gender, Gender::Male);
    }
}

#[test]
fn nothing_is_estimated_unasked() {
    let chain = "facedetect ! facetrack min-hits=1 ! faceembed";
    let frames = frames(&format!("{} ! {chain}", still("obama.jpg", "NV12", 3)));
    assert!(frames.iter().flatten().any(|face| face.embedding.is_some()));
    assert!(frames.iter().flatten().all(|face| face.age.is_none() && face.gender.is_none()));
}

#[test]
fn events_tell_the_tracks_age_and_gender() {
    let chain = format!("{ESTIMATING} ! facematch min-crops=1 ! eventsink uri=file:///dev/null sync=false");
    let messages = run(&format!("{} ! {chain}", still("obama.jpg", "NV12", 10)));
    let events = events(&messages);
    assert!(!events.is_empty());
    for event in events {
        let age = event.age.unwrap();
        assert!((35.0..60.0).contains(&age) && age.fract() == 0.0, "{age}");
        assert_eq!(event.gender, Some(Gender::Male));
    }
}

#[test]
fn a_pack_without_a_model_for_age_and_gender_fails_the_start() {
    let pack = Packs::get("opencv").unwrap();
    let embedder = ModelStore::locate().require(&pack, pack.require(Role::Embedder).unwrap()).unwrap();
    let folder = tempfile::tempdir().unwrap();
    std::fs::copy(embedder, folder.path().join("sface.onnx")).unwrap();
    let description = "about: a test\nlicence: Apache-2.0\ncommercial_use: true\nembedder:\n  architecture: sface\n  \
                       input_size: 112\n  dimension: 128\n  file:\n    name: sface.onnx\n    licence: Apache-2.0\n    \
                       commercial_use: true\n";
    std::fs::write(folder.path().join("pack.yaml"), description).unwrap();
    let element = format!("faceembed pack={}", folder.path().display());
    run(&format!("videotestsrc num-buffers=1 ! {element} ! fakesink"));
    let error = failure(&format!("videotestsrc ! {element} attributes=true ! fakesink"));
    for part in ["has no model for age and gender", "buffalo_l", "opencv", "attributes=false"] {
        assert!(error.contains(part), "{part}: {error}");
    }
}
