//! Finds the ONNX Runtime library and starts it, once for the process. The library is loaded while running, so
//! that a program without it still starts and can say what is missing.

use std::fs::File;
use std::io::Read;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use ort::LoadDynamicError;
use ort::environment::Environment;
use ort::logging::LogLevel;

use crate::error::ModelError;
use crate::files::{ModelStore, check_hash, sha256_hex};
use crate::pack::{DEFAULT_PACK, Packs};

/// What the library's file is called, before any version.
const LIBRARY_NAME: &str = "libonnxruntime.so";

/// A library that may be ONNX Runtime.
#[derive(Debug, PartialEq)]
struct Candidate {
    path: PathBuf,
    /// The hash it must have, for the one we fetched ourselves.
    sha256: Option<String>,
}

/// Keeps ONNX Runtime from telling its maker that and where it runs, which it would do while it is loaded, before any
/// setting of its own can forbid it. For the first line of `main`; programs that embed this crate set
/// `ORT_DISABLE_TELEMETRY=1` some other way if they have threads by then.
///
/// # Safety
/// No other thread may run yet: it could read the environment while it changes.
#[allow(unsafe_code, reason = "the environment is the only place ONNX Runtime looks at early enough")]
pub unsafe fn forbid_telemetry() {
    // SAFETY: the caller promises that nobody else reads the environment.
    unsafe { std::env::set_var("ORT_DISABLE_TELEMETRY", "1") };
}

/// ONNX Runtime, started by the first caller. A failure is not remembered: after the library was fetched the next
/// call succeeds, without a restart of the process.
pub(crate) fn environment() -> Result<Environment, ModelError> {
    static STARTED: Mutex<Option<Environment>> = Mutex::new(None);
    let mut started = STARTED.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(environment) = &*started {
        return Ok(environment.clone());
    }
    let environment = start(&ModelStore::locate(), std::env::var_os("ORT_DYLIB_PATH").map(PathBuf::from))?;
    *started = Some(environment.clone());
    Ok(environment)
}

/// Starts the first library that works. One that was named explicitly is the only one tried.
fn start(store: &ModelStore, explicit: Option<PathBuf>) -> Result<Environment, ModelError> {
    if let Some(path) = explicit.filter(|path| !path.as_os_str().is_empty()) {
        return start_library(&Candidate { path: absolute(&path)?, sha256: None });
    }
    let mut failure = None;
    for candidate in candidates(store, &system_library_folders())? {
        match start_library(&candidate) {
            Ok(environment) => return Ok(environment),
            // The first one is the one that was meant to work: its reason is the one worth telling.
            Err(error) => failure = failure.or(Some(error)),
        }
    }
    Err(failure.unwrap_or_else(|| ModelError::RuntimeMissing {
        searched: format!("onnxruntime/{LIBRARY_NAME}* in {} and the system's libraries", store.searched()),
    }))
}

/// The libraries worth trying, best first: the fetched one, then the system's.
fn candidates(store: &ModelStore, system_folders: &[PathBuf]) -> Result<Vec<Candidate>, ModelError> {
    let fetched = Packs::builtin()?.runtime.for_this_machine().and_then(|library| {
        let path = store.find_runtime(library)?;
        Some(Candidate { path, sha256: library.sha256.clone() })
    });
    let mut found: Vec<Candidate> = fetched.into_iter().collect();
    for folder in system_folders {
        let Ok(entries) = std::fs::read_dir(folder) else { continue };
        let mut libraries: Vec<PathBuf> = entries
            .flatten()
            .filter(|entry| is_library_name(&entry.file_name().to_string_lossy()))
            .map(|entry| entry.path())
            .collect();
        libraries.sort();
        found.extend(libraries.into_iter().map(|path| Candidate { path, sha256: None }));
    }
    Ok(found)
}

/// Whether a file is called as ONNX Runtime is: `libonnxruntime.so`, or that with a version.
fn is_library_name(name: &str) -> bool {
    name.strip_prefix(LIBRARY_NAME)
        .is_some_and(|version| version.bytes().all(|byte| byte == b'.' || byte.is_ascii_digit()))
}

/// Where this system keeps libraries.
fn system_library_folders() -> Vec<PathBuf> {
    let from_environment = std::env::var_os("LD_LIBRARY_PATH").unwrap_or_default();
    let triplet = format!("{}-linux-gnu", std::env::consts::ARCH);
    let usual = ["/usr/local/lib", "/usr/local/lib64", "/usr/lib64", "/usr/lib", "/opt/onnxruntime/lib"];
    std::env::split_paths(&from_environment)
        .filter(|folder| folder.is_absolute())
        .chain([Path::new("/usr/lib").join(&triplet), Path::new("/lib").join(&triplet)])
        .chain(usual.map(PathBuf::from))
        .collect()
}

