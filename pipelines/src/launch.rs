//! The launch templates: read, parsed and filled in.
//!
//! A template is plain gst-launch text whose elements have names. Only the text in this repository reaches GStreamer's
//! parser; whatever a user may choose (URLs, passwords, camera ids, thresholds) is set afterwards as a property of a
//! named element, so nothing typed into a camera's URL can become an element.

mod filling;
mod line;

use std::path::{Component, Path, PathBuf};

use gst::glib;
use gst::prelude::*;
use thiserror::Error;
use vedette_events::CameraAssignment;

use crate::foreign;
use crate::limits;
use crate::source::Source;
use filling::Filling;

/// A pipeline that cannot be built.
#[derive(Debug, Error)]
pub enum LaunchError {
    /// The template asks for something this installation lacks.
    #[error(
        "GStreamer lacks something the `{template}` pipeline needs ({error}): install gstreamer1.0-plugins-base, \
             -good, -bad and gstreamer1.0-libav"
    )]
    Parse {
        /// The template.
        template: &'static str,
        /// GStreamer's reason.
        error: glib::Error,
    },
    /// The template and this program do not fit each other.
    #[error("the `{template}` pipeline has no element named `{element}`")]
    NoElement {
        /// The template.
        template: &'static str,
        /// The element's name in it.
        element: &'static str,
    },
    /// A setting an element does not know or does not take.
    #[error("the setting `{property}` of `{element}` cannot be `{value}`")]
    Setting {
        /// The element's name.
        element: &'static str,
        /// The property.
        property: &'static str,
        /// The value; masked where it is a secret.
        value: String,
    },
    /// A camera id that is no plain name.
    #[error("`{0}` is no camera id: use up to 64 letters, digits, `-`, `_` and `.`")]
    CameraId(String),
}

/// Where events go and galleries come from.
#[derive(Clone)]
pub struct ControlPlane {
    /// Base URL without a slash at its end.
    pub url: String,
    /// What the worker shows to be let in.
    pub token: String,
    /// Where events go in place of its ingest route: a Redis stream it reads. May hold a password.
    pub events_uri: Option<String>,
}

impl ControlPlane {
    /// Where events go, and what is shown there.
    pub fn events_to(&self) -> (String, Option<&str>) {
        match &self.events_uri {
            Some(uri) => (uri.clone(), None),
            None => (format!("{}/api/ingest", self.url), Some(&self.token)),
        }
    }
}

/// One launch template.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Template {
    /// `file.launch`.
    File,
    /// `loop.launch`.
    Loop,
    /// `rtsp.launch`.
    Rtsp,
    /// `http.launch`.
    Http,
    /// `webcam.launch`.
    Webcam,
    /// `test.launch`.
    Test,
}

impl Template {
    /// Every template.
    pub const ALL: [Self; 6] = [Self::File, Self::Loop, Self::Rtsp, Self::Http, Self::Webcam, Self::Test];

    /// The template that plays `source`; `looped` as the camera was assigned.
    pub fn of(source: &Source, looped: bool) -> Self {
        match source {
            Source::File { looped: by_url, .. } if looped || *by_url => Self::Loop,
            Source::File { .. } => Self::File,
            Source::Rtsp(_) => Self::Rtsp,
            Source::Http(_) => Self::Http,
            Source::Webcam(_) => Self::Webcam,
            Source::Test(_) => Self::Test,
        }
    }

    /// Its file's name without the ending.
    pub fn name(self) -> &'static str {
        match self {
            Self::File => "file",
            Self::Loop => "loop",
            Self::Rtsp => "rtsp",
            Self::Http => "http",
            Self::Webcam => "webcam",
            Self::Test => "test",
        }
    }

    /// The file as it lies in `launch/`, comments and all.
    pub fn text(self) -> &'static str {
        match self {
            Self::File => include_str!("../launch/file.launch"),
            Self::Loop => include_str!("../launch/loop.launch"),
            Self::Rtsp => include_str!("../launch/rtsp.launch"),
            Self::Http => include_str!("../launch/http.launch"),
            Self::Webcam => include_str!("../launch/webcam.launch"),
            Self::Test => include_str!("../launch/test.launch"),
        }
    }

    /// Its text without comments: what `gst-launch-1.0` takes.
    pub fn description(self) -> String {
        let lines = self.text().lines().filter(|line| !line.trim_start().starts_with('#'));
        lines.collect::<Vec<_>>().join(" ")
    }

    /// Builds its elements, with the gaps still open.
    ///
    /// # Errors
    /// When an element is missing from this installation.
    pub fn parse(self) -> Result<gst::Pipeline, LaunchError> {
        self.parse_text(&self.description())
    }

    fn parse_text(self, description: &str) -> Result<gst::Pipeline, LaunchError> {
        let failed = |error| LaunchError::Parse { template: self.name(), error };
        let flags = gst::ParseFlags::FATAL_ERRORS;
        let element = gst::parse::launch_full(description, None, flags).map_err(failed)?;
        element
            .downcast::<gst::Pipeline>()
            .map_err(|_| LaunchError::NoElement { template: self.name(), element: "pipeline" })
    }
}

