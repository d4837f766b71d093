//! From the body of `POST /api/ingest` to checked events. Pure: no database, no files.
//!
//! A body is either one JSON object per line or one JSON array; its first character tells. Every event is
//! checked in full before anything is stored, and the first that does not hold is named by its line (or its
//! place in the array), so that one bad event never leaves half a batch behind.

use std::io::Cursor;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use chrono::Datelike as _;
use image::{ImageFormat, ImageReader};
use thiserror::Error;
use uuid::Uuid;
use vedette_events::{FaceEvent, decode_vector};

use crate::cameras::CameraId;
use crate::error::ApiError;

/// Events in one request.
pub(super) const MAX_EVENTS: usize = 10_000;
/// Size of one decoded snapshot.
pub(super) const MAX_SNAPSHOT_BYTES: usize = 1024 * 1024;
/// Longest side of a snapshot: it shows one face with some surroundings.
const MAX_SNAPSHOT_SIDE: u32 = 4096;
/// Longest embedding any pack makes, with room to spare.
const MAX_EMBEDDING_DIMENSION: usize = 4096;

/// A body that cannot be ingested.
#[derive(Debug, Error, PartialEq, Eq)]
pub(super) enum BatchError {
    /// One event does not hold; `place` names it as `line 3` or `event 3`.
    #[error("{place}: {reason}")]
    Event {
        /// Which event.
        place: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The array cannot be read as such.
    #[error("the body is no JSON array of events: {0}")]
    Array(String),
    /// Too many events at once.
    #[error("more than {MAX_EVENTS} events in one request; send them in several")]
    TooMany,
}

impl From<BatchError> for ApiError {
    fn from(error: BatchError) -> Self {
        match error {
            BatchError::Event { place, reason } => Self::validation(place, reason),
            BatchError::Array(_) => Self::validation("", error.to_string()),
            BatchError::TooMany => Self::too_large(error.to_string()),
        }
    }
}

/// An event that holds, with its picture and embedding decoded.
#[derive(Debug)]
pub(super) struct CheckedEvent {
    /// The event, without the base64 texts.
    pub(super) event: FaceEvent,
    /// The person it names, if that is an id this control plane could have given.
    pub(super) person_id: Option<Uuid>,
    /// The JPEG that came with it.
    pub(super) snapshot: Option<Vec<u8>>,
    /// The stranger's embedding.
    pub(super) embedding: Option<Vec<f32>>,
}

/// Reads and checks every event of `body`.
///
/// # Errors
/// When an event does not hold, or there are too many.
pub(super) fn parse(body: &[u8]) -> Result<Vec<CheckedEvent>, BatchError> {
    let body = body.trim_ascii();
    if body.first() == Some(&b'[') { parse_array(body) } else { parse_lines(body) }
}

fn parse_lines(body: &[u8]) -> Result<Vec<CheckedEvent>, BatchError> {
    let lines = body.split(|byte| *byte == b'\n').enumerate();
    let mut events = Vec::new();
    for (index, line) in lines.filter(|(_, line)| !line.trim_ascii().is_empty()) {
        let place = || format!("line {}", index + 1);
        if events.len() == MAX_EVENTS {
            return Err(BatchError::TooMany);
        }
        let event = serde_json::from_slice(line)
            .map_err(|error| error.to_string())
            .and_then(check)
            .map_err(|reason| BatchError::Event { place: place(), reason })?;
        events.push(event);
    }
    Ok(events)
}

fn parse_array(body: &[u8]) -> Result<Vec<CheckedEvent>, BatchError> {
    let values: Vec<serde_json::Value> =
        serde_json::from_slice(body).map_err(|error| BatchError::Array(error.to_string()))?;
    if values.len() > MAX_EVENTS {
        return Err(BatchError::TooMany);
    }
    let check_one = |(index, value)| {
        serde_json::from_value(value)
            .map_err(|error| error.to_string())
            .and_then(check)
            .map_err(|reason| BatchError::Event { place: format!("event {}", index + 1), reason })
    };
    values.into_iter().enumerate().map(check_one).collect()
}

/// Everything serde cannot see: ranges, the picture, the embedding.
fn check(mut event: FaceEvent) -> Result<CheckedEvent, String> {
    if event.event_id.is_nil() {
        return Err("event_id must not be all zeros".to_owned());
    }
    event.camera_id.parse::<CameraId>().map_err(|reason| format!("camera_id {reason}"))?;
    check_range("confidence", event.confidence, 0.0, 1.0)?;
    check_range("quality", event.quality, 0.0, 1.0)?;
    if let Some(person) = &event.person {
        check_range("person.similarity", person.similarity, -1.0, 1.0)?;
        check_range("person.margin", person.margin, -2.0, 2.0)?;
        if person.name.contains('\0') {
            // PostgreSQL keeps no such text: the event would be sent again for ever.
            return Err("person.name must not contain the character 0".to_owned());
        }
    }
    if let Some(age) = event.age {
        check_range("age", age, 0.0, 150.0)?;
    }
    for (name, number) in [("track_id", event.track_id), ("stream_time_ms", event.stream_time_ms)] {
        if i64::try_from(number).is_err() {
            return Err(format!("{name} is too large"));
        }
    }
    check_times(&event)?;
    check_box(&event)?;
    let snapshot = event.snapshot.take().map(|text| decode_snapshot(&text)).transpose()?;
    let embedding = event.embedding.take().map(|text| decode_embedding(&text)).transpose()?;
    let person_id = event.person.as_ref().and_then(|person| person.id.parse().ok());
    Ok(CheckedEvent { event, person_id, snapshot, embedding })
}

fn check_range(name: &str, value: f32, least: f32, most: f32) -> Result<(), String> {
    // Cosines and scores are rounded: a similarity of 1.0000001 is a 1, not a broken worker.
    const ROUNDING: f32 = 1e-4;
    if (least - ROUNDING..=most + ROUNDING).contains(&value) {
        return Ok(());
    }
    Err(format!("{name} must lie between {least} and {most}"))
}

/// Times both databases can hold and add to.
fn check_times(event: &FaceEvent) -> Result<(), String> {
    let times = [
        ("timestamp", Some(event.timestamp)),
        ("first_seen", event.first_seen),
        ("last_seen", event.last_seen),
    ];
    for (name, time) in times {
        if time.is_some_and(|time| !(1970..=9990).contains(&time.year())) {
            return Err(format!("{name} must lie between the years 1970 and 9990"));
        }
    }
    Ok(())
}

fn check_box(event: &FaceEvent) -> Result<(), String> {
    let (face, frame) = (event.bounding_box, event.frame);
    let fits = |start: u32, length: u32, limit: u32| {
        length > 0 && start.checked_add(length).is_some_and(|end| end <= limit)
    };
    if i32::try_from(frame.width).is_err() || i32::try_from(frame.height).is_err() {
        return Err("frame is too large".to_owned());
    }
    if fits(face.x, face.width, frame.width) && fits(face.y, face.height, frame.height) {
        return Ok(());
    }
    Err("bounding_box must have an area and lie inside frame".to_owned())
}

pub(crate) fn decode_snapshot(text: &str) -> Result<Vec<u8>, String> {
    let longest_text = MAX_SNAPSHOT_BYTES.div_ceil(3) * 4;
    if text.len() > longest_text {
        return Err(format!("snapshot is larger than {} KiB", MAX_SNAPSHOT_BYTES / 1024));
    }
    let bytes = STANDARD.decode(text).map_err(|_| "snapshot is not base64".to_owned())?;
    let dimensions = ImageReader::with_format(Cursor::new(&bytes), ImageFormat::Jpeg).into_dimensions();
    let is_whole = bytes.trim_ascii_end().ends_with(&[0xFF, 0xD9]);
    match dimensions {
        Ok((width, height)) if is_whole && width.max(height) <= MAX_SNAPSHOT_SIDE => Ok(bytes),
        Ok(_) if is_whole => Err(format!("snapshot is more than {MAX_SNAPSHOT_SIDE} pixels wide or high")),
        _ => Err("snapshot is not a whole JPEG".to_owned()),
    }
}

fn decode_embedding(text: &str) -> Result<Vec<f32>, String> {
    decode_vector(text)
        .filter(|vector| (1..=MAX_EMBEDDING_DIMENSION).contains(&vector.len()))
        .ok_or_else(|| "embedding is not the base64 of little-endian f32 numbers".to_owned())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;
    use serde_json::{Value, json};
    use vedette_events::EventKind;

    fn sample() -> Value {
        json!({
            "event_id": "01920000-0000-7000-8000-000000000001", "kind": "recognized", "camera_id": "cam_01",
            "track_id": 17, "timestamp": "2026-01-01T12:00:00.123Z", "stream_time_ms": 41200,
            "bounding_box": {"x": 312, "y": 96, "width": 128, "height": 156},
            "frame": {"width": 1280, "height": 720}, "confidence": 0.93, "quality": 0.81,
            "person": {"id": "6f0f0c5e-8a53-4f7e-9d0c-1d1f3c0a0001", "name": "Ada", "similarity": 0.71, "margin": 0.2}
        })
    }

    fn with(pointer: &str, value: Value) -> Value {
        let mut event = sample();
        let (parent, name) = pointer.rsplit_once('/').unwrap();
        event.pointer_mut(parent).unwrap()[name] = value;
        event
    }

    fn jpeg(width: u32, height: u32) -> Vec<u8> {
        let mut bytes = Cursor::new(Vec::new());
        image::RgbImage::new(width, height).write_to(&mut bytes, ImageFormat::Jpeg).unwrap();
        bytes.into_inner()
    }

    fn reason(event: Value) -> String {
        parse(event.to_string().as_bytes()).unwrap_err().to_string()
    }

    #[test]
    fn lines_and_arrays_hold_the_same_events() {
        let (first, second) = (sample(), with("/kind", json!("left")));
        let lines = format!("{first}\n\n{second}\r\n");
        let array = json!([first, second]).to_string();
        for body in [lines, array] {
            let events = parse(body.as_bytes()).unwrap();
            assert_eq!(events.len(), 2);
            assert_eq!(events[1].event.kind, EventKind::Left);
            assert!(events[0].person_id.is_some());
        }
        assert!(parse(b"  \n ").unwrap().is_empty());
        assert!(parse(b"[]").unwrap().is_empty());
    }

    #[test]
    fn the_bad_event_is_named() {
        let body = format!("{}\n{{\"event_id\":1}}\n", sample());
        assert!(parse(body.as_bytes()).unwrap_err().to_string().starts_with("line 2: "));
        let array = json!([sample(), {"event_id": 1}]).to_string();
        assert!(parse(array.as_bytes()).unwrap_err().to_string().starts_with("event 2: "));
        assert!(matches!(parse(b"[{]").unwrap_err(), BatchError::Array(_)));
    }

    #[test]
    fn numbers_out_of_range_are_refused() {
        assert!(reason(with("/confidence", json!(1.2))).contains("confidence"));
        assert!(reason(with("/quality", json!(1e300))).contains("quality"));
        assert!(reason(with("/person/similarity", json!(-3))).contains("person.similarity"));
        assert!(reason(with("/track_id", json!(u64::MAX))).contains("track_id"));
        assert!(reason(with("/camera_id", json!("../x"))).contains("camera_id"));
        assert!(reason(with("/timestamp", json!("1969-12-31T23:59:59Z"))).contains("timestamp"));
        assert!(reason(with("/last_seen", json!("+12026-01-01T00:00:00Z"))).contains("last_seen"));
        assert!(reason(with("/bounding_box/width", json!(0))).contains("bounding_box"));
        assert!(reason(with("/bounding_box/x", json!(u32::MAX))).contains("bounding_box"));
    }

    #[test]
    fn only_whole_small_jpegs_are_snapshots() {
        let whole = jpeg(8, 8);
        let encode = |bytes: &[u8]| json!(STANDARD.encode(bytes));
        let body = with("/snapshot", encode(&whole)).to_string();
        let events = parse(body.as_bytes()).unwrap();
        assert_eq!(events[0].snapshot.as_deref(), Some(whole.as_slice()));
        assert_eq!(events[0].event.snapshot, None, "the text is not kept beside the bytes");

        assert!(reason(with("/snapshot", json!("%%%"))).contains("base64"));
        assert!(reason(with("/snapshot", encode(b"<html>"))).contains("whole JPEG"));
        assert!(reason(with("/snapshot", encode(&whole[..whole.len() - 9]))).contains("whole JPEG"));
        assert!(reason(with("/snapshot", encode(&jpeg(5000, 1)))).contains("4096"));
        let large = [whole.as_slice(), &vec![0; MAX_SNAPSHOT_BYTES]].concat();
        assert!(reason(with("/snapshot", encode(&large))).contains("1024 KiB"));
    }

    #[test]
    fn a_person_of_another_gallery_has_no_id_here() {
        let body = with("/person/id", json!("ada")).to_string();
        let events = parse(body.as_bytes()).unwrap();
        assert_eq!(events[0].person_id, None);
    }

    #[test]
    fn too_many_events_are_refused() {
        let line = format!("{}\n", sample());
        let body = line.repeat(MAX_EVENTS + 1);
        assert_eq!(parse(body.as_bytes()).unwrap_err(), BatchError::TooMany);
    }
}
