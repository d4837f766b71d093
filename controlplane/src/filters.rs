//! Pieces every route is put together from: the state, who is asking, the body, the query, the path.
//!
//! Order in a route: path, method, then these. What fails here is answered in the API's error form; a mere "not
//! this route" is left to warp.

use std::convert::Infallible;
use std::net::IpAddr;

use bytes::Bytes;
use futures_util::StreamExt as _;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use uuid::Uuid;
use warp::filters::BoxedFilter;
use warp::http::header::{AUTHORIZATION, CONTENT_TYPE};
use warp::reply::Response;
use warp::{Buf, Filter, Rejection, Reply};

use crate::auth::{self, CurrentUser, Role};
use crate::error::ApiError;
use crate::server::PeerAddress;
use crate::state::State;

/// A route, ready to be joined with others.
pub type Route = BoxedFilter<(Response,)>;

/// Largest body of settings, names and the like.
const MAX_JSON_BYTES: usize = 256 * 1024;
/// What is read and dropped of a body that is refused, so that a client that is still sending gets to read why.
const MAX_DRAINED_BYTES: usize = 64 * 1024 * 1024;

/// Makes a reply of what a handler returns.
pub fn respond(reply: impl Reply) -> Response {
    reply.into_response()
}

/// The first of `routes` that fits.
pub fn any_of(routes: impl IntoIterator<Item = Route>) -> Route {
    let nothing = warp::any().and_then(|| async { Err::<Response, _>(warp::reject::not_found()) }).boxed();
    routes
        .into_iter()
        .collect::<Vec<_>>()
        .into_iter()
        .rev()
        .fold(nothing, |rest, route| route.or(rest).unify().boxed())
}

/// Hands the state on.
pub fn with_state(state: &State) -> impl Filter<Extract = (State,), Error = Infallible> + Clone + use<> {
    let state = State::clone(state);
    warp::any().map(move || State::clone(&state))
}

/// A signed-in user, even one who must change the password first.
pub fn signed_in(state: &State) -> BoxedFilter<(CurrentUser,)> {
    let authenticate = |header: Option<String>, state: State| async move {
        let token = bearer(header.as_deref());
        Ok::<_, Rejection>(authenticate(&state, token).await?)
    };
    header(AUTHORIZATION.as_str()).and(with_state(state)).and_then(authenticate).boxed()
}

/// The user behind a token, as the settings see one.
///
/// # Errors
/// When the token is void or the database does not answer.
pub async fn authenticate(state: &State, token: Option<&str>) -> Result<CurrentUser, ApiError> {
    let user = auth::authenticate(&state.db, &state.tokens, &state.sessions, token).await?;
    Ok(state.lift_password_change(user))
}

/// Where the request comes from.
pub fn client_address() -> BoxedFilter<(IpAddr,)> {
    warp::ext::optional::<PeerAddress>()
        .and_then(|address: Option<PeerAddress>| async move {
            let missing = || Rejection::from(ApiError::internal("a request without address"));
            address.map(|PeerAddress(address)| address.ip()).ok_or_else(missing)
        })
        .boxed()
}

/// A signed-in user of at least `role`.
pub fn authenticated(state: &State, role: Role) -> BoxedFilter<(CurrentUser,)> {
    let check = move |user: CurrentUser| async move {
        if user.must_change_password {
            let message = "the password must be changed first: POST /api/auth/change-password";
            return Err(Rejection::from(ApiError::authorization(message)));
        }
        if user.role < role {
            let message = format!("this needs the role {}", role.as_str());
            return Err(ApiError::authorization(message).into());
        }
        Ok(user)
    };
    signed_in(state).and_then(check).boxed()
}

/// A worker, by its token.
pub fn worker(state: &State) -> BoxedFilter<()> {
    let check = |header: Option<String>, state: State| async move {
        if auth::is_worker(bearer(header.as_deref()), &state.worker_token) {
            return Ok(());
        }
        Err(Rejection::from(ApiError::authentication("the worker's token is missing or wrong")))
    };
    header(AUTHORIZATION.as_str()).and(with_state(state)).and_then(check).untuple_one().boxed()
}

