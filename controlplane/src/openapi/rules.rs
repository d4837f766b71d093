//! What holds for many operations: who may call them, and which errors they share.
//!
//! An operation names the role it needs as the scope of its token (`security(("token" = ["operator"]))`); which API key
//! does as well, what is said about it and which refusals it brings follow from that. So do errors about a path, a
//! query or a body from there being one.

use serde_json::{Value, json};
use utoipa::PartialSchema as _;
use utoipa::openapi::header::HeaderBuilder;
use utoipa::openapi::path::{Operation, ParameterIn};
use utoipa::openapi::schema::{ComponentsBuilder, Type};
use utoipa::openapi::security::SecurityRequirement;
use utoipa::openapi::{
    ContentBuilder, ObjectBuilder, OpenApi, PathItem, Ref, RefOr, Response, ResponseBuilder,
};

use crate::api_keys::Scope;
use crate::auth::Role;
use crate::error::{ErrorBody, ErrorKind};

/// What of an operation decides which errors it shares with others.
struct Facts {
    is_public: bool,
    is_limited: bool,
    has_path_parameter: bool,
    has_query: bool,
    has_body: bool,
}

/// An error many operations share.
struct SharedError {
    /// Name of the component that describes it.
    name: &'static str,
    kind: ErrorKind,
    /// What it means.
    meaning: &'static str,
    /// An example of what it says.
    message: &'static str,
    /// Which operations it concerns.
    concerns: fn(&Facts) -> bool,
}

const SHARED_ERRORS: [SharedError; 10] = [
    SharedError {
        name: "BadRequest",
        kind: ErrorKind::FileProcessing,
        meaning: "The body cannot be read.",
        message: "the body broke off before its end",
        concerns: |facts| facts.has_body,
    },
    SharedError {
        name: "Unauthenticated",
        kind: ErrorKind::Authentication,
        meaning: "Nobody is signed in, or the token or key is void.",
        message: "sign in first: the token is missing",
        concerns: |facts| !facts.is_public,
    },
    SharedError {
        name: "Forbidden",
        kind: ErrorKind::Authorization,
        meaning: "Who is signed in may not do this, or has to change the password first.",
        message: "this needs the role operator",
        concerns: |facts| !facts.is_public,
    },
    SharedError {
        name: "NotFound",
        kind: ErrorKind::NotFound,
        meaning: "There is no such thing.",
        message: "no camera `door`",
        concerns: |facts| facts.has_path_parameter,
    },
    SharedError {
        name: "TooLarge",
        kind: ErrorKind::TooLarge,
        meaning: "The body, or a file in it, is too large.",
        message: "the body is larger than 262144 bytes",
        concerns: |facts| facts.has_body,
    },
    SharedError {
        name: "UnsupportedMedia",
        kind: ErrorKind::UnsupportedMedia,
        meaning: "The body is of a kind that is not understood here.",
        message: "send the body as application/json",
        concerns: |facts| facts.has_body,
    },
    SharedError {
        name: "Invalid",
        kind: ErrorKind::Validation,
        meaning: "Something that was sent does not hold; `details` names the fields.",
        message: "page_size: must be from 1 to 500",
        concerns: |facts| facts.has_body || facts.has_path_parameter || facts.has_query,
    },
    SharedError {
        name: "TooManyRequests",
        kind: ErrorKind::RateLimit { retry_after_s: 7 },
        meaning: "This address asks too often.",
        message: "more than 600 requests in a minute; try again in 7 s",
        concerns: |facts| facts.is_limited,
    },
    SharedError {
        name: "InternalError",
        kind: ErrorKind::Internal,
        meaning: "A fault of the server; its log says more.",
        message: "something went wrong inside the server; its log says more",
        concerns: |_| true,
    },
    SharedError {
        name: "Unavailable",
        kind: ErrorKind::Database,
        meaning: "The database is gone for the moment; or, as `StorageException`, the place pictures are kept in.",
        message: "the database cannot be used at the moment; try again shortly",
        concerns: |_| true,
    },
];

/// Puts the operations of a resource under its name and adds what follows from the rules.
pub(super) fn complete(resource: &mut OpenApi, name: &str) {
    for (path, item) in &mut resource.paths.paths {
        for operation in operations_of(item) {
            let own_name = operation.operation_id.take().unwrap_or_default();
            operation.operation_id = Some(format!("{}_{own_name}", name.replace('-', "_")));
            operation.tags = Some(vec![name.to_owned()]);
            // Nothing said means anybody, which is said, too.
            operation.security.get_or_insert_default();
            if crate::error::is_api(path) {
                grant(operation);
                refuse(operation, path);
            }
        }
    }
}

