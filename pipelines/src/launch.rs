//! The launch templates: read, parsed and filled in.
//!
//! A template is plain gst-launch text whose elements have names. Only the text in this repository reaches GStreamer's
//! parser; whatever a user may choose (URLs, passwords, camera ids, thresholds) is set afterwards as a property of a
//! named element, so nothing typed into a camera's URL can become an element.

use std::path::{Component, Path, PathBuf};

use gst::glib;
use gst::prelude::*;
use thiserror::Error;
use vedette_events::CameraAssignment;

use crate::foreign;
use crate::network::{NetworkCamera, Transport};
use crate::source::Source;

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

/// A parsed template whose gaps are being filled.
struct Gaps<'a> {
    template: Template,
    pipeline: &'a gst::Pipeline,
}

impl Gaps<'_> {
    fn set(
        &self,
        element: &'static str,
        property: &'static str,
        value: impl ToString,
    ) -> Result<(), LaunchError> {
        let value = value.to_string();
        self.try_set(element, property, &value)?.ok_or(LaunchError::Setting { element, property, value })
    }

    /// Like [`Gaps::set`], for what no message may repeat.
    fn set_secret(
        &self,
        element: &'static str,
        property: &'static str,
        value: &str,
    ) -> Result<(), LaunchError> {
        self.try_set(element, property, value)?.ok_or_else(|| LaunchError::Setting {
            element,
            property,
            value: crate::redact::MASK.into(),
        })
    }

    /// Sets a property from text, whatever its type; `None` if the element does not take it.
    fn try_set(
        &self,
        name: &'static str,
        property: &'static str,
        text: &str,
    ) -> Result<Option<()>, LaunchError> {
        let missing = LaunchError::NoElement { template: self.template.name(), element: name };
        let element = self.pipeline.by_name(name).ok_or(missing)?;
        let Some(spec) = element.find_property(property) else { return Ok(None) };
        // GStreamer's deserialiser would read quotes and escapes in a string.
        let value = if spec.value_type() == glib::Type::STRING {
            Ok(text.to_value())
        } else {
            glib::Value::deserialize(text, spec.value_type())
        };
        let writable = spec.flags().contains(glib::ParamFlags::WRITABLE);
        Ok(value.ok().filter(|_| writable).map(|value| element.set_property_from_value(property, &value)))
    }
}

/// Builds the pipeline of a camera: its template, filled in.
///
/// # Errors
/// When an element is missing from this installation or does not take a setting.
pub fn build(
    source: &Source,
    camera: &CameraAssignment,
    control_plane: &ControlPlane,
    data_dir: &Path,
) -> Result<gst::Pipeline, LaunchError> {
    let spool_dir = spool_dir(data_dir, &camera.camera_id)?;
    let template = Template::of(source, camera.looped);
    let pipeline = template.parse()?;
    expose_motion_jpeg_at_once(&pipeline);
    foreign::refuse(&pipeline, template);
    let gaps = Gaps { template, pipeline: &pipeline };
    fill_source(&gaps, source)?;
    fill_analysis(&gaps, camera, control_plane)?;
    gaps.set("sink", "spool-dir", spool_dir.display())?;
    Ok(pipeline)
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
    foreign::refuse(&pipeline, template);
    fill_source(&Gaps { template, pipeline: &pipeline }, source)?;
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

fn fill_source(gaps: &Gaps<'_>, source: &Source) -> Result<(), LaunchError> {
    match source {
        Source::File { path, .. } => gaps.set("source", "location", path.display()),
        Source::Rtsp(camera) => {
            if camera.transport == Transport::Udp {
                gaps.set("source", "protocols", "udp")?;
            }
            fill_network(gaps, camera)
        }
        Source::Http(camera) => fill_network(gaps, camera),
        Source::Webcam(number) => gaps.set("source", "device", format!("/dev/video{number}")),
        Source::Test(picture) => {
            gaps.set("source", "pattern", &picture.pattern)?;
            let size = format!("width={},height={}", picture.width, picture.height);
            gaps.set("format", "caps", format!("video/x-raw,{size},framerate={}/1", picture.fps))
        }
    }
}

fn fill_network(gaps: &Gaps<'_>, camera: &NetworkCamera) -> Result<(), LaunchError> {
    gaps.set_secret("source", "location", &camera.location)?;
    if let Some(login) = &camera.login {
        gaps.set_secret("source", "user-id", &login.user)?;
        gaps.set_secret("source", "user-pw", &login.password)?;
    }
    Ok(())
}

fn fill_analysis(
    gaps: &Gaps<'_>,
    camera: &CameraAssignment,
    control_plane: &ControlPlane,
) -> Result<(), LaunchError> {
    let settings = &camera.settings;
    gaps.set("detect", "pack", &settings.pack)?;
    gaps.set("embed", "pack", &settings.pack)?;
    let device = if settings.use_gpu { "auto" } else { "cpu" };
    gaps.set("detect", "device", device)?;
    gaps.set("embed", "device", device)?;
    gaps.set("detect", "inference-interval", settings.inference_interval.max(1))?;
    if let Some(threshold) = settings.detection_threshold {
        gaps.set("detect", "threshold", threshold)?;
    }
    if let Some(similarity) = settings.recognition_threshold {
        // The element takes the cosine distance, as DL Streamer's matchers do.
        gaps.set("match", "threshold", 1.0 - similarity)?;
    }
    if settings.attributes {
        gaps.set("embed", "attributes", true)?;
    }
    gaps.set("match", "gallery", format!("{}/api/gallery", control_plane.url))?;
    gaps.set_secret("match", "token", &control_plane.token)?;
    gaps.set("sink", "uri", format!("{}/api/ingest", control_plane.url))?;
    gaps.set_secret("sink", "token", &control_plane.token)?;
    gaps.set("sink", "camera-id", &camera.camera_id)?;
    gaps.set("sink", "dedup-window", settings.dedup_window_s)?;
    gaps.set("sink", "snapshots", settings.snapshots)
}

/// Where a camera's events wait until they are delivered.
///
/// # Errors
/// When `camera_id` is no plain name, and so could lead out of the data directory.
pub fn spool_dir(data_dir: &Path, camera_id: &str) -> Result<PathBuf, LaunchError> {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    let is_name = matches!(Path::new(camera_id).components().next(), Some(Component::Normal(_)));
    if camera_id.len() > 64 || !is_name || !camera_id.bytes().all(allowed) {
        return Err(LaunchError::CameraId(camera_id.chars().take(64).collect()));
    }
    Ok(data_dir.join("spool").join(camera_id))
}
