//! One viewer: pictures as `multipart/x-mixed-replace`, which browsers show in any `<img>`.
//!
//! The viewer gets the newest picture whenever the network has taken the last one, so that a slow connection shows fewer
//! pictures and never old ones. When none come, a picture says so in place of the last: what is not live does not look
//! as if it were. It ends when the camera is stopped, the viewer leaves, or may not look any longer.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use chrono::SecondsFormat;
use futures_util::stream::{self, Stream, StreamExt as _};
use tokio::time::{Instant, sleep_until};
use warp::Reply as _;
use warp::http::header::{CONTENT_TYPE, HeaderValue};
use warp::reply::Response;

use super::pace::Pace;
use super::views::{Look, Picture, Place};
use super::{SIDES, View};
use crate::auth::Role;
use crate::cameras;
use crate::error::{ApiError, ErrorKind};
use crate::filters::{self, Credentials};
use crate::live;
use crate::state::State;

/// What says that there are no pictures.
const NO_SIGNAL: &[u8] = include_bytes!("no_signal.jpg");
/// A picture older than this is not live.
const STALE_AFTER: Duration = Duration::from_secs(2);
/// How often it is said again that there are none, which tells whether somebody is still there.
const DARK_INTERVAL: Duration = Duration::from_secs(5);
const MEDIA_TYPE: HeaderValue =
    HeaderValue::from_static("multipart/x-mixed-replace; boundary=vedette-picture");
const BOUNDARY: &str = "--vedette-picture\r\n";

/// Lets somebody look at a camera, in pictures with no side longer than `most_px`.
///
/// # Errors
/// When they may not, there is no such camera, it does not run, or there are too many viewers.
pub async fn watch(
    state: State,
    shown: Credentials,
    camera_id: &str,
    most_px: Option<u32>,
) -> Result<Response, ApiError> {
    let user = filters::admit(&shown, &state, Role::Viewer).await?;
    if !cameras::is_on(&state, camera_id).await? {
        return Err(ApiError::new(
            ErrorKind::NotFound,
            "the camera is not running: start it first".to_owned(),
        ));
    }
    let place = state.views.enter(user.id)?;
    let now = Instant::now();
    let pace = Pace::new(most_px.unwrap_or(SIDES[SIDES.len() - 1]), now);
    let view = View { camera_id: camera_id.to_owned(), side: pace.side() };
    let watched = State::clone(&state);
    let revoked = Box::pin(async move { live::until_void(&watched, &shown, &user).await });
    let viewer = Viewer {
        closed: Box::pin(state.views.closed()),
        look: state.views.look(view),
        next_look: None,
        state,
        _place: place,
        camera_id: camera_id.to_owned(),
        pace,
        newest: None,
        shown_at: now,
        is_dark: false,
        revoked,
    };
    // A body has to be shareable between threads, which what a viewer waits for is not; it has one owner all the same.
    let mut pictures = Mutex::new(Box::pin(viewer.pictures()));
    let body = stream::poll_fn(move |context| {
        pictures.get_mut().unwrap_or_else(PoisonError::into_inner).poll_next_unpin(context)
    });
    let mut response = warp::reply::stream(body).into_response();
    response.headers_mut().insert(CONTENT_TYPE, MEDIA_TYPE);
    Ok(response)
}

/// Who looks at a camera.
struct Viewer {
    state: State,
    _place: Place,
    camera_id: String,
    pace: Pace,
    look: Look,
    /// The same camera in the size that is to come; the present one goes on until it does.
    next_look: Option<Look>,
    /// Number of the last picture of the present size.
    newest: Option<u64>,
    /// When a picture was shown last, or that there is none.
    shown_at: Instant,
    /// Whether the viewer sees that there are no pictures.
    is_dark: bool,
    revoked: Pin<Box<dyn Future<Output = &'static str> + Send>>,
    closed: Pin<Box<dyn Future<Output = ()> + Send>>,
}

