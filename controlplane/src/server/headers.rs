//! Headers of every answer: what browsers may do with it, the request's id, and what a path takes instead.

use warp::http::StatusCode;
use warp::http::header::{self, HeaderMap, HeaderName, HeaderValue};
use warp::reply::Response;

use super::client::X_REQUEST_ID;
use crate::{error, openapi};

/// No script but our own files, none inside pages, and nobody may frame us; styles and fonts as said.
macro_rules! policy {
    (styles: $styles:literal, fonts: $fonts:literal) => {
        concat!(
            "default-src 'none'; script-src 'self'; style-src ",
            $styles,
            "; img-src 'self' data: blob:; media-src 'self' blob:; font-src ",
            $fonts,
            "; connect-src 'self'; manifest-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
        )
    };
}

const POLICY: &str = policy!(styles: "'self'", fonts: "'self'");
/// ReDoc makes style sheets of its own. They begin empty, which is all this hash lets in, and are filled rule by rule from its
/// script, which policies do not concern; so text in the page still cannot bring styles along. One font lies in its script.
const REDOC_POLICY: &str = policy!(
    styles: "'self' 'sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU='",
    fonts: "'self' data:"
);

/// Adds what an answer to a request for `path` has not got yet.
pub(super) fn add(response: &mut Response, path: &str, request_id: &str) {
    let status = response.status();
    let headers = response.headers_mut();
    let fixed = [
        (header::CONTENT_SECURITY_POLICY, content_security_policy(path)),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::X_FRAME_OPTIONS, "DENY"),
        (header::REFERRER_POLICY, "no-referrer"),
        (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
        (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
        (HeaderName::from_static("permissions-policy"), "camera=(), microphone=(), geolocation=()"),
    ];
    for (name, value) in fixed {
        headers.entry(name).or_insert(HeaderValue::from_static(value));
    }
    if error::is_api(path) {
        // Answers hold personal data, which no cache on the way is to keep.
        headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    }
    if let Ok(request_id) = HeaderValue::from_str(request_id) {
        headers.insert(X_REQUEST_ID, request_id);
    }
    if status == StatusCode::METHOD_NOT_ALLOWED {
        allow(headers, path);
    }
}

/// Says which methods a path takes (RFC 9110, 15.5.6). What the API's description does not know are files.
fn allow(headers: &mut HeaderMap, path: &str) {
    let methods = openapi::methods_at(path).and_then(|methods| HeaderValue::from_str(&methods).ok());
    headers.insert(header::ALLOW, methods.unwrap_or(HeaderValue::from_static("GET, HEAD")));
}

/// What a page may load and run.
fn content_security_policy(path: &str) -> &'static str {
    match path {
        "/redoc" | "/redoc.html" => REDOC_POLICY,
        _ => POLICY,
    }
}
