//! Sessions of a model, shared by everybody in the process who runs it. A session runs one input at a time, so a
//! pool holds as many as the cores can keep busy, however many cameras there are.
//!
//! How many, and on how many cores each, was measured with the default pack on two cores. A small model (YuNet at
//! 640×384) does 680 frames a second in two sessions of one thread and 450 in one of two: small models get a
//! session for each core. A large one (SFace) takes 14 ms of one core for a face in a session of one thread, and 17 ms of
//! processor time in one of two, which wait for each other while cameras decode and detect beside them: where there are
//! few cores, large models get a session of one thread for every second core, and each takes another 75 MB.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use ort::environment::Environment;
use ort::ep::{self, ExecutionProvider as _};
use ort::logging::LogLevel;
use ort::session::Session;
use ort::session::builder::{BuilderResult, GraphOptimizationLevel, SessionBuilder};

use crate::error::ModelError;
use crate::files::ModelStore;
use crate::owner::Owner;
use crate::runtime;
use crate::watched;

/// From this size on a model is large: what its sessions weigh matters more than that each has its own core.
const LARGE_MODEL_BYTES: usize = 4 << 20;

/// How many cores there are to a session of a large model: detection and decoding want theirs, too.
const CORES_PER_LARGE_SESSION: usize = 2;

/// The most sessions of one model: each has its own copy of the weights and its own working memory.
const MAX_SESSIONS: usize = 8;

/// Longer than this no inference takes that ever ends, …
const PATIENCE: Duration = Duration::from_secs(30);
/// … but where a model is compiled for an input size that was never seen.
const COMPILING_PATIENCE: Duration = Duration::from_secs(30 * 60);

/// What models run on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Device {
    /// The processor.
    #[default]
    Cpu,
    /// An NVIDIA graphics card. An error where there is none, or where the library was built without it.
    Cuda,
    /// An NVIDIA graphics card through TensorRT, which compiles a model for the card the first time it meets an input size:
    /// that takes minutes, and is kept beside the fetched models. What it cannot compile, CUDA runs. An error like
    /// [`Device::Cuda`]'s.
    TensorRt,
    /// A graphics card through CUDA where there is one that works, else the processor.
    Auto,
}

impl Device {
    /// The device's name, as settings spell it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Cpu => "cpu",
            Self::Cuda => "cuda",
            Self::TensorRt => "tensorrt",
            Self::Auto => "auto",
        }
    }
}

impl std::str::FromStr for Device {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        [Self::Cpu, Self::Cuda, Self::TensorRt, Self::Auto]
            .into_iter()
            .find(|device| device.as_str() == name)
            .ok_or_else(|| format!("there is no device `{name}`: use cpu, cuda, tensorrt or auto"))
    }
}

/// How a model's sessions are opened.
#[derive(Debug, Clone, Default)]
pub struct SessionOptions {
    /// What it runs on.
    pub device: Device,
    /// How many cores one inference is spread over; 0 leaves it to the model's size.
    pub threads: usize,
    /// The model's name in messages.
    pub label: String,
}

/// The sessions of one model. They are opened as they are needed and kept.
#[derive(Debug)]
pub struct SessionPool {
    label: String,
    /// What is told of an inference that hangs.
    work: Arc<str>,
    device: Device,
    layout: Layout,
    state: Mutex<PoolState>,
    returned: Condvar,
}

/// How the cores are dealt out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Layout {
    sessions: usize,
    threads: usize,
}

#[derive(Debug)]
struct PoolState {
    idle: Vec<Session>,
    opened: usize,
    /// The model, as long as more sessions may be opened from it.
    model: Option<Arc<Vec<u8>>>,
}

impl SessionPool {
    /// Opens the first session of a model, which proves that the model and the device work.
    pub fn open(model: Vec<u8>, options: SessionOptions) -> Result<Self, ModelError> {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let mut layout = Layout::choose(model.len(), options.threads, cores);
        let (session, device) = open_on_device(&model, options.device, layout.threads, &options.label)?;
        if device != Device::Cpu {
            // Sessions on one card only take turns.
            layout.sessions = 1;
        }
        let model = (layout.sessions > 1).then(|| Arc::new(model));
        Ok(Self {
            work: format!("running the model {}", options.label).into(),
            label: options.label,
            device,
            layout,
            state: Mutex::new(PoolState { idle: vec![session], opened: 1, model }),
            returned: Condvar::new(),
        })
    }

    /// The model's name in messages.
    pub fn label(&self) -> &str {
        &self.label
    }

    /// What the sessions really run on: never [`Device::Auto`].
    pub fn device(&self) -> Device {
        self.device
    }

    /// The most sessions that run at the same time.
    pub fn capacity(&self) -> usize {
        self.layout.sessions
    }

    /// How many cores one inference is spread over.
    pub fn threads(&self) -> usize {
        self.layout.threads
    }

    /// Runs `work` with a session nobody else uses meanwhile: one that is idle, else one that is opened now, else
    /// the next one that is given back. ONNX Runtime is running by then, so `work` may make tensors.
    pub fn run<T>(&self, work: impl FnOnce(&mut Session) -> Result<T, ModelError>) -> Result<T, ModelError> {
        let mut session = self.take()?;
        let patience = if self.device == Device::TensorRt { COMPILING_PATIENCE } else { PATIENCE };
        let _watched = watched::begin(&self.work, patience);
        // A session that is not given back would be missed by every other camera, so a panic has to wait.
        let outcome = catch_unwind(AssertUnwindSafe(|| work(&mut session)));
        self.lock().idle.push(session);
        self.returned.notify_one();
        outcome.unwrap_or_else(|panic| resume_unwind(panic))
    }

