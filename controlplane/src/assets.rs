//! The dashboard: files of `frontend/`, built into the binary (a debug build reads them anew at every request).

use rust_embed::{EmbeddedFile, RustEmbed};
use warp::http::header::{CACHE_CONTROL, CONTENT_TYPE, ETAG, IF_NONE_MATCH};
use warp::http::{Response, StatusCode};
use warp::path::FullPath;
use warp::{Filter as _, Reply as _};

use crate::error::ApiError;
use crate::filters::{Route, respond};

#[derive(RustEmbed)]
#[folder = "../frontend/"]
struct Frontend;

/// Files that belong to the frontend's development, not to the dashboard.
const NOT_SERVED: [&str; 3] = ["tests/", "package.json", "vendor/README.md"];

/// Every file of the dashboard; `/` is `index.html`, `/docs` is `docs.html`.
pub fn routes() -> Route {
    let find = |path: FullPath| async move { find(path.as_str()).ok_or_else(warp::reject::not_found) };
    warp::path::full()
        .and_then(find)
        .and(warp::get())
        .and(warp::header::optional::<String>(IF_NONE_MATCH.as_str()))
        .then(|asset: Asset, known: Option<String>| async move { answer(asset, known.as_deref()) })
        .map(respond)
        .boxed()
}

/// A file and its name.
struct Asset {
    name: String,
    file: EmbeddedFile,
}

fn find(path: &str) -> Option<Asset> {
    let name = path.trim_start_matches('/');
    let name = if name.is_empty() { "index.html" } else { name };
    if NOT_SERVED.iter().any(|hidden| name.starts_with(hidden)) {
        return None;
    }
    // A page goes by its name alone.
    let is_page = !name.contains(['.', '/']);
    let name = if is_page { format!("{name}.html") } else { name.to_owned() };
    Frontend::get(&name).map(|file| Asset { name, file })
}

fn answer(asset: Asset, known: Option<&str>) -> Result<warp::reply::Response, ApiError> {
    let hash = asset.file.metadata.sha256_hash();
    let etag = format!("\"{}\"", hex::encode(&hash[..16]));
    let is_known = known.is_some_and(|known| {
        known.split(',').any(|known| known.trim().trim_start_matches("W/") == etag || known.trim() == "*")
    });
    let response = Response::builder()
        // Looked after every time, sent again only when it changed.
        .header(CACHE_CONTROL, "no-cache")
        .header(ETAG, etag);
    let response = if is_known {
        response.status(StatusCode::NOT_MODIFIED).body(Vec::new())
    } else {
        response.header(CONTENT_TYPE, content_type(&asset.name)).body(asset.file.data.into_owned())
    };
    Ok(response.map_err(ApiError::internal)?.into_response())
}

fn content_type(name: &str) -> String {
    let mime = mime_guess::from_path(name).first_or_octet_stream();
    let is_text = mime.type_() == "text" || mime.subtype() == "javascript" || mime.subtype() == "json";
    if is_text { format!("{}; charset=utf-8", mime.essence_str()) } else { mime.essence_str().to_owned() }
}
