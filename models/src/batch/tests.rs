//! Rows come back to the caller they belong to, whatever company they were computed in.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use super::*;
use crate::files::ModelSource;
use crate::pack::Role;
use crate::session::SessionOptions;

const ROW_SHAPE: [usize; 3] = [3, 112, 112];
const ROW_LENGTH: usize = 3 * 112 * 112;

fn embedder(threads: usize) -> BatchedModel {
    let model = ModelSource::pack("opencv").unwrap().open(Role::Embedder, Ok).unwrap();
    let options = SessionOptions { threads, label: model.name, ..SessionOptions::default() };
    BatchedModel::new(SessionPool::open(model.bytes, options).unwrap(), &ROW_SHAPE, true)
}

/// A picture with a pattern of its own.
fn row(seed: usize) -> Vec<f32> {
    (0..ROW_LENGTH).map(|index| ((index * (seed + 3)) % 251) as f32).collect()
}

fn assert_same(left: &[f32], right: &[f32]) {
    assert_eq!(left.len(), right.len());
    let largest = left.iter().zip(right).map(|(left, right)| (left - right).abs()).fold(0.0, f32::max);
    assert!(largest < 1e-4, "differ by {largest}");
}

#[test]
fn callers_at_once_each_get_their_own_rows() {
    let model = embedder(2);
    let alone: Vec<_> = (0..6).map(|seed| model.run(&row(seed)).unwrap()).collect();
    assert!(alone.iter().all(|output| output.len() == 128));
    std::thread::scope(|scope| {
        for (seed, expected) in alone.iter().enumerate() {
            let model = &model;
            scope.spawn(move || {
                for _ in 0..3 {
                    assert_same(&model.run(&row(seed)).unwrap(), expected);
                }
            });
        }
    });
    let queue = model.lock();
    assert!(queue.waiting.is_empty() && queue.finished.is_empty() && queue.running == 0);
}

#[test]
fn rows_of_one_caller_come_back_in_order() {
    for threads in [1, 2] {
        let model = embedder(threads);
        let rows: Vec<f32> = (0..5).flat_map(row).collect();
        let together = model.run(&rows).unwrap();
        for (seed, output) in together.chunks(128).enumerate() {
            assert_same(output, &model.run(&row(seed)).unwrap());
        }
        assert!(model.run(&[]).unwrap().is_empty());
    }
}

#[test]
fn faces_of_one_frame_share_runs() {
    let (together, one_by_one) = (embedder(2), embedder(1));
    // As many as a run holds, and one more than twice as many.
    for (rows, wanted) in [(1, 1), (4, 1), (9, 3)] {
        let values: Vec<f32> = (0..rows).flat_map(row).collect();
        let runs = |model: &BatchedModel| {
            let before = model.lock().runs;
            model.run(&values).unwrap();
            model.lock().runs - before
        };
        assert_eq!(runs(&together), wanted, "{rows} rows");
        // With a core to itself a run gains nothing from company.
        assert_eq!(runs(&one_by_one), rows, "{rows} rows");
    }
}

#[test]
fn faces_that_wait_while_another_run_lasts_are_run_together() {
    let model = embedder(2);
    let expected: Vec<_> = (0..4).map(|seed| model.run(&row(seed)).unwrap()).collect();
    let before = {
        // All sessions are busy: whoever comes now has to wait.
        let mut queue = model.lock();
        queue.running += model.sessions.capacity();
        queue.runs
    };
    std::thread::scope(|scope| {
        for (seed, expected) in expected.iter().enumerate() {
            let model = &model;
            scope.spawn(move || assert_same(&model.run(&row(seed)).unwrap(), expected));
        }
        while model.lock().waiting.len() < 4 {
            std::thread::yield_now();
        }
        model.lock().running -= model.sessions.capacity();
        model.finished.notify_all();
    });
    assert_eq!(model.lock().runs - before, 1);
}

#[test]
fn half_a_row_is_refused() {
    let error = embedder(1).run(&[0.0; 100]).unwrap_err();
    assert!(error.to_string().contains("takes rows of 37632 numbers"), "{error}");
}

#[test]
fn failure_reaches_every_caller() {
    let model = ModelSource::pack("opencv").unwrap().open(Role::Embedder, Ok).unwrap();
    let options = SessionOptions { threads: 2, label: model.name, ..SessionOptions::default() };
    // The model does not take rows of this shape.
    let model = BatchedModel::new(SessionPool::open(model.bytes, options).unwrap(), &[3, 50, 50], true);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| assert!(model.run(&[0.0; 3 * 50 * 50]).is_err()));
        }
    });
    assert_eq!(model.lock().running, 0);
}
