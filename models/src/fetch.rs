//! Puts a pack's files, and ONNX Runtime, onto this machine. A file is taken from the first of its sources that
//! delivers, and kept only when its bytes have the hash the pack lists: it appears in the models folder whole and
//! right, or not at all. Several processes may fetch at once; the later ones wait and find the work done.

mod source;

use std::fmt;
use std::fs::{self, File};
use std::path::{Path, PathBuf};

use crate::error::ModelError;
use crate::files::{ModelStore, sha256_hex};
use crate::pack::{ModelFile, Pack, Packs, Runtime, Source};
use source::Workspace;

/// What to fetch, and on which conditions.
#[derive(Debug, Clone, Default)]
pub struct FetchOptions {
    /// Whether whoever asks has accepted the licence of a pack that is not free for every use.
    pub accept_license: bool,
    /// The models folder to fetch into, when it is not to be [`ModelStore::fetch_folder`].
    pub folder: Option<PathBuf>,
    /// A folder or a zip archive that holds the files: nothing is asked but that, and no network is needed.
    pub from: Option<PathBuf>,
}

impl FetchOptions {
    /// Where a file can be had.
    fn sources(&self, file: &ModelFile) -> Vec<Source> {
        match &self.from {
            // Whoever gathers files for a machine without a network need not bring what the program has.
            _ if file.bundled().is_some() => file.sources.clone(),
            None => file.sources.clone(),
            Some(folder) if folder.is_dir() => {
                vec![Source::Local { path: folder.join(&file.name), member: None }]
            }
            Some(archive) => {
                vec![Source::Local { path: archive.clone(), member: Some(file.name.clone()) }]
            }
        }
    }
}

/// What fetching is doing. Its text is a line for whoever waits.
#[derive(Debug, Clone, PartialEq)]
pub enum Progress<'a> {
    /// A file is there already and has the right bytes.
    Present {
        /// The file's name.
        file: &'a str,
    },
    /// A source is being asked for a file.
    Asking {
        /// The file's name.
        file: &'a str,
        /// The source, as a person would call it.
        source: &'a str,
    },
    /// Some of a file has come.
    Received {
        /// The source, as a person would call it.
        source: &'a str,
        /// How much has come.
        bytes: u64,
        /// How much there is, where the source says so.
        of_bytes: Option<u64>,
    },
    /// A source did not deliver; the next one is asked.
    SourceFailed {
        /// The source, as a person would call it.
        source: &'a str,
        /// Why not.
        reason: &'a str,
    },
    /// A file has arrived and is the right one.
    Fetched {
        /// The file's name.
        file: &'a str,
        /// Where it lies now.
        path: &'a Path,
    },
}

/// Fetches ONNX Runtime and a pack, by the pack's name.
pub fn fetch(
    name: &str,
    options: &FetchOptions,
    progress: &mut dyn FnMut(Progress<'_>),
) -> Result<(), ModelError> {
    let pack = Packs::get(name)?;
    fetch_pack(&pack, &Packs::builtin()?.runtime, options, progress)
}

/// Fetches ONNX Runtime for this machine and the files of a pack.
pub fn fetch_pack(
    pack: &Pack,
    runtime: &Runtime,
    options: &FetchOptions,
    progress: &mut dyn FnMut(Progress<'_>),
) -> Result<(), ModelError> {
    if !pack.commercial_use && !options.accept_license {
        return Err(ModelError::LicenceNotAccepted {
            pack: pack.name.clone(),
            licence: pack.licence.clone(),
        });
    }
    let folder = match (&options.folder, &pack.folder) {
        (Some(folder), None) => folder.clone(),
        (None, None) => ModelStore::fetch_folder()?,
        // The files of a folder are where they are: what is left to do is to see whether they are right.
        (_, Some(_)) => return ModelStore::locate().verify(pack),
    };
    let library = runtime.for_this_machine().ok_or_else(|| ModelError::FetchFailed {
        file: "ONNX Runtime".into(),
        attempts: format!(
            "there is none for {}-{}: build it and set ORT_DYLIB_PATH to its libonnxruntime.so",
            std::env::consts::OS,
            std::env::consts::ARCH
        ),
    })?;
    let mut fetcher = Fetcher::start(folder, progress)?;
    fetcher.fetch(library, &options.sources(library), &ModelStore::runtime_path(library))?;
    for file in pack.files() {
        fetcher.fetch(file, &options.sources(file), &Path::new(&pack.name).join(&file.name))?;
    }
    Ok(())
}

/// One run of fetching into a folder, during which no other process fetches into it.
struct Fetcher<'p> {
    folder: PathBuf,
    workspace: Workspace,
    progress: &'p mut dyn FnMut(Progress<'_>),
    /// Held while fetching; the system lets go of it when the process ends, however it ends.
    _lock: File,
}

