//! From what frames show of the tracks to the events worth sending. Knows no GStreamer element, clock or
//! network: frames come with their times.

use std::collections::{BTreeMap, HashMap};

use chrono::{DateTime, Utc};
use uuid::Uuid;
use vedette_events::{BoundingBox, EventKind, FaceEvent, FrameSize, Gender, PersonMatch, encode_vector};
use vedette_models::geometry::Rect;
use vedette_models::image::RgbImage;

use crate::meta::{Face, Identity};

/// A track nobody has ended is over when it was not seen for this long: facetrack ends its tracks much
/// sooner, a foreign tracker ends none.
const UNSEEN_MS: u64 = 10_000;
/// A better picture of someone already reported is worth another event from this gain in quality on, …
const BETTER_SHOT: f64 = 0.1;
/// … and not more often than this.
const UPDATE_PAUSE_MS: u64 = 1_000;

/// How events are made.
#[derive(Clone, Debug)]
pub(super) struct Policy {
    pub(super) camera_id: String,
    /// 0 = every appearance is reported.
    pub(super) dedup_window_ms: u64,
}

/// A frame as far as events need it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Moment {
    /// Never runs backwards: what pauses and windows are measured by.
    pub(super) running_ms: u64,
    /// Position in the stream.
    pub(super) stream_ms: u64,
    /// When the frame was seen.
    pub(super) seen: DateTime<Utc>,
    /// Its size.
    pub(super) size: FrameSize,
}

/// An event and the picture that belongs to it.
#[derive(Debug)]
pub(super) struct Report {
    pub(super) event: FaceEvent,
    pub(super) picture: Option<RgbImage>,
}

/// The tracks in sight and the people lately seen at this camera.
#[derive(Debug, Default)]
pub(super) struct Tracks {
    open: BTreeMap<u64, Track>,
    people: HashMap<String, u64>,
}

#[derive(Debug)]
struct Track {
    first_seen: DateTime<Utc>,
    last: Moment,
    face: BoundingBox,
    confidence: f32,
    best: Option<Shot>,
    embedding: Option<Vec<f32>>,
    age: Option<f32>,
    gender: Option<Gender>,
    identity: Option<Identity>,
    reported: Option<Reported>,
}

#[derive(Debug)]
struct Shot {
    quality: f64,
    picture: Option<RgbImage>,
}

/// What was last told about a track.
#[derive(Debug)]
struct Reported {
    /// `None` for a stranger.
    person_id: Option<String>,
    quality: f64,
    running_ms: u64,
    /// The person was reported at this camera just before: nothing is told until the track ends.
    quietly: bool,
}

impl Tracks {
    /// Takes in a frame: its faces, the tracks that ended with it, and a way to cut a face out of it.
    pub(super) fn observe(
        &mut self,
        policy: &Policy,
        now: Moment,
        faces: &[Face],
        ended: &[u64],
        mut cut: impl FnMut(&Rect) -> Option<RgbImage>,
    ) -> Vec<Report> {
        let mut reports = Vec::new();
        for face in faces {
            let Some(id) = face.track_id else { continue };
            let track = self.open.entry(id).or_insert_with(|| Track::begin(now));
            track.see(now, face, &mut cut);
            if let Some(kind) = track.news(policy, now, &self.people) {
                reports.push(track.report(policy, id, kind));
            }
            if let Some(person_id) = track.person_id() {
                self.people.insert(person_id.to_owned(), now.running_ms);
            }
        }
        let unseen = |track: &Track| now.running_ms.saturating_sub(track.last.running_ms) > UNSEEN_MS;
        let over: Vec<u64> = self
            .open
            .iter()
            .filter(|(id, track)| ended.contains(id) || unseen(track))
            .map(|(id, _)| *id)
            .collect();
        reports.extend(over.into_iter().filter_map(|id| self.end(policy, id)));
        self.people.retain(|_, seen_ms| now.running_ms.saturating_sub(*seen_ms) <= policy.dedup_window_ms);
        reports
    }

    /// Ends every track: the stream ends or jumps.
    pub(super) fn finish(&mut self, policy: &Policy) -> Vec<Report> {
        let ids: Vec<u64> = self.open.keys().copied().collect();
        ids.into_iter().filter_map(|id| self.end(policy, id)).collect()
    }

    /// A track nothing was told about ends in silence: nobody would know who left.
    fn end(&mut self, policy: &Policy, id: u64) -> Option<Report> {
        let track = self.open.remove(&id)?;
        track.reported.as_ref()?;
        Some(track.report_of_end(policy, id))
    }
}

impl Track {
    fn begin(now: Moment) -> Self {
        Self {
            first_seen: now.seen,
            last: now,
            face: BoundingBox::default(),
            confidence: 0.0,
            best: None,
            embedding: None,
            age: None,
            gender: None,
            identity: None,
            reported: None,
        }
    }

