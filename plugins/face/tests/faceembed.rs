//! `faceembed` in pipelines.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use common::{Running, embedding, failure, frames, still};

fn cosine(a: &[f32], b: &[f32]) -> f32 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

#[test]
fn one_person_is_alike_and_two_are_not() {
    let [obama, obama2, biden] = ["obama.jpg", "obama2.jpg", "biden.jpg"].map(embedding);
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
    let error = failure("videotestsrc ! faceembed attributes=true ! fakesink");
    assert!(error.contains("attributes=false"), "{error}");
}
