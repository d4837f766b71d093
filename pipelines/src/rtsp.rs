//! What an RTSP camera offers, and what of it is taken: its pictures, and a certificate only if it is the one that was named.
//!
//! GStreamer asks by signals while it connects. What was asked explains failures it has no words for.

use std::sync::{Arc, Mutex, PoisonError};

use gst::glib;
use gst::prelude::*;

use crate::failure::{Failure, Remedy};
use crate::source::Source;

/// What was seen of an RTSP camera while connecting to it.
#[derive(Clone, Default)]
pub(crate) struct Offer(Arc<Mutex<Offered>>);

#[derive(Default)]
struct Offered {
    /// Name of the first video stream's encoding, such as `H264`.
    encoding: Option<String>,
    /// Whether there are streams that are no video.
    other: bool,
    /// Fingerprint of a certificate that was refused.
    refused_certificate: Option<String>,
}

impl Offer {
    fn with<T>(&self, act: impl FnOnce(&mut Offered) -> T) -> T {
        act(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Answers the questions of `pipeline`'s source, if it is an RTSP camera's.
    pub(crate) fn of(pipeline: &gst::Pipeline, source: &Source) -> Self {
        let offer = Self::default();
        if let (Source::Rtsp(camera), Some(element)) = (source, pipeline.by_name("source")) {
            let seen = offer.clone();
            element.connect("select-stream", false, move |values| {
                let caps = values.get(2).and_then(|value| value.get::<gst::Caps>().ok());
                Some(seen.select(caps.as_deref()).to_value())
            });
            let (seen, wanted) = (offer.clone(), camera.certificate.clone());
            element.connect("accept-certificate", false, move |values| {
                let certificate = values.get(2).and_then(|value| value.get::<glib::Object>().ok());
                Some(seen.accept(certificate.as_ref(), wanted.as_deref()).to_value())
            });
        }
        offer
    }

    /// Takes pictures and leaves sound, which nobody listens to, with the camera.
    fn select(&self, caps: Option<&gst::CapsRef>) -> bool {
        let Some(stream) = caps.and_then(|caps| caps.structure(0)) else { return true };
        let is_video = stream.get::<&str>("media").is_ok_and(|media| media == "video");
        let encoding = stream.get::<&str>("encoding-name").ok().map(str::to_owned);
        self.with(|offered| {
            if is_video && offered.encoding.is_none() {
                offered.encoding = encoding;
            }
            offered.other |= !is_video;
        });
        is_video
    }

    /// Asked only about a certificate that does not hold by itself.
    fn accept(&self, certificate: Option<&glib::Object>, wanted: Option<&str>) -> bool {
        let Some(fingerprint) = certificate.and_then(fingerprint) else { return false };
        let is_wanted = wanted == Some(&*fingerprint);
        if !is_wanted {
            self.with(|offered| offered.refused_certificate = Some(fingerprint));
        }
        is_wanted
    }

    /// What the video is encoded as, in people's words.
    pub(crate) fn codec(&self) -> Option<String> {
        let encoding = self.with(|offered| offered.encoding.clone())?;
        Some(match encoding.as_str() {
            "H264" => "H.264".into(),
            "H265" => "H.265".into(),
            "JPEG" => "Motion JPEG".into(),
            other => other.chars().take(64).collect(),
        })
    }

    /// What a failure of the source means, where more is known here than the error says.
    pub(crate) fn explain(
        &self,
        source: &Source,
        error: &glib::Error,
        debug: Option<&str>,
    ) -> Option<Failure> {
        let Source::Rtsp(camera) = source else { return None };
        let (has_video, has_other, refused) = self
            .with(|offered| (offered.encoding.is_some(), offered.other, offered.refused_certificate.clone()));
        let address = camera.address();
        if let Some(fingerprint) = refused {
            let message = match &camera.certificate {
                Some(_) => format!(
                    "{address} shows another certificate than the one named in its URL: if the camera's was renewed, \
                     compare and write #cert-sha256={fingerprint}; if not, something pretends to be it"
                ),
                None => format!(
                    "nobody this machine trusts vouches for the certificate of {address}: if its SHA-256 fingerprint in \
                     the camera's own settings is the same, write #cert-sha256={fingerprint} at the end of the URL"
                ),
            };
            return Some(Failure { message, remedy: Remedy::RetrySeldom });
        }
        // What rtspsrc says when it could set up no stream, whatever the reason.
        let no_stream = matches!(error.kind::<gst::StreamError>(), Some(gst::StreamError::CodecNotFound))
            && debug.is_some_and(|debug| debug.contains("gst_rtspsrc_"));
        if !no_stream {
            return None;
        }
        if !has_video && has_other {
            let message =
                format!("{} has no video, only sound or data: is it the right path?", source.describe());
            return Some(Failure::retry(message));
        }
        has_video.then(|| Failure {
            message: format!(
                "{} sends its pictures neither over TCP nor over UDP to this machine: allow one of them in the camera's \
                 RTSP settings",
                source.describe()
            ),
            remedy: Remedy::RetryByUdp,
        })
    }
}

/// SHA-256 of a `GTlsCertificate`, as 64 hexadecimal digits.
fn fingerprint(certificate: &glib::Object) -> Option<String> {
    let spec = certificate.find_property("certificate")?;
    let der = certificate.property_value(spec.name()).get::<Option<glib::ByteArray>>().ok()??;
    let mut checksum = glib::Checksum::new(glib::ChecksumType::Sha256)?;
    checksum.update(&der);
    checksum.string()
}
