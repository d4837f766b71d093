//! Models shared by all elements of a process: whoever names the same model on the same device gets the same
//! weights, however many cameras run. The last element that lets go of a model unloads it.

use std::collections::HashMap;
use std::hash::Hash;
use std::path::PathBuf;
use std::sync::{Arc, LazyLock, Mutex, PoisonError, Weak};
use std::thread::JoinHandle;

use gst::glib;
use vedette_models::ModelError;
use vedette_models::attributes::AttributeEstimator;
use vedette_models::detect::Detector;
use vedette_models::embed::Embedder;
use vedette_models::files::ModelSource;

/// What a model runs on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, glib::Enum)]
#[enum_type(name = "GstVedetteDevice")]
#[repr(u32)]
pub enum Device {
    /// The processor.
    #[default]
    #[enum_value(name = "CPU: the processor", nick = "cpu")]
    Cpu,
    /// An NVIDIA card; without one the element does not start.
    #[enum_value(name = "CUDA: an NVIDIA card", nick = "cuda")]
    Cuda,
    /// An NVIDIA card, for which models are compiled at first; without one the element does not start.
    #[enum_value(name = "TensorRT: an NVIDIA card, for which models are compiled first", nick = "tensorrt")]
    TensorRt,
    /// A card where there is one that works, the processor otherwise.
    #[enum_value(name = "Auto: a card where one works, the processor otherwise", nick = "auto")]
    Auto,
}

impl From<Device> for vedette_models::session::Device {
    fn from(device: Device) -> Self {
        match device {
            Device::Cpu => Self::Cpu,
            Device::Cuda => Self::Cuda,
            Device::TensorRt => Self::TensorRt,
            Device::Auto => Self::Auto,
        }
    }
}

/// Which model, as the properties of an element say.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct ModelChoice {
    /// The pack it belongs to.
    pub(crate) pack: String,
    /// A file that takes the place of the pack's.
    pub(crate) model: Option<PathBuf>,
    /// What it runs on.
    pub(crate) device: Device,
    /// Elements with different ids do not share.
    pub(crate) instance_id: Option<String>,
}

impl ModelChoice {
    /// The choice in those words.
    pub(crate) fn new(pack: &str, model: Option<&str>, device: Device, instance_id: Option<&str>) -> Self {
        let (model, instance_id) = (model.map(PathBuf::from), instance_id.map(str::to_owned));
        Self { pack: pack.to_owned(), model, device, instance_id }
    }

    fn source(&self) -> Result<ModelSource, ModelError> {
        match &self.model {
            Some(path) => Ok(ModelSource::File(path.clone())),
            None => ModelSource::pack(&self.pack),
        }
    }

    /// The detector, opened if nobody has it open.
    pub(crate) fn detector(&self) -> Result<Arc<Detector>, ModelError> {
        static DETECTORS: LazyLock<Shared<ModelChoice, Detector>> = LazyLock::new(Shared::default);
        DETECTORS.get(self, || Detector::open(&self.source()?, self.device.into()))
    }

    /// The embedder, opened if nobody has it open.
    pub(crate) fn embedder(&self) -> Result<Arc<Embedder>, ModelError> {
        static EMBEDDERS: LazyLock<Shared<ModelChoice, Embedder>> = LazyLock::new(Shared::default);
        EMBEDDERS.get(self, || Embedder::open(&self.source()?, self.device.into()))
    }

    /// The pack's model for age and gender, opened if nobody has it open. The file that may take the place of the pack's
    /// embedder has nothing to do with it.
    pub(crate) fn attribute_estimator(&self) -> Result<Arc<AttributeEstimator>, ModelError> {
        static ESTIMATORS: LazyLock<Shared<ModelChoice, AttributeEstimator>> = LazyLock::new(Shared::default);
        let of_pack = Self { model: None, ..self.clone() };
        ESTIMATORS.get(&of_pack, || AttributeEstimator::open(&of_pack.source()?, self.device.into()))
    }
}

/// Something that takes a while to open and is opened on a thread of its own, while the rest of the pipeline gets ready.
#[derive(Debug)]
pub(crate) struct Opening<K, T, E> {
    key: K,
    thread: JoinHandle<Result<T, E>>,
}

