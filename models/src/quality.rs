//! How much an embedding of this face would be worth: one score, and the figures it is made of. Cheap enough for
//! every face of every frame: five points, a box, and a grey picture of 96×96.
//!
//! Every figure is judged where the embedder will look, at the resolution it will look with. Each has a
//! range in which it does no harm and one in which the crop is of no use, both from what the thing means;
//! the score is the product of these verdicts, so that one bad property is enough, and what is still good about
//! a crop beyond "good enough" ranks the crops of a track.

mod pose;

use pose::Pose;

use crate::align::{CROP_SIDE, SimilarityTransform};
use crate::detect::DetectedFace;
use crate::geometry::{Point, Rect};
use crate::image::{ImageView, ScaleScratch, scale_luma};

/// The part of the aligned crop that is face and neither hair nor background, as a square about its middle.
const CORE_SIDE: u32 = 96;
const CORE_CENTRE: Point = Point::new(56.0, 66.0);
/// How far a pixel's neighbours reach when the picture is blurred once more to see what changes.
const REBLUR_REACH: usize = 2;

/// The figures of a face. [`Quality::default`] is the worst face there is.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Quality {
    /// Everything together, 0 to 1. From about 0.6 on an embedding can be relied upon.
    pub score: f32,
    /// How much fine detail there is at the embedder's resolution, 0 (blurred or far away) to 1.
    pub sharpness: f32,
    /// Turn of the head to the side, in degrees; positive where the nose points to the right of the picture.
    pub yaw: f32,
    /// Tilt of the head, in degrees; positive where the nose points down.
    pub pitch: f32,
    /// Rotation in the picture's plane, in degrees; positive clockwise.
    pub roll: f32,
    /// Mean brightness of the face, 0 (black) to 1 (white).
    pub brightness: f32,
    /// The shorter side of the face's box in frame pixels.
    pub size: f32,
    /// The part of the face that lies within the frame, 0 to 1.
    pub visible: f32,
    /// How sure the detector is of the face, 0 to 1.
    pub detector_score: f32,
}

/// What keeps a face from being better.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum QualityIssue {
    /// Too few pixels.
    Small,
    /// Out of focus, or moving.
    Blurred,
    /// Turned or tilted away.
    Turned,
    /// Too little light, or none of the face's shades left.
    Dark,
    /// Too much light.
    Bright,
    /// Cut off by the frame's edge.
    CutOff,
    /// The detector itself is in doubt: covered, or no face at all.
    Unclear,
}

impl QualityIssue {
    /// The issue as a sentence about a photo.
    pub fn message(self) -> &'static str {
        match self {
            Self::Small => "the face is too small, come closer or use a larger picture",
            Self::Blurred => "the face is blurred",
            Self::Turned => "the face is turned away from the camera",
            Self::Dark => "the face is too dark or has too little contrast",
            Self::Bright => "the face is overexposed",
            Self::CutOff => "the face is cut off by the edge of the picture",
            Self::Unclear => "the face cannot be made out clearly, it may be covered",
        }
    }
}

/// The verdict on each property, 1 where it does no harm, 0 where the crop is of no use.
struct Verdicts([(QualityIssue, f32); 7]);

/// What the grey picture of the face tells.
struct Appearance {
    brightness: f32,
    contrast: f32,
    /// The share of the brightness differences between neighbours that blurring once more takes away.
    detail: f32,
}

impl Quality {
    /// Judges a face of a picture.
    pub fn assess(view: &ImageView, face: &DetectedFace) -> Self {
        Self::assess_with_issue(view, face).0
    }

    /// Judges a face, and tells what speaks most against it; nothing where all is well.
    pub fn assess_with_issue(view: &ImageView, face: &DetectedFace) -> (Self, Option<QualityIssue>) {
        let size = face.rect.width.min(face.rect.height).max(0.0);
        let Some(to_crop) = SimilarityTransform::to_crop(&face.landmarks, CROP_SIDE) else {
            return (Self { size, ..Self::default() }, Some(QualityIssue::Unclear));
        };
        let pose = Pose::of(&face.landmarks, &to_crop);
        let appearance = Appearance::of(view, core_in_frame(&to_crop));
        let visible = visible_share(view, face, &to_crop);
        // How many frame pixels one pixel of the embedder's crop is made of.
        let resolution = 1.0 / to_crop.scale();
        let (dark, bright) = light_verdicts(&appearance);

        let verdicts = Verdicts([
            (QualityIssue::Small, ramp(resolution, 0.25, 0.6)),
            (QualityIssue::Blurred, ramp(appearance.detail, 0.12, 0.28)),
            (QualityIssue::Turned, pose.verdict()),
            (QualityIssue::Dark, dark),
            (QualityIssue::Bright, bright),
            (QualityIssue::CutOff, ramp(visible, 0.7, 0.97)),
            (QualityIssue::Unclear, 0.4 + 0.6 * ramp(face.score, 0.4, 0.7)),
        ]);
        let sharpness = ramp(appearance.detail, 0.1, 0.5);
        let merit = (sharpness + ramp(resolution, 0.4, 1.5) + pose.frontality()) / 3.0;
        let score = verdicts.product() * (0.7 + 0.3 * merit);
        let quality = Self {
            score,
            sharpness,
            yaw: pose.yaw,
            pitch: pose.pitch,
            roll: pose.roll,
            brightness: appearance.brightness,
            size,
            visible,
            detector_score: face.score,
        };
        (quality, verdicts.worst())
    }
}

