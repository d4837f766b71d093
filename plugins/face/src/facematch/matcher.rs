//! The tracks in sight and who they were decided to be. Knows no GStreamer: faces in, identities out.

use std::cmp::{Ordering, Reverse};
use std::collections::HashMap;

use thiserror::Error;
use vedette_models::embed;
use vedette_models::identity::{Candidate, Decision, IdentityPolicy, TrackIdentity};

use super::source::Loaded;
use crate::meta::params::UNKNOWN;
use crate::meta::{Embedding, Face, Identity};

/// A track that nobody ended and that was not seen for this long is forgotten.
const UNSEEN_MS: u64 = 10_000;
/// Thresholds for galleries of a pack this program does not know.
const FOREIGN_POLICY: (f32, f32) = (0.363, 0.05);

/// Embeddings that do not compare with the gallery's templates.
#[derive(Debug, Error, PartialEq, Eq)]
pub(super) enum MismatchError {
    #[error(
        "the gallery was made with the pack `{pack}` ({expected}), but faceembed uses {found}: set pack={pack} on \
         faceembed, or make the gallery again"
    )]
    Model { pack: String, expected: String, found: String },
    #[error(
        "the gallery was made with the pack `{pack}`, whose templates have {expected} numbers, but faceembed makes \
         {found}: set pack={pack} on faceembed, or make the gallery again"
    )]
    Dimension { pack: String, expected: usize, found: usize },
}

/// When a track is decided, as the properties set it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Rules {
    /// Greatest cosine distance; `None` = the pack's.
    pub(super) threshold: Option<f32>,
    /// `None` = the pack's.
    pub(super) margin: Option<f32>,
    pub(super) min_crops: usize,
    /// Whether several tracks that were in sight together may be the same person.
    pub(super) allow_duplicates: bool,
}

impl Rules {
    /// The same rules while there is no gallery: crops are gathered, nothing is decided.
    pub(super) fn undecided(self) -> Self {
        Self { min_crops: usize::MAX / 4, ..self }
    }

    fn policy(self, loaded: &Loaded) -> IdentityPolicy {
        let recognition = loaded.pack.as_ref().and_then(|pack| pack.recognition.as_ref());
        let (similarity, margin) =
            recognition.map_or(FOREIGN_POLICY, |it| (it.similarity_threshold, it.margin));
        IdentityPolicy {
            threshold: self.threshold.map_or(similarity, |distance| 1.0 - distance),
            margin: self.margin.unwrap_or(margin),
            min_crops: self.min_crops,
            stranger_crops: 2 * self.min_crops,
        }
    }
}

#[derive(Debug)]
struct Track {
    evidence: TrackIdentity,
    /// What was told last.
    identity: Option<Identity>,
    model_name: String,
    first_seen_ms: u64,
    seen_ms: u64,
    /// Whether the decision may be another than what was told.
    is_reviewed: bool,
    /// Whether it was told that more crops are not needed.
    is_told_settled: bool,
}

/// Decides tracks against a gallery.
#[derive(Debug, Default)]
pub(super) struct Matcher {
    tracks: HashMap<u64, Track>,
    /// What the decisions were made with.
    basis: Option<(u64, Rules)>,
    decided: usize,
}

impl Matcher {
    /// For each face, who it is, as far as decided.
    pub(super) fn identify(
        &mut self,
        loaded: &Loaded,
        rules: Rules,
        now_ms: u64,
        faces: &[Face],
    ) -> Result<Vec<Option<Identity>>, MismatchError> {
        let policy = rules.policy(loaded);
        if self.basis != Some((loaded.version, rules)) {
            self.basis = Some((loaded.version, rules));
            for track in self.tracks.values_mut() {
                track.evidence.decide_anew(&loaded.gallery, &policy);
                track.is_reviewed = true;
            }
        }
        for face in faces {
            self.see(loaded, &policy, now_ms, face)?;
        }
        if !rules.allow_duplicates {
            self.part_namesakes();
        }
        for track in self.tracks.values_mut().filter(|track| track.is_reviewed) {
            self.decided += usize::from(track.tell(loaded));
        }
        let told = |face: &Face| match (face.track_id, &face.embedding) {
            (Some(id), _) => self.tracks.get(&id).and_then(|track| track.identity.clone()),
            (None, Some(embedding)) => once(loaded, rules, embedding),
            (None, None) => None,
        };
        Ok(faces.iter().map(told).collect())
    }

