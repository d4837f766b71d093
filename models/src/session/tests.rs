//! How cores are dealt out, and how a pool behaves under many callers. These open real sessions: they need ONNX
//! Runtime and the default pack fetched.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::sync::Barrier;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use super::*;
use crate::files::ModelSource;
use crate::pack::Role;

fn detector(threads: usize) -> SessionPool {
    let model = ModelSource::pack("opencv").unwrap().open(Role::Detector, Ok).unwrap();
    let options = SessionOptions { threads, label: model.name, ..SessionOptions::default() };
    SessionPool::open(model.bytes, options).unwrap()
}

#[test]
fn small_models_get_a_session_for_each_core_and_large_ones_share() {
    let small = |cores| Layout::choose(100_000, 0, cores);
    assert_eq!(small(1), Layout { sessions: 1, threads: 1 });
    assert_eq!(small(4), Layout { sessions: 4, threads: 1 });
    assert_eq!(small(64), Layout { sessions: 8, threads: 1 });
    let large = |cores| Layout::choose(40_000_000, 0, cores);
    assert_eq!(large(1), Layout { sessions: 1, threads: 1 });
    assert_eq!(large(2), Layout { sessions: 1, threads: 1 });
    assert_eq!(large(6), Layout { sessions: 3, threads: 1 });
    assert_eq!(large(16), Layout { sessions: 4, threads: 2 });
    assert_eq!(large(64), Layout { sessions: 4, threads: 8 });
    assert_eq!(Layout::choose(100_000, 2, 8), Layout { sessions: 4, threads: 2 });
    assert_eq!(Layout::choose(100_000, 4, 2), Layout { sessions: 1, threads: 4 });
}

#[test]
fn devices_are_spelled_as_in_settings() {
    for device in [Device::Cpu, Device::Cuda, Device::TensorRt, Device::Auto] {
        assert_eq!(device.as_str().parse(), Ok(device));
    }
    assert!("gpu".parse::<Device>().unwrap_err().contains("cpu, cuda, tensorrt or auto"));
}

#[test]
fn an_inference_is_watched_until_it_comes_to_its_end() {
    let pool = detector(1);
    let overdue = || watched::overdue(Instant::now() + 2 * PATIENCE);
    let is_ours = |work: &watched::Work| Arc::ptr_eq(&work.what, &pool.work);
    let waited_for = |_: &mut Session| {
        // Those of other tests may be older, but come to their end.
        while !overdue().as_ref().is_some_and(is_ours) {
            std::thread::yield_now();
        }
        Ok(())
    };
    pool.run(waited_for).unwrap();
    assert!(!overdue().as_ref().is_some_and(is_ours));
}

#[test]
fn many_callers_share_few_sessions() {
    const CALLERS: usize = 12;
    let pool = detector(1);
    let (running, most) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let start = Barrier::new(CALLERS);
    std::thread::scope(|scope| {
        for _ in 0..CALLERS {
            scope.spawn(|| {
                start.wait();
                for _ in 0..10 {
                    pool.run(|_| {
                        let now = running.fetch_add(1, Ordering::SeqCst) + 1;
                        most.fetch_max(now, Ordering::SeqCst);
                        std::thread::yield_now();
                        running.fetch_sub(1, Ordering::SeqCst);
                        Ok(())
                    })
                    .unwrap();
                }
            });
        }
    });
    assert!(most.load(Ordering::SeqCst) <= pool.capacity());
    let state = pool.lock();
    assert_eq!(state.idle.len(), state.opened, "every session was given back");
    assert!(state.opened <= pool.capacity());
}

#[test]
fn session_survives_work_that_fails_or_panics() {
    let pool = detector(64);
    assert_eq!(pool.capacity(), 1);
    let panicked = std::panic::catch_unwind(AssertUnwindSafe(|| pool.run::<()>(|_| panic!("on purpose"))));
    assert!(panicked.is_err());
    let failure = || ModelError::InvalidModel { model: "x".into(), reason: "on purpose".into() };
    assert!(pool.run::<()>(|_| Err(failure())).is_err());
    assert_eq!(pool.run(|session| Ok(session.inputs().len())).unwrap(), 1);
}

#[test]
fn bytes_that_are_no_model_are_an_error() {
    for bytes in [&b""[..], b"nonsense", &[8; 1000]] {
        let options = SessionOptions { label: "broken".into(), ..SessionOptions::default() };
        let error = SessionPool::open(bytes.to_vec(), options).unwrap_err();
        assert!(matches!(error, ModelError::InvalidModel { .. }), "{error}");
        assert!(error.to_string().contains("`broken`"), "{error}");
    }
}

#[test]
fn a_card_that_is_not_there_is_named_with_a_way_out() {
    let model = ModelSource::pack("opencv").unwrap().open(Role::Detector, Ok).unwrap();
    for device in [Device::Cuda, Device::TensorRt] {
        let options = SessionOptions { device, label: model.name.clone(), threads: 0 };
        match SessionPool::open(model.bytes.clone(), options) {
            Ok(pool) => assert_eq!(pool.device(), device, "this machine has such a card"),
            Err(error) => {
                let message = error.to_string();
                assert!(matches!(error, ModelError::DeviceUnavailable { .. }), "{message}");
                assert!(
                    message.contains(device.as_str()) && message.contains("`cpu` or `auto`"),
                    "{message}"
                );
                eprintln!("{message}");
            }
        }
    }
}

#[test]
fn automatic_device_always_finds_one() {
    let model = ModelSource::pack("opencv").unwrap().open(Role::Detector, Ok).unwrap();
    let options = SessionOptions { device: Device::Auto, label: model.name, threads: 0 };
    let pool = SessionPool::open(model.bytes, options).unwrap();
    assert_ne!(pool.device(), Device::Auto);
}