/// What a camera's pipeline is made of: a template, and everything that is set in it.
#[derive(Clone)]
pub struct Plan {
    template: Template,
    fillings: Vec<Filling>,
}

impl Plan {
    /// The pipeline of a camera. Without a control plane its events go to standard output, and it knows nobody.
    ///
    /// # Errors
    /// When the camera's id is no plain name.
    pub fn new(
        source: &Source,
        camera: &CameraAssignment,
        control_plane: Option<&ControlPlane>,
        data_dir: &Path,
    ) -> Result<Self, LaunchError> {
        let spool_dir = spool_dir(data_dir, &camera.camera_id)?;
        let mut fillings = filling::of_source(source);
        fillings.extend(filling::of_settings(&camera.settings));
        if let Some(control_plane) = control_plane {
            fillings.extend(filling::of_control_plane(camera, control_plane, &spool_dir));
        }
        Ok(Self { template: Template::of(source, camera.looped), fillings })
    }

    /// Builds the pipeline.
    ///
    /// # Errors
    /// When an element is missing from this installation or does not take a setting.
    pub fn build(&self) -> Result<gst::Pipeline, LaunchError> {
        let pipeline = self.template.parse()?;
        expose_motion_jpeg_at_once(&pipeline);
        limits::guard(&pipeline);
        foreign::refuse(&pipeline, self.template);
        self.fillings.iter().try_for_each(|filling| filling.set(self.template, &pipeline))?;
        Ok(pipeline)
    }

    /// Makes a running pipeline, built by this plan, one of `wanted`, if that can be while frames flow. Answers whether
    /// it could; if not, nothing has changed.
    ///
    /// # Errors
    /// When an element does not take a setting.
    pub fn change(&self, pipeline: &gst::Pipeline, wanted: &Self) -> Result<bool, LaunchError> {
        filling::change(self.template, pipeline, &self.fillings, &wanted.fillings)
    }

    /// The pipeline as a line for a POSIX shell: what follows `gst-launch-1.0`. Secrets are masked, unless they are to be
    /// shown.
    ///
    /// # Errors
    /// When the template has no element that something is to be set of.
    pub fn line(&self, show_secrets: bool) -> Result<String, LaunchError> {
        let show =
            |filling: &Filling| if show_secrets { filling.value.clone() } else { filling.shown.clone() };
        Ok(line::for_shell(&line::words(self.template, &self.fillings, show)?))
    }

    /// Whether its line holds something that is shown to nobody who did not ask for it.
    pub fn has_secrets(&self) -> bool {
        self.fillings.iter().any(|filling| filling.value != filling.shown)
    }
}

/// Builds a pipeline that shows a camera's pictures and does nothing with them: the source of its template, up to the queue
/// that analysis begins with.
///
/// # Errors
/// When an element is missing from this installation or does not take a setting.
pub fn build_probe(source: &Source) -> Result<(gst::Pipeline, gst_app::AppSink), LaunchError> {
    let template = Template::of(source, false);
    let description = template.description();
    let no_sink = LaunchError::NoElement { template: template.name(), element: "queue" };
    let Some((before_queue, _)) = description.split_once("! queue name=queue") else { return Err(no_sink) };
    let pipeline =
        template.parse_text(&format!("{before_queue} ! appsink name=picture sync=false max-buffers=1"))?;
    expose_motion_jpeg_at_once(&pipeline);
    limits::guard(&pipeline);
    foreign::refuse(&pipeline, template);
    filling::of_source(source).iter().try_for_each(|filling| filling.set(template, &pipeline))?;
    let sink = pipeline.by_name("picture").and_then(|sink| sink.downcast::<gst_app::AppSink>().ok());
    let sink = sink.ok_or(LaunchError::NoElement { template: template.name(), element: "picture" })?;
    sink.set_caps(Some(&gstvedette::still::caps()));
    Ok((pipeline, sink))
}

/// A multipart stream may bring further streams at any time, so decodebin would show the first one only when its buffers
/// are full: after ten seconds of a small camera's pictures. A camera's has just the one.
fn expose_motion_jpeg_at_once(pipeline: &gst::Pipeline) {
    pipeline.connect_deep_element_added(|_, _, element| {
        if element.factory().is_some_and(|factory| factory.name() == "multipartdemux") {
            element.set_property("single-stream", true);
        }
    });
}

/// Where a camera's events wait until they are delivered.
///
/// # Errors
/// When `camera_id` is no plain name, and so could lead out of the data directory.
pub fn spool_dir(data_dir: &Path, camera_id: &str) -> Result<PathBuf, LaunchError> {
    check_camera_id(camera_id)?;
    Ok(data_dir.join("spool").join(camera_id))
}

/// Makes sure that a camera's id is a plain name.
///
/// # Errors
/// When it is not.
pub(crate) fn check_camera_id(camera_id: &str) -> Result<(), LaunchError> {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    let is_name = matches!(Path::new(camera_id).components().next(), Some(Component::Normal(_)));
    if camera_id.len() > 64 || !is_name || !camera_id.bytes().all(allowed) {
        return Err(LaunchError::CameraId(camera_id.chars().take(64).collect()));
    }
    Ok(())
}
