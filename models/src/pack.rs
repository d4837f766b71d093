//! Model packs: which files recognise faces together, where they come from, what their licences allow and
//! which thresholds they were measured with. The built-in packs are `packs.yaml`; a folder with model files is a
//! pack too.

mod check;

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use serde::Deserialize;

use crate::bundled;
use crate::error::ModelError;

/// The pack that is used when nobody names one: free for commercial use.
pub const DEFAULT_PACK: &str = "opencv";

/// The description a pack folder may carry.
const FOLDER_DESCRIPTION: &str = "pack.yaml";

/// Every pack this build knows, and the ONNX Runtime library they run on.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Packs {
    /// The ONNX Runtime library.
    pub runtime: Runtime,
    /// The packs by name.
    packs: BTreeMap<String, Pack>,
}

/// The ONNX Runtime library: one file for each platform.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Runtime {
    /// ONNX Runtime's version.
    pub version: String,
    /// Its licence.
    pub licence: String,
    /// The files by platform, named as `std::env::consts` does: `linux-x86_64`.
    pub platforms: BTreeMap<String, ModelFile>,
}

/// A set of models that work together.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pack {
    /// Its name; for a folder, the folder's path.
    #[serde(skip)]
    pub name: String,
    /// The folder the files lie in, for a pack that is a folder.
    #[serde(skip)]
    pub folder: Option<PathBuf>,
    /// One line about it.
    pub about: String,
    /// What its licences say, taken together.
    pub licence: String,
    /// Whether all of it may be used commercially. Fetching a pack that may not asks first.
    pub commercial_use: bool,
    /// Finds faces.
    pub detector: Option<DetectorModel>,
    /// Turns a face into an embedding.
    pub embedder: Option<EmbedderModel>,
    /// Tells age and gender.
    pub attributes: Option<AttributesModel>,
    /// When two embeddings are the same person.
    pub recognition: Option<Recognition>,
}

/// A detector.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DetectorModel {
    /// How its outputs are read.
    pub architecture: DetectorArchitecture,
    /// The file.
    pub file: ModelFile,
    /// The longest side, in pixels, of the picture it works well on.
    pub input_size: u32,
    /// The score from which something is a face.
    pub threshold: f32,
    /// The overlap (IoU) from which two boxes are the same face.
    pub nms_threshold: f32,
    /// Where these figures come from.
    pub basis: String,
}

/// An embedder.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EmbedderModel {
    /// How faces are fed to it.
    pub architecture: EmbedderArchitecture,
    /// The file.
    pub file: ModelFile,
    /// The side, in pixels, of the aligned face it takes.
    pub input_size: u32,
    /// How many numbers an embedding has.
    pub dimension: usize,
}

/// A model for age and gender.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AttributesModel {
    /// How its outputs are read.
    pub architecture: AttributesArchitecture,
    /// The file.
    pub file: ModelFile,
    /// The side, in pixels, of the crop it takes.
    pub input_size: u32,
}

/// How a detector's outputs are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DetectorArchitecture {
    /// YuNet, of OpenCV Zoo.
    Yunet,
    /// SCRFD, of InsightFace.
    Scrfd,
}

/// How faces are fed to an embedder.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum EmbedderArchitecture {
    /// SFace, of OpenCV Zoo: mean and scale are inside its graph.
    Sface,
    /// ArcFace, of InsightFace.
    Arcface,
}

/// How a model for age and gender is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AttributesArchitecture {
    /// InsightFace's genderage.
    Genderage,
    /// SSR-Net for the age and mini-Xception for the gender, in genderage's form.
    Ssrnet,
}

/// When two embeddings are the same person.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Recognition {
    /// The least cosine similarity of two pictures of one person. Where a cosine *distance* is asked for, it is
    /// one minus this.
    pub similarity_threshold: f32,
    /// How much more similar than the runner-up the best person must be.
    pub margin: f32,
    /// Where these figures come from.
    pub basis: String,
}

/// One file and how to get it.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModelFile {
    /// Its name inside the pack's folder.
    pub name: String,
    /// The hash of its bytes. Only a folder's own `pack.yaml` may leave it out.
    pub sha256: Option<String>,
    /// Its size, where known.
    pub size_bytes: Option<u64>,
    /// Its licence.
    pub licence: String,
    /// Whether it may be used commercially.
    pub commercial_use: bool,
    /// Where it can be had, best first.
    #[serde(default, with = "serde_yaml::with::singleton_map_recursive")]
    pub sources: Vec<Source>,
}

/// One place a file can be had from.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "lowercase", deny_unknown_fields)]
pub enum Source {
    /// A Python wheel, through the ordinary client: the member is what is wanted of it.
    Pip {
        /// The requirement, such as `name==1.2.3`.
        requirement: String,
        /// The Python version whose wheel it is, such as `311`, for wheels that come in several.
        python: Option<String>,
        /// The platform whose wheel it is, such as `manylinux_2_28_x86_64`, for wheels that come in several.
        platform: Option<String>,
        /// The hash of the wheel, where known.
        sha256: Option<String>,
        /// The file's path inside the wheel.
        member: String,
    },
    /// A file on a web server, or a member of an archive there.
    Https {
        /// The address.
        url: String,
        /// The file's name inside the zip archive, when the address is one. It may lie in any folder there.
        member: Option<String>,
    },
    /// A file that is part of this program, by its name there. It need not be fetched: where it lies nowhere, the program's
    /// own is used.
    Bundled(String),
    /// A file on this machine, or a member of an archive here.
    Local {
        /// The path.
        path: PathBuf,
        /// The file's name inside the zip archive, when the path is one. It may lie in any folder there.
        member: Option<String>,
    },
}