/// What a viewer waits for.
enum Happening {
    Picture(Arc<Picture>),
    /// The first picture in the other size.
    OtherSize(Arc<Picture>),
    /// No picture came in time.
    Silence,
    /// That was it, and why.
    End(&'static str),
}

impl Viewer {
    fn pictures(self) -> impl Stream<Item = Result<Bytes, Infallible>> + Send {
        let begin = stream::once(async { Ok(Bytes::from_static(BOUNDARY.as_bytes())) });
        let parts = stream::unfold(self, |mut viewer| async move {
            let part = viewer.next_part().await?;
            Some((Ok(part), viewer))
        });
        begin.chain(parts)
    }

    /// What the viewer is shown next, if there is anything.
    async fn next_part(&mut self) -> Option<Bytes> {
        loop {
            match self.happening().await {
                Happening::Picture(picture) => {
                    if let Some(part) = self.show(&picture) {
                        return Some(part);
                    }
                }
                Happening::OtherSize(picture) => {
                    if picture.received_at.elapsed() < STALE_AFTER
                        && let Some(look) = self.next_look.take()
                    {
                        (self.look, self.newest) = (look, None);
                        self.pace.begin(Instant::now());
                        return self.show(&picture);
                    }
                }
                Happening::Silence => {
                    if self.is_dark && !is_camera_on(&self.state, &self.camera_id).await {
                        return None;
                    }
                    (self.is_dark, self.shown_at) = (true, Instant::now());
                    return Some(part(NO_SIGNAL, ""));
                }
                Happening::End(reason) => {
                    tracing::debug!(camera = self.camera_id, reason, "a viewer is sent away");
                    return None;
                }
            }
        }
    }

    async fn happening(&mut self) -> Happening {
        let patience = if self.is_dark { DARK_INTERVAL } else { STALE_AFTER };
        let Self { look, next_look, revoked, closed, shown_at, .. } = self;
        let other_size = async {
            match next_look {
                Some(look) => look.next().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            reason = revoked.as_mut() => Happening::End(reason),
            () = closed.as_mut() => Happening::End("the server stops"),
            picture = other_size => Happening::OtherSize(picture),
            picture = look.next() => Happening::Picture(picture),
            () = sleep_until(*shown_at + patience) => Happening::Silence,
        }
    }

    /// A picture as it is sent; nothing of one that is not live any more.
    fn show(&mut self, picture: &Picture) -> Option<Bytes> {
        if picture.received_at.elapsed() >= STALE_AFTER {
            return None;
        }
        let now = Instant::now();
        (self.is_dark, self.shown_at) = (false, now);
        let former = self.newest.replace(picture.number);
        let missed = former.map_or(0, |former| picture.number.saturating_sub(former + 1));
        // What is missed of a size that is on its way out says nothing about the next.
        if self.next_look.is_none() && self.pace.sent(missed, now) {
            let view = View { camera_id: self.camera_id.clone(), side: self.pace.side() };
            self.next_look = Some(self.state.views.look(view));
        }
        let timestamp = picture.timestamp.to_rfc3339_opts(SecondsFormat::Millis, true);
        Some(part(&picture.jpeg, &format!("X-Timestamp: {timestamp}\r\n")))
    }
}

/// A database that is away for a moment is no reason to send anybody away.
async fn is_camera_on(state: &State, camera_id: &str) -> bool {
    match cameras::is_on(state, camera_id).await {
        Ok(is_on) => is_on,
        Err(error) => error.kind() != ErrorKind::NotFound,
    }
}

/// One picture. The boundary comes behind it: browsers show a picture when they see that it is over.
fn part(jpeg: &[u8], header: &str) -> Bytes {
    let head = format!("Content-Type: image/jpeg\r\nContent-Length: {}\r\n{header}\r\n", jpeg.len());
    [head.as_bytes(), jpeg, b"\r\n", BOUNDARY.as_bytes()].concat().into()
}