/// A worker, or a program that shows an API key as `X-API-Key`.
pub fn worker_or_api_key(state: &State) -> BoxedFilter<()> {
    let check = |bearer_header: Option<String>, key: Option<String>, state: State| async move {
        let api_key = state.config.environment.api_key.as_ref();
        let is_worker = auth::is_worker(bearer(bearer_header.as_deref()), &state.worker_token);
        if is_worker || auth::has_api_key(key.as_deref(), api_key) {
            return Ok(());
        }
        let message = "show a worker's token (Authorization: Bearer …) or an API key (X-API-Key)";
        Err(Rejection::from(ApiError::authentication(message)))
    };
    let headers = header(AUTHORIZATION.as_str()).and(header("x-api-key"));
    headers.and(with_state(state)).and_then(check).untuple_one().boxed()
}

/// A header's text; `None` when it is absent or no text.
fn header(name: &'static str) -> impl Filter<Extract = (Option<String>,), Error = Infallible> + Clone {
    warp::header::headers_cloned().map(move |headers: warp::http::HeaderMap| {
        headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned)
    })
}

/// The token of `Authorization: Bearer TOKEN`.
pub fn bearer(header: Option<&str>) -> Option<&str> {
    let (scheme, token) = header?.trim().split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

/// A UUID in the path; `what` names the thing it stands for.
pub fn uuid_param(what: &'static str) -> BoxedFilter<(Uuid,)> {
    let parse = move |text: String| async move {
        let error = || ApiError::validation("id", format!("`{text}` is no {what} id: those are UUIDs"));
        text.parse::<Uuid>().map_err(|_| Rejection::from(error()))
    };
    warp::path::param::<String>().and_then(parse).boxed()
}

/// The body's bytes, at most `max_bytes` of them.
pub fn body_bytes(max_bytes: usize) -> BoxedFilter<(Bytes,)> {
    warp::body::stream().and_then(move |stream| read_limited(stream, max_bytes)).boxed()
}

async fn read_limited<S, B>(stream: S, max_bytes: usize) -> Result<Bytes, Rejection>
where
    S: futures_util::Stream<Item = Result<B, warp::Error>>,
    B: Buf,
{
    let mut stream = std::pin::pin!(stream);
    let (mut body, mut seen_bytes) = (Vec::new(), 0_usize);
    while let Some(chunk) = stream.next().await {
        let mut chunk = chunk.map_err(|error| {
            ApiError::file_processing("the body broke off before its end").with_cause(error)
        })?;
        seen_bytes = seen_bytes.saturating_add(chunk.remaining());
        if seen_bytes > max_bytes.saturating_add(MAX_DRAINED_BYTES) {
            break;
        }
        if seen_bytes <= max_bytes {
            while chunk.has_remaining() {
                let piece = chunk.chunk();
                body.extend_from_slice(piece);
                let length = piece.len();
                chunk.advance(length);
            }
        }
    }
    if seen_bytes > max_bytes {
        return Err(ApiError::too_large(format!("the body is larger than {max_bytes} bytes")).into());
    }
    Ok(body.into())
}

/// A JSON body.
pub fn json_body<T: DeserializeOwned + Send + 'static>() -> BoxedFilter<(T,)> {
    json_body_up_to(MAX_JSON_BYTES)
}

/// A JSON body of at most `max_bytes`.
pub fn json_body_up_to<T: DeserializeOwned + Send + 'static>(max_bytes: usize) -> BoxedFilter<(T,)> {
    let parse = |content_type: Option<String>, body: Bytes| async move {
        match BodyKind::of(content_type.as_deref()) {
            BodyKind::Json => Ok::<_, Rejection>(parse_json(&body)?),
            _ => Err(ApiError::unsupported_media("send the body as application/json").into()),
        }
    };
    header(CONTENT_TYPE.as_str()).and(body_bytes(max_bytes)).and_then(parse).boxed()
}

/// A body that may be JSON or a form.
pub fn json_or_form<T: DeserializeOwned + Send + 'static>() -> BoxedFilter<(T,)> {
    let parse = |content_type: Option<String>, body: Bytes| async move {
        match BodyKind::of(content_type.as_deref()) {
            BodyKind::Json => Ok::<_, Rejection>(parse_json(&body)?),
            BodyKind::Form => Ok(parse_form(&body)?),
            BodyKind::Other => {
                let message = "send the body as application/json or application/x-www-form-urlencoded";
                Err(ApiError::unsupported_media(message).into())
            }
        }
    };
    header(CONTENT_TYPE.as_str()).and(body_bytes(MAX_JSON_BYTES)).and_then(parse).boxed()
}

