//! Spools no sink attends to: those of cameras that are lost or run elsewhere by now, or whose program died.

use std::fmt;
use std::path::Path;

use thiserror::Error;
use uuid::Uuid;

use super::delivery::{Record, way_to};
use super::handover::{BATCH_BYTES, BATCH_RECORDS, Parcel, Transport, hand_over};
use super::spool::{Claim, Fetched, Spool};
use super::target::{Target, without_secrets};

/// Events that cannot be sent.
#[derive(Debug, Error)]
pub enum SpoolCourierError {
    /// The receiver's URI cannot be used.
    #[error("{0}")]
    Target(String),
    /// The folder cannot be read or written.
    #[error("cannot read the spool folder {dir}: {error}; make it readable and writable")]
    Folder {
        /// The folder.
        dir: String,
        /// What the system says.
        error: std::io::Error,
    },
    /// The receiver is away.
    #[error("cannot send events to {target}: {reason}; they are kept on disk and sent later")]
    Away {
        /// The receiver, without secrets.
        target: String,
        /// Why.
        reason: String,
    },
}

/// Sends what sinks left behind.
pub struct SpoolCourier {
    transport: Box<dyn Transport>,
    target: String,
}

impl fmt::Debug for SpoolCourier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SpoolCourier").field("target", &self.target).finish_non_exhaustive()
    }
}

impl SpoolCourier {
    /// A courier to `uri`, an `eventsink`'s `http(s)://` or `redis(s)://`.
    ///
    /// # Errors
    /// When it is another kind of URI, or none.
    pub fn new(uri: &str, token: Option<&str>) -> Result<Self, SpoolCourierError> {
        let refused = |reason: String| SpoolCourierError::Target(reason);
        let target = Target::parse(uri).map_err(|error| refused(error.to_string()))?;
        let Target::Remote(remote) = target else {
            return Err(refused(format!("{} is no receiver on a network", without_secrets(uri))));
        };
        let transport = way_to(&remote, token).map_err(|error| refused(error.to_string()))?;
        Ok(Self { transport, target: remote.to_string() })
    }

    /// Sends what lies in a sink's spool folder now, oldest first, if no other courier is busy with it. Answers how many
    /// events the receiver has taken; `warn` is told of events that it refuses or that are damaged.
    ///
    /// # Errors
    /// When the receiver is away or the folder cannot be read; what is left stays where it is.
    pub fn deliver(&mut self, dir: &Path, mut warn: impl FnMut(&str)) -> Result<u64, SpoolCourierError> {
        let failed = |error| SpoolCourierError::Folder { dir: dir.display().to_string(), error };
        let Some(_claim) = Claim::of(dir).map_err(failed)? else { return Ok(0) };
        let spool = Spool::open(dir, 0).map_err(failed)?;
        // No more than lies here now: a sink that has come meanwhile waits for its turn.
        let (ids, _) = spool.scan(usize::MAX).map_err(failed)?;
        let (mut delivered, mut ids) = (0, ids.into_iter());
        loop {
            let batch = next_batch(&spool, &mut ids, &mut warn);
            if batch.is_empty() {
                return Ok(delivered);
            }
            let handover = hand_over(&mut *self.transport, Some(&spool), &self.target, batch);
            delivered += handover.delivered;
            handover.troubles.iter().for_each(|text| warn(text));
            if let Some((_, reason)) = handover.left {
                return Err(SpoolCourierError::Away { target: self.target.clone(), reason });
            }
        }
    }
}

fn next_batch(
    spool: &Spool,
    ids: &mut impl Iterator<Item = Uuid>,
    warn: &mut impl FnMut(&str),
) -> Vec<Parcel> {
    let (mut batch, mut bytes) = (Vec::new(), 0);
    while batch.len() < BATCH_RECORDS && bytes < BATCH_BYTES {
        let Some(id) = ids.next() else { break };
        match spool.fetch(id) {
            Fetched::Line(line) => {
                bytes += line.len();
                batch.push(Parcel { record: Record { id, line, lasting: true }, spooled: true });
            }
            Fetched::Damaged(text) => warn(&text),
            // Whoever comes next finds it again.
            Fetched::Unreadable(_) | Fetched::Gone => (),
        }
    }
    batch
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    /// Takes what it is given, unless it is away.
    #[derive(Default)]
    struct Receiver {
        is_away: bool,
        got: Vec<String>,
    }

    impl Transport for std::sync::Arc<std::sync::Mutex<Receiver>> {
        fn send(&mut self, lines: &[&str]) -> super::super::handover::Outcome {
            use super::super::handover::Outcome;
            let mut receiver = self.lock().unwrap();
            if receiver.is_away {
                return Outcome::Unavailable("503".into());
            }
            receiver.got.extend(lines.iter().map(|line| line.to_string()));
            Outcome::Accepted
        }
    }

    #[test]
    fn what_was_left_behind_arrives_once_nobody_else_is_at_it() {
        let dir = tempfile::tempdir().unwrap();
        let spool = Spool::open(dir.path(), 0).unwrap();
        let lines: Vec<String> = (0..120).map(|number| format!("{{\"a\":{number}}}")).collect();
        for line in &lines {
            spool.keep(Uuid::now_v7(), line).unwrap();
        }
        std::fs::write(dir.path().join(format!("{}.json", Uuid::now_v7())), "").unwrap();
        let receiver = std::sync::Arc::<std::sync::Mutex<Receiver>>::default();
        let mut courier = SpoolCourier { transport: Box::new(receiver.clone()), target: "test".into() };
        let mut warnings = Vec::new();
        let mut deliver = || courier.deliver(dir.path(), |text| warnings.push(text.to_owned()));

        let claim = Claim::of(dir.path()).unwrap();
        assert_eq!(deliver().unwrap(), 0, "another courier is at it");
        drop(claim);
        receiver.lock().unwrap().is_away = true;
        assert!(matches!(deliver(), Err(SpoolCourierError::Away { .. })));
        assert_eq!(spool.scan(usize::MAX).unwrap().0.len(), 121);
        receiver.lock().unwrap().is_away = false;
        assert_eq!(deliver().unwrap(), 120);
        assert_eq!(receiver.lock().unwrap().got, lines);
        assert_eq!(spool.scan(usize::MAX).unwrap(), (vec![], false));
        assert_eq!(warnings.len(), 1, "of the empty one: {warnings:?}");
        assert!(Claim::of(dir.path()).unwrap().is_some(), "the folder is free again");
    }

    #[test]
    fn only_receivers_on_a_network_have_spools() {
        assert!(SpoolCourier::new("http://127.0.0.1:9/api/ingest", Some("token")).is_ok());
        for uri in ["stdout:", "file:///tmp/x", "nonsense"] {
            assert!(SpoolCourier::new(uri, None).is_err(), "{uri}");
        }
    }
}
