//! Which events come of which frames.

use super::*;
use crate::meta::QualityFigures;

fn policy(dedup_window_ms: u64) -> Policy {
    Policy { camera_id: "door".into(), dedup_window_ms }
}

fn at(ms: u64) -> Moment {
    let seen = DateTime::from_timestamp_millis(1_000_000 + ms.cast_signed()).unwrap_or_default();
    Moment { running_ms: ms, stream_ms: ms, seen, size: FrameSize { width: 640, height: 480 } }
}

fn face(track_id: u64, who: Option<&str>, quality: f64) -> Face {
    let identity = who.map(|who| Identity {
        label: who.into(),
        label_id: 0,
        person_id: (who != "unknown").then(|| format!("id-{who}")),
        confidence: 0.7,
        margin: 0.2,
        model_name: "sface".into(),
    });
    Face {
        rect: Rect::new(10.0, 20.0, 30.0, 40.0),
        track_id: Some(track_id),
        quality: Some(QualityFigures { score: quality, ..QualityFigures::default() }),
        embedding: Some(crate::meta::Embedding { vector: vec![1.0], model_name: "sface".into() }),
        identity,
        ..Face::default()
    }
}

fn kinds(reports: &[Report]) -> Vec<EventKind> {
    reports.iter().map(|report| report.event.kind).collect()
}

fn no_picture(_: &Rect) -> Option<RgbImage> {
    None
}

#[test]
fn a_person_is_reported_once_and_leaves() {
    let (mut tracks, policy) = (Tracks::default(), policy(0));
    assert_eq!(kinds(&tracks.observe(&policy, at(0), &[face(1, None, 0.7)], &[], no_picture)), []);
    let reports = tracks.observe(&policy, at(40), &[face(1, Some("Ada"), 0.7)], &[], no_picture);
    assert_eq!(kinds(&reports), [EventKind::Recognized]);
    let event = &reports[0].event;
    assert_eq!(event.person.as_ref().map(|person| person.id.as_str()), Some("id-Ada"));
    assert_eq!(event.embedding, None, "embeddings are told of strangers only");
    assert_eq!((event.stream_time_ms, event.track_id), (40, 1));
    let reports = tracks.observe(&policy, at(80), &[face(1, Some("Ada"), 0.7)], &[], no_picture);
    assert_eq!(kinds(&reports), []);
    let reports = tracks.observe(&policy, at(2000), &[], &[1], no_picture);
    assert_eq!(kinds(&reports), [EventKind::Left]);
    assert_eq!(reports[0].event.first_seen, Some(at(0).seen));
    assert_eq!(reports[0].event.last_seen, Some(at(80).seen));
    assert_eq!(reports[0].event.stream_time_ms, 80);
    assert_eq!(kinds(&tracks.finish(&policy)), []);
}

#[test]
fn a_stranger_is_unknown_until_known() {
    let (mut tracks, policy) = (Tracks::default(), policy(30_000));
    let mut see =
        |ms, who| kinds(&tracks.observe(&policy, at(ms), &[face(1, Some(who), 0.7)], &[], no_picture));
    assert_eq!(see(0, "unknown"), [EventKind::Unknown]);
    assert_eq!(see(40, "Ada"), [EventKind::Recognized]);
    assert_eq!(see(80, "Ben"), [EventKind::Updated], "a corrected name");
    assert_eq!(see(120, "unknown"), [EventKind::Updated]);
}

#[test]
fn strangers_carry_their_embedding() {
    let (mut tracks, policy) = (Tracks::default(), policy(0));
    let reports = tracks.observe(&policy, at(0), &[face(1, Some("unknown"), 0.7)], &[], no_picture);
    assert_eq!(reports[0].event.embedding, Some(encode_vector(&[1.0])));
    assert!(reports[0].event.person.is_none());
}

#[test]
fn the_same_person_is_not_reported_again_within_the_window() {
    let (mut tracks, policy) = (Tracks::default(), policy(30_000));
    let mut see = |ms, id, ended: &[u64]| {
        kinds(&tracks.observe(&policy, at(ms), &[face(id, Some("Ada"), 0.7)], ended, no_picture))
    };
    assert_eq!(see(0, 1, &[]), [EventKind::Recognized]);
    assert_eq!(see(20_000, 2, &[1]), [EventKind::Left], "the second track is the same visit");
    assert_eq!(see(45_000, 3, &[2]), [EventKind::Left], "seeing someone extends the window");
    assert_eq!(see(80_000, 4, &[3]), [EventKind::Recognized, EventKind::Left]);
}

#[test]
fn a_better_shot_is_told_but_not_too_often() {
    let (mut tracks, policy) = (Tracks::default(), policy(0));
    let mut see = |ms, quality| {
        kinds(&tracks.observe(&policy, at(ms), &[face(1, Some("Ada"), quality)], &[], no_picture))
    };
    assert_eq!(see(0, 0.6), [EventKind::Recognized]);
    assert_eq!(see(100, 0.9), [], "too soon");
    assert_eq!(see(1_000, 0.5), [EventKind::Updated], "the best shot was 0.9");
    assert_eq!(see(3_000, 0.95), [], "hardly better");
}

#[test]
fn undecided_tracks_end_in_silence_and_forgotten_ones_end() {
    let (mut tracks, policy) = (Tracks::default(), policy(0));
    tracks.observe(&policy, at(0), &[face(1, None, 0.7), face(2, Some("Ada"), 0.7)], &[], no_picture);
    assert_eq!(kinds(&tracks.observe(&policy, at(5_000), &[], &[1], no_picture)), []);
    let reports = tracks.observe(&policy, at(11_000), &[], &[], no_picture);
    assert_eq!(kinds(&reports), [EventKind::Left]);
}

#[test]
fn only_better_shots_are_cut() {
    let (mut tracks, policy) = (Tracks::default(), policy(0));
    let mut cuts = 0;
    for (ms, quality) in [(0, 0.5), (40, 0.4), (80, 0.6), (120, 0.6)] {
        tracks.observe(&policy, at(ms), &[face(1, None, quality)], &[], |_| {
            cuts += 1;
            None
        });
    }
    assert_eq!(cuts, 2);
}