    /// Takes a face into account.
    fn see(
        &mut self,
        loaded: &Loaded,
        policy: &IdentityPolicy,
        now_ms: u64,
        face: &Face,
    ) -> Result<(), MismatchError> {
        if let Some(embedding) = &face.embedding {
            check(loaded, embedding)?;
        }
        let Some(id) = face.track_id else { return Ok(()) };
        let track = self.tracks.entry(id).or_insert_with(|| Track::new(now_ms));
        track.seen_ms = now_ms;
        if let Some(embedding) = &face.embedding
            && let Some(vector) = embed::Embedding::from_vector(&embedding.vector)
        {
            let quality = face.quality.map_or(0.0, |quality| quality.score as f32);
            track.evidence.add(&vector, quality);
            track.model_name.clone_from(&embedding.model_name);
            track.evidence.decide(&loaded.gallery, policy);
            track.is_reviewed = true;
        }
        Ok(())
    }

    /// Nobody is in two places at once: of tracks that were in sight together and are decided as one person, the
    /// likeliest stays so.
    fn part_namesakes(&mut self) {
        let is_known = |track: &&Track| matches!(track.evidence.decision(), Decision::Known(_));
        // At nearly every frame.
        if self.tracks.values().filter(is_known).count() < 2 {
            return;
        }
        let mut named: Vec<(&u64, &Track, &Candidate)> = Vec::new();
        for (id, track) in &self.tracks {
            if let Decision::Known(candidate) = track.evidence.decision() {
                named.push((id, track, candidate));
            }
        }
        let standing = |(id, track, candidate): &(&u64, &Track, &Candidate)| {
            // What was corrected once is not corrected again; of equals, the one seen first stays.
            (track.evidence.is_corrected(), candidate.similarity, Reverse(**id))
        };
        named.sort_by(|a, b| standing(b).partial_cmp(&standing(a)).unwrap_or(Ordering::Equal));
        let (mut kept, mut beaten): (Vec<(&Track, &Candidate)>, Vec<u64>) = (Vec::new(), Vec::new());
        for (id, track, candidate) in named {
            let is_beaten = kept
                .iter()
                .any(|(other, rival)| rival.person_id == candidate.person_id && other.was_seen_with(track));
            if is_beaten {
                beaten.push(*id);
            } else {
                kept.push((track, candidate));
            }
        }
        for id in beaten {
            if let Some(track) = self.tracks.get_mut(&id) {
                let was_told = track.identity.as_ref().is_some_and(|identity| identity.person_id.is_some());
                track.evidence.give_way(was_told);
                track.is_reviewed = true;
            }
        }
    }

    /// Forgets tracks that ended or have not been seen for long.
    pub(super) fn forget(&mut self, now_ms: u64, ended: &[u64]) {
        for id in ended {
            self.tracks.remove(id);
        }
        self.tracks.retain(|_, track| now_ms.saturating_sub(track.seen_ms) <= UNSEEN_MS);
    }

    /// The tracks that no more crops are needed of, each once.
    pub(super) fn take_settled(&mut self) -> Vec<u64> {
        let news =
            self.tracks.iter_mut().filter(|(_, track)| track.evidence.is_settled() && !track.is_told_settled);
        news.map(|(id, track)| {
            track.is_told_settled = true;
            *id
        })
        .collect()
    }

