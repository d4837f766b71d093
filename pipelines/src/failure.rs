//! What a failing pipeline means, in the words of whoever put the camera up, and whether trying again can help.

use gst::glib;

use crate::limits;
use crate::source::Source;

/// What can be done about a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Remedy {
    /// Try again soon: networks and cameras come back.
    Retry,
    /// Try again at once, with the pictures travelling by UDP: the camera refuses TCP.
    RetryByUdp,
    /// Try again, but rarely: cameras lock an account after a few wrong passwords.
    RetrySeldom,
    /// Someone has to change something first.
    GiveUp,
}

/// Why a pipeline stopped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// What happened and what to do, without credentials.
    pub message: String,
    /// What can be done about it.
    pub remedy: Remedy,
}

impl Failure {
    /// A failure that someone has to mend.
    pub fn give_up(message: impl Into<String>) -> Self {
        Self { message: message.into(), remedy: Remedy::GiveUp }
    }

    /// A failure that may pass.
    pub fn retry(message: impl Into<String>) -> Self {
        Self { message: message.into(), remedy: Remedy::Retry }
    }
}

/// Where in a pipeline an error arose.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// Source and decoder: up to the queue.
    Source,
    /// Vedette's elements.
    Analysis {
        /// Whether frames had come through before.
        worked_before: bool,
    },
}

/// Reads an error message of GStreamer's.
pub fn explain(source: &Source, part: Part, error: &glib::Error, debug: Option<&str>) -> Failure {
    let detail = match part {
        Part::Analysis { .. } => source.redact(own_words(debug).unwrap_or(error.message())),
        Part::Source => source.redact(error.message().trim_end_matches('.')),
    };
    let failure = match part {
        // The elements say themselves what to do; a missing model does not turn up by itself.
        Part::Analysis { worked_before: false } => Failure::give_up(detail),
        Part::Analysis { worked_before: true } => Failure::retry(format!("the analysis failed: {detail}")),
        Part::Source if is_missing_plugin(error) => missing_plugin(source, debug),
        Part::Source if limits::is_refusal(error) => beyond_limits(source, &detail),
        Part::Source => match source {
            Source::File { path, .. } => Failure::give_up(format!(
                "{} cannot be played ({detail}): it must be a video such as MP4, MKV or AVI",
                path.display()
            )),
            Source::Rtsp(_) | Source::Http(_) => network(source, error, &detail),
            Source::Webcam(_) => Failure::retry(format!(
                "{} cannot be opened ({detail}): is it plugged in, not in use by another program, and may this \
                 program read it (group `video`)?",
                source.describe()
            )),
            Source::Test(_) => Failure::retry(format!("the test picture failed: {detail}")),
        },
    };
    Failure { message: source.redact(&failure.message), ..failure }
}

/// What Vedette's elements say for themselves: GStreamer puts a line with their place in the code before it, and shows
/// a general sentence for the kind of error as the message.
fn own_words(debug: Option<&str>) -> Option<&str> {
    let (_, words) = debug?.split_once('\n')?;
    Some(words.trim()).filter(|words| !words.is_empty())
}

fn is_missing_plugin(error: &glib::Error) -> bool {
    matches!(error.kind::<gst::CoreError>(), Some(gst::CoreError::MissingPlugin))
        || matches!(error.kind::<gst::StreamError>(), Some(gst::StreamError::CodecNotFound))
}

/// Nothing here decodes the stream.
fn missing_plugin(source: &Source, debug: Option<&str>) -> Failure {
    // decodebin puts what it lacks on a line of its own: "Missing decoder: H.265 (…)".
    let lacking = debug.and_then(|debug| debug.lines().find(|line| line.starts_with("Missing ")));
    let lacking = lacking.map_or("no decoder for it is installed".into(), |line| source.redact(line));
    let lacking = lacking.split(" (").next().unwrap_or_default();
    Failure::give_up(format!(
        "{} holds no pictures that can be decoded ({lacking}): install gstreamer1.0-libav and \
         gstreamer1.0-plugins-bad, or set the camera to H.264",
        source.describe()
    ))
}

/// A camera may be set otherwise, a recording stays as it is.
fn beyond_limits(source: &Source, detail: &str) -> Failure {
    let remedy = if matches!(source, Source::File { .. }) { Remedy::GiveUp } else { Remedy::RetrySeldom };
    Failure { message: format!("{} {detail}", source.describe()), remedy }
}

fn network(source: &Source, error: &glib::Error, detail: &str) -> Failure {
    let camera = source.describe();
    match error.kind::<gst::ResourceError>() {
        Some(gst::ResourceError::NotAuthorized) => Failure {
            message: format!("{camera} refuses the user name or password: check them in the camera's URL"),
            remedy: Remedy::RetrySeldom,
        },
        Some(gst::ResourceError::NotFound) => Failure::retry(format!(
            "{camera} was not found ({detail}): check the camera's address and the path behind it"
        )),
        Some(gst::ResourceError::OpenRead | gst::ResourceError::OpenReadWrite | gst::ResourceError::Read) => {
            Failure::retry(format!(
                "{camera} cannot be reached ({detail}): is the camera on, on this network, and the port right?"
            ))
        }
        _ => Failure::retry(format!("the stream from {camera} failed: {detail}")),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn camera() -> Source {
        Source::parse("rtsp://admin:hunter2@10.0.0.7/live?pwd=abc").unwrap()
    }

    #[test]
    fn a_wrong_password_is_tried_again_seldom_and_never_repeated() {
        let text = "Unauthorized for admin:hunter2 at rtsp://admin:hunter2@10.0.0.7/live";
        let error = glib::Error::new(gst::ResourceError::NotAuthorized, text);
        let failure = explain(&camera(), Part::Source, &error, None);
        assert_eq!(failure.remedy, Remedy::RetrySeldom);
        assert!(failure.message.contains("rtsp://10.0.0.7/live"), "{}", failure.message);
        let error = glib::Error::new(gst::ResourceError::Failed, text);
        let failure = explain(&camera(), Part::Source, &error, None);
        for secret in ["hunter2", "abc"] {
            assert!(!failure.message.contains(secret), "{}", failure.message);
        }
    }

    #[test]
    fn what_an_element_says_at_its_start_is_passed_on() {
        let error = glib::Error::new(gst::ResourceError::NotFound, "Resource not found.");
        let debug = "imp.rs(7): start (): /GstPipeline:pipeline0/FaceDetect:detect:\nrun `vedette models fetch opencv`";
        let part = Part::Analysis { worked_before: false };
        let failure = explain(&camera(), part, &error, Some(debug));
        assert_eq!(failure, Failure::give_up("run `vedette models fetch opencv`"));
        assert_eq!(explain(&camera(), part, &error, None), Failure::give_up("Resource not found."));
    }

    #[test]
    fn a_missing_decoder_is_named() {
        let error = glib::Error::new(
            gst::CoreError::MissingPlugin,
            "Your GStreamer installation is missing a plug-in.",
        );
        let debug = "gstdecodebin2.c(4719)\nMissing decoder: H.265 (video/x-h265, level=4)\n";
        let failure = explain(&camera(), Part::Source, &error, Some(debug));
        assert!(failure.message.contains("Missing decoder: H.265)"), "{}", failure.message);
        assert_eq!(failure.remedy, Remedy::GiveUp);
    }
}
