//! Face inference without GStreamer and without a web server: model packs and where their files lie, ONNX
//! Runtime sessions shared by every camera of a process, detection, alignment, embedding, tracking and the
//! search of a gallery.

pub mod batch;
pub mod error;
pub mod fetch;
pub mod files;
mod onnx_mend;
pub mod pack;
mod runtime;
pub mod session;

pub use error::ModelError;
