//! The one error every route answers with, and the one place that maps it to HTTP.
//!
//! Services return [`ApiError`]; filters reject with it; [`render`] turns either into the JSON body, because
//! only the server knows the request's path. Messages are for the client: no SQL, no stack, no file name of
//! the server. What went wrong inside goes along as a cause, into the log only.

use std::error::Error as StdError;
use std::fmt;
use std::sync::Arc;

use sea_orm::{DbErr, SqlErr};
use serde::Serialize;
use serde_json::{Value, json};
use utoipa::ToSchema;
use warp::Reply;
use warp::http::header::{CONTENT_TYPE, HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE};
use warp::http::{StatusCode, header};
use warp::reject::{Reject, Rejection};
use warp::reply::Response;

/// What kind of failure it is; decides status and name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorKind {
    /// Nobody is signed in.
    Authentication,
    /// Who is signed in may not do this.
    Authorization,
    /// There is no such thing.
    NotFound,
    /// There is such a thing, but this cannot be done to it.
    MethodNotAllowed,
    /// It is there already.
    Duplicate,
    /// What was sent does not hold.
    Validation,
    /// No usable face in a picture.
    FaceDetection,
    /// A file or body cannot be read.
    FileProcessing,
    /// A file or body is too large.
    TooLarge,
    /// A file or body is of a kind that is not understood.
    UnsupportedMedia,
    /// Too many requests; try again after so many seconds.
    RateLimit {
        /// Seconds until the next try.
        retry_after_s: u32,
    },
    /// The database is gone or refuses.
    Database,
    /// The place pictures are kept in is gone or refuses.
    Storage,
    /// A fault of ours.
    Internal,
}

impl ErrorKind {
    /// HTTP status.
    pub fn status(self) -> StatusCode {
        match self {
            Self::Authentication => StatusCode::UNAUTHORIZED,
            Self::Authorization => StatusCode::FORBIDDEN,
            Self::NotFound => StatusCode::NOT_FOUND,
            Self::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
            Self::Duplicate => StatusCode::CONFLICT,
            Self::Validation | Self::FaceDetection => StatusCode::UNPROCESSABLE_ENTITY,
            Self::FileProcessing => StatusCode::BAD_REQUEST,
            Self::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::UnsupportedMedia => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::RateLimit { .. } => StatusCode::TOO_MANY_REQUESTS,
            Self::Database | Self::Storage => StatusCode::SERVICE_UNAVAILABLE,
            Self::Internal => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    /// The `error` of the body.
    pub fn name(self) -> &'static str {
        match self {
            Self::Authentication => "AuthenticationException",
            Self::Authorization => "AuthorizationException",
            Self::NotFound | Self::MethodNotAllowed => "NotFoundException",
            Self::Duplicate => "DuplicateResourceException",
            Self::Validation => "ValidationException",
            Self::FaceDetection => "FaceDetectionException",
            Self::FileProcessing | Self::TooLarge | Self::UnsupportedMedia => "FileProcessingException",
            Self::RateLimit { .. } => "RateLimitException",
            Self::Database => "DatabaseException",
            Self::Storage => "StorageException",
            Self::Internal => "InternalException",
        }
    }
}

/// A failure on its way to the client.
#[derive(Debug)]
pub struct ApiError {
    kind: ErrorKind,
    message: String,
    details: Vec<Value>,
    cause: Option<Box<dyn StdError + Send + Sync>>,
}

impl ApiError {
    /// A failure of any kind.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), details: Vec::new(), cause: None }
    }

    /// 401.
    pub fn authentication(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Authentication, message)
    }

    /// 403.
    pub fn authorization(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Authorization, message)
    }

    /// 404 about one thing: ``no camera `cam_01` ``.
    pub fn not_found(what: &str, id: impl fmt::Display) -> Self {
        Self::new(ErrorKind::NotFound, format!("no {what} `{id}`"))
    }

    /// 409.
    pub fn duplicate(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Duplicate, message)
    }

    /// 422 about one field.
    pub fn validation(field: impl Into<String>, message: impl Into<String>) -> Self {
        Self::validations(vec![FieldError::new(field, message)])
    }

    /// 422 about several fields; the message names them all.
    pub fn validations(fields: Vec<FieldError>) -> Self {
        let said: Vec<String> =
            fields.iter().map(|field| format!("{}: {}", field.field, field.message)).collect();
        let mut error = Self::new(ErrorKind::Validation, said.join("; "));
        error.details = fields.into_iter().map(|field| json!(field)).collect();
        error
    }

    /// 422 about the faces in pictures.
    pub fn face_detection(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::FaceDetection, message)
    }

    /// 400 about a file or body.
    pub fn file_processing(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::FileProcessing, message)
    }

    /// 413 about a file or body.
    pub fn too_large(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::TooLarge, message)
    }

    /// 415 about a file or body.
    pub fn unsupported_media(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::UnsupportedMedia, message)
    }

    /// 500; `cause` is logged, not answered.
    pub fn internal(cause: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        Self::new(ErrorKind::Internal, "something went wrong inside the server; its log says more")
            .with_cause(cause)
    }

    /// Adds a reason to log.
    #[must_use]
    pub fn with_cause(mut self, cause: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        self.cause = Some(cause.into());
        self
    }

    /// Adds entries to `details`.
    #[must_use]
    pub fn with_details(mut self, details: impl IntoIterator<Item = Value>) -> Self {
        self.details.extend(details);
        self
    }

    /// What kind of failure it is.
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// What the client is told.
    pub fn message(&self) -> &str {
        &self.message
    }

    fn respond(self: Arc<Self>) -> Response {
        let mut response = self.kind.status().into_response();
        response.extensions_mut().insert(self);
        response
    }
}

