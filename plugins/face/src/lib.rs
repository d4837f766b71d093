//! Vedette's GStreamer elements: they find, follow, recognise and report faces in video.
//!
//! Built as a `cdylib` this is the plugin `gst-launch-1.0` loads; as an `rlib` a program links it and calls
//! [`plugin_register_static`].

pub mod eventsink;
pub mod facedetect;
pub mod faceembed;
pub mod facematch;
pub mod faceoverlay;
pub mod facetrack;
mod frame;
mod instance;
pub mod kept;
pub mod meta;
mod settled;
mod stats;
pub mod still;
mod warn;

pub use vedette_models::{owner, watched};

use gst::glib;
use gst::prelude::*;

fn plugin_init(plugin: &gst::Plugin) -> Result<(), glib::BoolError> {
    meta::FrameInfo::register();
    instance::Device::static_type().mark_as_plugin_api(gst::PluginAPIFlags::empty());
    facedetect::register(plugin)?;
    facetrack::register(plugin)?;
    faceembed::register(plugin)?;
    facematch::register(plugin)?;
    faceoverlay::register(plugin)?;
    eventsink::register(plugin)
}

pub use entry::plugin_desc::plugin_register_static;

/// What GStreamer calls to load the plugin.
#[allow(unsafe_code, missing_docs, reason = "the macro writes the C entry points of a plugin")]
mod entry {
    use super::plugin_init;

    gst::plugin_define!(
        vedette,
        env!("CARGO_PKG_DESCRIPTION"),
        plugin_init,
        concat!(env!("CARGO_PKG_VERSION"), "-", env!("COMMIT_ID")),
        "MIT/X11",
        env!("CARGO_PKG_NAME"),
        env!("CARGO_PKG_NAME"),
        "vedette",
        env!("BUILD_REL_DATE")
    );
}
