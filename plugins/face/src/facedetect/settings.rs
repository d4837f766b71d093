//! The settings of `facedetect`, as its properties set them, and what they ask of the detector.

use vedette_models::detect::{Detector, DetectorOptions};
use vedette_models::geometry::Rect;
use vedette_models::pack::DEFAULT_PACK;

use crate::instance::{Device, ModelChoice};

/// Faces with a side shorter than this share of the size that is promised are left out. Between the two the detector finds
/// some: dropping them at the very limit would make a face of just that size come and go.
const LEFT_OUT_BELOW: f32 = 0.5;
/// A track is continued by what scores this share of a face's threshold: half hidden and turned heads do.
const UNSURE_SHARE: f32 = 0.4;

#[derive(Clone, Debug)]
pub(super) struct Settings {
    pub(super) pack: String,
    pub(super) model: Option<String>,
    pub(super) device: Device,
    pub(super) model_instance_id: Option<String>,
    pub(super) threshold: f32,
    pub(super) nms_threshold: f32,
    pub(super) inference_interval: u32,
    pub(super) max_inference_interval: u32,
    pub(super) input_size: u32,
    pub(super) min_face_size: u32,
    pub(super) max_faces: u32,
    pub(super) roi: Option<String>,
    pub(super) mask: Option<String>,
    pub(super) motion_gate: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            pack: DEFAULT_PACK.into(),
            model: None,
            device: Device::Cpu,
            model_instance_id: None,
            threshold: -1.0,
            nms_threshold: -1.0,
            inference_interval: 1,
            max_inference_interval: 10,
            input_size: 0,
            min_face_size: 80,
            max_faces: 0,
            roi: None,
            mask: None,
            motion_gate: false,
        }
    }
}

impl Settings {
    /// Which detector.
    pub(super) fn choice(&self) -> ModelChoice {
        ModelChoice::new(&self.pack, self.model.as_deref(), self.device, self.model_instance_id.as_deref())
    }

    /// Which frames are looked at: every n-th at best, every m-th at worst.
    pub(super) fn intervals(&self) -> (u32, u32) {
        (self.inference_interval, self.max_inference_interval)
    }

    /// What to look for in a frame of that size, within `window`.
    pub(super) fn options(
        &self,
        detector: &Detector,
        frame: (u32, u32),
        window: Option<Rect>,
    ) -> DetectorOptions {
        let unless_packs = |value: f32| (value >= 0.0).then_some(value);
        let window = window.map(|window| window.clip_to(frame.0, frame.1));
        let longest_side =
            window.map_or(frame.0.max(frame.1), |window| window.width.max(window.height) as u32);
        let input_size = match self.input_size {
            0 => detector.input_size_for(longest_side, self.min_face_size),
            size => size,
        };
        DetectorOptions {
            threshold: unless_packs(self.threshold),
            unsure_share: UNSURE_SHARE,
            nms_threshold: unless_packs(self.nms_threshold),
            input_size,
            min_face_size: (self.min_face_size as f32 * LEFT_OUT_BELOW) as u32,
            max_faces: self.max_faces as usize,
            window,
            refine_landmarks: true,
        }
    }
}
