//! Keeps recordings and web cameras from opening what is not theirs.
//!
//! Playlists (HLS, DASH) name further URLs, and GStreamer opens those of any kind, files of this machine among them. Whoever
//! makes the playlist would see them as a camera's pictures. Only web addresses a camera may have are let through.

use gst::prelude::*;
use url::Url;

use crate::launch::Template;
use crate::network::{NetworkCamera, is_allowed_host};

/// What is said of a playlist that names anything else.
const REFUSED: &str = "its playlist names what no camera may open, such as a file of this machine";

/// Whether what a playlist names may be opened.
fn is_allowed(uri: &str) -> bool {
    let is_web = Url::parse(uri).is_ok_and(|url| matches!(url.scheme(), "http" | "https"));
    is_web && NetworkCamera::parse(uri).is_ok_and(|camera| is_allowed_host(&camera.host))
}

/// Stops every source that comes up inside `pipeline` and is none of the web's.
pub(crate) fn refuse(pipeline: &gst::Pipeline, template: Template) {
    // Sources of RTSP's own are the sockets its pictures arrive at.
    if !matches!(template, Template::File | Template::Loop | Template::Http) {
        return;
    }
    pipeline.connect_deep_element_added(|pipeline, _, element| {
        let Some(handler) = element.dynamic_cast_ref::<gst::URIHandler>() else { return };
        if handler.uri_type() != gst::URIType::Src || handler.uri().is_some_and(|uri| is_allowed(&uri)) {
            return;
        }
        // Locked, it does not start with the others. The demuxer around it would keep its errors to itself.
        element.set_locked_state(true);
        let message =
            gst::message::Error::builder(gst::ResourceError::Settings, REFUSED).src(pipeline).build();
        // Without a bus nobody waits for it.
        let _ = pipeline.post_message(message);
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn playlists_may_name_the_web_only() {
        for uri in ["http://10.0.0.7/a.ts", "https://cdn.example/a.ts?b=c"] {
            assert!(is_allowed(uri), "{uri}");
        }
        for uri in [
            "file:///etc/passwd",
            "http://169.254.169.254/latest",
            "http://[fe80::1]/",
            "pushfile:///x",
            "dvb://1",
            "",
        ] {
            assert!(!is_allowed(uri), "{uri}");
        }
    }
}
