//! Frames with faces already on them, pushed by hand: tests of what comes after detection need no models.

use std::time::Duration;

use gst::prelude::*;
use gstvedette::meta::{self, FrameInfo, Identity, QualityFigures, TrackId};
use vedette_models::geometry::Rect;

use super::Running;

pub const SIZE: (u32, u32) = (320, 240);

/// A face to put on a frame.
#[derive(Clone)]
pub struct Seen {
    pub track_id: u64,
    /// A name, `unknown`, or nothing.
    pub who: Option<&'static str>,
    pub quality: f64,
    pub rect: Rect,
}

impl Seen {
    pub fn new(track_id: u64, who: Option<&'static str>) -> Self {
        Self { track_id, who, quality: 0.8, rect: Rect::new(100.0, 60.0, 80.0, 100.0) }
    }
}

/// A pipeline `appsrc ! …` that plays.
pub struct Feed {
    pub running: Running,
    source: gst_app::AppSrc,
}

impl Feed {
    pub fn start(rest: &str) -> Self {
        let (width, height) = SIZE;
        let launch = format!(
            "appsrc name=in format=time caps=video/x-raw,format=RGB,width={width},height={height},framerate=25/1 \
             ! {rest}"
        );
        let running = Running::start(&launch);
        let source = running.element("in").downcast::<gst_app::AppSrc>().unwrap();
        Self { running, source }
    }

    /// A grey frame at that time, with faces, and tracks that ended.
    pub fn push(&self, ms: u64, faces: &[Seen], ended: &[u64]) {
        let mut buffer = gst::Buffer::from_mut_slice(vec![128_u8; (SIZE.0 * SIZE.1 * 3) as usize]);
        let content = buffer.get_mut().unwrap();
        content.set_pts(gst::ClockTime::from_mseconds(ms));
        for face in faces {
            let detection = meta::Detection::new(&face.rect, SIZE, 0.9, "test");
            let quality = QualityFigures { score: face.quality, ..QualityFigures::default() };
            let mut params = vec![(&detection).into(), (&TrackId(face.track_id)).into(), (&quality).into()];
            if let Some(who) = face.who {
                params.push((&identity(who)).into());
            }
            meta::add_face(content, SIZE, &face.rect, params);
        }
        FrameInfo { inferred: true, tracked: true, ended: ended.to_vec(), ..FrameInfo::default() }
            .write(content);
        self.source.push_buffer(buffer).unwrap();
    }

    pub fn end(&self) -> Vec<gst::Message> {
        self.source.end_of_stream().unwrap();
        self.running.finish()
    }

    /// Waits for a warning that contains `text`.
    pub fn await_warning(&self, text: &str) {
        loop {
            let types = [gst::MessageType::Warning, gst::MessageType::Error];
            let message = self.running.bus.timed_pop_filtered(Some(super::PATIENCE), &types);
            match message.expect("no warning").view() {
                gst::MessageView::Warning(warning) if warning.error().to_string().contains(text) => return,
                gst::MessageView::Error(error) => panic!("{}", error.error()),
                _ => (),
            }
        }
    }
}

pub fn identity(who: &str) -> Identity {
    let is_known = who != meta::params::UNKNOWN;
    Identity {
        label: who.into(),
        label_id: if is_known { 0 } else { -1 },
        person_id: is_known.then(|| format!("id-{who}")),
        confidence: 0.7,
        margin: 0.3,
        model_name: "test".into(),
    }
}

/// As long as a condition is awaited that no event announces.
pub fn until(what: &str, mut holds: impl FnMut() -> bool) {
    for _ in 0..3000 {
        if holds() {
            return;
        }
        std::thread::park_timeout(Duration::from_millis(20));
    }
    panic!("{what} does not come");
}
