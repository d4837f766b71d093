//! Once a stream runs, no element allocates anything that grows with the frame. Counts what Rust code allocates; buffers
//! of decoders and networks are pooled by GStreamer and ONNX Runtime.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};

use common::{Running, gallery, still};
use gst::prelude::*;

/// The largest allocation since counting began.
static LARGEST_BYTES: AtomicUsize = AtomicUsize::new(0);
static COUNTS: AtomicBool = AtomicBool::new(false);

struct Counting;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

#[allow(unsafe_code, reason = "an allocator is unsafe by its interface; this one hands everything on")]
// SAFETY: every call goes to the system's allocator as it came.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        note(layout.size());
        // SAFETY: see above.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: see above.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        note(size);
        // SAFETY: see above.
        unsafe { System.realloc(pointer, layout, size) }
    }
}

fn note(bytes: usize) {
    if COUNTS.load(Relaxed) {
        LARGEST_BYTES.fetch_max(bytes, Relaxed);
    }
}

/// The largest allocation after the first frames of a stream of that size.
fn largest_allocation(width: u32, height: u32) -> usize {
    let folder = tempfile::tempdir().unwrap();
    let people = folder.path().join("gallery");
    gallery(&people, &[("Obama", &["obama2.jpg"])]);
    let launch = format!(
        "{} ! videoscale ! video/x-raw,format=I420,width={width},height={height} \
         ! facedetect name=detect motion-gate=true ! facetrack ! faceembed refresh-interval=100 name=embed \
         ! facematch gallery=file://{} ! eventsink name=sink uri=file://{}/events sync=false",
        still("obama.jpg", "I420", 60),
        people.display(),
        folder.path().display()
    );
    LARGEST_BYTES.store(0, Relaxed);
    let running = Running::start(&launch);
    let pad = running.element("sink").static_pad("sink").unwrap();
    let frames = AtomicUsize::new(0);
    pad.add_probe(gst::PadProbeType::BUFFER, move |_, _| {
        if frames.fetch_add(1, Relaxed) == 20 {
            COUNTS.store(true, Relaxed);
        }
        gst::PadProbeReturn::Ok
    });
    assert_eq!(common::error_of(&running.finish()), None);
    COUNTS.store(false, Relaxed);
    assert!(running.stats("embed").get::<u64>("embedded").unwrap() > 3);
    LARGEST_BYTES.load(Relaxed)
}

#[test]
fn nothing_that_is_allocated_for_a_frame_grows_with_it() {
    let (small, large) = (largest_allocation(640, 480), largest_allocation(1920, 1440));
    eprintln!("the largest allocation: {small} bytes at 640 × 480, {large} bytes at 1920 × 1440");
    assert!(large < small + small / 4 + 4096, "{small} {large}");
    assert!(large < 1920 * 1440 / 8, "{large}");
}
