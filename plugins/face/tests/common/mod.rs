//! What the element tests share: pipelines that run to their end, decoded photos, galleries made of them, frames
//! with faces already on them, and a small HTTP server.
#![allow(dead_code, unreachable_pub, reason = "each test program uses its own part of this")]

pub mod feed;
pub mod server;

use std::path::{Path, PathBuf};
use std::sync::Once;

use gst::prelude::*;
use gstvedette::meta::{self, Face};
use vedette_events::{FaceEvent, GalleryPerson, GallerySnapshot, encode_vector};

/// Longer than anything here takes on a slow machine.
pub const PATIENCE: gst::ClockTime = gst::ClockTime::from_seconds(120);

/// GStreamer with the elements under test. A warning of GLib or GStreamer ends the program.
pub fn init() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        gst::init().unwrap();
        gstvedette::plugin_register_static().unwrap();
        let fatal = gst::glib::LogLevels::LEVEL_ERROR
            | gst::glib::LogLevels::LEVEL_CRITICAL
            | gst::glib::LogLevels::LEVEL_WARNING;
        gst::glib::log_set_always_fatal(fatal);
    });
}

/// A photo of the checkout.
pub fn photo(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/media").join(name)
}

/// Launch text for a photo as a still video of `frames` frames, ten a second, in the given format.
pub fn still(name: &str, format: &str, frames: u32) -> String {
    let path = photo(name);
    format!(
        "filesrc location={} ! jpegdec ! videoconvert ! video/x-raw,format={format} ! imagefreeze num-buffers={frames} \
         ! video/x-raw,framerate=10/1",
        path.display()
    )
}

/// A pipeline that plays.
pub struct Running {
    pub pipeline: gst::Pipeline,
    pub bus: gst::Bus,
}

impl Running {
    pub fn start(launch: &str) -> Self {
        init();
        let pipeline = gst::parse::launch(launch).unwrap_or_else(|error| panic!("{launch}: {error}"));
        let pipeline = pipeline.downcast::<gst::Pipeline>().unwrap();
        Self::play(pipeline)
    }

    pub fn play(pipeline: gst::Pipeline) -> Self {
        let bus = pipeline.bus().unwrap();
        // A failure is told on the bus.
        let _ = pipeline.set_state(gst::State::Playing);
        Self { pipeline, bus }
    }

    pub fn element(&self, name: &str) -> gst::Element {
        self.pipeline.by_name(name).unwrap()
    }

    /// Messages up to the end of the stream or an error, these included.
    pub fn finish(&self) -> Vec<gst::Message> {
        let mut messages = Vec::new();
        loop {
            let message = self.bus.timed_pop(PATIENCE).expect("the pipeline neither ends nor fails");
            let last = matches!(message.view(), gst::MessageView::Eos(_) | gst::MessageView::Error(_));
            messages.push(message);
            if last {
                return messages;
            }
        }
    }

    pub fn stats(&self, name: &str) -> gst::Structure {
        self.element(name).property("stats")
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.pipeline.set_state(gst::State::Null);
    }
}

/// Runs a pipeline to its end; an error is a failure of the test.
pub fn run(launch: &str) -> Vec<gst::Message> {
    let messages = Running::start(launch).finish();
    if let Some(error) = error_of(&messages) {
        panic!("{launch}: {error}");
    }
    messages
}

/// Runs a pipeline that must fail, and says how it did.
pub fn failure(launch: &str) -> String {
    let messages = Running::start(launch).finish();
    error_of(&messages).unwrap_or_else(|| panic!("{launch} does not fail"))
}

pub fn error_of(messages: &[gst::Message]) -> Option<String> {
    messages.iter().find_map(|message| match message.view() {
        gst::MessageView::Error(error) => Some(error.error().to_string()),
        _ => None,
    })
}

pub fn warnings(messages: &[gst::Message]) -> Vec<String> {
    let warning = |message: &gst::Message| match message.view() {
        gst::MessageView::Warning(warning) => Some(warning.error().to_string()),
        _ => None,
    };
    messages.iter().filter_map(warning).collect()
}

/// The events on the bus.
pub fn events(messages: &[gst::Message]) -> Vec<FaceEvent> {
    let event = |message: &gst::Message| match message.view() {
        gst::MessageView::Element(element) => element
            .structure()
            .filter(|structure| structure.name() == "vedette-face-event")
            .map(|structure| serde_json::from_str(structure.get::<&str>("event").unwrap()).unwrap()),
        _ => None,
    };
    messages.iter().filter_map(event).collect()
}

/// The faces on every frame that reaches the end of `launch`.
pub fn frames(launch: &str) -> Vec<Vec<Face>> {
    samples(launch).iter().map(|sample| meta::faces(sample.buffer().unwrap())).collect()
}

/// Every frame that reaches the end of `launch`.
pub fn samples(launch: &str) -> Vec<gst::Sample> {
    let running = Running::start(&format!("{launch} ! appsink name=out sync=false"));
    let sink = running.element("out").downcast::<gst_app::AppSink>().unwrap();
    let samples = std::iter::from_fn(|| sink.pull_sample().ok()).collect();
    if let Some(error) = error_of(&running.finish()) {
        panic!("{launch}: {error}");
    }
    samples
}

/// The embedding that a pack makes of the largest face of a photo.
pub fn embedding(name: &str, pack: &str) -> meta::Embedding {
    let chain = format!("facedetect max-faces=1 ! faceembed quality-threshold=0 pack={pack}");
    let frames = frames(&format!("{} ! {chain}", still(name, "RGB", 1)));
    frames[0][0].embedding.clone().unwrap_or_else(|| panic!("no face in {name}"))
}

/// Writes a gallery of the people on photos.
pub fn gallery(path: &Path, people: &[(&str, &[&str])]) {
    write_gallery(path, &gallery_of("opencv", 128, people));
}

/// A gallery of the people on photos, made with a pack whose embeddings have so many numbers.
pub fn gallery_of(pack: &str, dimension: usize, people: &[(&str, &[&str])]) -> GallerySnapshot {
    let person = |(name, photos): &(&str, &[&str])| GalleryPerson {
        id: format!("id-{name}"),
        name: (*name).to_owned(),
        templates: photos.iter().map(|photo| encode_vector(&embedding(photo, pack).vector)).collect(),
    };
    GallerySnapshot { pack: pack.into(), dimension, persons: people.iter().map(person).collect() }
}

pub fn write_gallery(path: &Path, snapshot: &GallerySnapshot) {
    std::fs::write(path, serde_json::to_vec(snapshot).unwrap()).unwrap();
}
