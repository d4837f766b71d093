//! Finding faces: the detector scales a frame into its input, runs its network, and maps what the decoders
//! ([`yunet`], [`scrfd`]) read back to frame pixels.

mod letterbox;
pub mod nms;
mod outputs;
mod reach;
mod scrfd;
mod yunet;

use std::ops::Range;
use std::time::{Duration, Instant};

use letterbox::Letterbox;
use ort::session::Session;
use ort::value::TensorRef;

use crate::error::ModelError;
use crate::files::{LoadedModel, ModelSource};
use crate::geometry::{Landmarks, Point, Polygon, Rect};
use crate::image::{ImageView, Sampling, ScaleScratch, TensorLayout, fill_tensor};
use crate::pack::{DetectorArchitecture, Role};
use crate::session::{Device, SessionOptions, SessionPool};

/// Distances between the cells of the three grids both networks predict on.
const STRIDES: [u32; 3] = [8, 16, 32];
/// The longest side of the input when nobody says otherwise.
pub const DEFAULT_INPUT_SIZE: u32 = 640;
/// Thresholds for models named by their path, of which no pack knows better ones.
const DEFAULT_THRESHOLD: f32 = 0.5;
const DEFAULT_NMS_THRESHOLD: f32 = 0.4;

/// A face in a frame.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct DetectedFace {
    /// Its box in frame pixels; it may reach beyond the frame's edges.
    pub rect: Rect,
    /// Its five points in frame pixels.
    pub landmarks: Landmarks,
    /// How sure the detector is, 0 to 1.
    pub score: f32,
}

/// What to look for.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct DetectorOptions {
    /// The least score; nothing takes the pack's.
    pub threshold: Option<f32>,
    /// From which share of the threshold on something may be a face: what scores less than the threshold is told by
    /// [`DetectScratch::unsure`]. 1 tells of nothing.
    pub unsure_share: f32,
    /// The overlap (IoU) above which two boxes are one face; nothing takes the pack's.
    pub nms_threshold: Option<f32>,
    /// The longest side of the picture the network sees, in pixels (small pictures are at most doubled). A
    /// model with a fixed input ignores it.
    pub input_size: u32,
    /// Faces whose box has a side shorter than this, in frame pixels, are left out.
    pub min_face_size: u32,
    /// No more faces than this, the largest; 0 gives all.
    pub max_faces: usize,
    /// The part of the picture to look at, in its pixels; nothing looks at all of it. `input_size` is then the longest
    /// side of this part.
    pub window: Option<Rect>,
    /// Whether faces that are small in the network's input are looked at once more, larger, for the sake of their
    /// landmarks: an embedding is only as good as its alignment. A model with a fixed input does not do it.
    pub refine_landmarks: bool,
}

impl Default for DetectorOptions {
    fn default() -> Self {
        Self {
            threshold: None,
            unsure_share: 1.0,
            nms_threshold: None,
            input_size: DEFAULT_INPUT_SIZE,
            min_face_size: 0,
            max_faces: 0,
            window: None,
            refine_landmarks: false,
        }
    }
}

/// Buffers that are kept from one frame to the next, one of them for each caller.
#[derive(Debug, Default)]
pub struct DetectScratch {
    frame: Pass,
    face: Pass,
    second_looks: u32,
    unsure: Vec<Rect>,
}

/// The buffers of one look at a picture or at a part of it.
#[derive(Debug, Default)]
struct Pass {
    scale: ScaleScratch,
    tensor: Vec<f32>,
    /// How long making the input has taken.
    preparation: Duration,
}

impl DetectScratch {
    /// How much of the time of the last detection went into scaling and converting the picture.
    pub fn preparation(&self) -> Duration {
        self.frame.preparation + self.face.preparation
    }

    /// How many faces were looked at once more by the last detection.
    pub fn second_looks(&self) -> u32 {
        self.second_looks
    }

    /// Where the last detection saw what may be a face, surest first ([`DetectorOptions::unsure_share`]). These are not
    /// looked at once more, and do not count for `max_faces`.
    pub fn unsure(&self) -> &[Rect] {
        &self.unsure
    }
}

/// A detector's weights, shared by all streams of a process.
#[derive(Debug)]
pub struct Detector {
    sessions: SessionPool,
    model_name: String,
    architecture: DetectorArchitecture,
    fixed_input: Option<(u32, u32)>,
    threshold: f32,
    nms_threshold: f32,
}

impl Detector {
    /// Reads a detector and opens a session on it.
    pub fn open(source: &ModelSource, device: Device) -> Result<Self, ModelError> {
        source.open(Role::Detector, |model| Self::of_model(model, device))
    }

