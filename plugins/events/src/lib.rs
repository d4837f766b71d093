//! The wire types shared by Vedette's elements, worker and control plane.
//!
//! Everything that crosses a process boundary as JSON is defined here once: what was seen
//! ([`FaceEvent`]), who is known ([`GallerySnapshot`]) and what a worker reports and is told
//! ([`Heartbeat`], [`HeartbeatReply`]). The crate depends on serde and knows neither GStreamer nor HTTP,
//! so either side can be built without the other. What all of them are a [`release`] of is here, too, and which
//! [`address`] none of them calls.

pub mod address;
#[cfg(feature = "capture")]
pub mod capture;
mod errand;
mod event;
mod gallery;
mod live;
mod log;
pub mod release;
mod worker;

pub use errand::{CameraPicture, Errand, Outcome, Task};
pub use event::{BoundingBox, EventKind, FaceEvent, FrameSize, Gender, PersonMatch};
pub use gallery::{GalleryError, GalleryPerson, GallerySnapshot, decode_vector, encode_vector};
pub use live::{LivePicture, LiveWish};
pub use log::{LogLine, Severity};
pub use worker::{
    CameraAssignment, CameraReport, CameraState, CameraStats, Corners, EventStats, Heartbeat, HeartbeatReply,
    InferenceStats, PipelineSettings,
};