enum BodyKind {
    Json,
    Form,
    Other,
}

impl BodyKind {
    fn of(content_type: Option<&str>) -> Self {
        let essence = content_type.unwrap_or_default().split(';').next().unwrap_or_default().trim();
        match essence.to_ascii_lowercase().as_str() {
            "application/json" => Self::Json,
            "application/x-www-form-urlencoded" => Self::Form,
            _ => Self::Other,
        }
    }
}

fn parse_json<T: DeserializeOwned>(body: &[u8]) -> Result<T, ApiError> {
    let mut deserializer = serde_json::Deserializer::from_slice(body);
    let value = serde_path_to_error::deserialize(&mut deserializer).map_err(|error| {
        // Where the text stops being JSON tells nothing about the field that was being read.
        let field = if error.inner().is_data() { field_of(error.path()) } else { String::new() };
        ApiError::validation(field, error.into_inner().to_string())
    })?;
    deserializer.end().map_err(|error| ApiError::validation("", error.to_string()))?;
    Ok(value)
}

/// A form or a query, which are written the same way.
fn parse_form<T: DeserializeOwned>(text: &[u8]) -> Result<T, ApiError> {
    let pairs = serde_urlencoded::Deserializer::new(form_urlencoded::parse(text));
    serde_path_to_error::deserialize(pairs).map_err(|error| {
        let field = field_of(error.path());
        ApiError::validation(field, error.into_inner().to_string())
    })
}

/// Serde's path to the field that failed; empty for the whole.
fn field_of(path: &serde_path_to_error::Path) -> String {
    let path = path.to_string();
    if path == "." { String::new() } else { path }
}

/// The query. Parameters `T` does not know are left to others, such as [`page`].
pub fn query<T: DeserializeOwned + Send + 'static>() -> BoxedFilter<(T,)> {
    let raw = warp::query::raw().or(warp::any().map(String::new)).unify();
    raw.and_then(|raw: String| async move { parse_form(raw.as_bytes()).map_err(Rejection::from) }).boxed()
}

/// Which page of a list is wanted.
#[derive(Clone, Copy, Debug)]
pub struct PageRequest {
    page: u64,
    page_size: u64,
}

impl PageRequest {
    /// Entries on a page.
    pub fn page_size(self) -> u64 {
        self.page_size
    }

    /// The page, counted from 0.
    pub fn index(self) -> u64 {
        self.page - 1
    }

    /// The answer with this page's `items` out of `total`.
    pub fn with<T>(self, items: Vec<T>, total: u64) -> Page<T> {
        Page { items, total, total_is_minimum: false, page: self.page, page_size: self.page_size }
    }
}

/// One page of a list, as every list answers.
#[derive(Clone, Debug, Serialize)]
pub struct Page<T> {
    items: Vec<T>,
    total: u64,
    /// Counting ended at `total`; there are more. Left out when it is not so.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    total_is_minimum: bool,
    page: u64,
    page_size: u64,
}

impl<T> Page<T> {
    /// The same, of a list with more than `total` entries.
    pub fn with_minimum(self) -> Self {
        Self { total_is_minimum: true, ..self }
    }
}

/// `page` (from 1) and `page_size` of the query.
pub fn page() -> BoxedFilter<(PageRequest,)> {
    #[derive(Deserialize)]
    struct PageQuery {
        page: Option<u64>,
        page_size: Option<u64>,
    }
    const DEFAULT_SIZE: u64 = 50;
    const MAX_SIZE: u64 = 500;
    // Beyond this the database's arithmetic on offsets could overflow; no list is as long.
    const MAX_PAGE: u64 = 1_000_000_000;
    let check = |query: PageQuery| async move {
        let (page, page_size) = (query.page.unwrap_or(1), query.page_size.unwrap_or(DEFAULT_SIZE));
        if !(1..=MAX_PAGE).contains(&page) {
            return Err(ApiError::validation("page", "must be a whole number from 1"));
        }
        if !(1..=MAX_SIZE).contains(&page_size) {
            return Err(ApiError::validation("page_size", format!("must be from 1 to {MAX_SIZE}")));
        }
        Ok(PageRequest { page, page_size })
    };
    query().and_then(move |query| async move { check(query).await.map_err(Rejection::from) }).boxed()
}
