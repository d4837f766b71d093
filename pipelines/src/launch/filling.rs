//! What fills a template's gaps: the one list that pipelines are set from, by which running ones are changed, and that
//! the line for a terminal shows.

use gst::glib;
use gst::prelude::*;
use vedette_events::{CameraAssignment, Corners, PipelineSettings};

use super::{ControlPlane, LaunchError, Template};
use crate::network::{NetworkCamera, Transport};
use crate::redact::{MASK, redact};
use crate::source::Source;

/// A value for a property of one of a template's elements.
#[derive(Clone, PartialEq)]
pub(super) struct Filling {
    pub(super) element: &'static str,
    pub(super) property: &'static str,
    pub(super) value: String,
    /// What may be shown of it; it may hold a secret, if this is not all.
    pub(super) shown: String,
}

impl Filling {
    fn new(element: &'static str, property: &'static str, value: impl ToString) -> Self {
        let value = value.to_string();
        Self { element, property, shown: value.clone(), value }
    }

    /// For what no message may repeat.
    fn secret(element: &'static str, property: &'static str, value: &str) -> Self {
        Self { element, property, value: value.to_owned(), shown: MASK.to_owned() }
    }

    /// An address, which may hold a password.
    fn location(element: &'static str, property: &'static str, value: &str) -> Self {
        Self { element, property, value: value.to_owned(), shown: redact(value) }
    }

    fn refused(&self) -> LaunchError {
        let Self { element, property, shown, .. } = self;
        LaunchError::Setting { element, property, value: shown.clone() }
    }

    fn element_of(&self, template: Template, pipeline: &gst::Pipeline) -> Result<gst::Element, LaunchError> {
        let missing = LaunchError::NoElement { template: template.name(), element: self.element };
        pipeline.by_name(self.element).ok_or(missing)
    }

    /// Sets the property from text, whatever its type.
    ///
    /// # Errors
    /// When the element does not take it.
    pub(super) fn set(&self, template: Template, pipeline: &gst::Pipeline) -> Result<(), LaunchError> {
        let element = self.element_of(template, pipeline)?;
        let property = element.find_property(self.property).ok_or_else(|| self.refused())?;
        // GStreamer's deserialiser would read quotes and escapes in a string.
        let value = if property.value_type() == glib::Type::STRING {
            Ok(self.value.to_value())
        } else {
            glib::Value::deserialize(&self.value, property.value_type())
        };
        let value = value.ok().filter(|_| property.flags().contains(glib::ParamFlags::WRITABLE));
        element.set_property_from_value(self.property, &value.ok_or_else(|| self.refused())?);
        Ok(())
    }

    /// Sets the property as if nobody had set it.
    fn reset(&self, template: Template, pipeline: &gst::Pipeline) -> Result<(), LaunchError> {
        let element = self.element_of(template, pipeline)?;
        let property = element.find_property(self.property).ok_or_else(|| self.refused())?;
        element.set_property_from_value(self.property, property.default_value());
        Ok(())
    }

    /// Whether the property may be set while frames flow.
    fn is_changeable(&self, template: Template, pipeline: &gst::Pipeline) -> Result<bool, LaunchError> {
        let property = self.element_of(template, pipeline)?.find_property(self.property);
        Ok(property.is_some_and(|property| property.flags().contains(gst::PARAM_FLAG_MUTABLE_PLAYING)))
    }

    fn is_for_that_of(&self, other: &Self) -> bool {
        (self.element, self.property) == (other.element, other.property)
    }
}

/// What the source of a template is filled in with.
pub(super) fn of_source(source: &Source) -> Vec<Filling> {
    match source {
        Source::File { path, .. } => vec![Filling::new("source", "location", path.display())],
        Source::Rtsp(camera) => {
            let mut fillings = of_network(camera);
            if camera.transport == Transport::Udp {
                fillings.push(Filling::new("source", "protocols", "udp"));
            }
            fillings
        }
        Source::Http(camera) => of_network(camera),
        Source::Webcam(number) => vec![Filling::new("source", "device", format!("/dev/video{number}"))],
        Source::Test(picture) => {
            let size = format!("width={},height={}", picture.width, picture.height);
            let caps = format!("video/x-raw,{size},framerate={}/1", picture.fps);
            vec![Filling::new("source", "pattern", &picture.pattern), Filling::new("format", "caps", caps)]
        }
    }
}

fn of_network(camera: &NetworkCamera) -> Vec<Filling> {
    let mut fillings = vec![Filling::location("source", "location", &camera.location)];
    if let Some(login) = &camera.login {
        fillings.push(Filling::secret("source", "user-id", &login.user));
        fillings.push(Filling::secret("source", "user-pw", &login.password));
    }
    fillings
}

/// How the elements are set.
pub(super) fn of_settings(settings: &PipelineSettings) -> Vec<Filling> {
    let device = if settings.use_gpu { "auto" } else { "cpu" };
    let mut fillings = vec![
        Filling::new("detect", "pack", &settings.pack),
        Filling::new("embed", "pack", &settings.pack),
        Filling::new("detect", "device", device),
        Filling::new("embed", "device", device),
        Filling::new("detect", "inference-interval", settings.inference_interval.max(1)),
        Filling::new("sink", "dedup-window", settings.dedup_window_s),
        Filling::new("sink", "snapshots", settings.snapshots),
    ];
    if let Some(threshold) = settings.detection_threshold {
        fillings.push(Filling::new("detect", "threshold", threshold));
    }
    if let Some(size) = settings.min_face_size {
        fillings.push(Filling::new("detect", "min-face-size", size));
    }
    if settings.motion_gate {
        fillings.push(Filling::new("detect", "motion-gate", true));
    }
    for (property, areas) in [("roi", &settings.regions), ("mask", &settings.masks)] {
        if !areas.is_empty() {
            fillings.push(Filling::new("detect", property, in_hundredths(areas)));
        }
    }
    if let Some(similarity) = settings.recognition_threshold {
        // The element takes the cosine distance, as DL Streamer's matchers do.
        fillings.push(Filling::new("match", "threshold", 1.0 - similarity));
    }
    if settings.attributes {
        fillings.push(Filling::new("embed", "attributes", true));
    }
    fillings
}