impl fmt::Display for ApiError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl StdError for ApiError {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.cause.as_deref().map(|cause| cause as _)
    }
}

impl From<DbErr> for ApiError {
    fn from(error: DbErr) -> Self {
        if matches!(error.sql_err(), Some(SqlErr::UniqueConstraintViolation(_))) {
            return Self::duplicate("something with the same unique value is there already")
                .with_cause(error);
        }
        Self::new(ErrorKind::Database, "the database cannot be used at the moment; try again shortly")
            .with_cause(error)
    }
}

impl Reply for ApiError {
    fn into_response(self) -> Response {
        Arc::new(self).respond()
    }
}

/// One field that does not hold.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FieldError {
    /// The field, as the client named it; empty for the whole body.
    pub field: String,
    /// What is wrong with it.
    pub message: String,
}

impl FieldError {
    /// A field and what is wrong with it.
    pub fn new(field: impl Into<String>, message: impl Into<String>) -> Self {
        Self { field: field.into(), message: message.into() }
    }
}

/// What an [`ApiError`] looks like to a client.
#[derive(Serialize, ToSchema)]
#[schema(as = Error, description = "What went wrong.")]
pub(crate) struct ErrorBody<'a> {
    /// What kind of failure it is, for programs.
    #[schema(examples("NotFoundException"))]
    error: &'static str,
    /// What happened and what to do about it, for people.
    #[schema(examples("no camera `door`"))]
    message: &'a str,
    /// The path that was asked for.
    #[schema(examples("/api/cameras/door"))]
    path: &'a str,
    /// More, such as `{"field","message"}` for each field that does not hold.
    #[schema(value_type = Vec<Object>)]
    details: &'a [Value],
}

/// An [`ApiError`] raised by a filter.
#[derive(Clone, Debug)]
struct Refused(Arc<ApiError>);

impl Reject for Refused {}

impl From<ApiError> for Rejection {
    fn from(error: ApiError) -> Self {
        warp::reject::custom(Refused(Arc::new(error)))
    }
}

/// Answers a request that no route took.
pub fn recover(rejection: &Rejection) -> Response {
    use warp::reject::{
        InvalidHeader, InvalidQuery, LengthRequired, MethodNotAllowed, MissingHeader, PayloadTooLarge,
        UnsupportedMediaType,
    };
    use warp::ws::MissingConnectionUpgrade;
    if let Some(Refused(error)) = rejection.find() {
        return Arc::clone(error).respond();
    }
    let error = if rejection.find::<PayloadTooLarge>().is_some() {
        ApiError::too_large("the body is too large")
    } else if rejection.find::<UnsupportedMediaType>().is_some() {
        ApiError::unsupported_media("this kind of body is not understood here")
    } else if rejection.find::<LengthRequired>().is_some() {
        ApiError::file_processing("the request needs a Content-Length header")
    } else if let Some(header) = rejection.find::<MissingHeader>() {
        ApiError::file_processing(format!("the request needs the header `{}`", header.name()))
    } else if let Some(header) = rejection.find::<InvalidHeader>() {
        ApiError::file_processing(format!("the header `{}` is not understood", header.name()))
    } else if rejection.find::<MissingConnectionUpgrade>().is_some() {
        ApiError::file_processing("this is a WebSocket; the request is no handshake")
    } else if rejection.find::<InvalidQuery>().is_some() {
        ApiError::validation("", "the query is not understood")
    } else if rejection.find::<MethodNotAllowed>().is_some() {
        ApiError::new(ErrorKind::MethodNotAllowed, "this path does not take this method")
    } else if rejection.is_not_found() {
        ApiError::new(ErrorKind::NotFound, "there is nothing at this path")
    } else {
        ApiError::internal(format!("unexpected rejection: {rejection:?}"))
    };
    error.into_response()
}

/// Whether `path` belongs to the API, whose errors are JSON; elsewhere a browser shows them as they are.
pub fn is_api(path: &str) -> bool {
    path == "/api" || path.starts_with("/api/")
}

/// Gives a response made from an [`ApiError`] its body and logs its cause; leaves every other one alone.
pub fn render(mut response: Response, path: &str) -> Response {
    let Some(error) = response.extensions_mut().remove::<Arc<ApiError>>() else { return response };
    log_cause(&error, path);
    let (body, content_type) = if is_api(path) {
        let ApiError { kind, message, details, .. } = &*error;
        let body = json!(ErrorBody { error: kind.name(), message, path, details });
        (body.to_string(), "application/json")
    } else {
        (format!("{}\n", error.message), "text/plain; charset=utf-8")
    };
    *response.body_mut() = body.into();
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    headers.remove(header::CONTENT_LENGTH);
    match error.kind {
        ErrorKind::Authentication => {
            headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        ErrorKind::RateLimit { retry_after_s } => {
            headers.insert(RETRY_AFTER, retry_after_s.into());
        }
        _ => {}
    }
    response
}

fn log_cause(error: &ApiError, path: &str) {
    let cause = error.cause.as_deref().map(|cause| tracing::field::display(cause.to_string()));
    match error.kind {
        ErrorKind::Internal | ErrorKind::Database | ErrorKind::Storage => {
            tracing::error!(path, cause, "{}", error.message);
        }
        _ => tracing::debug!(path, cause, "{}", error.message),
    }
}
