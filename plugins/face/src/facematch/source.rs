//! Where a gallery comes from, and the thread that notices when it changes. Elements that name the same place
//! share one gallery and one thread.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, LazyLock, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use thiserror::Error;
use url::Url;
use vedette_events::{GalleryPerson, GallerySnapshot};
use vedette_models::gallery::{Gallery, GalleryError};
use vedette_models::owner::Owner;
use vedette_models::pack::{Pack, Packs};

use crate::eventsink::{agent, without_secrets};
use crate::instance::Shared;

/// How often a file is looked at.
const FILE_INTERVAL: Duration = Duration::from_secs(1);
/// How long a server may hold a request back until the gallery changes.
const LONG_POLL_S: u64 = 30;
/// What a server gets on top of that, to answer.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(15);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Servers that do not hold requests back are not asked more often than this.
const LEAST_INTERVAL: Duration = Duration::from_secs(1);
/// Pause after the first failed request; it doubles with each further one.
const FIRST_PAUSE: Duration = Duration::from_millis(500);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
/// A million templates of 512 numbers are some 2.8 GB of JSON.
const MAX_BYTES: u64 = 4 << 30;

/// A gallery that cannot be used.
#[derive(Debug, Error)]
pub(super) enum SourceError {
    #[error("there is no gallery at {0}: make one with `vedette gallery build DIR --out {0}`")]
    Missing(String),
    #[error("cannot read the gallery {0}: {1}")]
    Read(String, std::io::Error),
    #[error("{0} is not a gallery ({1}): make one with `vedette gallery build DIR --out FILE`")]
    Format(String, String),
    #[error("a gallery cannot be read from `{0}:`: use file:///path, a plain path or http(s)://host/path")]
    Scheme(String),
    #[error("cannot start the gallery thread: {0}")]
    Thread(std::io::Error),
    #[error("the gallery at {0} cannot be had: {1}; it is asked for again")]
    Unavailable(String, String),
}

/// A gallery ready for matching.
#[derive(Debug)]
pub(super) struct Loaded {
    pub(super) gallery: Gallery,
    /// Name of the pack whose embedder made the templates.
    pub(super) pack_name: String,
    /// The pack, if this program knows it.
    pub(super) pack: Option<Pack>,
    /// Grows with every load.
    pub(super) version: u64,
}

impl Loaded {
    /// Nobody is enrolled.
    pub(super) fn nobody() -> Self {
        Self { gallery: Gallery::new(0), pack_name: String::new(), pack: None, version: 0 }
    }

    /// The gallery that `json` describes. What it has in common with the `running` one is not made anew, but shared.
    fn parse(place: &str, json: &[u8], running: Option<&Self>) -> Result<Self, SourceError> {
        let wrong = |reason: String| SourceError::Format(place.into(), reason);
        let snapshot: GallerySnapshot =
            serde_json::from_slice(json).map_err(|error| wrong(error.to_string()))?;
        let comparable = running.filter(|running| {
            running.pack_name == snapshot.pack && running.gallery.dimension() == snapshot.dimension
        });
        let mut gallery =
            comparable.map_or_else(|| Gallery::new(snapshot.dimension), |running| running.gallery.clone());
        let mut listed = HashSet::with_capacity(snapshot.persons.len());
        for person in &snapshot.persons {
            let GalleryPerson { id, name, .. } = person;
            if !listed.insert(id.as_str()) {
                return Err(wrong(GalleryError::Duplicate { person_id: id.clone() }.to_string()));
            }
            let templates = snapshot.vectors_of(person).map_err(|error| wrong(error.to_string()))?;
            gallery.replace_person(id, name, &templates).map_err(|error| wrong(error.to_string()))?;
        }
        for person in comparable.map(|running| running.gallery.persons()).unwrap_or_default() {
            if !listed.contains(person.id) {
                gallery.remove_person(person.id);
            }
        }
        let pack = Packs::get(&snapshot.pack).ok();
        Ok(Self { gallery, pack_name: snapshot.pack, pack, version: 0 })
    }
}

/// A place a gallery is read from, again and again.
#[derive(Debug)]
pub(super) struct GallerySource {
    state: Arc<State>,
}

