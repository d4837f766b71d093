//! What one camera may ask of a host it shares with others, whatever it sends.
//!
//! - Pictures have at most [`MOST_PIXELS`]. Larger ones are refused before they are decoded, where the stream says how large
//!   they are, and in any case before anything is done with them.
//! - Decoded pictures of a live camera wait in two places only, two in each: in the queue of the launch template, and in
//!   `facedetect`. What it sends beyond that is dropped, so no number of frames a second takes the host. A recording has
//!   64 MB of them waiting, for which its decoder waits.
//! - Undecoded ones wait within the limits of GStreamer's `decodebin`, 2 MB, and of `rtspsrc`, 100 ms.
//! - The detector looks at frames in the order in which they came, and none but those two wait for it: each camera gets
//!   its turn.
//! - Nothing of it may hang for long ([`crate::camera::Patience`], [`gstvedette::watched`]), or take the worker down twice
//!   within a minute ([`crate::crashes`]).

use std::sync::atomic::{AtomicBool, Ordering};

use gst::glib;
use gst::prelude::*;

/// 8K, 7680x4320, with room for fisheyes: 60 MB a picture, of which a camera holds up to a dozen.
const MOST_PIXELS: u64 = 40_000_000;

/// What a refusal is posted as: nothing but a sink has no space left otherwise, and no pipeline here has one that does.
const REFUSAL: gst::ResourceError = gst::ResourceError::NoSpaceLeft;

/// Refuses what is beyond the limits, by an error on the pipeline's bus.
pub(crate) fn guard(pipeline: &gst::Pipeline) {
    pipeline.connect_deep_element_added(|pipeline, _, element| {
        let is_decoder =
            element.factory().is_some_and(|factory| factory.has_type(gst::ElementFactoryType::DECODER));
        if let Some(pad) = element.static_pad("sink").filter(|_| is_decoder) {
            refuse_large_pictures(&pad, pipeline.upcast_ref());
        }
    });
    // Not every stream says before it is decoded how large its pictures are.
    for element in ["convert", "queue"].iter().filter_map(|name| pipeline.by_name(name)) {
        if let Some(pad) = element.static_pad("sink") {
            refuse_large_pictures(&pad, pipeline.upcast_ref());
        }
    }
}

/// Whether an error says that something was beyond the limits.
pub(crate) fn is_refusal(error: &glib::Error) -> bool {
    error.matches(REFUSAL)
}

fn refuse_large_pictures(pad: &gst::Pad, pipeline: &gst::Element) {
    let pipeline = pipeline.downgrade();
    let is_refused = AtomicBool::new(false);
    let types = gst::PadProbeType::BUFFER | gst::PadProbeType::EVENT_DOWNSTREAM;
    pad.add_probe(types, move |_, info| {
        if let Some(gst::EventView::Caps(caps)) = info.event().map(|event| event.view()) {
            let refusal = size(caps.caps()).and_then(refusal);
            is_refused.store(refusal.is_some(), Ordering::Release);
            if let Some(refusal) = refusal {
                post(pipeline.upgrade(), &refusal);
                // The decoder does not hear of it, and makes no room.
                return gst::PadProbeReturn::Handled;
            }
        }
        if info.buffer().is_some() && is_refused.load(Ordering::Acquire) {
            info.flow_res = Err(gst::FlowError::Error);
            return gst::PadProbeReturn::Handled;
        }
        gst::PadProbeReturn::Ok
    });
}

/// Straight to the bus: `decodebin` would take an error of one of its own as a reason to try another decoder.
fn post(pipeline: Option<gst::Element>, refusal: &str) {
    let Some(pipeline) = pipeline else { return };
    let message = gst::message::Error::builder(REFUSAL, refusal).src(&pipeline).build();
    // A bus that takes nothing belongs to a pipeline that has stopped.
    let _ = pipeline.bus().map(|bus| bus.post(message));
}

fn refusal((width, height): (u32, u32)) -> Option<String> {
    let is_too_large = u64::from(width) * u64::from(height) > MOST_PIXELS;
    let most = MOST_PIXELS / 1_000_000;
    is_too_large.then(|| {
        format!("has pictures of {width}x{height}, more than the {most} megapixels a camera may have: set it to less")
    })
}

/// Width and height, if caps say so.
pub(crate) fn size(caps: &gst::CapsRef) -> Option<(u32, u32)> {
    let structure = caps.structure(0)?;
    let side = |name| u32::try_from(structure.get::<i32>(name).ok()?).ok();
    Some((side("width")?, side("height")?))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn cameras_of_8k_are_taken_and_larger_ones_are_told_why_not() {
        assert_eq!(refusal((7680, 4320)), None);
        let text = refusal((16384, 16384)).unwrap();
        assert!(text.contains("16384x16384") && text.contains("40 megapixels"), "{text}");
        assert!(refusal((u32::MAX, u32::MAX)).is_some());
    }
}
