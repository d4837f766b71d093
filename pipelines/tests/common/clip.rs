//! Clips of a portrait or of test pictures, encoded on the spot.

use std::path::{Path, PathBuf};

use gst::prelude::*;

/// A clip to be made.
pub struct Clip {
    frames: u32,
    picture: &'static str,
    size: (u32, u32),
}

impl Clip {
    /// Test pictures, `frames` of them at 25 a second.
    pub fn of_test_pictures(frames: u32) -> Self {
        Self { frames, picture: "videotestsrc", size: (640, 480) }
    }

    /// One person who looks at the camera all the time.
    pub fn of_a_portrait(frames: u32) -> Self {
        Self { frames, picture: "filesrc name=photo ! jpegdec ! imagefreeze", size: (640, 480) }
    }

    /// Of that width and height.
    pub fn of_size(self, width: u32, height: u32) -> Self {
        Self { size: (width, height), ..self }
    }

    /// Writes it as MP4, with its index first so that it still plays when it is cut off.
    pub fn write(&self, path: &Path) -> PathBuf {
        gst::init().unwrap();
        let description = format!(
            "{} num-buffers={} ! videoconvert ! videoscale add-borders=true \
             ! video/x-raw,format=I420,width={},height={},framerate=25/1,pixel-aspect-ratio=1/1 \
             ! x264enc speed-preset=ultrafast key-int-max=25 ! mp4mux faststart=true ! filesink name=out",
            self.picture, self.frames, self.size.0, self.size.1
        );
        let pipeline = gst::parse::launch(&description).unwrap().downcast::<gst::Pipeline>().unwrap();
        pipeline.by_name("out").unwrap().set_property("location", path.display().to_string());
        if let Some(photo) = pipeline.by_name("photo") {
            let portrait = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/media/obama.jpg");
            photo.set_property("location", portrait.display().to_string());
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

/// Cuts a file off after this share of its bytes.
pub fn cut_off(path: &Path, share: f64) {
    let file = std::fs::OpenOptions::new().write(true).open(path).unwrap();
    let length = file.metadata().unwrap().len();
    file.set_len((length as f64 * share) as u64).unwrap();
}