    fn of_model(model: LoadedModel, device: Device) -> Result<Self, ModelError> {
        let described = model.pack.as_ref().and_then(|pack| pack.detector.as_ref());
        let options = SessionOptions { device, label: model.name.clone(), ..SessionOptions::default() };
        let described_architecture = described.map(|detector| detector.architecture);
        let threshold = described.map_or(DEFAULT_THRESHOLD, |detector| detector.threshold);
        let nms_threshold = described.map_or(DEFAULT_NMS_THRESHOLD, |detector| detector.nms_threshold);
        let sessions = SessionPool::open(model.bytes, options)?;
        let (architecture, fixed_input) =
            sessions.run(|session| outputs::inspect(session, &model.name, described_architecture))?;
        Ok(Self { sessions, model_name: model.name, architecture, fixed_input, threshold, nms_threshold })
    }

    /// The model's name, as events and metadata carry it.
    pub fn model_name(&self) -> &str {
        &self.model_name
    }

    /// The score from which something is a face, unless the options say otherwise.
    pub fn threshold(&self) -> f32 {
        self.threshold
    }

    /// Whether the model takes inputs of one size only.
    pub fn has_fixed_input(&self) -> bool {
        self.fixed_input.is_some()
    }

    /// How many pictures are looked at at the same time at most.
    pub fn concurrency(&self) -> usize {
        self.sessions.capacity()
    }

    /// What the model runs on.
    pub fn device(&self) -> Device {
        self.sessions.device()
    }

    /// Both sides of the input of a second look ([`DetectorOptions::refine_landmarks`]).
    pub const SECOND_LOOK_PX: u32 = reach::REFINED_INPUT_PX;

    /// The longest side of the input in which faces of `face_px` pixels of the picture are found reliably, in
    /// multiples of 32: no larger than the picture's own, `picture_side_px`.
    pub fn input_size_for(&self, picture_side_px: u32, face_px: u32) -> u32 {
        reach::input_size(picture_side_px, face_px)
    }

    /// The faces of a picture, surest first.
    pub fn detect(
        &self,
        view: &ImageView,
        options: &DetectorOptions,
        scratch: &mut DetectScratch,
    ) -> Result<Vec<DetectedFace>, ModelError> {
        self.detect_outside(&[], view, options, scratch)
    }

    /// The faces of a picture, surest first, of which the network sees nothing within `masks` (in the picture's pixels):
    /// that is black in its input. A face whose middle lies in one is left out.
    pub fn detect_outside(
        &self,
        masks: &[Polygon],
        view: &ImageView,
        options: &DetectorOptions,
        scratch: &mut DetectScratch,
    ) -> Result<Vec<DetectedFace>, ModelError> {
        scratch.frame.preparation = Duration::ZERO;
        scratch.face.preparation = Duration::ZERO;
        scratch.second_looks = 0;
        let window = window_of(view, options.window);
        let letterbox = self.letterbox((window.width as u32, window.height as u32), options.input_size);
        let letterbox = letterbox.at(Point::new(window.x, window.y));
        let mut faces = self.look((view, masks), window, letterbox, options, &mut scratch.frame)?;
        faces.retain(|face| !masks.iter().any(|mask| mask.contains(face.rect.centre())));
        nms::suppress(&mut faces, options.nms_threshold.unwrap_or(self.nms_threshold));
        let threshold = options.threshold.unwrap_or(self.threshold);
        let sure = faces.partition_point(|face| face.score >= threshold);
        scratch.unsure.clear();
        scratch.unsure.extend(faces.drain(sure..).map(|face| face.rect));
        keep_largest(&mut faces, options.max_faces);
        if options.refine_landmarks && self.fixed_input.is_none() {
            for face in &mut faces {
                if reach::is_coarse(face, letterbox.scale()) {
                    self.refine((view, masks), face, options, &mut scratch.face)?;
                    scratch.second_looks += 1;
                }
            }
        }
        Ok(faces)
    }

    /// Looks at a face by itself and takes box and landmarks from there, if it is found again.
    fn refine(
        &self,
        picture: (&ImageView, &[Polygon]),
        face: &mut DetectedFace,
        options: &DetectorOptions,
        pass: &mut Pass,
    ) -> Result<(), ModelError> {
        let window = reach::surroundings(face);
        let side = reach::REFINED_INPUT_PX;
        let letterbox = Letterbox::square(window, side);
        let sure = DetectorOptions { unsure_share: 1.0, ..*options };
        let again = self.look(picture, window, letterbox, &sure, pass)?;
        let same = again.iter().filter(|again| again.rect.iou(&face.rect) >= reach::LEAST_OVERLAP);
        if let Some(same) = same.max_by(|a, b| a.score.total_cmp(&b.score)) {
            face.rect = same.rect;
            face.landmarks = same.landmarks;
        }
        Ok(())
    }

