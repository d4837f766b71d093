//! Face inference without GStreamer and without a web server: model packs and where their files lie, ONNX
//! Runtime sessions shared by every camera of a process, detection, alignment, embedding, tracking, the
//! search of a gallery, and figures for how well all of it recognises.

pub mod align;
pub mod analyzer;
pub mod attributes;
pub mod batch;
mod bundled;
mod crops;
pub mod detect;
pub mod embed;
pub mod error;
pub mod evaluation;
pub mod fetch;
pub mod files;
pub mod gallery;
pub mod geometry;
pub mod identity;
pub mod image;
mod onnx_mend;
pub mod owner;
pub mod pack;
pub mod photo;
pub mod quality;
mod runtime;
pub mod session;
pub mod track;
pub mod watched;

pub use analyzer::{AnalyzedFace, Analyzer};
pub use error::ModelError;
pub use pack::Pack;
pub use photo::{Photo, PhotoError};
pub use runtime::forbid_telemetry;
