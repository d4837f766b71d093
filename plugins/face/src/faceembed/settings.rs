//! The settings of `faceembed`, as its properties set them, and the models they ask for.

use std::sync::Arc;

use vedette_models::ModelError;
use vedette_models::attributes::AttributeEstimator;
use vedette_models::embed::Embedder;
use vedette_models::pack::DEFAULT_PACK;

use super::choice::Limits;
use crate::instance::{self, Device, ModelChoice};

#[derive(Clone, Debug)]
pub(super) struct Settings {
    pub(super) pack: String,
    pub(super) model: Option<String>,
    pub(super) device: Device,
    pub(super) model_instance_id: Option<String>,
    pub(super) quality_threshold: f32,
    pub(super) max_crops_per_track: u32,
    pub(super) refresh_interval: u32,
    pub(super) attributes: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            pack: DEFAULT_PACK.into(),
            model: None,
            device: Device::Cpu,
            model_instance_id: None,
            quality_threshold: 0.6,
            max_crops_per_track: 5,
            refresh_interval: 2000,
            attributes: false,
        }
    }
}

impl Settings {
    pub(super) fn wanted(&self) -> Wanted {
        let choice = ModelChoice::new(
            &self.pack,
            self.model.as_deref(),
            self.device,
            self.model_instance_id.as_deref(),
        );
        (choice, self.attributes)
    }

    pub(super) fn limits(&self) -> Limits {
        Limits {
            quality_threshold: self.quality_threshold,
            max_crops: self.max_crops_per_track as usize,
            refresh_ms: u64::from(self.refresh_interval),
        }
    }
}

/// Which embedder, and whether a model for age and gender.
pub(super) type Wanted = (ModelChoice, bool);

/// The models in use.
pub(super) struct Models {
    pub(super) embedder: Arc<Embedder>,
    pub(super) estimator: Option<Arc<AttributeEstimator>>,
}

impl Models {
    /// Opens them, or shares those that are open.
    pub(super) fn open((choice, attributes): &Wanted) -> Result<Self, gst::ErrorMessage> {
        let embedder = choice.embedder().map_err(|error| instance::start_error(&error))?;
        let estimator = attributes.then(|| choice.attribute_estimator()).transpose();
        Ok(Self { embedder, estimator: estimator.map_err(|error| attributes_error(&error))? })
    }
}

/// A start that fails for want of a model for age and gender; the rest of the element could do without one.
fn attributes_error(error: &ModelError) -> gst::ErrorMessage {
    match error {
        ModelError::NotInPack { .. } => {
            gst::error_msg!(gst::ResourceError::Settings, ("{error}, or set attributes=false"))
        }
        _ => instance::start_error(error),
    }
}
