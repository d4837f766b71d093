//! The body of `faceoverlay`.

#![expect(missing_docs, reason = "the accessors the macro makes are documented by the blurbs")]

use std::sync::{LazyLock, Mutex, PoisonError};
use std::time::Instant;

use gst::glib::{self, Properties};
use gst::prelude::*;
use gst::subclass::prelude::*;
use gst_base::subclass::prelude::*;
use gst_video::{VideoFrameRef, VideoInfo};

use super::Blur;
use super::canvas::Canvas;
use super::drawing::{self, Settings};
use crate::frame::{self, FrameError};
use crate::meta::{self, Face};
use crate::stats::{self, Figures};

static CAT: LazyLock<gst::DebugCategory> = LazyLock::new(|| {
    gst::DebugCategory::new("faceoverlay", gst::DebugColorFlags::empty(), Some("Vedette face overlay"))
});

/// The element's private part.
#[derive(Default, Properties)]
#[properties(wrapper_type = super::FaceOverlay)]
pub struct FaceOverlay {
    #[property(
        name = "labels", get, set, type = bool, member = labels, default = true, mutable_playing,
        nick = "Labels", blurb = "Whether the name or `unknown` with the similarity, or the track's number is written on each face's box"
    )]
    #[property(
        name = "landmarks", get, set, type = bool, member = landmarks, default = false, mutable_playing,
        nick = "Landmarks", blurb = "Whether eyes, nose and corners of the mouth are marked"
    )]
    #[property(
        name = "font-size", get, set, type = u32, member = font_size, default = 0, maximum = 200, mutable_playing,
        nick = "Font size", blurb = "Height of letters in pixels; 0 = a thirty-sixth of the frame's height, at least 12"
    )]
    #[property(
        name = "blur", get, set, type = Blur, member = blur, default, mutable_playing,
        nick = "Blur", blurb = "Whose faces are made unrecognisable"
    )]
    settings: Mutex<Settings>,
    info: Mutex<Option<VideoInfo>>,
    figures: Figures,
}

#[glib::object_subclass]
impl ObjectSubclass for FaceOverlay {
    const NAME: &'static str = "GstVedetteFaceOverlay";
    type Type = super::FaceOverlay;
    type ParentType = gst_base::BaseTransform;
}

impl ObjectImpl for FaceOverlay {
    fn properties() -> &'static [glib::ParamSpec] {
        static PROPERTIES: LazyLock<Vec<glib::ParamSpec>> =
            LazyLock::new(|| stats::with_stats(FaceOverlay::derived_properties()));
        &PROPERTIES
    }

    fn set_property(&self, id: usize, value: &glib::Value, pspec: &glib::ParamSpec) {
        self.derived_set_property(id, value, pspec);
    }

    fn property(&self, id: usize, pspec: &glib::ParamSpec) -> glib::Value {
        if pspec.name() == stats::PROPERTY {
            return self.figures.to_structure("faceoverlay", "drawn").to_value();
        }
        self.derived_property(id, pspec)
    }
}

impl GstObjectImpl for FaceOverlay {}

impl ElementImpl for FaceOverlay {
    fn metadata() -> Option<&'static gst::subclass::ElementMetadata> {
        static METADATA: LazyLock<gst::subclass::ElementMetadata> = LazyLock::new(|| {
            gst::subclass::ElementMetadata::new(
                "Vedette face overlay",
                "Filter/Effect/Video",
                "Draws boxes and names onto faces, or makes faces unrecognisable",
                env!("CARGO_PKG_AUTHORS"),
            )
        });
        Some(&METADATA)
    }

    fn pad_templates() -> &'static [gst::PadTemplate] {
        static TEMPLATES: LazyLock<Vec<gst::PadTemplate>> = LazyLock::new(frame::filter_pad_templates);
        &TEMPLATES
    }
}

impl BaseTransformImpl for FaceOverlay {
    const MODE: gst_base::subclass::BaseTransformMode = gst_base::subclass::BaseTransformMode::AlwaysInPlace;
    const PASSTHROUGH_ON_SAME_CAPS: bool = false;
    const TRANSFORM_IP_ON_PASSTHROUGH: bool = false;

    fn start(&self) -> Result<(), gst::ErrorMessage> {
        self.figures.reset();
        Ok(())
    }

    fn set_caps(&self, caps: &gst::Caps, _: &gst::Caps) -> Result<(), gst::LoggableError> {
        *self.info.lock().unwrap_or_else(PoisonError::into_inner) = Some(frame::info_of(caps)?);
        Ok(())
    }

    fn propose_allocation(
        &self,
        _: Option<&gst::query::Allocation>,
        query: &mut gst::query::Allocation,
    ) -> Result<(), gst::LoggableError> {
        // What comes after sees the same buffers: it decides.
        self.parent_propose_allocation(None, query)
    }

    fn transform_ip(&self, buffer: &mut gst::BufferRef) -> Result<gst::FlowSuccess, gst::FlowError> {
        let begun = Instant::now();
        let faces = meta::faces(buffer);
        if let Err(error) = self.draw(buffer, &faces) {
            self.figures.dropped();
            gst::element_imp_warning!(self, gst::StreamError::Format, ("nothing is drawn: {error}"));
        }
        self.figures.frame(faces.len(), begun);
        Ok(gst::FlowSuccess::Ok)
    }
}

impl FaceOverlay {
    fn draw(&self, buffer: &mut gst::BufferRef, faces: &[Face]) -> Result<(), FrameError> {
        if faces.is_empty() {
            return Ok(());
        }
        let settings = *self.settings.lock().unwrap_or_else(PoisonError::into_inner);
        let info = self.info.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let info = info.ok_or(FrameError::NoFormat)?;
        let mut frame =
            VideoFrameRef::from_buffer_ref_writable(buffer, &info).map_err(|_| FrameError::Map)?;
        let mut canvas = Canvas::new(&mut frame);
        drawing::draw(&mut canvas, faces, settings);
        self.figures.worked(faces.len());
        gst::trace!(CAT, imp = self, "drew {} faces", faces.len());
        Ok(())
    }
}
