//! The courier against receivers that are away, picky or slow.
#![allow(clippy::unwrap_used)]

use std::sync::mpsc::{Receiver, Sender, channel};

use uuid::Uuid;

use super::super::handover::Outcome;
use super::queue::MEMORY_BYTES;
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

fn spool(dir: &std::path::Path) -> Spool {
    Spool::open(dir, 0).unwrap()
}

fn line(name: &str) -> String {
    format!("{{\"name\":\"{name}\"}}")
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

fn record(name: &str) -> Record {
    Record { id: Uuid::now_v7(), line: line(name), lasting: true }
}

const PATIENCE: Duration = Duration::from_secs(30);

#[test]
fn a_receiver_that_comes_back_gets_everything_once() {
    let dir = tempfile::tempdir().unwrap();
    let Setup { courier, answer, got, troubles } = setup(Some(spool(dir.path())));
    answer.send(Outcome::Unavailable("down".into())).unwrap();
    answer.send(Outcome::Unavailable("down".into())).unwrap();
    courier.take(record("1"));
    assert_eq!(got.recv().unwrap(), [line("1")]);
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
    assert_eq!(lines.last().unwrap(), &line("2"));
    assert!(spool(dir.path()).scan(9).unwrap().0.is_empty());
}

#[test]
fn events_of_a_process_that_died_go_out_first() {
    let dir = tempfile::tempdir().unwrap();
    let spool = spool(dir.path());
    spool.keep(Uuid::now_v7(), &line("old")).unwrap();
    let Setup { courier, answer, got, .. } = setup(Some(spool));
    drop(answer);
    assert_eq!(got.recv().unwrap(), [line("old")]);
    courier.take(record("new"));
    assert_eq!(got.recv().unwrap(), [line("new")]);
    assert_eq!(courier.drain(PATIENCE), 0);
    assert_eq!(courier.figures(), Figures { delivered: 2, ..Figures::default() });
}

#[test]
fn one_bad_event_does_not_hold_up_the_others() {
    let dir = tempfile::tempdir().unwrap();
    let spool = spool(dir.path());
    let [good, bad, good_too] = std::array::from_fn(|_| Uuid::now_v7());
    for (id, name) in [(good, "good"), (bad, "bad"), (good_too, "good too")] {
        spool.keep(id, &line(name)).unwrap();
    }
    let Setup { courier, answer, got, troubles } = setup(Some(spool));
    for outcome in
        [Outcome::Refused("400".into()), Outcome::Accepted, Outcome::Refused("400".into()), Outcome::Accepted]
    {
        answer.send(outcome).unwrap();
    }
    let batches: Vec<Vec<String>> = got.iter().take(4).collect();
    assert_eq!(batches[0].len(), 3);
    assert_eq!(batches[2], [line("bad")]);
    assert_eq!(courier.drain(PATIENCE), 0);
    let figures = courier.figures();
    assert_eq!((figures.delivered, figures.rejected), (2, 1));
    assert!(dir.path().join("rejected").join(format!("{bad}.json")).is_file());
    assert!(matches!(troubles.recv().unwrap(), Trouble::Warning(text) if text.contains("rejected")));
}

#[test]
fn memory_is_bounded_without_a_spool() {
    let Setup { courier, answer, got, .. } = setup(None);
    let name = "x".repeat(MEMORY_BYTES / 8 - line("").len());
    courier.take(record(&name));
    got.recv().unwrap();
    for _ in 0..10 {
        courier.take(record(&name));
    }
    let figures = courier.figures();
    assert_eq!((figures.lost, figures.pending), (2, 9), "eight fit, one is under way");
    assert_eq!(courier.drain(Duration::ZERO), 9);
    drop(answer);
    assert_eq!(courier.drain(PATIENCE), 0);
}

#[test]
fn what_cannot_be_read_now_is_read_later_and_holds_up_nobody() {
    let dir = tempfile::tempdir().unwrap();
    let spool = spool(dir.path());
    let [odd, empty, good] = std::array::from_fn(|_| Uuid::now_v7());
    // A folder cannot be read as a file, by root neither.
    let path = dir.path().join(format!("{odd}.json"));
    std::fs::create_dir(&path).unwrap();
    std::fs::write(dir.path().join(format!("{empty}.json")), "").unwrap();
    spool.keep(good, &line("good")).unwrap();
    let Setup { courier, answer, got, troubles } = setup(Some(spool));
    drop(answer);
    assert_eq!(got.recv().unwrap(), [line("good")]);
    let told: Vec<Trouble> = troubles.iter().take(2).collect();
    assert!(matches!(&told[0], Trouble::Warning(text) if text.contains("tried again")), "{told:?}");
    assert!(matches!(&told[1], Trouble::Warning(text) if text.contains("damaged")), "{told:?}");
    std::fs::remove_dir(&path).unwrap();
    std::fs::write(&path, line("odd")).unwrap();
    assert_eq!(got.recv_timeout(PATIENCE).unwrap(), [line("odd")]);
    drop(courier);
}

#[test]
fn a_full_spool_is_told_once_and_costs_pictures_before_events() {
    let dir = tempfile::tempdir().unwrap();
    // Two files fit with pictures and one without; two more wait in memory.
    let Setup { courier, answer, got, troubles } = setup(Some(Spool::open(dir.path(), 3 * 4096).unwrap()));
    let picture = |name: &str| Record {
        line: format!("{{\"name\":\"{name}\",\"snapshot\":\"AAAA\"}}"),
        ..record(name)
    };
    for name in ["0", "1", "2", "3", "4"] {
        courier.take(picture(name));
    }
    drop(answer);
    let told: Vec<Trouble> = troubles.iter().take(2).collect();
    assert!(matches!(&told[0], Trouble::Warning(text) if text.contains("spool-max-bytes")), "{told:?}");
    assert!(matches!(&told[1], Trouble::Warning(text) if text.contains("in memory")), "{told:?}");
    while courier.figures().delivered < 5 {
        courier.drain(PATIENCE);
    }
    let lines: Vec<String> = got.try_iter().flatten().collect();
    let has_picture = lines.iter().map(|line| line.contains("snapshot"));
    assert_eq!(has_picture.collect::<Vec<_>>(), [true, true, false, true, true], "{lines:?}");
    assert_eq!(courier.figures(), Figures { delivered: 5, pictures_lost: 1, ..Figures::default() });
    assert!(troubles.try_iter().next().is_none());
}

#[test]
fn a_spool_another_courier_is_at_is_sent_when_that_has_left() {
    let dir = tempfile::tempdir().unwrap();
    let claim = Claim::of(dir.path()).unwrap();
    let Setup { courier, answer, got, .. } = setup(Some(spool(dir.path())));
    drop(answer);
    courier.take(record("1"));
    assert_eq!(courier.drain(PATIENCE), 0, "safe on disk: nobody waits for the other");
    assert!(got.try_recv().is_err());
    drop(claim);
    assert_eq!(got.recv_timeout(PATIENCE).unwrap(), [line("1")]);
}
