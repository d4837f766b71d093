//! The worker: runs the camera pipelines of one host, watches them and brings them back.
//!
//! A heartbeat ([`heartbeat`]) tells the control plane how every camera does and learns which to run; [`worker`] starts
//! and stops camera threads accordingly; each ([`camera`]) keeps one [`pipeline`] alive, built from a launch template
//! ([`launch`]) and its camera's URL ([`source`]). A camera that takes the whole worker down twice is left out ([`crashes`]).

mod attempt;
mod backoff;
pub mod camera;
pub mod container;
pub mod crashes;
pub mod dry_run;
pub mod elements;
pub mod errand;
pub mod failure;
mod fatal;
pub mod figures;
mod foreign;
pub mod heartbeat;
pub mod journal;
pub mod launch;
mod leftovers;
mod limits;
mod live;
pub mod memory;
pub mod network;
pub mod pipeline;
mod reach;
pub mod redact;
mod rtsp;
pub mod signal;
pub mod source;
mod spooled;
mod streams;
pub mod worker;
