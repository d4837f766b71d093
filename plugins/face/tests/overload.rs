//! `facedetect` when what comes after it cannot keep up.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use common::Running;
use gst::prelude::*;

/// Every change of a stream takes windows of a second; some fail on a busy machine before they succeed.
const LONG: Duration = Duration::from_secs(120);

/// A live stream whose frames take so long behind the detector, and the interval in force at each.
fn live(detector: &str, each_takes_us: u32) -> (Running, Receiver<u32>) {
    let running = Running::start(&format!(
        "videotestsrc is-live=true ! video/x-raw,width=320,height=240,framerate=30/1 \
         ! queue leaky=downstream max-size-buffers=2 ! facedetect name=detect {detector} \
         ! identity name=slow sleep-time={each_takes_us} ! fakesink name=out signal-handoffs=true sync=false"
    ));
    let (tell, intervals) = channel();
    let detect = running.element("detect");
    running.element("out").connect("handoff", false, move |_| {
        let stats = detect.property::<gst::Structure>("stats");
        // The test may have seen enough.
        let _ = tell.send(stats.get::<u32>("inference-interval").unwrap());
        None
    });
    (running, intervals)
}

fn wait_for(intervals: &Receiver<u32>, wanted: u32) -> Vec<u32> {
    let mut seen = Vec::new();
    while seen.last() != Some(&wanted) {
        seen.push(intervals.recv_timeout(LONG).unwrap_or_else(|_| panic!("never {wanted}: {seen:?}")));
    }
    seen
}

#[test]
fn a_live_stream_is_looked_at_less_often_while_it_is_too_much() {
    let (running, intervals) = live("max-inference-interval=3", 100_000);
    let seen = wait_for(&intervals, 3);
    assert!(seen.is_sorted() && seen[0] == 1, "{seen:?}");
    running.element("slow").set_property("sleep-time", 0_u32);
    wait_for(&intervals, 1);
}

#[test]
fn it_is_not_if_that_is_not_allowed() {
    let (_running, intervals) = live("inference-interval=2 max-inference-interval=1", 100_000);
    // Some four seconds.
    let seen: Vec<u32> = intervals.iter().take(40).collect();
    assert!(seen.iter().all(|interval| *interval == 2), "{seen:?}");
}

#[test]
fn a_recording_is_always_looked_at_as_asked_for() {
    let launch = "videotestsrc num-buffers=60 ! video/x-raw,width=320,height=240,framerate=30/1 ! facedetect name=detect \
                  ! identity sleep-time=50000 ! fakesink sync=false";
    let running = Running::start(launch);
    assert_eq!(common::error_of(&running.finish()), None);
    assert_eq!(running.stats("detect").get::<u64>("inferences").unwrap(), 60);
}