impl<K, T, E> Opening<K, T, E>
where
    K: Clone + PartialEq + Send + 'static,
    T: Send + 'static,
    E: Send + 'static,
{
    /// Begins; nothing if the system has no thread to give.
    pub(crate) fn begin(key: K, open: fn(&K) -> Result<T, E>) -> Option<Self> {
        let of_thread = key.clone();
        let builder = std::thread::Builder::new().name("vedette-open".into());
        let thread = builder.spawn(move || open(&of_thread)).ok()?;
        Some(Self { key, thread })
    }

    /// What was opened, if it is what is wanted now; else `open` has to do it.
    pub(crate) fn finish(begun: Option<Self>, key: &K, open: fn(&K) -> Result<T, E>) -> Result<T, E> {
        match begun.map(|Self { key, thread }| (key, thread.join())) {
            Some((begun_with, Ok(opened))) if begun_with == *key => opened,
            _ => open(key),
        }
    }
}

/// A state change that fails for want of a model, in the words of the models.
pub(crate) fn start_error(error: &ModelError) -> gst::ErrorMessage {
    match error {
        ModelError::MissingFile { .. } | ModelError::RuntimeMissing { .. } => {
            gst::error_msg!(gst::ResourceError::NotFound, ("{error}"))
        }
        ModelError::UnknownPack { .. } | ModelError::NotInPack { .. } => {
            gst::error_msg!(gst::ResourceError::Settings, ("{error}"))
        }
        _ => gst::error_msg!(gst::LibraryError::Init, ("{error}")),
    }
}

/// Things that are opened once and closed with their last user.
#[derive(Debug)]
pub(crate) struct Shared<K, T> {
    open: Mutex<HashMap<K, Weak<T>>>,
}

impl<K, T> Default for Shared<K, T> {
    fn default() -> Self {
        Self { open: Mutex::new(HashMap::new()) }
    }
}

impl<K: Clone + Eq + Hash, T> Shared<K, T> {
    /// What is open under `key`, else what `open` makes. Others wait meanwhile, so that two cameras that
    /// start together do not load the same weights twice.
    pub(crate) fn get<E>(&self, key: &K, open: impl FnOnce() -> Result<T, E>) -> Result<Arc<T>, E> {
        let mut entries = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(existing) = entries.get(key).and_then(Weak::upgrade) {
            return Ok(existing);
        }
        entries.retain(|_, entry| entry.strong_count() > 0);
        let opened = Arc::new(open()?);
        entries.insert(key.clone(), Arc::downgrade(&opened));
        Ok(opened)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn what_is_open_is_shared_and_closed_with_its_last_user() {
        let shared = Shared::<u8, String>::default();
        let open = |text: &str| Ok::<_, ()>(text.to_owned());
        let first = shared.get(&1, || open("a")).unwrap();
        let again = shared.get(&1, || open("b")).unwrap();
        assert!(Arc::ptr_eq(&first, &again));
        assert_eq!(*shared.get(&2, || open("c")).unwrap(), "c");
        drop((first, again));
        assert_eq!(*shared.get(&1, || open("d")).unwrap(), "d");
        assert!(shared.get(&3, || Err("no")).is_err());
    }

    #[test]
    fn what_was_begun_is_taken_if_it_is_still_wanted() {
        let open = |key: &u8| if *key == 9 { Err("no nine") } else { Ok(*key) };
        let finish = |begun, wanted| Opening::finish(Opening::begin(begun, open), &wanted, open);
        assert_eq!(finish(1, 1), Ok(1));
        assert_eq!(finish(1, 2), Ok(2));
        assert_eq!(finish(9, 9), Err("no nine"));
        assert_eq!(finish(9, 1), Ok(1));
        assert_eq!(Opening::finish(None, &3, open), Ok(3));
    }

    #[test]
    fn an_unknown_pack_is_a_setting_to_correct() {
        gst::init().unwrap();
        let choice =
            ModelChoice { pack: "nosuch".into(), model: None, device: Device::Cpu, instance_id: None };
        let error = choice.detector().unwrap_err();
        assert!(error.to_string().contains("nosuch"), "{error}");
        let message = format!("{:?}", start_error(&error));
        assert!(message.contains("opencv"), "{message}");
    }
}