/// What a model of a pack is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Finds faces.
    Detector,
    /// Turns a face into an embedding.
    Embedder,
    /// Tells age and gender.
    Attributes,
}

impl Role {
    /// The word for it in messages.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Detector => "detector",
            Self::Embedder => "embedder",
            Self::Attributes => "model for age and gender",
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

impl Packs {
    /// The packs of this build.
    pub fn builtin() -> Result<&'static Self, ModelError> {
        static BUILTIN: LazyLock<Result<Packs, String>> =
            LazyLock::new(|| Packs::parse(include_str!("../packs.yaml")));
        BUILTIN.as_ref().map_err(|reason| ModelError::InvalidPackList {
            origin: "packs.yaml".into(),
            reason: reason.clone(),
        })
    }

    /// The pack of that name, or of that folder when the name is a path.
    pub fn get(name: &str) -> Result<Pack, ModelError> {
        let packs = Self::builtin()?;
        if let Some(pack) = packs.packs.get(name) {
            return Ok(pack.clone());
        }
        if name.contains('/') {
            return packs.in_folder(Path::new(name));
        }
        Err(ModelError::UnknownPack {
            name: name.into(),
            known: packs.names().collect::<Vec<_>>().join(", "),
        })
    }

    /// The names of the packs.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.packs.keys().map(String::as_str)
    }

    /// The packs, in the order of their names.
    pub fn iter(&self) -> impl Iterator<Item = &Pack> {
        self.packs.values()
    }

    /// Reads a list of packs and checks what the types cannot.
    fn parse(text: &str) -> Result<Self, String> {
        let mut packs: Self = serde_yaml::from_str(text).map_err(|error| error.to_string())?;
        for (name, pack) in &mut packs.packs {
            pack.name.clone_from(name);
            pack.check().map_err(|reason| format!("{name}: {reason}"))?;
            if let Some(file) = pack.files().find(|file| file.sha256.is_none()) {
                return Err(format!("{name}: {} has no sha256", file.name));
            }
        }
        for file in packs.runtime.platforms.values() {
            file.check()?;
        }
        Ok(packs)
    }

    /// The pack in a folder: described by its own `pack.yaml`, or else the known pack whose files lie in it.
    fn in_folder(&self, folder: &Path) -> Result<Pack, ModelError> {
        let description = folder.join(FOLDER_DESCRIPTION);
        let described = match std::fs::read_to_string(&description) {
            Ok(text) => Some(text),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
            Err(source) => return Err(ModelError::Io { action: "read", path: description, source }),
        };
        let mut pack = match described {
            Some(text) => {
                let pack: Pack =
                    serde_yaml::from_str(&text).map_err(|error| ModelError::InvalidPackList {
                        origin: description.display().to_string(),
                        reason: error.to_string(),
                    })?;
                pack.check().map_err(|reason| ModelError::InvalidPackList {
                    origin: description.display().to_string(),
                    reason,
                })?;
                pack
            }
            None => self
                .iter()
                .find(|pack| {
                    let required = [pack.model(Role::Detector), pack.model(Role::Embedder)];
                    required.into_iter().flatten().all(|file| folder.join(&file.name).is_file())
                })
                .cloned()
                .ok_or_else(|| ModelError::InvalidPackList {
                    origin: folder.display().to_string(),
                    reason: format!("it holds neither a {FOLDER_DESCRIPTION} nor the files of a known pack"),
                })?,
        };
        pack.name = folder.display().to_string();
        pack.folder = Some(folder.to_path_buf());
        Ok(pack)
    }
}

impl ModelFile {
    /// Its bytes, if it is part of this program.
    pub(crate) fn bundled(&self) -> Option<&'static [u8]> {
        self.sources.iter().find_map(|source| match source {
            Source::Bundled(name) => bundled::bytes(name),
            _ => None,
        })
    }
}

impl Runtime {
    /// The library for the machine this runs on.
    pub fn for_this_machine(&self) -> Option<&ModelFile> {
        self.platforms.get(&format!("{}-{}", std::env::consts::OS, std::env::consts::ARCH))
    }
}

impl Pack {
    /// The file that does a job.
    pub fn model(&self, role: Role) -> Option<&ModelFile> {
        match role {
            Role::Detector => self.detector.as_ref().map(|model| &model.file),
            Role::Embedder => self.embedder.as_ref().map(|model| &model.file),
            Role::Attributes => self.attributes.as_ref().map(|model| &model.file),
        }
    }

    /// The file that does a job, or an error that says the pack has none.
    pub fn require(&self, role: Role) -> Result<&ModelFile, ModelError> {
        self.model(role).ok_or_else(|| {
            let has_one = |pack: &&Self| pack.model(role).is_some();
            let names = |packs: &Packs| packs.iter().filter(has_one).map(|pack| pack.name.clone()).collect();
            let known: Vec<String> = Packs::builtin().map(names).unwrap_or_default();
            ModelError::NotInPack { pack: self.name.clone(), role: role.as_str(), known: known.join(", ") }
        })
    }

    /// All files of the pack.
    pub fn files(&self) -> impl Iterator<Item = &ModelFile> {
        [Role::Detector, Role::Embedder, Role::Attributes].into_iter().filter_map(|role| self.model(role))
    }

    /// The command that puts the pack's files on this machine.
    pub(crate) fn fetch_command(&self) -> String {
        match &self.folder {
            Some(folder) => format!("copy it to {}", folder.display()),
            None => format!("vedette models fetch {}", self.name),
        }
    }
}

#[cfg(test)]
mod tests;