#[derive(Debug, Default)]
struct State {
    inner: Mutex<Inner>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct Inner {
    loaded: Option<Arc<Loaded>>,
    loads: u64,
    /// The latest trouble, numbered.
    trouble: (u64, String),
    closing: bool,
}

enum Place {
    File(PathBuf),
    Http { url: Url, authorization: Option<String> },
}

impl GallerySource {
    /// The gallery at `location`, shared with everybody who asks for it with the same token. A file is read
    /// before this returns; a server may take its time.
    pub(super) fn open(location: &str, token: Option<&str>) -> Result<Arc<Self>, SourceError> {
        type Key = (String, Option<String>);
        static SOURCES: LazyLock<Shared<Key, GallerySource>> = LazyLock::new(Shared::default);
        SOURCES.get(&(location.to_owned(), token.map(str::to_owned)), || Self::start(location, token))
    }

    fn start(location: &str, token: Option<&str>) -> Result<Self, SourceError> {
        let place = Place::parse(location, token)?;
        let source = Self { state: Arc::default() };
        let mut seen = None;
        if let Place::File(path) = &place {
            seen = Some(signature(path).map_err(|error| read_error(path, error))?);
            source.state.loaded(read_file(path, None)?);
        }
        let state = source.state.clone();
        let watch = move || {
            // It was started by a camera that will not be the only one it works for.
            Owner::NOBODY.adopt();
            match place {
                Place::File(path) => watch_file(&state, &path, seen),
                Place::Http { url, authorization } => watch_server(&state, &url, authorization.as_deref()),
            }
        };
        std::thread::Builder::new()
            .name("vedette-gallery".into())
            .spawn(watch)
            .map_err(SourceError::Thread)?;
        Ok(source)
    }

    /// The gallery, once there is one.
    pub(super) fn current(&self) -> Option<Arc<Loaded>> {
        self.state.current()
    }

    /// Waits for the first load, at most so long.
    pub(super) fn wait_for_first(&self, timeout: Duration) -> bool {
        let deadline = Instant::now() + timeout;
        let mut inner = self.state.lock();
        while inner.loaded.is_none() {
            let Some(left) = deadline.checked_duration_since(Instant::now()) else { return false };
            let waited = self.state.changed.wait_timeout(inner, left);
            inner = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        true
    }

    /// The latest trouble, if it came after the one numbered `told`.
    pub(super) fn trouble_after(&self, told: u64) -> Option<(u64, String)> {
        let inner = self.state.lock();
        (inner.trouble.0 > told).then(|| inner.trouble.clone())
    }
}

impl Drop for GallerySource {
    /// The thread ends at its next turn; a request under way is not waited for.
    fn drop(&mut self) {
        self.state.lock().closing = true;
        self.state.changed.notify_all();
    }
}

impl State {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn current(&self) -> Option<Arc<Loaded>> {
        self.lock().loaded.clone()
    }

    fn loaded(&self, mut loaded: Loaded) {
        let mut inner = self.lock();
        inner.loads += 1;
        loaded.version = inner.loads;
        inner.loaded = Some(Arc::new(loaded));
        self.changed.notify_all();
    }

    fn troubled(&self, error: &SourceError) {
        let mut inner = self.lock();
        inner.trouble = (inner.trouble.0 + 1, error.to_string());
    }

