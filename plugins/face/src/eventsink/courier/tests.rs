//! The courier against receivers that are away, picky or slow.
#![allow(clippy::unwrap_used)]

use std::sync::mpsc::{Receiver, Sender, channel};

use super::*;

/// A receiver that answers as told and says what it got.
struct Scripted {
    outcomes: Receiver<Outcome>,
    got: Sender<Vec<String>>,
}

impl Transport for Scripted {
    fn send(&mut self, lines: &[&str]) -> Outcome {
        let _ = self.got.send(lines.iter().map(|line| line.to_string()).collect());
        // Once the test has nothing more to say, everything is accepted.
        self.outcomes.recv().unwrap_or(Outcome::Accepted)
    }
}

struct Setup {
    courier: Courier,
    answer: Sender<Outcome>,
    got: Receiver<Vec<String>>,
    troubles: Receiver<Trouble>,
}

fn setup(spool: Option<Spool>) -> Setup {
    let (answer, outcomes) = channel();
    let (got_sender, got) = channel();
    let (trouble_sender, troubles) = channel();
    let transport = Box::new(Scripted { outcomes, got: got_sender });
    let report = move |trouble| drop(trouble_sender.send(trouble));
    let courier = Courier::start(transport, spool, "test".into(), report).unwrap();
    Setup { courier, answer, got, troubles }
}

fn record(line: &str) -> Record {
    Record { id: Uuid::now_v7(), line: line.into(), lasting: true }
}

const PATIENCE: Duration = Duration::from_secs(30);

#[test]
fn a_receiver_that_comes_back_gets_everything_once() {
    let dir = tempfile::tempdir().unwrap();
    let Setup { courier, answer, got, troubles } = setup(Some(Spool::open(dir.path()).unwrap()));
    answer.send(Outcome::Unavailable("down".into())).unwrap();
    answer.send(Outcome::Unavailable("down".into())).unwrap();
    courier.take(record("1"));
    assert_eq!(got.recv().unwrap(), ["1"]);
    courier.take(record("2"));
    let warning = troubles.recv().unwrap();
    assert!(matches!(&warning, Trouble::Warning(text) if text.contains("on disk")), "{warning:?}");
    assert_eq!(courier.drain(PATIENCE), 0, "safe on disk, or delivered");
    drop(answer);
    assert!(matches!(troubles.recv().unwrap(), Trouble::Recovered(_)));
    while courier.figures().delivered < 2 {
        courier.drain(PATIENCE);
    }
    let lines: Vec<String> = got.iter().take(3).flatten().collect();
    assert_eq!(lines.last().unwrap(), "2");
    assert!(Spool::open(dir.path()).unwrap().scan(9).unwrap().0.is_empty());
}

#[test]
fn events_of_a_process_that_died_go_out_first() {
    let dir = tempfile::tempdir().unwrap();
    let spool = Spool::open(dir.path()).unwrap();
    spool.put(Uuid::now_v7(), "old").unwrap();
    let Setup { courier, answer, got, .. } = setup(Some(spool));
    drop(answer);
    assert_eq!(got.recv().unwrap(), ["old"]);
    courier.take(record("new"));
    assert_eq!(got.recv().unwrap(), ["new"]);
    assert_eq!(courier.drain(PATIENCE), 0);
    assert_eq!(courier.figures(), Figures { delivered: 2, ..Figures::default() });
}

#[test]
fn one_bad_event_does_not_hold_up_the_others() {
    let dir = tempfile::tempdir().unwrap();
    let spool = Spool::open(dir.path()).unwrap();
    let [good, bad, good_too] = std::array::from_fn(|_| Uuid::now_v7());
    for (id, line) in [(good, "good"), (bad, "bad"), (good_too, "good too")] {
        spool.put(id, line).unwrap();
    }
    let Setup { courier, answer, got, troubles } = setup(Some(spool));
    for outcome in
        [Outcome::Refused("400".into()), Outcome::Accepted, Outcome::Refused("400".into()), Outcome::Accepted]
    {
        answer.send(outcome).unwrap();
    }
    let batches: Vec<Vec<String>> = got.iter().take(4).collect();
    assert_eq!(batches[0].len(), 3);
    assert_eq!(batches[2], ["bad"]);
    assert_eq!(courier.drain(PATIENCE), 0);
    let figures = courier.figures();
    assert_eq!((figures.delivered, figures.rejected), (2, 1));
    assert!(dir.path().join("rejected").join(format!("{bad}.json")).is_file());
    assert!(matches!(troubles.recv().unwrap(), Trouble::Warning(text) if text.contains("rejected")));
}

#[test]
fn memory_is_bounded_without_a_spool() {
    let Setup { courier, answer, got, .. } = setup(None);
    let line = "x".repeat(MEMORY_BYTES / 8);
    courier.take(record(&line));
    got.recv().unwrap();
    for _ in 0..10 {
        courier.take(record(&line));
    }
    let figures = courier.figures();
    assert_eq!((figures.lost, figures.pending), (2, 9), "eight fit, one is under way");
    assert_eq!(courier.drain(Duration::ZERO), 9);
    drop(answer);
    assert_eq!(courier.drain(PATIENCE), 0);
}
