//! Who looks at which camera, and the newest picture of each.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use chrono::{DateTime, Utc};
use tokio::sync::{Notify, watch};
use tokio::time::Instant;
use uuid::Uuid;
use vedette_events::LiveWish;

use crate::error::ApiError;
use crate::limits::too_many;

/// Viewers at the same time.
const MAX_VIEWERS: usize = 500;
/// Those of them that may be one user's: a wall of screens.
const MAX_VIEWERS_EACH: usize = 36;
/// When to come back if there is no room.
const RETRY_AFTER: Duration = Duration::from_secs(30);

/// A camera in one size.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct View {
    /// The camera.
    pub camera_id: String,
    /// Longest side of the pictures, in pixels.
    pub side: u32,
}

/// A picture that is shown.
pub(super) struct Picture {
    /// The picture, boxes and names drawn.
    pub(super) jpeg: Bytes,
    /// When its frame came out of the decoder, as the worker says.
    pub(super) timestamp: DateTime<Utc>,
    /// When it came here.
    pub(super) received_at: Instant,
    /// Counts the pictures of its view: those a viewer missed are missing in between.
    pub(super) number: u64,
}

impl std::fmt::Debug for Picture {
    /// Leaves the picture out: it may show somebody.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Picture").field("number", &self.number).finish_non_exhaustive()
    }
}

type Newest = Option<Arc<Picture>>;

/// Who looks at what.
#[derive(Debug)]
pub struct LiveViews {
    /// Tells what is looked at here from what is looked at elsewhere.
    instance: String,
    inner: Mutex<Inner>,
    /// Told when the first comes to look at something, or the last has gone.
    changed: Notify,
    closing: watch::Sender<bool>,
}

#[derive(Debug, Default)]
struct Inner {
    newest: BTreeMap<View, watch::Sender<Newest>>,
    viewers: HashMap<Uuid, usize>,
    /// What is looked at at other instances.
    elsewhere: HashSet<View>,
}

impl Default for LiveViews {
    fn default() -> Self {
        Self {
            instance: Uuid::new_v4().simple().to_string(),
            inner: Mutex::default(),
            changed: Notify::default(),
            closing: watch::Sender::new(false),
        }
    }
}

impl LiveViews {
    /// Nothing under this lock panics or waits, so a poisoned one is as good as any.
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A name no other instance has.
    pub(super) fn instance(&self) -> &str {
        &self.instance
    }

    /// Lets somebody look, if there is room.
    ///
    /// # Errors
    /// When there is none.
    pub(super) fn enter(self: &Arc<Self>, user: Uuid) -> Result<Place, ApiError> {
        let mut inner = self.lock();
        if inner.viewers.values().sum::<usize>() >= MAX_VIEWERS {
            return Err(too_many(format!("{MAX_VIEWERS} viewers look at cameras already"), RETRY_AFTER));
        }
        let own = inner.viewers.entry(user).or_default();
        if *own >= MAX_VIEWERS_EACH {
            return Err(too_many(
                format!("you look at cameras {MAX_VIEWERS_EACH} times already"),
                RETRY_AFTER,
            ));
        }
        *own += 1;
        Ok(Place { views: Arc::clone(self), user })
    }

    /// Has the pictures of `view` come, for as long as what is answered is kept.
    pub(super) fn look(self: &Arc<Self>, view: View) -> Look {
        let mut inner = self.lock();
        let is_first = !inner.newest.contains_key(&view);
        let sender = inner.newest.entry(view.clone()).or_insert_with(|| watch::Sender::new(None));
        let mut newest = sender.subscribe();
        newest.mark_changed();
        drop(inner);
        if is_first {
            self.changed.notify_one();
        }
        Look { views: Arc::clone(self), view, newest: Some(newest) }
    }

    /// Shows a picture to those who look at `view` here.
    pub(super) fn show(&self, view: &View, jpeg: Bytes, timestamp: DateTime<Utc>) {
        let inner = self.lock();
        let Some(sender) = inner.newest.get(view) else { return };
        sender.send_modify(|newest| {
            let number = newest.as_ref().map_or(0, |former| former.number + 1);
            *newest = Some(Arc::new(Picture { jpeg, timestamp, received_at: Instant::now(), number }));
        });
    }

    pub(super) fn is_looked_at_here(&self, view: &View) -> bool {
        self.lock().newest.contains_key(view)
    }

    pub(super) fn is_camera_looked_at_here(&self, camera_id: &str) -> bool {
        self.lock().newest.keys().any(|view| view.camera_id == camera_id)
    }

    pub(super) fn is_looked_at_elsewhere(&self, view: &View) -> bool {
        self.lock().elsewhere.contains(view)
    }

    /// Everything that is looked at here.
    pub(super) fn here(&self) -> Vec<View> {
        self.lock().newest.keys().cloned().collect()
    }

    /// Takes over what is looked at at other instances.
    pub(super) fn set_elsewhere(&self, elsewhere: HashSet<View>) {
        self.lock().elsewhere = elsewhere;
    }

