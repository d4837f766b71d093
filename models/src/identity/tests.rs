//! Tracks of known people, strangers and doubtful cases, with embeddings made to measure: Ada is the first
//! axis, Ben the second, everything else is nobody's.

#![allow(clippy::unwrap_used)]

use super::*;

const POLICY: IdentityPolicy =
    IdentityPolicy { threshold: 0.4, margin: 0.1, min_crops: 2, stranger_crops: 3 };

fn gallery() -> Gallery {
    let mut gallery = Gallery::new(8);
    gallery.add_person("a", "Ada", &[axis(0)]).unwrap();
    gallery.add_person("b", "Ben", &[axis(1)]).unwrap();
    gallery
}

fn axis(index: usize) -> Vec<f32> {
    (0..8).map(|at| if at == index { 1.0 } else { 0.0 }).collect()
}

/// A crop so similar to Ada and so similar to Ben.
fn crop(ada: f32, ben: f32) -> Embedding {
    let mut vector = vec![0.0; 8];
    (vector[0], vector[1]) = (ada, ben);
    vector[2] = (1.0 - ada * ada - ben * ben).max(0.0).sqrt();
    Embedding::from_vector(&vector).unwrap()
}

/// The decisions after each crop.
fn decisions(track: &mut TrackIdentity, crops: &[(Embedding, f32)]) -> Vec<String> {
    let gallery = gallery();
    crops
        .iter()
        .map(|(embedding, quality)| {
            track.add(embedding, *quality);
            name_of(track.decide(&gallery, &POLICY))
        })
        .collect()
}

fn name_of(decision: &Decision) -> String {
    match decision {
        Decision::Undecided => "?".into(),
        Decision::Stranger => "stranger".into(),
        Decision::Known(candidate) => candidate.name.to_string(),
    }
}

#[test]
fn somebody_known_is_named_after_enough_crops() {
    let mut track = TrackIdentity::new();
    let crops = vec![(crop(0.7, 0.1), 0.8); 3];
    assert_eq!(decisions(&mut track, &crops), ["?", "Ada", "Ada"]);
    let Decision::Known(candidate) = track.decision() else { unreachable!() };
    assert!((candidate.similarity - 0.7).abs() < 1e-5 && (candidate.margin - 0.6).abs() < 1e-5);
    assert_eq!(&*candidate.person_id, "a");
}

#[test]
fn a_stranger_is_one_only_after_enough_crops_and_is_never_named() {
    let mut track = TrackIdentity::new();
    let mut crops = vec![(crop(0.1, 0.2), 0.8); 20];
    // One crop by itself looks like Ada.
    crops[5] = (crop(0.6, 0.0), 0.7);
    let decisions = decisions(&mut track, &crops);
    assert_eq!(decisions[..3], ["?", "?", "stranger"]);
    assert!(decisions[2..].iter().all(|decision| decision == "stranger"), "{decisions:?}");
}

#[test]
fn the_best_crops_outvote_the_bad_ones() {
    let mut track = TrackIdentity::new();
    let mut crops = vec![(crop(0.05, 0.3), 0.1); 2];
    crops.extend(vec![(crop(0.6, 0.0), 0.9); 2]);
    assert_eq!(decisions(&mut track, &crops).last().unwrap(), "Ada");
}

#[test]
fn two_who_look_alike_are_not_told_apart_by_chance() {
    let mut track = TrackIdentity::new();
    let crops = vec![(crop(0.6, 0.55), 0.8); 12];
    let decisions = decisions(&mut track, &crops);
    assert!(!decisions.iter().any(|decision| decision == "Ada" || decision == "Ben"), "{decisions:?}");
    assert_eq!(decisions[4], "?");
    assert_eq!(decisions[5], "stranger");
}

#[test]
fn just_below_the_threshold_waits_longer() {
    let mut track = TrackIdentity::new();
    let crops = vec![(crop(0.37, 0.0), 0.8); 6];
    assert_eq!(decisions(&mut track, &crops), ["?", "?", "?", "?", "?", "stranger"]);
}

#[test]
fn a_decision_does_not_flap_and_is_corrected_once() {
    let mut track = TrackIdentity::new();
    let mut crops = vec![(crop(0.1, 0.1), 0.3); 3];
    crops.push((crop(0.5, 0.0), 0.5));
    crops.extend(vec![(crop(0.8, 0.0), 0.9); 3]);
    crops.extend(vec![(crop(0.0, 0.9), 1.0); 12]);
    let decisions = decisions(&mut track, &crops);
    let mut changes = decisions.clone();
    changes.dedup();
    assert_eq!(changes, ["?", "stranger", "Ada"], "{decisions:?}");
}

