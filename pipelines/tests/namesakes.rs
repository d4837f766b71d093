//! Elements of other plugins that bear the names of ours.
//!
//! This program has one test only: it fills the registry of its process before Vedette's elements enter it.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use gst::prelude::*;
use vedette_pipelines::elements;

/// The plugin whose element stands behind `facedetect` now; empty if it is one of no plugin's.
fn owner() -> Option<String> {
    let factory = gst::ElementFactory::find("facedetect")?;
    Some(factory.plugin_name().map(String::from).unwrap_or_default())
}

#[test]
fn ours_are_found_whoever_came_first() {
    gst::init().unwrap();
    if gst::Registry::get().find_plugin("opencv").is_none() {
        eprintln!("gstreamer1.0-opencv is not installed; its facedetect is played by another element");
    }
    if owner().is_none_or(|plugin| plugin == "vedette") {
        let other = gst::ElementFactory::find("identity").unwrap().load().unwrap();
        let other_type = other.downcast::<gst::ElementFactory>().unwrap().element_type();
        gst::Element::register(None, "facedetect", gst::Rank::PRIMARY, other_type).unwrap();
    }
    assert_ne!(owner().as_deref(), Some("vedette"), "the namesake is in the way");

    elements::init().unwrap();

    assert_eq!(owner().as_deref(), Some("vedette"));
    let pipeline = gst::parse::launch("facedetect name=detect ! fakesink").unwrap();
    let detect = pipeline.downcast::<gst::Pipeline>().unwrap().by_name("detect").unwrap();
    assert!(detect.has_property("inference-interval"), "the parser makes ours");
    elements::init().unwrap();
}
