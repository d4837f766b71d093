//! Decisions over tracks, with made-up embeddings.
#![allow(clippy::unwrap_used)]

use std::slice;

use super::*;
use crate::meta::QualityFigures;
use vedette_models::gallery::Gallery;

const RULES: Rules = Rules { threshold: Some(0.5), margin: Some(0.1), min_crops: 2, allow_duplicates: false };

fn loaded(version: u64, people: &[(&str, [f32; 3])]) -> Loaded {
    let mut gallery = Gallery::new(3);
    for (name, vector) in people {
        gallery.add_person(format!("id-{name}"), *name, &[vector.to_vec()]).unwrap();
    }
    Loaded { gallery, pack_name: "test".into(), pack: None, version }
}

fn face(track_id: Option<u64>, vector: Option<[f32; 3]>) -> Face {
    let embedding = vector.map(|vector| Embedding { vector: vector.to_vec(), model_name: "m".into() });
    let quality = Some(QualityFigures { score: 0.8, ..QualityFigures::default() });
    Face { track_id, embedding, quality, ..Face::default() }
}

const ADA: [f32; 3] = [1.0, 0.0, 0.0];
const BEN: [f32; 3] = [0.0, 1.0, 0.0];
const NOBODY: [f32; 3] = [0.0, 0.0, 1.0];

fn labels(identities: &[Option<Identity>]) -> Vec<Option<&str>> {
    identities.iter().map(|identity| identity.as_ref().map(|it| it.label.as_str())).collect()
}

#[test]
fn tracks_are_decided_once_there_are_enough_crops_and_stay_so() {
    let gallery = loaded(1, &[("Ada", ADA), ("Ben", BEN)]);
    let mut matcher = Matcher::default();
    let mut see = |faces: &[Face]| matcher.identify(&gallery, RULES, 0, faces).unwrap();
    assert_eq!(labels(&see(&[face(Some(1), Some(ADA))])), [None]);
    let found = see(&[face(Some(1), Some(ADA)), face(Some(2), None)]);
    assert_eq!(labels(&found), [Some("Ada"), None]);
    let ada = found[0].as_ref().unwrap();
    assert_eq!((ada.label_id, ada.person_id.as_deref()), (0, Some("id-Ada")));
    assert_eq!(labels(&see(&[face(Some(1), None)])), [Some("Ada")], "every region of a decided track");
    for _ in 0..4 {
        see(&[face(Some(2), Some(NOBODY))]);
    }
    let found = see(&[face(Some(2), None)]);
    assert_eq!(labels(&found), [Some("unknown")]);
    assert_eq!(found[0].as_ref().unwrap().person_id, None);
}

#[test]
fn a_changed_gallery_decides_open_tracks_again() {
    let mut matcher = Matcher::default();
    let faces = [face(Some(1), Some(ADA))];
    for _ in 0..4 {
        matcher.identify(&loaded(1, &[]), RULES, 0, &faces).unwrap();
    }
    let seen = [face(Some(1), None)];
    assert_eq!(labels(&matcher.identify(&loaded(1, &[]), RULES, 0, &seen).unwrap()), [Some("unknown")]);
    for _ in 0..4 {
        matcher.identify(&loaded(2, &[("Ada", ADA)]), RULES, 0, &faces).unwrap();
    }
    let found = matcher.identify(&loaded(2, &[("Ada", ADA)]), RULES, 0, &seen).unwrap();
    assert_eq!(labels(&found), [Some("Ada")]);
    let found = matcher.identify(&loaded(3, &[("Ben", BEN)]), RULES, 0, &seen).unwrap();
    assert_ne!(labels(&found), [Some("Ada")], "erased people are named no more");
}

#[test]
fn faces_nobody_follows_are_decided_by_themselves() {
    let gallery = loaded(1, &[("Ada", ADA)]);
    let faces = [face(None, Some(ADA)), face(None, Some(NOBODY)), face(None, None)];
    let found = Matcher::default().identify(&gallery, RULES, 0, &faces).unwrap();
    assert_eq!(labels(&found), [Some("Ada"), Some("unknown"), None]);
}