    fn see(&mut self, now: Moment, face: &Face, cut: &mut impl FnMut(&Rect) -> Option<RgbImage>) {
        self.last = now;
        self.face = bounding_box(&face.rect);
        if let Some(detection) = &face.detection {
            self.confidence = detection.confidence as f32;
        }
        if let Some(quality) = &face.quality
            && self.best.as_ref().is_none_or(|best| quality.score > best.quality)
        {
            self.best = Some(Shot { quality: quality.score, picture: cut(&face.rect) });
            if let Some(embedding) = &face.embedding {
                self.embedding = Some(embedding.vector.clone());
            }
        }
        if let (None, Some(embedding)) = (&self.embedding, &face.embedding) {
            self.embedding = Some(embedding.vector.clone());
        }
        if let Some(identity) = &face.identity {
            self.identity = Some(identity.clone());
        }
        if let Some(age) = &face.age {
            // Less than a year of it is noise.
            self.age = Some(age.years.round());
        }
        if let Some(gender) = &face.gender {
            self.gender = Some(gender.gender);
        }
    }

    /// What there is to tell, if anything; marks it as told.
    fn news(&mut self, policy: &Policy, now: Moment, people: &HashMap<String, u64>) -> Option<EventKind> {
        let identity = self.identity.as_ref()?;
        let person_id = identity.person_id.clone();
        let quality = self.best.as_ref().map_or(0.0, |best| best.quality);
        let mut quietly = false;
        let kind = match &mut self.reported {
            Some(reported) if reported.person_id == person_id => {
                let better = quality >= reported.quality + BETTER_SHOT;
                let rested = now.running_ms.saturating_sub(reported.running_ms) >= UPDATE_PAUSE_MS;
                if !better || !rested || reported.quietly {
                    return None;
                }
                EventKind::Updated
            }
            // A stranger turned out to be someone: for that person this is the first sight.
            Some(reported) if reported.person_id.is_some() && !reported.quietly => EventKind::Updated,
            _ => match &person_id {
                Some(person_id) => {
                    quietly = policy.dedup_window_ms > 0
                        && people.get(person_id).is_some_and(|seen_ms| {
                            now.running_ms.saturating_sub(*seen_ms) <= policy.dedup_window_ms
                        });
                    EventKind::Recognized
                }
                None if self.reported.is_some() => EventKind::Updated,
                None => EventKind::Unknown,
            },
        };
        self.reported = Some(Reported { person_id, quality, running_ms: now.running_ms, quietly });
        (!quietly).then_some(kind)
    }

    fn person_id(&self) -> Option<&str> {
        self.identity.as_ref().and_then(|identity| identity.person_id.as_deref())
    }

    fn report(&self, policy: &Policy, id: u64, kind: EventKind) -> Report {
        let person = self.identity.as_ref().and_then(person_match);
        let embedding = match (&person, &self.embedding) {
            (None, Some(vector)) => Some(encode_vector(vector)),
            _ => None,
        };
        let event = FaceEvent {
            event_id: Uuid::now_v7(),
            kind,
            camera_id: policy.camera_id.clone(),
            track_id: id,
            timestamp: self.last.seen,
            stream_time_ms: self.last.stream_ms,
            bounding_box: self.face,
            frame: self.last.size,
            confidence: rounded(f64::from(self.confidence)),
            quality: rounded(self.best.as_ref().map_or(0.0, |best| best.quality)),
            person,
            age: self.age,
            gender: self.gender,
            snapshot: None,
            embedding,
            first_seen: None,
            last_seen: None,
        };
        Report { event, picture: self.best.as_ref().and_then(|best| best.picture.clone()) }
    }

    /// The end needs neither picture nor embedding: both were told before.
    fn report_of_end(&self, policy: &Policy, id: u64) -> Report {
        let Report { mut event, .. } = self.report(policy, id, EventKind::Left);
        event.embedding = None;
        event.first_seen = Some(self.first_seen);
        event.last_seen = Some(self.last.seen);
        Report { event, picture: None }
    }
}

fn person_match(identity: &Identity) -> Option<PersonMatch> {
    Some(PersonMatch {
        id: identity.person_id.clone()?,
        name: identity.label.clone(),
        similarity: rounded(identity.confidence),
        margin: rounded(identity.margin),
    })
}

/// Four digits say all there is to say and keep lines short.
fn rounded(value: f64) -> f32 {
    ((value * 1e4).round() / 1e4) as f32
}

/// Boxes on a buffer are whole numbers within the frame: the casts lose nothing.
fn bounding_box(rect: &Rect) -> BoundingBox {
    BoundingBox {
        x: rect.x as u32,
        y: rect.y as u32,
        width: (rect.width as u32).max(1),
        height: (rect.height as u32).max(1),
    }
}

#[cfg(test)]
mod tests;
