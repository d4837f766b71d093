//! Where model files lie on this machine, and reading them with their hashes checked.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::thread::ScopedJoinHandle;

use prost::bytes::Bytes;
use sha2::{Digest, Sha256};

use crate::error::ModelError;
use crate::onnx_mend;
use crate::pack::{ModelFile, Pack, Packs, Role};

/// The folder, below a models folder, that ONNX Runtime lies in.
const RUNTIME_FOLDER: &str = "onnxruntime";

/// The largest model file that is read: protobuf, and so ONNX, cannot hold more.
const MAX_MODEL_BYTES: u64 = i32::MAX as u64;

/// The folders model files are searched in.
#[derive(Debug, Clone)]
pub struct ModelStore {
    folders: Vec<PathBuf>,
}

/// Where a model is to come from.
#[derive(Debug, Clone, PartialEq)]
pub enum ModelSource {
    /// The file of a pack.
    Pack(Box<Pack>),
    /// A file of the user's own.
    File(PathBuf),
}

/// A model's bytes, ready for ONNX Runtime, and what is known about it.
#[derive(Debug)]
pub struct LoadedModel {
    /// The model's name without its extension, for messages and metadata.
    pub name: String,
    /// The graph, mended where ONNX Runtime would not take it as it lies on disk.
    pub bytes: Vec<u8>,
    /// The pack it came from.
    pub pack: Option<Pack>,
}

impl ModelSource {
    /// A pack by its name or folder.
    pub fn pack(name: &str) -> Result<Self, ModelError> {
        Ok(Self::Pack(Box::new(Packs::get(name)?)))
    }

    /// Reads the model for a job and has `open` make something of it.
    ///
    /// The file's hash is checked meanwhile, which takes as long as opening a session where the processor has no
    /// instructions for it. What was made of a file with the wrong hash is dropped unused.
    pub fn open<T>(
        &self,
        role: Role,
        open: impl FnOnce(LoadedModel) -> Result<T, ModelError>,
    ) -> Result<T, ModelError> {
        self.open_from(&ModelStore::locate(), role, open)
    }

    /// The same, with a pack's files searched in `store`.
    pub fn open_from<T>(
        &self,
        store: &ModelStore,
        role: Role,
        open: impl FnOnce(LoadedModel) -> Result<T, ModelError>,
    ) -> Result<T, ModelError> {
        let (path, bytes, pack) = match self {
            Self::Pack(pack) => {
                let (path, bytes) = store.read_unchecked(pack, pack.require(role)?)?;
                (path, bytes, Some(Pack::clone(pack)))
            }
            Self::File(path) => (path.clone(), read_model_bytes(path)?, None),
        };
        let bytes = Bytes::from(bytes);
        let check = || match &pack {
            Some(pack) => check_file(&path, &bytes, pack, pack.require(role)?),
            None => Ok(()),
        };
        let open = || {
            let name = path.file_stem().unwrap_or(path.as_os_str()).to_string_lossy().into_owned();
            let bytes = onnx_mend::mend(bytes.clone()).map_err(|error| ModelError::InvalidModel {
                model: path.display().to_string(),
                reason: error.to_string(),
            })?;
            open(LoadedModel { name, bytes, pack: pack.clone() })
        };
        std::thread::scope(|scope| {
            let checking = std::thread::Builder::new().spawn_scoped(scope, check);
            let opened = open();
            match checking.map(ScopedJoinHandle::join) {
                Ok(Ok(checked)) => checked?,
                // The system had no thread to give.
                _ => check()?,
            }
            opened
        })
    }
}

impl ModelStore {
    /// The folders of this machine, first the one named by `VEDETTE_MODELS_DIR`, then the checkout this was built
    /// from, the user's, that of the installation this program is of, and the system's.
    pub fn locate() -> Self {
        let mut folders = Vec::new();
        folders.extend(environment_path("VEDETTE_MODELS_DIR"));
        folders.push(checkout_folder());
        folders.extend(user_folder());
        folders.extend(installed_folder());
        folders.push(PathBuf::from("/usr/share/vedette/models"));
        Self { folders }
    }

    /// A store of these folders, searched in their order.
    pub fn at(folders: impl IntoIterator<Item = PathBuf>) -> Self {
        Self { folders: folders.into_iter().collect() }
    }

    /// The folder fetched files are put into: the one named by `VEDETTE_MODELS_DIR`, else the checkout's when
    /// this runs on the machine it was built on, else the user's.
    pub fn fetch_folder() -> Result<PathBuf, ModelError> {
        let checkout = checkout_folder();
        environment_path("VEDETTE_MODELS_DIR")
            .or_else(|| checkout.parent().is_some_and(Path::is_dir).then(|| checkout.clone()))
            .or_else(user_folder)
            .ok_or_else(|| ModelError::FetchFailed {
                file: "any file".into(),
                attempts: "there is no place to put it: set VEDETTE_MODELS_DIR or HOME".into(),
            })
    }

    /// The path of a pack's file, if it is on this machine. Its bytes are not looked at.
    pub fn find(&self, pack: &Pack, file: &ModelFile) -> Option<PathBuf> {
        if let Some(folder) = &pack.folder {
            return Some(folder.join(&file.name)).filter(|path| path.is_file());
        }
        self.find_below(&Path::new(&pack.name).join(&file.name))
    }