/// Where events go and the gallery comes from.
pub(super) fn of_control_plane(
    camera: &CameraAssignment,
    control_plane: &ControlPlane,
    spool_dir: &std::path::Path,
) -> Vec<Filling> {
    let (events_uri, events_token) = control_plane.events_to();
    let mut fillings = vec![
        Filling::new("match", "gallery", format!("{}/api/gallery", control_plane.url)),
        Filling::secret("match", "token", &control_plane.token),
        Filling::location("sink", "uri", &events_uri),
        Filling::new("sink", "camera-id", &camera.camera_id),
        Filling::new("sink", "spool-dir", spool_dir.display()),
    ];
    fillings.extend(events_token.map(|token| Filling::secret("sink", "token", token)));
    fillings
}

/// Areas as `facedetect` takes them: `x%,y%` of each corner, a semicolon between two areas.
fn in_hundredths(areas: &[Corners]) -> String {
    // Finer than a pixel of any frame.
    let hundredths = |share: &f64| format!("{}%", (share * 1e6).round() / 1e4);
    let area = |corners: &Corners| corners.iter().flatten().map(hundredths).collect::<Vec<_>>().join(",");
    areas.iter().map(area).collect::<Vec<_>>().join(";")
}

/// Sets a running pipeline that was filled in with `present` as `wanted`, if that can be while frames flow. Answers
/// whether it could; if not, nothing was set.
///
/// # Errors
/// When an element does not take a value.
pub(super) fn change(
    template: Template,
    pipeline: &gst::Pipeline,
    present: &[Filling],
    wanted: &[Filling],
) -> Result<bool, LaunchError> {
    let is_among =
        |filling: &&Filling, others: &[Filling]| others.iter().any(|it| it.is_for_that_of(filling));
    let gone: Vec<&Filling> = present.iter().filter(|filling| !is_among(filling, wanted)).collect();
    let new: Vec<&Filling> = wanted.iter().filter(|filling| !present.contains(filling)).collect();
    for filling in gone.iter().chain(&new) {
        if !filling.is_changeable(template, pipeline)? {
            return Ok(false);
        }
    }
    new.iter().try_for_each(|filling| filling.set(template, pipeline))?;
    gone.iter().try_for_each(|filling| filling.reset(template, pipeline))?;
    Ok(true)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    fn settings() -> PipelineSettings {
        PipelineSettings { pack: "opencv".into(), inference_interval: 2, ..PipelineSettings::default() }
    }

    #[test]
    fn areas_are_written_in_hundredths() {
        let areas = [vec![[0.0, 0.1], [1.0, 1.0 / 3.0], [0.5, 0.999_999]], vec![[0.0, 0.0]; 3]];
        assert_eq!(in_hundredths(&areas), "0%,10%,100%,33.3333%,50%,99.9999%;0%,0%,0%,0%,0%,0%");
    }

    #[test]
    fn what_can_be_set_while_playing_is_and_nothing_else() {
        crate::elements::init().unwrap();
        let template = Template::Test;
        let pipeline = template.parse().unwrap();
        let present = of_settings(&PipelineSettings {
            detection_threshold: Some(0.5),
            recognition_threshold: Some(0.4),
            ..settings()
        });
        present.iter().for_each(|filling| filling.set(template, &pipeline).unwrap());
        let wanted = of_settings(&PipelineSettings {
            inference_interval: 3,
            recognition_threshold: Some(0.25),
            min_face_size: Some(40),
            motion_gate: true,
            regions: vec![vec![[0.0, 0.0], [0.5, 0.0], [0.5, 1.0]]],
            masks: vec![vec![[0.0, 0.0], [0.25, 0.0], [0.25, 1.0]]],
            ..settings()
        });
        assert!(change(template, &pipeline, &present, &wanted).unwrap());
        let detect = pipeline.by_name("detect").unwrap();
        assert_eq!(detect.property::<u32>("inference-interval"), 3);
        assert_eq!(detect.property::<u32>("min-face-size"), 40);
        assert_eq!(detect.property::<f32>("threshold"), -1.0, "the pack's again");
        assert_eq!(pipeline.by_name("match").unwrap().property::<f32>("threshold"), 0.75);
        assert!(detect.property::<bool>("motion-gate"));
        assert_eq!(detect.property::<Option<String>>("roi").unwrap(), "0%,0%,50%,0%,50%,100%");
        assert_eq!(detect.property::<Option<String>>("mask").unwrap(), "0%,0%,25%,0%,25%,100%");
        assert!(change(template, &pipeline, &wanted, &present).unwrap());
        assert_eq!(detect.property::<Option<String>>("mask"), None);

        for other in [
            PipelineSettings { pack: "buffalo_l".into(), inference_interval: 9, ..settings() },
            PipelineSettings { attributes: true, inference_interval: 9, ..settings() },
        ] {
            assert!(!change(template, &pipeline, &present, &of_settings(&other)).unwrap());
            assert_eq!(detect.property::<u32>("inference-interval"), 2, "all or nothing");
        }
    }
}