fn operations_of(item: &mut PathItem) -> impl Iterator<Item = &mut Operation> {
    let PathItem { get, put, post, delete, .. } = item;
    [get, put, post, delete].into_iter().filter_map(Option::as_mut)
}

/// Says who may call an operation, API keys included.
fn grant(operation: &mut Operation) {
    let mut requirements = operation.security.take().unwrap_or_default();
    let roles = requirements.iter().flat_map(|requirement| scopes(requirement, "token"));
    let role = roles.filter_map(|role| role.parse::<Role>().ok()).next();
    let keys = requirements.iter().flat_map(|requirement| scopes(requirement, "api_key"));
    let mut scope = keys.flat_map(|name| Scope::from_stored(&name)).next();
    if let Some(role) = role {
        scope = Scope::ALL.into_iter().find(|scope| scope.role() >= Some(role));
        if let Some(scope) = scope {
            requirements.push(SecurityRequirement::new("api_key", [scope.as_str()]));
        }
    }
    let by_key = scope.map(|scope| format!("an API key with the scope `{}`", scope.as_str()));
    let by_role = role.map(|role| format!("the role `{}`", role.as_str()));
    let by_worker = requirements.iter().any(is_worker).then(|| "a worker's token".to_owned());
    let ways: Vec<String> = [by_role, by_worker, by_key].into_iter().flatten().collect();
    if !ways.is_empty() {
        let needs = format!("Needs {}.", ways.join(", or "));
        let described = operation.description.take().filter(|text| !text.is_empty());
        operation.description = Some(described.map_or(needs.clone(), |text| format!("{text}\n\n{needs}")));
    }
    operation.security = Some(requirements);
}

/// The scopes a requirement names for a scheme; it keeps them to itself, but for its JSON.
fn scopes(requirement: &SecurityRequirement, scheme: &str) -> Vec<String> {
    let value = serde_json::to_value(requirement).unwrap_or_default();
    serde_json::from_value(value[scheme].clone()).unwrap_or_default()
}

fn is_worker(requirement: &SecurityRequirement) -> bool {
    serde_json::to_value(requirement).is_ok_and(|value| value.get("worker").is_some())
}

/// Adds the errors an operation shares with others; one it describes itself stays as it is.
fn refuse(operation: &mut Operation, path: &str) {
    let has_parameter_in = |place: ParameterIn| {
        let mut parameters = operation.parameters.iter().flatten();
        parameters
            .any(|parameter| matches!(parameter, RefOr::T(parameter) if parameter.parameter_in == place))
    };
    let facts = Facts {
        is_public: operation.security.as_ref().is_none_or(Vec::is_empty),
        // Whoever watches over us may do so as often as they like.
        is_limited: path != "/api/health",
        has_path_parameter: has_parameter_in(ParameterIn::Path),
        has_query: has_parameter_in(ParameterIn::Query),
        has_body: operation.request_body.is_some(),
    };
    for error in SHARED_ERRORS.iter().filter(|error| (error.concerns)(&facts)) {
        let status = error.kind.status().as_str().to_owned();
        let reference = || RefOr::Ref(Ref::from_response_name(error.name));
        operation.responses.responses.entry(status).or_insert_with(reference);
    }
}

/// Describes the errors that operations refer to.
pub(super) fn add_errors(document: &mut OpenApi) {
    let components = document.components.get_or_insert_with(|| ComponentsBuilder::new().build());
    components.schemas.insert("Error".to_owned(), ErrorBody::schema());
    for SharedError { name, kind, meaning, message, .. } in SHARED_ERRORS {
        let field = message.split_once(": ").filter(|_| kind == ErrorKind::Validation);
        let details = field.map(|(field, message)| json!({ "field": field, "message": message }));
        let example = json!({
            "error": kind.name(),
            "message": message,
            "path": "/api/cameras/door",
            "details": Vec::from_iter(details),
        });
        components.responses.insert(name.to_owned(), RefOr::T(describe_error(kind, meaning, example)));
    }
}

fn describe_error(kind: ErrorKind, meaning: &str, example: Value) -> Response {
    let body = Ref::from_schema_name("Error");
    let content = ContentBuilder::new().schema(Some(body)).example(Some(example)).build();
    let response = ResponseBuilder::new().description(meaning).content("application/json", content);
    let header = |schema_type, about: &str| {
        let schema = ObjectBuilder::new().schema_type(schema_type).build();
        HeaderBuilder::new().schema(Some(schema)).description(Some(about)).build()
    };
    match kind {
        ErrorKind::Authentication => {
            response.header("WWW-Authenticate", header(Type::String, "How to sign in: `Bearer`."))
        }
        ErrorKind::RateLimit { .. } => {
            response.header("Retry-After", header(Type::Integer, "Seconds until the next try."))
        }
        _ => response,
    }
    .build()
}
