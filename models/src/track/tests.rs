//! Scenes with known answers.

#![allow(clippy::unwrap_used)]

use super::*;

const FRAME_MS: u64 = 40;

fn face(x: f32, y: f32, side: f32, score: f32) -> DetectedFace {
    DetectedFace { rect: Rect::new(x, y, side, side * 1.2), score, ..DetectedFace::default() }
}

fn tracker(min_hits: u32) -> Tracker {
    Tracker::new(TrackerOptions { min_hits, ..TrackerOptions::default() })
}

#[test]
fn a_track_keeps_its_id_and_is_reported_ended_once() {
    let mut tracker = tracker(2);
    let mut ids = Vec::new();
    for frame in 0..10 {
        let update =
            tracker.update(frame * FRAME_MS, &[face(10.0 + 3.0 * frame as f32, 10.0, 50.0, 0.9)], &[]);
        ids.push(update.assignments[0]);
        assert!(update.ended.is_empty());
    }
    assert_eq!(ids[0], None);
    assert!(ids[1..].iter().all(|id| *id == Some(1)), "{ids:?}");
    let ended: Vec<TrackId> =
        (10..60).flat_map(|frame| tracker.update(frame * FRAME_MS, &[], &[]).ended).collect();
    assert_eq!(ended, [1]);
    assert!(tracker.predict(60 * FRAME_MS).is_empty());
}

#[test]
fn people_who_cross_keep_their_ids_at_every_interval() {
    // Two people walk towards each other at 430 pixels a second, one a little lower; for 0.3 seconds the
    // nearer one hides the other.
    for interval in 1..=5 {
        let mut tracker = tracker(1);
        let (mut left, mut right) = (Vec::new(), Vec::new());
        for frame in (0..75).step_by(interval) {
            let seconds = frame as f32 * 0.04;
            let (a, b) = (100.0 + 430.0 * seconds, 1100.0 - 430.0 * seconds);
            let mut detections = vec![face(a, 300.0, 120.0, 0.9)];
            let hidden = (a - b).abs() < 65.0;
            if !hidden {
                detections.push(face(b, 330.0, 100.0, 0.9));
            }
            let update = tracker.update(frame * FRAME_MS, &detections, &[]);
            left.push(update.assignments[0].unwrap());
            right.extend(update.assignments.get(1).map(|id| id.unwrap()));
            assert!(update.ended.is_empty());
        }
        assert!(left.iter().all(|id| *id == left[0]), "interval {interval}: {left:?}");
        assert!(right.iter().all(|id| *id == right[0]), "interval {interval}: {right:?}");
        assert_ne!(left[0], right[0]);
    }
}

#[test]
fn unsure_detections_only_continue_confirmed_tracks() {
    let mut tracker = tracker(2);
    let rect = |x: f32| face(x, 0.0, 50.0, 0.3).rect;
    let sure = [face(0.0, 0.0, 50.0, 0.9)];
    assert_eq!(tracker.update(0, &[], &[rect(0.0)]).continued, [None], "starts none");
    assert_eq!(tracker.update(40, &sure, &[]).assignments, [None]);
    assert_eq!(tracker.update(80, &[], &[rect(0.0)]).continued, [None], "confirms none");
    tracker.update(120, &sure, &[]);
    assert_eq!(tracker.update(160, &sure, &[]).assignments, [Some(1)]);
    let update = tracker.update(200, &[face(300.0, 0.0, 50.0, 0.9)], &[rect(600.0), rect(1.0)]);
    assert_eq!((update.assignments, update.continued), (vec![None], vec![None, Some(1)]));
}

#[test]
fn a_track_does_not_live_on_unsure_detections_for_ever() {
    let mut tracker = tracker(1);
    let sure = face(0.0, 0.0, 50.0, 0.9);
    tracker.update(0, &[sure], &[]);
    let ended = (1..200).find(|round| !tracker.update(round * 40, &[], &[sure.rect]).ended.is_empty());
    let options = TrackerOptions::default();
    assert_eq!(ended.map(|round| round * 40 / options.max_age_ms), Some(AGES_UNSURE + 1));
}

#[test]
fn a_short_absence_is_bridged_and_a_long_one_is_not() {
    let walk = |time_ms: u64| face(100.0 + 0.2 * time_ms as f32, 100.0, 80.0, 0.9);
    for (absence_ms, id) in [(800, 1), (1400, 2)] {
        let mut tracker = tracker(1);
        for time_ms in (0..=1000).step_by(100) {
            tracker.update(time_ms, &[walk(time_ms)], &[]);
        }
        for time_ms in (1100..1000 + absence_ms).step_by(100) {
            tracker.update(time_ms, &[], &[]);
        }
        let time_ms = 1000 + absence_ms;
        assert_eq!(tracker.update(time_ms, &[walk(time_ms)], &[]).assignments, [Some(id)], "{absence_ms}");
    }
}

