//! `GET /api/gallery`: the gallery for workers, with a validator and a wait for changes.

use std::time::Duration;
use utoipa::IntoParams;
use vedette_events::GallerySnapshot;

use serde::Deserialize;
use warp::Reply as _;
use warp::http::StatusCode;
use warp::http::header::{CACHE_CONTROL, CONTENT_TYPE, ETAG, HeaderValue};
use warp::reply::Response;

use crate::error::ApiError;
use crate::state::State;

/// Longest wait; a proxy in between tends to give up soon after.
const MAX_WAIT_S: u64 = 60;

/// Query of `GET /api/gallery`.
#[derive(Clone, Copy, Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct GalleryQuery {
    /// Seconds to wait for another gallery than `If-None-Match` names.
    #[serde(default)]
    #[param(maximum = 60)]
    wait_s: u64,
}

/// Fetch the gallery
///
/// With `If-None-Match`, the answer is 304 while nothing has changed; with `wait_s` besides, it is not given
/// before that time is over or something changes.
#[utoipa::path(
    get,
    path = "/api/gallery",
    params(
        GalleryQuery,
        ("If-None-Match" = Option<String>, Header, description = "The `ETag` of the gallery one has."),
    ),
    responses(
        (status = 200, description = "Everybody who is enrolled, with their templates.", body = GallerySnapshot,
            headers(("ETag" = String, description = "Names this gallery."))),
        (status = 304, description = "It is still the one that `If-None-Match` names."),
    ),
    security(("worker" = []), ("api_key" = ["ingest"]))
)]
pub(super) async fn get(
    state: State,
    if_none_match: Option<String>,
    query: GalleryQuery,
) -> Result<Response, ApiError> {
    if query.wait_s > MAX_WAIT_S {
        return Err(ApiError::validation("wait_s", format!("must be at most {MAX_WAIT_S}")));
    }
    let known = if_none_match.unwrap_or_default();
    let is_known = |etag: &str| matches_etag(&known, etag);
    let wait = Duration::from_secs(query.wait_s);
    let gallery = state.gallery.wait_for_other_than(&state.db, is_known, wait).await?;

    let unchanged = is_known(&gallery.etag);
    let mut response = if unchanged {
        StatusCode::NOT_MODIFIED.into_response()
    } else {
        let mut response = warp::reply::Response::new(gallery.body.clone().into());
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        response
    };
    let headers = response.headers_mut();
    headers.insert(ETAG, HeaderValue::from_str(&gallery.etag).map_err(ApiError::internal)?);
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("private, no-cache"));
    Ok(response)
}

/// Whether an `If-None-Match` header names `etag`. Proxies that compress make a validator weak; it is the same
/// gallery all the same.
fn matches_etag(header: &str, etag: &str) -> bool {
    header.split(',').map(str::trim).any(|known| known == "*" || known.trim_start_matches("W/") == etag)
}

#[cfg(test)]
mod tests {
    use super::matches_etag;

    #[test]
    fn validators_are_compared_as_http_says() {
        assert!(matches_etag("\"a\"", "\"a\""));
        assert!(matches_etag("\"x\", W/\"a\"", "\"a\""));
        assert!(matches_etag("*", "\"a\""));
        assert!(!matches_etag("", "\"a\""));
        assert!(!matches_etag("a", "\"a\""));
    }
}
