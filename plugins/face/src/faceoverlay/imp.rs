//! The body of `faceoverlay`: what is drawn for each face, and where.

#![expect(missing_docs, reason = "the accessors the macro makes are documented by the blurbs")]

use std::sync::{LazyLock, Mutex, PoisonError};
use std::time::Instant;

use gst::glib::{self, Properties};
use gst::prelude::*;
use gst::subclass::prelude::*;
use gst_base::subclass::prelude::*;
use gst_video::{VideoFrameRef, VideoInfo};

use super::canvas::{Area, Canvas, Rgb};
use super::{Blur, text};
use crate::frame::{self, FrameError};
use crate::meta::{self, Face};
use crate::stats::{self, Figures};

static CAT: LazyLock<gst::DebugCategory> = LazyLock::new(|| {
    gst::DebugCategory::new("faceoverlay", gst::DebugColorFlags::empty(), Some("Vedette face overlay"))
});

const KNOWN: Rgb = [46, 204, 113];
const STRANGER: Rgb = [231, 126, 34];
const UNDECIDED: Rgb = [236, 240, 241];
const TEXT: Rgb = [16, 16, 16];
/// Of a box, on both sides of its line.
const EDGE: Rgb = [0, 0, 0];
/// Squares across a face that is made unrecognisable: fewer than any recogniser needs.
const SQUARES: usize = 7;
/// How much of the surroundings goes with it, in terms of the box.
const BLUR_MARGIN: f32 = 0.15;
/// Letters for a share of the frame's height, where `font-size` is 0.
const AUTOMATIC_FONT: usize = 36;

#[derive(Clone, Copy, Debug)]
struct Settings {
    labels: bool,
    landmarks: bool,
    font_size: u32,
    blur: Blur,
}

impl Default for Settings {
    fn default() -> Self {
        Self { labels: true, landmarks: false, font_size: 0, blur: Blur::None }
    }
}

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
        // All blurring first: it must not smear what is drawn.
        for face in faces.iter().filter(|face| is_blurred(face, settings.blur)) {
            let rect = face.rect.grown(BLUR_MARGIN);
            if let Some(area) = canvas.area(rect.x, rect.y, rect.right(), rect.bottom()) {
                canvas.pixelate(area, SQUARES);
            }
        }
        for face in faces {
            draw_face(&mut canvas, face, settings);
        }
        self.figures.worked(faces.len());
        gst::trace!(CAT, imp = self, "drew {} faces", faces.len());
        Ok(())
    }
}

fn is_known(face: &Face) -> bool {
    face.identity.as_ref().is_some_and(|identity| identity.person_id.is_some())
}

fn is_blurred(face: &Face, blur: Blur) -> bool {
    match blur {
        Blur::None => false,
        Blur::Unknown => !is_known(face),
        Blur::All => true,
    }
}

fn draw_face(canvas: &mut Canvas<'_>, face: &Face, settings: Settings) {
    let rect = &face.rect;
    let Some(area) = canvas.area(rect.x, rect.y, rect.right(), rect.bottom()) else { return };
    let thickness = (canvas.height() / 240).max(2);
    let colour = match &face.identity {
        Some(_) if is_known(face) => KNOWN,
        Some(_) => STRANGER,
        None => UNDECIDED,
    };
    // Dark on both sides, so that the line is seen on whatever is behind it.
    let edge = thickness.div_ceil(3);
    let margin = edge as f32;
    let around = canvas.area(rect.x - margin, rect.y - margin, rect.right() + margin, rect.bottom() + margin);
    canvas.outline(around.unwrap_or(area), thickness + 2 * edge, EDGE);
    canvas.outline(area, thickness, colour);
    if settings.landmarks {
        let radius = thickness as f32;
        for point in face.landmarks.iter().flatten() {
            let dot = canvas.area(point.x - radius, point.y - radius, point.x + radius, point.y + radius);
            if let Some(dot) = dot {
                canvas.fill(dot, colour);
            }
        }
    }
    let label = match (&face.identity, face.track_id) {
        (Some(identity), _) => format!("{} {:.2}", identity.label, identity.confidence),
        (None, Some(id)) => format!("#{id}"),
        (None, None) => return,
    };
    if settings.labels {
        let font_size = match settings.font_size as usize {
            0 => (canvas.height() / AUTOMATIC_FONT).max(12),
            size => size,
        };
        draw_label(canvas, area, &label, font_size, colour);
    }
}

/// Writes above the box, or inside it where there is no room above.
fn draw_label(canvas: &mut Canvas<'_>, face: Area, label: &str, font_size: usize, colour: Rgb) {
    let mask = text::mask(label, font_size);
    let padding = (font_size / 8).max(1);
    let (width, height) = (mask.width + 2 * padding, mask.height + 2 * padding);
    let left = face.left.min(canvas.width().saturating_sub(width));
    let top = if face.top >= height { face.top - height } else { face.top };
    let background = canvas.area(left as f32, top as f32, (left + width) as f32, (top + height) as f32);
    if let Some(background) = background {
        canvas.fill(background, colour);
        canvas.paint(left + padding, top + padding, &mask, TEXT);
    }
}