#[test]
fn boxes_are_predicted_between_detections() {
    let mut tracker = tracker(1);
    for step in 0..6 {
        tracker.update(step * 200, &[face(100.0 * step as f32, 50.0, 100.0, 0.9)], &[]);
    }
    let predicted = tracker.predict(1080);
    assert_eq!(predicted.len(), 1);
    assert!((predicted[0].1.x - 540.0).abs() < 5.0, "{predicted:?}");
    // Predicting changes nothing.
    assert_eq!(tracker.predict(1080), predicted);
    // A track that was not found again is not drawn where it may no longer be.
    tracker.update(1200, &[], &[]);
    assert!(tracker.predict(1240).is_empty());
}

#[test]
fn times_that_stand_still_or_run_back_do_no_harm() {
    let mut tracker = tracker(1);
    let still = face(10.0, 10.0, 50.0, 0.9);
    for time_ms in [1000, 1000, 960, 1040, 1040, 1000, 1080] {
        let update = tracker.update(time_ms, &[still], &[]);
        assert_eq!((update.assignments, update.ended), (vec![Some(1)], vec![]), "{time_ms}");
    }
    // Back to the start, as a file that is played again: another scene.
    let update = tracker.update(0, &[still], &[]);
    assert_eq!((update.assignments, update.ended), (vec![Some(2)], vec![1]));
    // Far into the future and back.
    let update = tracker.update(u64::MAX, &[still], &[]);
    assert_eq!((update.assignments, update.ended), (vec![Some(3)], vec![2]));
    assert_eq!(tracker.update(0, &[], &[]).ended, [3]);
}

#[test]
fn boxes_that_are_none_and_crowds_without_end_are_survived() {
    let mut tracker = tracker(1);
    let odd = [
        face(f32::NAN, 0.0, 50.0, 0.9),
        face(0.0, 0.0, 0.0, 0.9),
        face(0.0, 0.0, f32::INFINITY, 0.9),
        face(0.0, 0.0, 50.0, f32::NAN),
    ];
    assert_eq!(tracker.update(0, &odd, &[]).assignments, [None; 4]);
    let crowd: Vec<DetectedFace> = (0..600)
        .map(|index| face((index % 30) as f32 * 60.0, (index / 30) as f32 * 70.0, 50.0, 0.8))
        .collect();
    for time_ms in [0, 40] {
        let update = tracker.update(time_ms, &crowd, &[]);
        assert_eq!(update.assignments.iter().flatten().count(), MAX_FOLLOWED);
    }
}

#[test]
fn the_same_frames_give_the_same_tracks() {
    let run = || {
        let mut tracker = tracker(2);
        (0..50_u64)
            .map(|frame| {
                let faces: Vec<DetectedFace> = (0..8)
                    .map(|index| {
                        let x = ((frame * (7 + index) * 3) % 900) as f32;
                        face(x, index as f32 * 20.0, 60.0, 0.4 + (index as f32) / 14.0)
                    })
                    .collect();
                tracker.update(frame * FRAME_MS, &faces, &[])
            })
            .collect::<Vec<_>>()
    };
    assert_eq!(run(), run());
}

#[test]
fn a_face_that_stops_between_looks_is_found_again_beside_its_box() {
    let mut tracker = tracker(1);
    let walk = |time_ms: u64| face(100.0 + 0.18 * time_ms as f32, 100.0, 60.0, 0.9);
    for time_ms in (0..=2000).step_by(400) {
        assert_eq!(tracker.update(time_ms, &[walk(time_ms)], &[]).assignments, [Some(1)]);
    }
    let expected = tracker.predict(2400)[0].1;
    assert_eq!(expected.iou(&walk(2000).rect), 0.0);
    assert_eq!(tracker.update(2400, &[walk(2000)], &[]).assignments, [Some(1)]);
}

#[test]
fn who_turns_up_beside_a_missed_face_is_somebody_else() {
    let mut tracker = tracker(1);
    for time_ms in (0..=2000).step_by(40) {
        assert_eq!(tracker.update(time_ms, &[face(100.0, 100.0, 80.0, 0.9)], &[]).assignments, [Some(1)]);
    }
    for time_ms in (2040..2900).step_by(40) {
        tracker.update(time_ms, &[], &[]);
    }
    assert_eq!(tracker.update(2900, &[face(190.0, 100.0, 80.0, 0.9)], &[]).assignments, [Some(2)]);
}