impl<'p> Fetcher<'p> {
    fn start(folder: PathBuf, progress: &'p mut dyn FnMut(Progress<'_>)) -> Result<Self, ModelError> {
        fs::create_dir_all(&folder).map_err(|error| failed("create", &folder, error))?;
        let lock_path = folder.join(".lock");
        let lock = File::create(&lock_path).map_err(|error| failed("create", &lock_path, error))?;
        lock.lock().map_err(|error| failed("lock", &lock_path, error))?;
        let workspace = Workspace::create(&folder.join(".fetching"))?;
        Ok(Self { folder, workspace, progress, _lock: lock })
    }

    /// Makes sure that a file lies at `relative` below the models folder.
    fn fetch(&mut self, file: &ModelFile, sources: &[Source], relative: &Path) -> Result<(), ModelError> {
        let target = self.folder.join(relative);
        let expected = file.sha256.as_deref().ok_or_else(|| ModelError::FetchFailed {
            file: file.name.clone(),
            attempts: "the pack lists no sha256 to know it by".into(),
        })?;
        if is_file_with_hash(&target, expected)? {
            (self.progress)(Progress::Present { file: &file.name });
            return Ok(());
        }
        let mut attempts = Vec::new();
        for source in sources {
            let name = source.to_string();
            (self.progress)(Progress::Asking { file: &file.name, source: &name });
            let delivered = self.workspace.deliver(source, file.size_bytes, self.progress);
            let outcome = delivered.and_then(|path| {
                let bytes = fs::read(&path).map_err(|error| error.to_string())?;
                let found = sha256_hex(&bytes);
                if found == expected {
                    return Ok(path);
                }
                Err(format!("it delivered another file (sha256 {found} instead of {expected})"))
            });
            match outcome {
                Ok(path) => {
                    install(&path, &target)?;
                    (self.progress)(Progress::Fetched { file: &file.name, path: &target });
                    return Ok(());
                }
                Err(reason) => {
                    (self.progress)(Progress::SourceFailed { source: &name, reason: &reason });
                    attempts.push(format!("{name}: {reason}"));
                }
            }
        }
        if attempts.is_empty() {
            attempts.push("the pack lists no source for it".into());
        }
        Err(ModelError::FetchFailed { file: file.name.clone(), attempts: attempts.join("; ") })
    }
}

/// Moves a file to its place in one step, after its bytes are safely on the disk.
fn install(from: &Path, to: &Path) -> Result<(), ModelError> {
    if let Some(folder) = to.parent() {
        fs::create_dir_all(folder).map_err(|error| failed("create", folder, error))?;
    }
    File::open(from).and_then(|file| file.sync_all()).map_err(|error| failed("write", from, error))?;
    fs::rename(from, to).map_err(|error| failed("write", to, error))
}

fn is_file_with_hash(path: &Path, expected: &str) -> Result<bool, ModelError> {
    match fs::read(path) {
        Ok(bytes) => Ok(sha256_hex(&bytes) == expected),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(failed("read", path, error)),
    }
}

fn failed(action: &'static str, path: &Path, source: std::io::Error) -> ModelError {
    ModelError::Io { action, path: path.to_path_buf(), source }
}

impl fmt::Display for Progress<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        const BYTES_PER_MEGABYTE: f64 = 1e6;
        let megabytes = |bytes: u64| bytes as f64 / BYTES_PER_MEGABYTE;
        match self {
            Self::Present { file } => write!(formatter, "{file}: already there"),
            Self::Asking { file, source } => write!(formatter, "{file}: fetching from {source}"),
            Self::Received { source, bytes, of_bytes: Some(total) } => {
                write!(formatter, "{source}: {:.1} of {:.1} MB", megabytes(*bytes), megabytes(*total))
            }
            Self::Received { source, bytes, of_bytes: None } => {
                write!(formatter, "{source}: {:.1} MB", megabytes(*bytes))
            }
            Self::SourceFailed { source, reason } => write!(formatter, "{source}: {reason}"),
            Self::Fetched { file, path } => write!(formatter, "{file}: now at {}", path.display()),
        }
    }
}

#[cfg(test)]
mod tests;
