//! Pieces every route is put together from: the state, who is asking, the body, the query, the path.
//!
//! Order in a route: path, method, then these. What fails here is answered in the API's error form; a mere "not
//! this route" is left to warp.

use std::convert::Infallible;
use std::net::IpAddr;

use bytes::Bytes;
use futures_util::StreamExt as _;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize};
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;
use warp::filters::BoxedFilter;
use warp::http::header::{AUTHORIZATION, CONTENT_TYPE};
use warp::reply::Response;
use warp::{Buf, Filter, Rejection, Reply};

use crate::api_keys::{self, Scope};
use crate::auth::{self, CurrentUser, Role};
use crate::error::ApiError;
use crate::server::PeerAddress;
use crate::state::State;

/// A route, ready to be joined with others.
pub type Route = BoxedFilter<(Response,)>;

/// Largest body of settings, names and the like.
const MAX_JSON_BYTES: usize = 256 * 1024;

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

/// What a request shows of who sent it.
pub struct Credentials {
    /// `Authorization: Bearer …`.
    pub token: Option<String>,
    /// `X-API-Key`.
    pub api_key: Option<String>,
    address: IpAddr,
}

/// What the request shows of who sent it.
pub fn credentials() -> BoxedFilter<(Credentials,)> {
    let headers = header(AUTHORIZATION.as_str()).and(header("x-api-key"));
    let shown = |authorization: Option<String>, api_key, address| {
        let token = bearer(authorization.as_deref()).map(str::to_owned);
        Credentials { token, api_key, address }
    };
    headers.and(client_address()).map(shown).boxed()
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

/// The user behind a token, as the settings see one.
async fn user_of(shown: &Credentials, state: &State) -> Result<CurrentUser, ApiError> {
    let token = shown.token.as_deref();
    let user = auth::authenticate(&state.db, &state.tokens, &state.sessions, token).await?;
    Ok(CurrentUser { address: Some(shown.address), ..state.lift_password_change(user) })
}

/// A signed-in user, even one who must change the password first.
pub fn signed_in(state: &State) -> BoxedFilter<(CurrentUser,)> {
    let authenticate = |shown: Credentials, state: State| async move {
        user_of(&shown, &state).await.map_err(Rejection::from)
    };
    credentials().and(with_state(state)).and_then(authenticate).boxed()
}

/// A signed-in user of at least `role`, or a program whose API key has a scope that opens as much.
pub fn authenticated(state: &State, role: Role) -> BoxedFilter<(CurrentUser,)> {
    let check = move |shown: Credentials, state: State| async move {
        admit(&shown, &state, role).await.map_err(Rejection::from)
    };
    credentials().and(with_state(state)).and_then(check).boxed()
}

/// Who is behind what was shown, if that is a user of at least `role`, or a program whose API key has a scope that
/// opens as much. If both are shown, who is signed in counts.
///
/// # Errors
/// When what was shown is void (401), opens less (403), or the database does not answer.
pub async fn admit(shown: &Credentials, state: &State, role: Role) -> Result<CurrentUser, ApiError> {
    match &shown.api_key {
        Some(key) if shown.token.is_none() => by_api_key(state, key, shown.address, role).await,
        _ => user_of(shown, state).await.and_then(|user| admit_user(user, role)),
    }
}

fn admit_user(user: CurrentUser, role: Role) -> Result<CurrentUser, ApiError> {
    if user.must_change_password {
        let message = "the password must be changed first: POST /api/auth/change-password";
        return Err(ApiError::authorization(message));
    }
    if user.role < role {
        return Err(ApiError::authorization(format!("this needs the role {}", role.as_str())));
    }
    Ok(user)
}

/// A program as the user its key makes it.
async fn by_api_key(
    state: &State,
    shown: &str,
    address: IpAddr,
    role: Role,
) -> Result<CurrentUser, ApiError> {
    let asked = match role {
        Role::Viewer => "the scope read",
        Role::Operator => "the scope operate",
        Role::Admin => "an administrator who is signed in",
    };
    let opens = |scope: Scope| scope.role().is_some_and(|granted| granted >= role);
    let key = api_keys::admit(state, shown, Some(address), opens, asked).await?;
    Ok(CurrentUser {
        id: key.id,
        username: format!("key:{}", key.name),
        role: key.role,
        must_change_password: false,
        token_id: key.id,
        token_expires_at: key.expires_at,
        address: Some(address),
    })
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
    let check = |shown: Credentials, state: State| async move {
        if auth::is_worker(shown.token.as_deref(), &state.worker_token) {
            return Ok(());
        }
        let Some(key) = shown.api_key else {
            let message = "show a worker's token (Authorization: Bearer …) or an API key (X-API-Key)";
            return Err(Rejection::from(ApiError::authentication(message)));
        };
        let opens = |scope| scope == Scope::Ingest;
        api_keys::admit(&state, &key, Some(shown.address), opens, "the scope ingest").await?;
        Ok(())
    };
    credentials().and(with_state(state)).and_then(check).untuple_one().boxed()
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
    let parse = move |text: String| async move { parse_uuid(what, &text).map_err(Rejection::from) };
    warp::path::param::<String>().and_then(parse).boxed()
}

/// The UUID of a path, once all of the path fits; `what` names the thing it stands for.
///
/// # Errors
/// When the text is none.
pub fn parse_uuid(what: &str, text: &str) -> Result<Uuid, ApiError> {
    let error = |_| ApiError::validation("id", format!("`{text}` is no {what} id: those are UUIDs"));
    text.parse().map_err(error)
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
    let mut body = Vec::new();
    while let Some(chunk) = stream.next().await {
        let mut chunk = chunk.map_err(|error| {
            ApiError::file_processing("the body broke off before its end").with_cause(error)
        })?;
        if chunk.remaining() > max_bytes - body.len() {
            return Err(ApiError::too_large(format!("the body is larger than {max_bytes} bytes")).into());
        }
        while chunk.has_remaining() {
            let piece = chunk.chunk();
            body.extend_from_slice(piece);
            let length = piece.len();
            chunk.advance(length);
        }
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
    if body.trim_ascii_start().starts_with(b"[") {
        // Serde would take the items for the fields in their order.
        return Err(ApiError::validation("", "must be a JSON object, not an array"));
    }
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

/// For fields of a change that `null` clears: called only when the key is there, it tells `null` from absent.
///
/// # Errors
/// When the value is neither `null` nor a `T`.
pub fn present<'de, T, D>(deserializer: D) -> Result<Option<Option<T>>, D::Error>
where
    T: Deserialize<'de>,
    D: Deserializer<'de>,
{
    Option::deserialize(deserializer).map(Some)
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
        Page { items, total, page: self.page, page_size: self.page_size }
    }
}

/// One page of a list, as every list answers.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Page<T> {
    items: Vec<T>,
    /// Of the whole list.
    total: u64,
    /// From 1.
    page: u64,
    page_size: u64,
}

const DEFAULT_PAGE_SIZE: u64 = 50;
const MAX_PAGE_SIZE: u64 = 500;
/// Beyond this the database's arithmetic on offsets could overflow; no list is as long.
const MAX_PAGE: u64 = 1_000_000_000;

/// Which page of a list is wanted, unchecked.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct PageQuery {
    /// From 1.
    #[param(minimum = 1, maximum = 1_000_000_000, default = 1)]
    page: Option<u64>,
    /// Entries on a page.
    #[param(minimum = 1, maximum = 500, default = 50)]
    page_size: Option<u64>,
}

/// `page` (from 1) and `page_size` of the query.
pub fn page() -> BoxedFilter<(PageRequest,)> {
    let check = |query: PageQuery| async move {
        let (page, page_size) = (query.page.unwrap_or(1), query.page_size.unwrap_or(DEFAULT_PAGE_SIZE));
        if !(1..=MAX_PAGE).contains(&page) {
            return Err(ApiError::validation("page", "must be a whole number from 1"));
        }
        if !(1..=MAX_PAGE_SIZE).contains(&page_size) {
            return Err(ApiError::validation("page_size", format!("must be from 1 to {MAX_PAGE_SIZE}")));
        }
        Ok(PageRequest { page, page_size })
    };
    query().and_then(move |query| async move { check(query).await.map_err(Rejection::from) }).boxed()
}