    fn take(&self) -> Result<Session, ModelError> {
        let mut state = self.lock();
        loop {
            if let Some(session) = state.idle.pop() {
                return Ok(session);
            }
            if let Some(model) = state.model.clone() {
                return self.open_another(state, &model);
            }
            state = self.returned.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Opens one more session, without making the others wait for it.
    fn open_another(
        &self,
        mut state: MutexGuard<'_, PoolState>,
        model: &Arc<Vec<u8>>,
    ) -> Result<Session, ModelError> {
        state.opened += 1;
        if state.opened == self.layout.sessions {
            state.model = None;
        }
        drop(state);
        let opened = open_on_device(model, self.device, self.layout.threads, &self.label);
        opened.map(|(session, _)| session).inspect_err(|_| {
            let mut state = self.lock();
            state.opened -= 1;
            state.model = Some(Arc::clone(model));
            // Somebody may have begun to wait because this was the last one that could be opened.
            self.returned.notify_one();
        })
    }

    fn lock(&self) -> MutexGuard<'_, PoolState> {
        // Nothing panics while the lock is held, and the state would be whole if something did.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Layout {
    /// Deals out `cores` to the sessions of a model of that size.
    fn choose(model_bytes: usize, threads: usize, cores: usize) -> Self {
        let cores = cores.max(1);
        // No threads asked for means that the model's size decides.
        if let Some(sessions) = cores.checked_div(threads) {
            return Self { sessions: sessions.clamp(1, MAX_SESSIONS), threads };
        }
        if model_bytes < LARGE_MODEL_BYTES {
            return Self { sessions: cores.min(MAX_SESSIONS), threads: 1 };
        }
        let sessions = cores.div_ceil(CORES_PER_LARGE_SESSION).min(MAX_SESSIONS / 2);
        Self { sessions, threads: cores.div_ceil(CORES_PER_LARGE_SESSION * sessions) }
    }
}

/// Opens a session on the device, and says which one `auto` came to.
fn open_on_device(
    model: &[u8],
    device: Device,
    threads: usize,
    label: &str,
) -> Result<(Session, Device), ModelError> {
    let invalid =
        |error: ort::Error| ModelError::InvalidModel { model: label.into(), reason: error.to_string() };
    // Threads that ONNX Runtime starts now work for whoever runs the model.
    let _duty = Owner::NOBODY.hire();
    let environment = runtime::environment()?;
    if device != Device::Cpu {
        let card = if device == Device::TensorRt { Device::TensorRt } else { Device::Cuda };
        match open_on_card(&environment, model, threads, card) {
            Ok(session) => return Ok((session, card)),
            Err(error) if device == card => {
                return Err(ModelError::DeviceUnavailable {
                    device: device.as_str(),
                    model: label.into(),
                    reason: error.to_string(),
                });
            }
            Err(error) => {
                tracing::warn!(model = label, %error, "no graphics card works with this ONNX Runtime: the processor is used")
            }
        }
    }
    let session = builder(&environment, threads).and_then(|mut builder| {
        // The arena keeps working memory between runs; without it every run maps and faults it in anew.
        ep::CPU::default().with_arena_allocator(true).register(&mut builder)?;
        builder.commit_from_memory(model)
    });
    session.map(|session| (session, Device::Cpu)).map_err(invalid)
}

fn open_on_card(
    environment: &Environment,
    model: &[u8],
    threads: usize,
    device: Device,
) -> Result<Session, ort::Error> {
    let mut builder = builder(environment, threads)?;
    if device == Device::TensorRt {
        let mut provider = ep::TensorRT::default();
        // Without a place to keep what was compiled it is compiled again at every start.
        if let Ok(folder) = ModelStore::fetch_folder() {
            let folder = folder.join("tensorrt");
            provider = provider
                .with_engine_cache(true)
                .with_engine_cache_path(folder.display())
                .with_timing_cache(true)
                .with_timing_cache_path(folder.display());
        }
        provider.register(&mut builder)?;
    }
    ep::CUDA::default().register(&mut builder)?;
    builder.commit_from_memory(model)
}

/// The settings every session has.
fn builder(environment: &Environment, threads: usize) -> Result<SessionBuilder, ort::Error> {
    // The binding returns the builder within its errors, to go on without the option; without any of these, we
    // would rather not.
    fn strict(result: BuilderResult) -> Result<SessionBuilder, ort::Error> {
        result.map_err(|error| ort::Error::new_with_code(error.code(), error.message().to_owned()))
    }
    let builder = Session::builder(environment)?;
    let builder = strict(builder.with_optimization_level(GraphOptimizationLevel::All))?;
    let builder = strict(builder.with_intra_threads(threads))?;
    let builder = strict(builder.with_inter_threads(1))?;
    // Threads that wait by spinning take the processor away from the cameras' decoders.
    let builder = strict(builder.with_intra_op_spinning(false))?;
    // A plan of the memory for every input size seen costs a fifth more memory and no run gets faster by it.
    let builder = strict(builder.with_memory_pattern(false))?;
    strict(builder.with_log_level(LogLevel::Warning))
}

#[cfg(test)]
mod tests;
