//! What is drawn for each face, and where: by the element on frames, by [`crate::still`] on pictures of them.

use super::canvas::{Area, Canvas, Rgb};
use super::{Blur, text};
use crate::meta::Face;

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

/// What is drawn.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Settings {
    pub(super) labels: bool,
    pub(super) landmarks: bool,
    pub(super) font_size: u32,
    pub(super) blur: Blur,
}

impl Default for Settings {
    fn default() -> Self {
        Self { labels: true, landmarks: false, font_size: 0, blur: Blur::None }
    }
}

/// Draws `faces`, whose boxes are in pixels of the canvas.
pub(crate) fn draw(canvas: &mut Canvas<'_>, faces: &[Face], settings: Settings) {
    // All blurring first: it must not smear what is drawn.
    for face in faces.iter().filter(|face| is_blurred(face, settings.blur)) {
        let rect = face.rect.grown(BLUR_MARGIN);
        if let Some(area) = canvas.area(rect.x, rect.y, rect.right(), rect.bottom()) {
            canvas.pixelate(area, SQUARES);
        }
    }
    for face in faces {
        draw_face(canvas, face, settings);
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