    /// How many decisions were made or changed since the last call.
    pub(super) fn take_decided(&mut self) -> usize {
        std::mem::take(&mut self.decided)
    }
}

impl Track {
    fn new(now_ms: u64) -> Self {
        Self {
            evidence: TrackIdentity::new(),
            identity: None,
            model_name: String::new(),
            first_seen_ms: now_ms,
            seen_ms: now_ms,
            is_reviewed: false,
            is_told_settled: false,
        }
    }

    /// Whether both were in sight at some moment. One that came after the other was last seen may be the same person,
    /// lost and found.
    fn was_seen_with(&self, other: &Self) -> bool {
        self.seen_ms >= other.first_seen_ms && other.seen_ms >= self.first_seen_ms
    }

    /// Tells the decision as it is now; whether the track is somebody else than was told before.
    fn tell(&mut self, loaded: &Loaded) -> bool {
        self.is_reviewed = false;
        let identity = identity_of(self.evidence.decision(), &self.evidence, loaded, &self.model_name);
        let who = |identity: &Option<Identity>| identity.as_ref().map(|identity| identity.person_id.clone());
        let is_news = who(&identity) != who(&self.identity);
        self.identity = identity;
        is_news
    }
}

/// A face nobody follows: one crop has to do.
fn once(loaded: &Loaded, rules: Rules, embedding: &Embedding) -> Option<Identity> {
    let vector = embed::Embedding::from_vector(&embedding.vector)?;
    let policy = IdentityPolicy { min_crops: 1, stranger_crops: 1, ..rules.policy(loaded) };
    let mut evidence = TrackIdentity::new();
    evidence.add(&vector, 1.0);
    let mut decision = evidence.decide(&loaded.gallery, &policy).clone();
    if decision == Decision::Undecided {
        // There will be no further crop to wait for.
        decision = Decision::Stranger;
    }
    identity_of(&decision, &evidence, loaded, &embedding.model_name)
}

fn identity_of(
    decision: &Decision,
    evidence: &TrackIdentity,
    loaded: &Loaded,
    model_name: &str,
) -> Option<Identity> {
    match decision {
        Decision::Undecided => None,
        Decision::Known(candidate) => {
            let place = loaded.gallery.place_of(&candidate.person_id);
            Some(Identity {
                label: candidate.name.to_string(),
                label_id: place.and_then(|place| i32::try_from(place).ok()).unwrap_or(-1),
                person_id: Some(candidate.person_id.to_string()),
                confidence: candidate.similarity.into(),
                margin: candidate.margin.into(),
                model_name: model_name.into(),
            })
        }
        Decision::Stranger => {
            let fused = evidence.fused();
            let nearest = fused.map(|fused| loaded.gallery.best(fused.as_slice(), 2)).unwrap_or_default();
            let similarity = |place: usize| nearest.get(place).map_or(0.0, |found| found.similarity.max(0.0));
            Some(Identity {
                label: UNKNOWN.into(),
                label_id: -1,
                person_id: None,
                confidence: similarity(0).into(),
                margin: (similarity(0) - similarity(1)).into(),
                model_name: model_name.into(),
            })
        }
    }
}

/// Vectors of another model compare with nothing.
fn check(loaded: &Loaded, embedding: &Embedding) -> Result<(), MismatchError> {
    if loaded.gallery.is_empty() {
        return Ok(());
    }
    let (expected, found) = (loaded.gallery.dimension(), embedding.vector.len());
    if expected != found {
        return Err(MismatchError::Dimension { pack: loaded.pack_name.clone(), expected, found });
    }
    let embedder = loaded.pack.as_ref().and_then(|pack| pack.embedder.as_ref());
    let expected = embedder.map(|embedder| embedder.file.name.trim_end_matches(".onnx"));
    match expected {
        Some(expected) if expected != embedding.model_name => Err(MismatchError::Model {
            pack: loaded.pack_name.clone(),
            expected: expected.into(),
            found: embedding.model_name.clone(),
        }),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests;