fn absolute(path: &Path) -> Result<PathBuf, ModelError> {
    std::path::absolute(path).map_err(|source| ModelError::Io { action: "find", path: path.into(), source })
}

/// Loads a library and starts it.
fn start_library(candidate: &Candidate) -> Result<Environment, ModelError> {
    let path = &candidate.path;
    let unusable = |reason: String| ModelError::RuntimeUnusable { path: path.clone(), reason };
    check_library(path).map_err(unusable)?;
    if let Some(expected) = &candidate.sha256 {
        let bytes = std::fs::read(path).map_err(|source| ModelError::Io {
            action: "read",
            path: path.clone(),
            source,
        })?;
        check_hash(path, &sha256_hex(&bytes), expected, &format!("vedette models fetch {DEFAULT_PACK}"))?;
    }
    // The binding asserts where a library claims a version and then does not offer it. Such an assertion is an
    // unusable library, not the end of the process; nothing of ours is left half done by it.
    let started = catch_unwind(AssertUnwindSafe(|| {
        let builder = ort::init_from(path).map_err(why_not_loaded)?;
        let environment = builder
            .with_name("vedette")
            .with_telemetry(false)
            .with_logger(Arc::new(forward_log))
            .build()
            .map_err(|error| error.to_string())?;
        environment.set_log_level(LogLevel::Warning);
        Ok(environment)
    }));
    started
        .unwrap_or_else(|_| Err("it does not offer the interface its version promises".into()))
        .map_err(unusable)
}

fn why_not_loaded(error: LoadDynamicError) -> String {
    match error {
        LoadDynamicError::Dlopen { error, .. } => error.to_string(),
        LoadDynamicError::MissingApi { .. } => "it is another library".into(),
        LoadDynamicError::InvalidVersionString => "its version cannot be read".into(),
        LoadDynamicError::BadVersion { version_str, .. } => format!("its version {version_str} is too old"),
    }
}

/// Passes ONNX Runtime's messages on. What it calls an error comes back to the caller as one, and its warnings are
/// about graphs nobody here can change: both are for who looks for them.
fn forward_log(level: LogLevel, category: &str, _id: &str, _location: &str, message: &str) {
    match level {
        LogLevel::Fatal => tracing::error!(target: "onnxruntime", category, "{message}"),
        LogLevel::Error | LogLevel::Warning => tracing::debug!(target: "onnxruntime", category, "{message}"),
        LogLevel::Info | LogLevel::Verbose => tracing::trace!(target: "onnxruntime", category, "{message}"),
    }
}

/// Looks at a library before the dynamic linker does: one that was cut short would be mapped beyond its end, and
/// the process killed for touching what is not there.
fn check_library(path: &Path) -> Result<(), String> {
    let mut file = File::open(path).map_err(|error| error.to_string())?;
    let metadata = file.metadata().map_err(|error| error.to_string())?;
    if !metadata.is_file() {
        return Err("it is not a file".into());
    }
    let mut head = Vec::new();
    file.by_ref().take(64 * 1024).read_to_end(&mut head).map_err(|error| error.to_string())?;
    check_elf(&head, metadata.len())
}

/// Checks that a file of `size_bytes` that begins with `head` holds every segment a 64-bit ELF library announces.
fn check_elf(head: &[u8], size_bytes: u64) -> Result<(), String> {
    const LITTLE_ENDIAN_64_BIT: [u8; 6] = [0x7f, b'E', b'L', b'F', 2, 1];
    const PROGRAM_HEADER_BYTES: usize = 56;
    if !head.starts_with(&LITTLE_ENDIAN_64_BIT) {
        return Err("it is not a 64-bit shared library".into());
    }
    let cut_short = || "it is incomplete".to_owned();
    let first = usize::try_from(read_u64(head, 32).ok_or_else(cut_short)?).map_err(|_| cut_short())?;
    let count = usize::from(read_u16(head, 56).ok_or_else(cut_short)?);
    for index in 0..count {
        let header = first.checked_add(index * PROGRAM_HEADER_BYTES).ok_or_else(cut_short)?;
        let offset = read_u64(head, header.saturating_add(8)).ok_or_else(cut_short)?;
        let length = read_u64(head, header.saturating_add(32)).ok_or_else(cut_short)?;
        if offset.checked_add(length).is_none_or(|end| end > size_bytes) {
            return Err(cut_short());
        }
    }
    Ok(())
}

fn read_u64(bytes: &[u8], offset: usize) -> Option<u64> {
    let field = bytes.get(offset..offset.checked_add(8)?)?;
    field.try_into().ok().map(u64::from_le_bytes)
}

fn read_u16(bytes: &[u8], offset: usize) -> Option<u16> {
    let field = bytes.get(offset..offset.checked_add(2)?)?;
    field.try_into().ok().map(u16::from_le_bytes)
}

#[cfg(test)]
mod tests;
