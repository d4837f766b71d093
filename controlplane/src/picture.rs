//! How pictures of people leave the server.

use warp::Reply as _;
use warp::http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderValue};
use warp::reply::Response;

/// A JPEG as an answer. It shows a face: only the browser that asked may keep it, and not for long, so that what
/// is erased here is soon gone there.
pub(crate) fn reply(jpeg: Vec<u8>) -> Response {
    let mut response = jpeg.into_response();
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("image/jpeg"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("private, max-age=300"));
    response
}