    /// Whether a pack's file can be read: it is on this machine, or part of this program.
    pub fn has(&self, pack: &Pack, file: &ModelFile) -> bool {
        file.bundled().is_some() || self.find(pack, file).is_some()
    }

    /// The path of a pack's file, or an error that names the command that fetches it.
    pub fn require(&self, pack: &Pack, file: &ModelFile) -> Result<PathBuf, ModelError> {
        self.find(pack, file).ok_or_else(|| ModelError::MissingFile {
            file: format!("{}/{}", pack.name, file.name),
            searched: self.searched(),
            command: pack.fetch_command(),
        })
    }

    /// Reads a pack's file and checks that it is the one the pack describes. One that is part of this program and lies
    /// nowhere on the machine comes from the program, with its name as its path.
    pub fn read(&self, pack: &Pack, file: &ModelFile) -> Result<(PathBuf, Vec<u8>), ModelError> {
        let (path, bytes) = self.read_unchecked(pack, file)?;
        check_file(&path, &bytes, pack, file)?;
        Ok((path, bytes))
    }

    fn read_unchecked(&self, pack: &Pack, file: &ModelFile) -> Result<(PathBuf, Vec<u8>), ModelError> {
        if let (None, Some(bytes)) = (self.find(pack, file), file.bundled()) {
            return Ok((PathBuf::from(&file.name), bytes.to_vec()));
        }
        let path = self.require(pack, file)?;
        let bytes = read_model_bytes(&path)?;
        Ok((path, bytes))
    }

    /// Checks that every file of a pack is here and has the bytes the pack describes.
    pub fn verify(&self, pack: &Pack) -> Result<(), ModelError> {
        pack.files().try_for_each(|file| self.read(pack, file).map(drop))
    }

    /// The fetched ONNX Runtime library, if there is one.
    pub fn find_runtime(&self, library: &ModelFile) -> Option<PathBuf> {
        self.find_below(&Self::runtime_path(library))
    }

    /// Where the ONNX Runtime library lies below a models folder.
    pub(crate) fn runtime_path(library: &ModelFile) -> PathBuf {
        Path::new(RUNTIME_FOLDER).join(&library.name)
    }

    /// The folders, for a message.
    pub(crate) fn searched(&self) -> String {
        self.folders.iter().map(|folder| folder.display().to_string()).collect::<Vec<_>>().join(", ")
    }

    fn find_below(&self, relative: &Path) -> Option<PathBuf> {
        self.folders.iter().map(|folder| folder.join(relative)).find(|path| path.is_file())
    }
}

/// The hash of some bytes, as packs write it.
pub(crate) fn sha256_hex(bytes: &[u8]) -> String {
    let digest = Sha256::digest(bytes);
    digest.iter().fold(String::with_capacity(2 * digest.len()), |mut text, byte| {
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// Checks that a file's bytes are those its pack describes, if it does.
fn check_file(path: &Path, bytes: &[u8], pack: &Pack, file: &ModelFile) -> Result<(), ModelError> {
    match &file.sha256 {
        Some(expected) => check_hash(path, &sha256_hex(bytes), expected, &pack.fetch_command()),
        None => Ok(()),
    }
}

pub(crate) fn check_hash(path: &Path, found: &str, expected: &str, command: &str) -> Result<(), ModelError> {
    if found == expected {
        return Ok(());
    }
    Err(ModelError::WrongHash {
        path: path.to_path_buf(),
        expected: expected.into(),
        found: found.into(),
        command: command.into(),
    })
}

/// Reads a whole file that may be a model, refusing what cannot be one before memory is spent on it.
pub(crate) fn read_model_bytes(path: &Path) -> Result<Vec<u8>, ModelError> {
    let failed = |source| ModelError::Io { action: "read", path: path.to_path_buf(), source };
    let metadata = std::fs::metadata(path).map_err(failed)?;
    let refused =
        |reason: &str| ModelError::InvalidModel { model: path.display().to_string(), reason: reason.into() };
    // A device or a pipe has no end, or none that comes soon.
    if !metadata.is_file() {
        return Err(refused("it is not a file"));
    }
    if metadata.len() > MAX_MODEL_BYTES {
        return Err(refused("it is larger than any ONNX file can be"));
    }
    std::fs::read(path).map_err(failed)
}

fn checkout_folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("files")
}

fn user_folder() -> Option<PathBuf> {
    let data_home =
        environment_path("XDG_DATA_HOME").or_else(|| Some(environment_path("HOME")?.join(".local/share")));
    data_home.map(|folder| folder.join("vedette/models"))
}

/// `share` beside the `bin` of a release that was unpacked anywhere.
fn installed_folder() -> Option<PathBuf> {
    let program = std::env::current_exe().ok()?;
    Some(program.parent()?.parent()?.join("share/vedette/models"))
}

fn environment_path(variable: &str) -> Option<PathBuf> {
    std::env::var_os(variable).filter(|value| !value.is_empty()).map(PathBuf::from)
}

#[cfg(test)]
mod tests;
