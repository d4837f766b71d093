//! Clips of a portrait or of test pictures, encoded on the spot.

use std::path::{Path, PathBuf};

use gst::prelude::*;

const PORTRAIT: &str = "filesrc name=photo ! jpegdec ! imagefreeze";
const SCALED: &str = "videoconvert ! videoscale add-borders=true \
                      ! video/x-raw,format=I420,width=640,height=480,framerate=25/1,pixel-aspect-ratio=1/1";

/// A clip to be made.
pub struct Clip {
    /// Launch text up to the pictures.
    pictures: String,
}

impl Clip {
    /// Test pictures, `frames` of them at 25 a second.
    pub fn of_test_pictures(frames: u32) -> Self {
        Self { pictures: format!("videotestsrc num-buffers={frames} ! {SCALED}") }
    }

    /// One person who looks at the camera all the time.
    pub fn of_a_portrait(frames: u32) -> Self {
        Self { pictures: format!("{PORTRAIT} num-buffers={frames} ! {SCALED}") }
    }

    /// Somebody who comes into view so many times, two seconds each, and is gone for three in between.
    pub fn of_visits(visits: u32) -> Self {
        let visit = format!(
            "videotestsrc pattern=black num-buffers=75 ! {SCALED} ! visits. {} num-buffers=50 ! {SCALED} ! visits. ",
            PORTRAIT.replace(" name=photo", &format!(" location={}", portrait().display()))
        );
        Self { pictures: format!("{} concat name=visits", visit.repeat(visits as usize)) }
    }

    /// Of that width and height.
    pub fn of_size(self, width: u32, height: u32) -> Self {
        let size = format!("width={width},height={height}");
        Self { pictures: self.pictures.replace("width=640,height=480", &size) }
    }

    /// Writes it as MP4, with its index first so that it still plays when it is cut off.
    pub fn write(&self, path: &Path) -> PathBuf {
        gst::init().unwrap();
        let description = format!(
            "{} ! x264enc speed-preset=ultrafast key-int-max=25 ! mp4mux faststart=true ! filesink name=out",
            self.pictures
        );
        let pipeline = gst::parse::launch(&description).unwrap().downcast::<gst::Pipeline>().unwrap();
        pipeline.by_name("out").unwrap().set_property("location", path.display().to_string());
        if let Some(photo) = pipeline.by_name("photo") {
            photo.set_property("location", portrait().display().to_string());
        }
        pipeline.set_state(gst::State::Playing).unwrap();
        let types = [gst::MessageType::Eos, gst::MessageType::Error];
        let message = pipeline.bus().unwrap().timed_pop_filtered(gst::ClockTime::from_seconds(60), &types);
        pipeline.set_state(gst::State::Null).unwrap();
        match message.as_ref().map(|message| message.view()) {
            Some(gst::MessageView::Eos(_)) => path.to_owned(),
            other => panic!("the clip was not made: {other:?}"),
        }
    }
}

fn portrait() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/media/obama.jpg")
}

/// Cuts a file off after this share of its bytes.
pub fn cut_off(path: &Path, share: f64) {
    let file = std::fs::OpenOptions::new().write(true).open(path).unwrap();
    let length = file.metadata().unwrap().len();
    file.set_len((length as f64 * share) as u64).unwrap();
}
