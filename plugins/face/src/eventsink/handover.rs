//! Hands a batch to the receiver, once: what it takes is forgotten, what it will never take is set aside, what is
//! too large for it goes in smaller parts and at last without its picture.

use super::delivery::Record;
use super::spool::{Spool, without_picture};

/// Records sent in one go.
pub(super) const BATCH_RECORDS: usize = 50;
/// Bytes from which a batch is full.
pub(super) const BATCH_BYTES: usize = 1 << 20;

/// How an attempt to send went.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// The receiver has the records.
    Accepted,
    /// The receiver will never take one of them.
    Refused(String),
    /// It is more than the receiver takes at once.
    TooLarge(String),
    /// The receiver cannot take them now.
    Unavailable(String),
}

/// A way to a receiver.
pub(super) trait Transport: Send {
    /// Sends lines in one go; none or all of them count as sent.
    fn send(&mut self, lines: &[&str]) -> Outcome;
}

/// A record on its way.
#[derive(Debug)]
pub(super) struct Parcel {
    pub(super) record: Record,
    /// It lies on disk, too.
    pub(super) spooled: bool,
}

/// What became of a batch.
#[derive(Debug, Default)]
pub(super) struct Handover {
    /// Acknowledged.
    pub(super) delivered: u64,
    /// Refused for good.
    pub(super) rejected: u64,
    /// Delivered without their pictures.
    pub(super) without_picture: u64,
    /// What the user should be told.
    pub(super) troubles: Vec<String>,
    /// Not sent yet, and why.
    pub(super) left: Option<(Vec<Parcel>, String)>,
}

/// Sends `batch` until everything is taken, refused, or the receiver is found to be away.
pub(super) fn hand_over(
    transport: &mut dyn Transport,
    spool: Option<&Spool>,
    target: &str,
    batch: Vec<Parcel>,
) -> Handover {
    let mut handover = Handover::default();
    // The next to be sent is the last.
    let mut batches = vec![batch];
    while let Some(mut batch) = batches.pop() {
        let lines: Vec<&str> = batch.iter().map(|parcel| parcel.record.line.as_str()).collect();
        match transport.send(&lines) {
            Outcome::Accepted => batch.iter().for_each(|parcel| handover.accepted(spool, parcel)),
            Outcome::Unavailable(reason) => {
                batch.extend(batches.into_iter().rev().flatten());
                handover.left = Some((batch, reason));
                break;
            }
            // One of them is at fault: each goes on its own, so that the rest arrives.
            Outcome::Refused(_) if batch.len() > 1 => {
                batches.extend(batch.into_iter().rev().map(|parcel| vec![parcel]));
            }
            Outcome::TooLarge(_) if batch.len() > 1 => {
                let second_half = batch.split_off(batch.len() / 2);
                batches.extend([second_half, batch]);
            }
            Outcome::TooLarge(reason) => {
                for mut parcel in batch {
                    match without_picture(&parcel.record.line) {
                        Some(line) => {
                            parcel.record.line = line;
                            handover.without_picture += 1;
                            batches.push(vec![parcel]);
                        }
                        None => handover.refused(spool, target, &parcel, &reason),
                    }
                }
            }
            Outcome::Refused(reason) => {
                batch.iter().for_each(|parcel| handover.refused(spool, target, parcel, &reason));
            }
        }
    }
    handover
}

impl Handover {
    fn accepted(&mut self, spool: Option<&Spool>, parcel: &Parcel) {
        let id = parcel.record.id;
        if let Some(Err(error)) = spool.filter(|_| parcel.spooled).map(|spool| spool.remove(id)) {
            self.troubles.push(format!("cannot remove event {id} from the spool: {error}"));
        }
        self.delivered += 1;
    }

    fn refused(&mut self, spool: Option<&Spool>, target: &str, parcel: &Parcel, reason: &str) {
        let id = parcel.record.id;
        let fate = match spool.filter(|_| parcel.spooled).map(|spool| spool.reject(id)) {
            Some(Ok(())) => "it is set aside in the spool's folder `rejected`".into(),
            Some(Err(error)) => format!("it cannot be set aside: {error}"),
            None => "it is dropped, set spool-dir to keep such events".into(),
        };
        self.troubles.push(format!("{target} does not take event {id} ({reason}): {fate}"));
        self.rejected += 1;
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use uuid::Uuid;

    use super::*;

    /// Takes so many bytes at once, and nothing that says `bad`.
    struct Picky {
        most_bytes: usize,
        got: Vec<Vec<String>>,
    }

    impl Transport for Picky {
        fn send(&mut self, lines: &[&str]) -> Outcome {
            if lines.concat().len() > self.most_bytes {
                return Outcome::TooLarge("413".into());
            }
            if lines.iter().any(|line| line.contains("bad")) {
                return Outcome::Refused("422".into());
            }
            self.got.push(lines.iter().map(|line| line.to_string()).collect());
            Outcome::Accepted
        }
    }

    fn parcel(line: &str) -> Parcel {
        Parcel { record: Record { id: Uuid::now_v7(), line: line.into(), lasting: true }, spooled: false }
    }

    #[test]
    fn what_is_too_large_goes_in_parts_and_then_without_its_picture() {
        let picture = format!("{{\"a\":4,\"snapshot\":\"{}\"}}", "A".repeat(99));
        let lines = ["{\"a\":1}", "{\"a\":2}", "{\"a\":3}", &picture];
        let mut receiver = Picky { most_bytes: 14, got: Vec::new() };
        let handover = hand_over(&mut receiver, None, "test", lines.map(parcel).into());
        assert_eq!(receiver.got, [vec!["{\"a\":1}", "{\"a\":2}"], vec!["{\"a\":3}"], vec!["{\"a\":4}"]]);
        assert_eq!((handover.delivered, handover.without_picture, handover.rejected), (4, 1, 0));
        assert!(handover.left.is_none());
    }

    #[test]
    fn what_is_too_large_without_a_picture_holds_up_nobody() {
        let long = format!("{{\"a\":\"{}\"}}", "A".repeat(99));
        let mut receiver = Picky { most_bytes: 14, got: Vec::new() };
        let batch = [long.as_str(), "{\"bad\":1}", "{\"a\":2}"].map(parcel).into();
        let handover = hand_over(&mut receiver, None, "test", batch);
        assert_eq!(receiver.got, [vec!["{\"a\":2}"]]);
        assert_eq!((handover.delivered, handover.rejected), (1, 2));
        assert_eq!(handover.troubles.len(), 2);
    }
}
