//! How pictures of people leave the server.

use utoipa::openapi::{ObjectBuilder, RefOr, Schema};
use utoipa::{PartialSchema, ToSchema};
use warp::Reply as _;
use warp::http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderValue};
use warp::reply::Response;

/// A JPEG, for the API's description.
pub(crate) enum Jpeg {}

impl ToSchema for Jpeg {}

impl PartialSchema for Jpeg {
    fn schema() -> RefOr<Schema> {
        RefOr::T(Schema::Object(ObjectBuilder::new().content_media_type("image/jpeg").build()))
    }
}

/// A JPEG as an answer. It shows a face: only the browser that asked may keep it, and not for long, so that what
/// is erased here is soon gone there.
pub(crate) fn reply(jpeg: Vec<u8>) -> Response {
    let mut response = jpeg.into_response();
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("image/jpeg"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("private, max-age=300"));
    response
}