impl Verdicts {
    fn product(&self) -> f32 {
        self.0.iter().map(|(_, verdict)| verdict).product()
    }

    fn worst(&self) -> Option<QualityIssue> {
        let worst = self.0.iter().min_by(|a, b| a.1.total_cmp(&b.1))?;
        (worst.1 < 1.0).then_some(worst.0)
    }
}

impl Appearance {
    fn of(view: &ImageView, core: Rect) -> Self {
        let mut grey = Vec::with_capacity((CORE_SIDE * CORE_SIDE) as usize);
        scale_luma(view, core, (CORE_SIDE, CORE_SIDE), &mut ScaleScratch::default(), &mut grey);
        let count = grey.len().max(1) as f32;
        let mean = grey.iter().sum::<f32>() / count;
        let variance = grey.iter().map(|value| (value - mean).powi(2)).sum::<f32>() / count;
        let side = CORE_SIDE as usize;
        let detail = detail(&grey, side, 1, side).min(detail(&grey, side, side, 1));
        Self { brightness: mean / 255.0, contrast: variance.sqrt() / 255.0, detail }
    }
}

/// How much detail there is along one axis (`step` from one pixel to the next, `line` from one line to the
/// next): a sharp picture loses much of its differences when it is blurred, a blurred one hardly any. Motion
/// blurs one axis only, so both are looked at.
fn detail(grey: &[f32], side: usize, step: usize, line: usize) -> f32 {
    let width = (2 * REBLUR_REACH + 1) as f32;
    let (mut before, mut lost) = (0.0_f32, 0.0_f32);
    for start in (0..side).map(|index| index * line) {
        let at = |index: usize| grey[start + index * step];
        for index in REBLUR_REACH + 1..side - REBLUR_REACH {
            let difference = (at(index) - at(index - 1)).abs();
            // Two neighbouring means over a window differ by the pixels that enter and leave it.
            let blurred = (at(index + REBLUR_REACH) - at(index - REBLUR_REACH - 1)).abs() / width;
            before += difference;
            lost += (difference - blurred).max(0.0);
        }
    }
    if before > 0.0 { lost / before } else { 0.0 }
}

/// Too little light, and too much. A face without shades says as little as a black or a white one, while dark
/// skin in ordinary light keeps its contrast.
fn light_verdicts(appearance: &Appearance) -> (f32, f32) {
    let shades = ramp(appearance.contrast, 0.03, 0.07);
    let dark = ramp(appearance.brightness, 0.06, 0.17);
    let bright = ramp(appearance.brightness, 0.98, 0.88);
    if bright < 1.0 { (dark, bright * shades) } else { (dark * shades, bright) }
}

/// The square of the frame that becomes the core of the aligned crop, upright however the head is rolled.
fn core_in_frame(to_crop: &SimilarityTransform) -> Rect {
    let (x, y) = to_crop.inverse().apply(f64::from(CORE_CENTRE.x), f64::from(CORE_CENTRE.y));
    let side = CORE_SIDE as f32 / to_crop.scale();
    Rect::from_centre(Point::new(x as f32, y as f32), side, side)
}

/// The share of the face within the frame: the lesser of what the box and what the core of the crop say, for a
/// detector may draw the box of a cut face around what it sees.
fn visible_share(view: &ImageView, face: &DetectedFace, to_crop: &SimilarityTransform) -> f32 {
    let share = |rect: Rect| {
        let area = rect.area();
        // Rounding can make the part a little larger than the whole.
        if area > 0.0 { (rect.clip_to(view.width(), view.height()).area() / area).min(1.0) } else { 0.0 }
    };
    // Boxes reach over chin and forehead by some hundredths, which lie outside a closely cut portrait.
    let inner_box = face.rect.grown(-0.05);
    share(inner_box).min(share(core_in_frame(to_crop).grown(-0.05)))
}

/// 0 at `none` and beyond, 1 at `full` and beyond, straight between; `none` may be the greater one.
fn ramp(value: f32, none: f32, full: f32) -> f32 {
    let share = (value - none) / (full - none);
    if share.is_nan() { 0.0 } else { share.clamp(0.0, 1.0) }
}

#[cfg(test)]
mod tests;