#[test]
fn a_name_given_too_early_is_taken_back_on_better_evidence() {
    let mut track = TrackIdentity::new();
    let mut crops = vec![(crop(0.45, 0.0), 0.4); 2];
    crops.extend(vec![(crop(0.1, 0.0), 0.9); 6]);
    let mut changes = decisions(&mut track, &crops);
    changes.dedup();
    assert_eq!(changes, ["?", "Ada", "stranger"]);
}

#[test]
fn somebody_taken_out_of_the_gallery_is_forgotten_at_once() {
    let mut track = TrackIdentity::new();
    decisions(&mut track, &vec![(crop(0.7, 0.1), 0.8); 3]);
    let mut smaller = Gallery::new(8);
    smaller.add_person("b", "Ben", &[axis(1)]).unwrap();
    assert_eq!(*track.decide(&smaller, &POLICY), Decision::Stranger);
}

#[test]
fn a_stranger_who_is_enrolled_is_known_at_once() {
    let mut track = TrackIdentity::new();
    let mut before = Gallery::new(8);
    before.add_person("b", "Ben", &[axis(1)]).unwrap();
    for _ in 0..6 {
        track.add(&crop(0.7, 0.1), 0.8);
        track.decide(&before, &POLICY);
    }
    assert_eq!(*track.decision(), Decision::Stranger);
    let mut after = before.clone();
    after.add_person("a", "Ada", &[axis(0)]).unwrap();
    assert_eq!(name_of(track.decide_anew(&after, &POLICY)), "Ada");
    assert_eq!(*track.decide_anew(&before, &POLICY), Decision::Stranger, "and taken out again");
}

#[test]
fn a_new_name_of_the_same_person_shows() {
    let mut track = TrackIdentity::new();
    decisions(&mut track, &vec![(crop(0.7, 0.1), 0.8); 2]);
    let mut renamed = Gallery::new(8);
    renamed.add_person("a", "Ada King", &[axis(0)]).unwrap();
    assert_eq!(name_of(track.decide(&renamed, &POLICY)), "Ada King");
}

#[test]
fn an_empty_gallery_knows_nobody() {
    let mut track = TrackIdentity::new();
    assert_eq!(*track.decide(&Gallery::new(8), &POLICY), Decision::Undecided);
    for _ in 0..3 {
        track.add(&crop(0.9, 0.0), 0.9);
    }
    assert_eq!(*track.decide(&Gallery::new(8), &POLICY), Decision::Stranger);
}

#[test]
fn odd_crops_are_survived() {
    let mut track = TrackIdentity::new();
    track.add(&crop(0.7, 0.0), f32::NAN);
    track.add(&Embedding::from_vector(&[1.0; 3]).unwrap(), 0.9);
    assert_eq!(track.crops(), 1);
    assert!(track.fused().unwrap().cosine(&crop(0.7, 0.0)) > 0.999);
}

#[test]
fn a_track_is_settled_when_more_crops_would_not_change_it() {
    let settled = |crops: &[(Embedding, f32)]| {
        let mut track = TrackIdentity::new();
        let gallery = gallery();
        let settle = |(embedding, quality): &(Embedding, f32)| {
            track.add(embedding, *quality);
            track.decide(&gallery, &POLICY);
            track.is_settled()
        };
        crops.iter().map(settle).collect::<Vec<bool>>()
    };
    assert_eq!(settled(&vec![(crop(0.7, 0.1), 0.8); 3]), [false, true, true]);
    // Above the threshold, but not by much; or above it by much, but somebody else is not far behind.
    assert_eq!(settled(&vec![(crop(0.45, 0.1), 0.8); 3]), [false; 3]);
    assert_eq!(settled(&vec![(crop(0.65, 0.5), 0.8); 3]), [false; 3]);
    assert_eq!(settled(&vec![(crop(0.1, 0.2), 0.8); 4]), [false, false, true, true]);
    assert_eq!(settled(&vec![(crop(0.38, 0.2), 0.8); 7]), [false; 7]);
    // Named Ada, and Ben by what came later: whoever it is, it is not settled.
    let mut turned = vec![(crop(0.7, 0.1), 0.5); 2];
    turned.extend(vec![(crop(0.0, 0.8), 0.55); 1]);
    assert_eq!(settled(&turned).last(), Some(&false));
}

#[test]
fn somebody_who_gave_way_is_not_settled() {
    let mut track = TrackIdentity::new();
    decisions(&mut track, &vec![(crop(0.7, 0.1), 0.8); 2]);
    assert!(track.is_settled());
    track.give_way(true);
    assert!(!track.is_settled());
}
