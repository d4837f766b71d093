//! What can go wrong between a model's name and its result. Every message says what happened, to which file,
//! and what to do about it, because most of these reach the person who typed the command.

use std::path::PathBuf;

/// The error of everything in this crate that needs a model.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ModelError {
    /// A pack was named that nobody knows.
    #[error(
        "there is no model pack `{name}`: the packs are {known}; a folder with model files is named by its path, \
         such as `./{name}`"
    )]
    UnknownPack {
        /// The name as it was given.
        name: String,
        /// The names that would have been right.
        known: String,
    },

    /// A list of packs (the built-in one, or a folder's `pack.yaml`) cannot be read.
    #[error("the model pack description {origin} is not valid: {reason}")]
    InvalidPackList {
        /// Where the text came from.
        origin: String,
        /// What the parser or the checks objected to.
        reason: String,
    },

    /// A pack has no model for the job it is asked to do.
    #[error("the model pack `{pack}` has no {role}: take one that has ({known})")]
    NotInPack {
        /// The pack's name.
        pack: String,
        /// The job, such as `embedder`.
        role: &'static str,
        /// The names of the packs that have one.
        known: String,
    },

    /// A file of a pack is nowhere to be found.
    #[error("the model file `{file}` is not on this machine (looked in {searched}): run `{command}`")]
    MissingFile {
        /// Its path below a models folder.
        file: String,
        /// The folders that were searched.
        searched: String,
        /// What fetches it.
        command: String,
    },

    /// A file is not, byte for byte, the one the pack describes.
    #[error(
        "{path} is not the file it should be (sha256 {found} instead of {expected}): delete it and run `{command}`",
        path = path.display()
    )]
    WrongHash {
        /// The file.
        path: PathBuf,
        /// The hash the pack lists.
        expected: String,
        /// The hash of the bytes that are there.
        found: String,
        /// What fetches the right one.
        command: String,
    },

    /// The operating system refused something.
    #[error("cannot {action} {path}: {source}", path = path.display())]
    Io {
        /// The verb, such as `read`.
        action: &'static str,
        /// What it was done to.
        path: PathBuf,
        /// The system's own words.
        source: std::io::Error,
    },

    /// No ONNX Runtime library was found.
    #[error(
        "ONNX Runtime is not on this machine (looked for {searched}): run `vedette models fetch opencv`, or set \
         ORT_DYLIB_PATH to its libonnxruntime.so"
    )]
    RuntimeMissing {
        /// The places that were searched.
        searched: String,
    },

    /// A library was found and cannot be used.
    #[error(
        "{path} cannot be used as ONNX Runtime: {reason}; run `vedette models fetch opencv`, or set ORT_DYLIB_PATH \
         to a libonnxruntime.so of version 1.{minimum} or later",
        path = path.display(),
        minimum = ort::MINOR_VERSION
    )]
    RuntimeUnusable {
        /// The library.
        path: PathBuf,
        /// Why not.
        reason: String,
    },

    /// A file is not a model, or not the kind of model it was taken for.
    #[error("`{model}` cannot be used: {reason}")]
    InvalidModel {
        /// The model's label, usually its file name.
        model: String,
        /// What is wrong with it.
        reason: String,
    },

    /// The device asked for cannot run models here.
    #[error(
        "the device `{device}` is not available for `{model}`: {reason}; use device `cpu` or `auto`, or name an ONNX Runtime that was built for it in ORT_DYLIB_PATH"
    )]
    DeviceUnavailable {
        /// The device's name.
        device: &'static str,
        /// The model that was to run on it.
        model: String,
        /// ONNX Runtime's reason.
        reason: String,
    },

    /// A model was given something it cannot take, or gave something that makes no sense.
    #[error("`{model}` {reason}")]
    UnexpectedTensor {
        /// The model's label.
        model: String,
        /// What was not as it should be, as the rest of a sentence that begins with the model's name.
        reason: String,
    },

    /// ONNX Runtime failed while running a model.
    #[error("inference failed: {0}")]
    Inference(#[from] ort::Error),

    /// A pack's licence must be accepted first.
    #[error(
        "the model pack `{pack}` is not free for every use: {licence}. Whoever accepts this runs \
         `vedette models fetch {pack} --accept-license`"
    )]
    LicenceNotAccepted {
        /// The pack's name.
        pack: String,
        /// What its licence says.
        licence: String,
    },

    /// No source of a file could deliver it.
    #[error("cannot fetch `{file}`: {attempts}")]
    FetchFailed {
        /// The file's name.
        file: String,
        /// Each source with the reason it failed.
        attempts: String,
    },
}
