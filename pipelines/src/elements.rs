//! Starts GStreamer and makes sure that Vedette's elements are the ones found under their names.
//!
//! Another plugin may bear one of the names: `facedetect` is also an element of GStreamer's old OpenCV plugin and
//! `faceoverlay` one of plugins-bad, and whichever was scanned last wins. A dynamic build of our own plugin on `GST_PLUGIN_PATH` would likewise compete
//! with the one linked in. Both are taken out of this process's registry; the registry on disk stays as it is.

use std::sync::{Mutex, PoisonError};

use gst::prelude::*;
use thiserror::Error;

/// Name of the plugin.
const PLUGIN: &str = "vedette";

/// Every name the plugin registers.
const ELEMENTS: [&str; 8] = [
    "facedetect",
    "vedettefacedetect",
    "facetrack",
    "faceembed",
    "facematch",
    "faceoverlay",
    "vedettefaceoverlay",
    "eventsink",
];

/// The elements cannot be had.
#[derive(Debug, Error)]
pub enum ElementsError {
    /// GStreamer did not start or did not take the plugin.
    #[error("GStreamer cannot be started: {0}")]
    GStreamer(#[from] gst::glib::Error),
    /// The plugin was refused.
    #[error("GStreamer does not take Vedette's elements: {0}")]
    Register(#[from] gst::glib::BoolError),
    /// An element is missing or is another plugin's after all.
    #[error("the element `{name}` is not Vedette's but {found}: take that plugin off GST_PLUGIN_PATH")]
    Foreign {
        /// The element.
        name: &'static str,
        /// Where it comes from.
        found: String,
    },
}

/// Initialises GStreamer and registers the elements; may be called any number of times.
///
/// # Errors
/// When GStreamer does not start, or does not take the elements.
pub fn init() -> Result<(), ElementsError> {
    static REGISTERED: Mutex<bool> = Mutex::new(false);
    let mut registered = REGISTERED.lock().unwrap_or_else(PoisonError::into_inner);
    gst::init()?;
    if !*registered {
        remove_namesakes();
        gstvedette::plugin_register_static()?;
        *registered = true;
    }
    ELEMENTS.into_iter().try_for_each(check)
}

/// Takes every plugin and feature out of the registry that bears one of our names.
fn remove_namesakes() {
    let registry = gst::Registry::get();
    while let Some(plugin) = registry.find_plugin(PLUGIN) {
        tracing::debug!(file = ?plugin.filename(), "using the elements linked in, not the installed plugin");
        registry.remove_plugin(&plugin);
    }
    for name in ELEMENTS {
        while let Some(feature) = registry.lookup_feature(name) {
            let plugin = feature.plugin_name();
            tracing::info!(
                element = name,
                plugin = plugin.as_deref(),
                "setting another plugin's element aside"
            );
            registry.remove_feature(&feature);
        }
    }
}

/// Makes sure that `name` is an element of the plugin linked in, which has no file.
fn check(name: &'static str) -> Result<(), ElementsError> {
    let found = match gst::ElementFactory::find(name).and_then(|factory| factory.plugin()) {
        Some(plugin) if plugin.plugin_name() == PLUGIN && plugin.filename().is_none() => return Ok(()),
        Some(plugin) => format!("one of the plugin `{}`", plugin.plugin_name()),
        None => "missing".into(),
    };
    Err(ElementsError::Foreign { name, found })
}
