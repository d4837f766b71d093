//! `GET /api/openapi.json`: the API, described from its own handlers and types (OpenAPI 3.1).
//!
//! Every handler says what is its own by `#[utoipa::path]`, every type by `ToSchema`. What holds for many operations
//! (who may call them, what can go wrong) is written nowhere twice: [`rules`] adds it to each. [`RESOURCES`] lists what
//! `routes.rs` does.

mod forms;
mod rules;
pub(crate) mod texts;

use std::sync::LazyLock;

use bytes::Bytes;
use utoipa::OpenApi as _;
use utoipa::openapi::security::{ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::openapi::tag::TagBuilder;
use utoipa::openapi::{
    ComponentsBuilder, InfoBuilder, LicenseBuilder, OpenApi, OpenApiBuilder, PathItem, Server,
};
use warp::Filter as _;
use warp::http::Method;
use warp::http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderValue};
use warp::reply::Response;

pub(crate) use forms::{PICTURE_TYPES, files, form, text};

use crate::filters::{Route, respond};
use crate::{
    alerts, analytics, api_keys, auth, cameras, detect, detections, gallery, health, ingest, live, logs,
    metrics, persons, sessions, users, workers,
};

/// What a client has to know before it asks for anything.
const INTRODUCTION: &str = include_str!("openapi/introduction.md");

/// A part of the API: its name, what it is about, and its operations.
type Resource = (&'static str, &'static str, fn() -> OpenApi);

const RESOURCES: [Resource; 17] = [
    ("auth", "Signing in and out, and one's own account.", auth::Docs::openapi),
    ("users", "Accounts, for administrators.", users::Docs::openapi),
    ("api-keys", "What programs show instead of signing in.", api_keys::Docs::openapi),
    ("persons", "Enrolled people and their photos.", persons::Docs::openapi),
    ("detect", "Faces in pictures that are sent.", detect::Docs::openapi),
    ("detections", "What cameras saw, event by event.", detections::Docs::openapi),
    ("sessions", "Visits: from when to when a person was seen by a camera.", sessions::Docs::openapi),
    ("analytics", "What cameras saw, summed up.", analytics::Docs::openapi),
    ("cameras", "Cameras: what there is, what is to run, how each is doing.", cameras::Docs::openapi),
    ("alerts", "What is to be told of, and what was.", alerts::Docs::openapi),
    ("ingest", "Where workers hand in events.", ingest::Docs::openapi),
    ("gallery", "Who is known, for those who recognise.", gallery::Docs::openapi),
    ("workers", "How workers report and learn what to do.", workers::Docs::openapi),
    ("live", "News as they happen.", live::Docs::openapi),
    ("logs", "What was done, what went wrong, and how much is logged.", logs::Docs::openapi),
    ("health", "Whether this instance can do its work.", health::Docs::openapi),
    ("metrics", "Figures for Prometheus.", metrics::Docs::openapi),
];

/// The description, as text ready to be sent and as it was made.
static DESCRIPTION: LazyLock<(OpenApi, Bytes)> = LazyLock::new(|| {
    let document = describe();
    // Nothing in it has keys that are no text, which is all that could fail.
    let text = document.to_json().unwrap_or_default();
    (document, text.into())
});

/// `/openapi.json`.
pub fn routes() -> Route {
    warp::path!("openapi.json").and(warp::get()).map(document).map(respond).boxed()
}

fn document() -> Response {
    let mut response = Response::new(DESCRIPTION.1.clone().into());
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    response
}

/// The methods a path takes, for the header `Allow`; `None` for a path that is not described.
pub fn methods_at(path: &str) -> Option<String> {
    let items = &DESCRIPTION.0.paths.paths;
    // A path that is written out goes before one with gaps, as it does among the routes.
    let item = items
        .get(path)
        .or_else(|| items.iter().find(|(template, _)| fits(template, path)).map(|(_, item)| item));
    let methods: Vec<String> =
        item.into_iter().flat_map(methods_of).map(|method| method.to_string()).collect();
    (!methods.is_empty()).then(|| methods.join(", "))
}

fn fits(template: &str, path: &str) -> bool {
    let (mut wanted, mut found) = (template.split('/'), path.split('/'));
    loop {
        match (wanted.next(), found.next()) {
            (None, None) => return true,
            (Some(part), Some(text)) if part == text || (part.starts_with('{') && !text.is_empty()) => {}
            _ => return false,
        }
    }
}

/// `HEAD` is answered wherever `GET` is.
fn methods_of(item: &PathItem) -> impl Iterator<Item = Method> + use<> {
    let methods = [
        (Method::GET, item.get.is_some()),
        (Method::HEAD, item.get.is_some()),
        (Method::POST, item.post.is_some()),
        (Method::PUT, item.put.is_some()),
        (Method::DELETE, item.delete.is_some()),
    ];
    methods.into_iter().filter_map(|(method, is_taken)| is_taken.then_some(method))
}

fn describe() -> OpenApi {
    let license = LicenseBuilder::new().name("MIT").identifier(Some("MIT")).build();
    let info = InfoBuilder::new()
        .title("Vedette")
        .version(vedette_events::release::VERSION)
        .description(Some(INTRODUCTION))
        .license(Some(license))
        .build();
    let components = ComponentsBuilder::new()
        .security_scheme(
            "token",
            SecurityScheme::Http(
                HttpBuilder::new()
                    .scheme(HttpAuthScheme::Bearer)
                    .bearer_format("JWT")
                    .description(Some("The `access_token` of `POST /api/auth/login`."))
                    .build(),
            ),
        )
        .security_scheme(
            "api_key",
            SecurityScheme::ApiKey(ApiKey::Header(ApiKeyValue::with_description(
                "X-API-Key",
                "A key made by an administrator: `POST /api/api-keys`.",
            ))),
        )
        .security_scheme(
            "worker",
            SecurityScheme::Http(
                HttpBuilder::new()
                    .scheme(HttpAuthScheme::Bearer)
                    .description(Some("What workers are started with: `vedette-worker --token`."))
                    .build(),
            ),
        )
        .build();
    let tags =
        RESOURCES.map(|(name, about, _)| TagBuilder::new().name(name).description(Some(about)).build());
    let here = Server::new("/");
    let document = OpenApiBuilder::new().info(info).servers(Some([here])).components(Some(components));
    let mut document = document.tags(Some(tags)).build();
    for (name, _, describe) in RESOURCES {
        let mut resource = describe();
        rules::complete(&mut resource, name);
        document.merge(resource);
    }
    rules::add_errors(&mut document);
    document
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    #[test]
    fn a_path_with_gaps_takes_what_is_described() {
        assert_eq!(methods_at("/api/persons").as_deref(), Some("GET, HEAD"));
        assert_eq!(methods_at("/api/persons/register").as_deref(), Some("POST"));
        assert_eq!(methods_at("/api/persons/0f1e").as_deref(), Some("GET, HEAD, PUT, DELETE"));
        assert_eq!(methods_at("/api/persons/0f1e/faces").as_deref(), Some("GET, HEAD, POST"));
        assert_eq!(methods_at("/api/persons//faces"), None);
        assert_eq!(methods_at("/api/nothing"), None);
    }
}