    /// Waits; false when the last user is gone.
    fn pause(&self, pause: Duration) -> bool {
        let deadline = Instant::now() + pause;
        let mut inner = self.lock();
        while !inner.closing {
            let Some(left) = deadline.checked_duration_since(Instant::now()) else { return true };
            let waited = self.changed.wait_timeout(inner, left);
            inner = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        false
    }
}

impl Place {
    fn parse(location: &str, token: Option<&str>) -> Result<Self, SourceError> {
        let Some((scheme, _)) = location.split_once("://") else {
            return Ok(Self::File(location.into()));
        };
        let scheme_error = || SourceError::Scheme(scheme.into());
        let url = Url::parse(location).map_err(|_| scheme_error())?;
        match scheme {
            "file" => url.to_file_path().map(Self::File).map_err(|()| scheme_error()),
            "http" | "https" => {
                Ok(Self::Http { url, authorization: token.map(|token| format!("Bearer {token}")) })
            }
            _ => Err(scheme_error()),
        }
    }
}

/// What tells one state of a file from another.
type Signature = (Option<SystemTime>, u64);

fn signature(path: &Path) -> std::io::Result<Signature> {
    let metadata = std::fs::metadata(path)?;
    Ok((metadata.modified().ok(), metadata.len()))
}

fn read_error(path: &Path, error: std::io::Error) -> SourceError {
    let place = path.display().to_string();
    match error.kind() {
        std::io::ErrorKind::NotFound => SourceError::Missing(place),
        _ => SourceError::Read(place, error),
    }
}

fn read_file(path: &Path, running: Option<&Loaded>) -> Result<Loaded, SourceError> {
    let json = std::fs::read(path).map_err(|error| read_error(path, error))?;
    Loaded::parse(&path.display().to_string(), &json, running)
}

/// Reads the file again when it changes. A gallery that has become unreadable leaves the last good one in use.
fn watch_file(state: &State, path: &Path, mut seen: Option<Signature>) {
    while state.pause(FILE_INTERVAL) {
        let now = signature(path).ok();
        if now == seen {
            continue;
        }
        seen = now;
        match read_file(path, state.current().as_deref()) {
            Ok(loaded) => state.loaded(loaded),
            Err(error) => state.troubled(&error),
        }
    }
}

/// Asks a server for the gallery, then for every change of it.
fn watch_server(state: &State, url: &Url, authorization: Option<&str>) {
    let client = agent(CONNECT_TIMEOUT, Duration::from_secs(LONG_POLL_S) + ANSWER_TIMEOUT);
    let mut etag: Option<String> = None;
    let mut pause = FIRST_PAUSE;
    let mut is_away = false;
    loop {
        let begun = Instant::now();
        let next = match ask(&client, url, authorization, etag.as_deref(), state.current().as_deref()) {
            Ok(answer) => {
                (pause, is_away) = (FIRST_PAUSE, false);
                if let Some((loaded, new_etag)) = answer {
                    state.loaded(loaded);
                    etag = new_etag;
                    Duration::ZERO
                } else {
                    LEAST_INTERVAL.saturating_sub(begun.elapsed())
                }
            }
            Err(error) => {
                if !std::mem::replace(&mut is_away, true) {
                    state.troubled(&error);
                }
                let next = pause;
                pause = (pause * 2).min(LONGEST_PAUSE);
                next
            }
        };
        // A server without ETags cannot say that nothing has changed.
        let next = if etag.is_none() { next.max(LEAST_INTERVAL) } else { next };
        if !state.pause(next) {
            return;
        }
    }
}

/// One request: a gallery with its tag, or nothing if it is still the one with the given tag; it is made from the one
/// that is running.
fn ask(
    client: &ureq::Agent,
    url: &Url,
    authorization: Option<&str>,
    etag: Option<&str>,
    running: Option<&Loaded>,
) -> Result<Option<(Loaded, Option<String>)>, SourceError> {
    let place = without_secrets(url.as_str());
    let unavailable = |reason: String| SourceError::Unavailable(place.clone(), reason);
    let mut request = client.get(url.as_str());
    if let Some(authorization) = authorization {
        request = request.header("Authorization", authorization);
    }
    if let Some(etag) = etag {
        request = request.header("If-None-Match", etag).query("wait_s", LONG_POLL_S.to_string());
    }
    let mut response =
        request.call().map_err(|error| unavailable(error.to_string().replace(url.as_str(), &place)))?;
    match response.status().as_u16() {
        200 => {
            let etag = response.headers().get("etag").and_then(|etag| etag.to_str().ok()).map(str::to_owned);
            let json = response.body_mut().with_config().limit(MAX_BYTES).read_to_vec();
            let json = json.map_err(|error| unavailable(error.to_string()))?;
            Ok(Some((Loaded::parse(&place, &json, running)?, etag)))
        }
        304 => Ok(None),
        status @ (401 | 403) => {
            Err(unavailable(format!("it answers {status}, set the token property to a valid token")))
        }
        status => Err(unavailable(format!("it answers {status}"))),
    }
}

#[cfg(test)]
mod tests;