    /// Waits until something else is looked at here.
    pub(super) async fn changed(&self) {
        self.changed.notified().await;
    }

    /// In which sizes somebody looks at a camera, here or elsewhere.
    pub(super) fn sides(&self, camera_id: &str) -> Vec<u32> {
        let inner = self.lock();
        let all = inner.newest.keys().chain(&inner.elsewhere);
        let mut sides: Vec<u32> =
            all.filter(|view| view.camera_id == camera_id).map(|view| view.side).collect();
        sides.sort_unstable();
        sides.dedup();
        sides
    }

    /// What is wanted of those of these cameras that somebody looks at.
    pub fn wishes<'a>(&self, camera_ids: impl IntoIterator<Item = &'a str>) -> Vec<LiveWish> {
        let wish =
            |camera_id: &str| LiveWish { camera_id: camera_id.to_owned(), sides: self.sides(camera_id) };
        camera_ids.into_iter().map(wish).filter(|wish| !wish.sides.is_empty()).collect()
    }

    /// Viewers here.
    pub fn viewers(&self) -> usize {
        self.lock().viewers.values().sum()
    }

    /// Sends every viewer away, for the server stops.
    pub fn close(&self) {
        self.closing.send_replace(true);
    }

    /// Waits for [`LiveViews::close`].
    pub(super) fn closed(&self) -> impl Future<Output = ()> + Send + use<> {
        let mut closing = self.closing.subscribe();
        // An error means that the server is gone.
        async move { drop(closing.wait_for(|is_closing| *is_closing).await) }
    }
}

/// The room a viewer takes; dropped, it is free again.
#[derive(Debug)]
pub(super) struct Place {
    views: Arc<LiveViews>,
    user: Uuid,
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut inner = self.views.lock();
        if let Some(own) = inner.viewers.get_mut(&self.user) {
            *own -= 1;
            if *own == 0 {
                inner.viewers.remove(&self.user);
            }
        }
    }
}

/// One who looks at a view.
#[derive(Debug)]
pub(super) struct Look {
    views: Arc<LiveViews>,
    view: View,
    /// There until it is dropped.
    newest: Option<watch::Receiver<Newest>>,
}

impl Look {
    /// Waits for a picture that was not seen yet, and answers the newest.
    pub(super) async fn next(&mut self) -> Arc<Picture> {
        let Some(newest) = &mut self.newest else { return std::future::pending().await };
        loop {
            if newest.changed().await.is_err() {
                // The sender goes after the last of us.
                return std::future::pending().await;
            }
            if let Some(picture) = newest.borrow_and_update().clone() {
                return picture;
            }
        }
    }
}

impl Drop for Look {
    fn drop(&mut self) {
        let mut inner = self.views.lock();
        self.newest = None;
        let is_last = inner.newest.get(&self.view).is_some_and(|sender| sender.receiver_count() == 0);
        if is_last {
            inner.newest.remove(&self.view);
            drop(inner);
            self.views.changed.notify_one();
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    fn view(side: u32) -> View {
        View { camera_id: "door".to_owned(), side }
    }

    fn wished(views: &LiveViews) -> Vec<LiveWish> {
        views.wishes(["door", "hall"])
    }

    #[test]
    fn what_is_looked_at_anywhere_is_wished_for_and_nothing_else() {
        let views = Arc::new(LiveViews::default());
        assert_eq!(wished(&views), []);
        let looks = [views.look(view(640)), views.look(view(320)), views.look(view(640))];
        views.set_elsewhere(HashSet::from([view(1280), view(320)]));
        let wish = |sides: &[u32]| vec![LiveWish { camera_id: "door".to_owned(), sides: sides.to_vec() }];
        assert_eq!(wished(&views), wish(&[320, 640, 1280]));
        drop(looks);
        assert_eq!(wished(&views), wish(&[320, 1280]));
        views.set_elsewhere(HashSet::new());
        assert_eq!(wished(&views), []);
    }

    #[tokio::test]
    async fn who_is_slow_misses_pictures_but_never_the_newest() {
        let views = Arc::new(LiveViews::default());
        let mut look = views.look(view(640));
        for _ in 0..5 {
            views.show(&view(640), Bytes::new(), Utc::now());
        }
        assert_eq!(look.next().await.number, 4);
        views.show(&view(640), Bytes::new(), Utc::now());
        assert_eq!(look.next().await.number, 5);
        assert_eq!(views.look(view(640)).next().await.number, 5, "who comes later need not wait");
    }

    #[test]
    fn nobody_takes_all_the_room() {
        let views = Arc::new(LiveViews::default());
        let (one, other) = (Uuid::new_v4(), Uuid::new_v4());
        let mut places: Vec<Place> = (0..MAX_VIEWERS_EACH).map(|_| views.enter(one).unwrap()).collect();
        assert!(views.enter(one).is_err());
        assert!(views.enter(other).is_ok());
        places.pop();
        assert!(views.enter(one).is_ok());
        drop(places);
        assert_eq!(views.viewers(), 0);
    }
}