    /// What the network sees in a part of the picture outside its masks, before boxes of one face are told apart.
    fn look(
        &self,
        (view, masks): (&ImageView, &[Polygon]),
        window: Rect,
        letterbox: Letterbox,
        options: &DetectorOptions,
        Pass { scale, tensor, preparation }: &mut Pass,
    ) -> Result<Vec<DetectedFace>, ModelError> {
        let begun = Instant::now();
        let (layout, sampling) = self.preparation();
        fill_tensor(view, window, letterbox.content, letterbox.input, layout, sampling, scale, tensor);
        for mask in masks {
            mask.cover(letterbox.content_in_frame(), letterbox.content, |row, columns| {
                blacken(tensor, letterbox.input, layout.black(), row, columns);
            });
        }
        *preparation += begun.elapsed();
        let threshold = options.threshold.unwrap_or(self.threshold) * options.unsure_share.clamp(0.0, 1.0);
        let mut candidates = Candidates::new(letterbox, threshold, options.min_face_size);
        self.sessions.run(|session| self.infer(session, tensor, letterbox.input, &mut candidates))?;
        Ok(candidates.faces)
    }

    fn letterbox(&self, frame: (u32, u32), input_size: u32) -> Letterbox {
        match (self.fixed_input, self.architecture) {
            (Some(input), _) => Letterbox::fixed(frame, input),
            (None, DetectorArchitecture::Scrfd) => Letterbox::flexible_one_scale(frame, input_size),
            (None, DetectorArchitecture::Yunet) => Letterbox::flexible(frame, input_size),
        }
    }

    fn preparation(&self) -> (TensorLayout, Sampling) {
        match self.architecture {
            DetectorArchitecture::Yunet => (yunet::LAYOUT, yunet::SAMPLING),
            DetectorArchitecture::Scrfd => (scrfd::LAYOUT, scrfd::SAMPLING),
        }
    }

    fn infer(
        &self,
        session: &mut Session,
        tensor: &[f32],
        input: (u32, u32),
        candidates: &mut Candidates,
    ) -> Result<(), ModelError> {
        let shape = [1, 3, i64::from(input.1), i64::from(input.0)];
        let tensor = TensorRef::from_array_view((shape, tensor))?;
        let outputs = session.run(ort::inputs![tensor])?;
        match self.architecture {
            DetectorArchitecture::Yunet => {
                yunet::decode(&outputs::yunet(&outputs, &self.model_name)?, input.0, candidates);
            }
            DetectorArchitecture::Scrfd => {
                scrfd::decode(&outputs::scrfd(&outputs, &self.model_name)?, input.0, candidates);
            }
        }
        Ok(())
    }
}

/// Makes some columns of a row of all three planes black.
fn blacken(tensor: &mut [f32], input: (u32, u32), black: f32, row: usize, columns: Range<usize>) {
    let (width, height) = (input.0 as usize, input.1 as usize);
    for plane in tensor.chunks_exact_mut(width * height) {
        plane[row * width..][columns.clone()].fill(black);
    }
}

/// Collects faces in frame pixels while the decoders walk through their grids.
struct Candidates {
    letterbox: Letterbox,
    threshold: f32,
    min_face_size: f32,
    faces: Vec<DetectedFace>,
}

impl Candidates {
    fn new(letterbox: Letterbox, threshold: f32, min_face_size: u32) -> Self {
        Self { letterbox, threshold, min_face_size: min_face_size as f32, faces: Vec::new() }
    }

    fn wants(&self, score: f32) -> bool {
        score >= self.threshold
    }

    /// Adds a face in input pixels, unless it is too small or the network made numbers that are none.
    fn add(&mut self, rect: Rect, landmarks: Landmarks, score: f32) {
        let rect = self.letterbox.rect_in_frame(rect);
        let landmarks = self.letterbox.landmarks_in_frame(landmarks);
        let is_box = !rect.is_empty() && rect.right().is_finite() && rect.bottom().is_finite();
        let has_points = landmarks.iter().all(|point| point.x.is_finite() && point.y.is_finite());
        if is_box && has_points && rect.width.min(rect.height) >= self.min_face_size {
            self.faces.push(DetectedFace { rect, landmarks, score: score.min(1.0) });
        }
    }
}

/// The part of the picture to look at: whole pixels within it. A part that is none becomes all of it.
fn window_of(view: &ImageView, wanted: Option<Rect>) -> Rect {
    let Some(wanted) = wanted else { return view.bounds() };
    let part = wanted.clip_to(view.width(), view.height());
    let (left, top) = (part.x.floor(), part.y.floor());
    let window = Rect::from_edges(left, top, part.right().ceil(), part.bottom().ceil());
    if part.is_empty() { view.bounds() } else { window }
}

/// Keeps the largest faces (0 keeps all) in the order they have.
fn keep_largest(faces: &mut Vec<DetectedFace>, count: usize) {
    if count == 0 || faces.len() <= count {
        return;
    }
    let mut areas: Vec<f32> = faces.iter().map(|face| face.rect.area()).collect();
    areas.sort_by(|a, b| b.total_cmp(a));
    let least = areas[count - 1];
    faces.retain(|face| face.rect.area() >= least);
    faces.truncate(count);
}

#[cfg(test)]
mod tests;