#[test]
fn embeddings_of_another_model_are_an_error_that_says_what_to_do() {
    let mut matcher = Matcher::default();
    let two = Embedding { vector: vec![1.0, 0.0], model_name: "m".into() };
    let faces = [Face { embedding: Some(two), ..Face::default() }];
    let error = matcher.identify(&loaded(1, &[("Ada", ADA)]), RULES, 0, &faces).unwrap_err();
    assert!(error.to_string().contains("set pack=test on faceembed"), "{error}");
    assert!(matcher.identify(&loaded(1, &[]), RULES, 0, &faces).is_ok(), "nobody to compare with");

    let pack = vedette_models::pack::Packs::get("opencv").unwrap();
    let gallery = Loaded { pack: Some(pack), ..loaded(1, &[("Ada", ADA)]) };
    let error = matcher.identify(&gallery, RULES, 0, &[face(None, Some(ADA))]).unwrap_err();
    assert!(matches!(error, MismatchError::Model { .. }));
}

/// Two who look like Ada, the first of them less so.
fn two_like_ada() -> [Face; 2] {
    [face(Some(1), Some([0.8, 0.0, 0.6])), face(Some(2), Some([0.9, 0.0, 0.43]))]
}

#[test]
fn of_two_in_sight_together_the_better_is_the_person() {
    let gallery = loaded(1, &[("Ada", ADA), ("Ben", BEN)]);
    let mut matcher = Matcher::default();
    let [first, second] = two_like_ada();
    matcher.identify(&gallery, RULES, 0, slice::from_ref(&first)).unwrap();
    let found = matcher.identify(&gallery, RULES, 40, &[first.clone(), second.clone()]).unwrap();
    assert_eq!(labels(&found), [Some("Ada"), None], "nobody else is decided yet");
    let found = matcher.identify(&gallery, RULES, 80, &[first.clone(), second.clone()]).unwrap();
    assert_eq!(labels(&found), [Some("unknown"), Some("Ada")]);
    // Not even when it is alone in sight, however often it is seen, nor for another gallery.
    for version in 2..20 {
        let other = loaded(version, &[("Ada", ADA), ("Ben", BEN)]);
        let found = matcher.identify(&other, RULES, 120, &[face(Some(1), Some(ADA))]).unwrap();
        assert_eq!(labels(&found), [Some("unknown")], "what was corrected is not corrected again");
    }
    let both = matcher.identify(&gallery, RULES, 160, &[face(Some(1), None), face(Some(2), None)]).unwrap();
    assert_eq!(labels(&both), [Some("unknown"), Some("Ada")]);
}

#[test]
fn somebody_lost_and_found_is_the_same_person_and_mirrors_can_be_allowed() {
    let gallery = loaded(1, &[("Ada", ADA)]);
    let mut matcher = Matcher::default();
    let [first, second] = two_like_ada();
    for now_ms in [0, 40] {
        matcher.identify(&gallery, RULES, now_ms, slice::from_ref(&second)).unwrap();
    }
    for now_ms in [80, 120] {
        matcher.identify(&gallery, RULES, now_ms, slice::from_ref(&first)).unwrap();
    }
    let found = matcher.identify(&gallery, RULES, 160, &[face(Some(1), None)]).unwrap();
    assert_eq!(labels(&found), [Some("Ada")], "the other track was not in sight any more");
    let found = matcher.identify(&gallery, RULES, 200, &[face(Some(1), None), face(Some(2), None)]).unwrap();
    assert_eq!(labels(&found), [Some("unknown"), Some("Ada")], "but it was not her who was lost");

    let rules = Rules { allow_duplicates: true, ..RULES };
    let mut matcher = Matcher::default();
    matcher.identify(&gallery, rules, 0, &two_like_ada()).unwrap();
    let found = matcher.identify(&gallery, rules, 40, &two_like_ada()).unwrap();
    assert_eq!(labels(&found), [Some("Ada"), Some("Ada")]);
}

#[test]
fn ended_and_lost_tracks_are_forgotten() {
    let mut matcher = Matcher::default();
    matcher.identify(&loaded(1, &[]), RULES, 0, &[face(Some(1), None), face(Some(2), None)]).unwrap();
    matcher.forget(0, &[1]);
    assert_eq!(matcher.tracks.len(), 1);
    matcher.forget(20_000, &[]);
    assert!(matcher.tracks.is_empty());
}
