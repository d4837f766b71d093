//! A journal of every event that was ever safe in a spool, kept from outside by the kernel: `inotify` tells of each
//! file that gets its name there, however soon it goes again and whoever is killed.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify, InotifyEvent};
use uuid::Uuid;

/// The kernel keeps the order of names: what came before this one is in the journal.
const LAST_NAME: &str = "the-end.json";

#[derive(Debug, Default)]
struct Pages {
    ids: BTreeSet<Uuid>,
    ended: bool,
    /// The kernel had more to tell than it could keep, or could not be asked.
    failure: Option<String>,
}

#[derive(Debug)]
pub(crate) struct Journal {
    pages: Arc<(Mutex<Pages>, Condvar)>,
    last_folder: PathBuf,
}

fn lock(pages: &Mutex<Pages>) -> MutexGuard<'_, Pages> {
    pages.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Journal {
    /// Notes what comes into `folders`, which are there.
    pub(crate) fn keep(folders: &[PathBuf]) -> Result<Self> {
        let inotify = Inotify::init(InitFlags::IN_CLOEXEC).context("the kernel has no inotify for us")?;
        for folder in folders {
            let watched = inotify.add_watch(folder.as_path(), AddWatchFlags::IN_MOVED_TO);
            watched.with_context(|| format!("cannot watch {}", folder.display()))?;
        }
        let last_folder = folders.last().context("there is no folder to watch")?.clone();
        let pages = Arc::<(Mutex<Pages>, Condvar)>::default();
        let written = Arc::clone(&pages);
        std::thread::spawn(move || {
            while !lock(&written.0).ended {
                let news = inotify.read_events();
                let mut pages = lock(&written.0);
                match news {
                    Ok(news) => news.iter().for_each(|it| pages.note(it)),
                    Err(error) => pages.failure = Some(error.to_string()),
                }
                pages.ended |= pages.failure.is_some();
                drop(pages);
                written.1.notify_all();
            }
        });
        Ok(Self { pages, last_folder })
    }

    /// Waits until there is an event more than now.
    pub(crate) fn await_event(&self, timeout: Duration) -> Result<()> {
        let before = lock(&self.pages.0).ids.len();
        self.wait(timeout, "an event in the spool", |pages| pages.ids.len() > before)
    }

    /// Every event so far, when nobody writes any more.
    pub(crate) fn close(&self) -> Result<BTreeSet<Uuid>> {
        let unfinished = self.last_folder.join("the-end.part");
        let last = self.last_folder.join(LAST_NAME);
        fs::write(&unfinished, "")?;
        fs::rename(unfinished, &last)?;
        self.wait(Duration::from_secs(60), "the journal's end", |pages| pages.ended)?;
        fs::remove_file(last)?;
        Ok(lock(&self.pages.0).ids.clone())
    }

    fn wait(&self, timeout: Duration, what: &str, is_there: impl Fn(&Pages) -> bool) -> Result<()> {
        let deadline = Instant::now() + timeout;
        let mut pages = lock(&self.pages.0);
        while !is_there(&pages) {
            let left = deadline.saturating_duration_since(Instant::now());
            ensure!(!left.is_zero(), "waited {} s in vain: {what}", timeout.as_secs());
            pages = self.pages.1.wait_timeout(pages, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        match &pages.failure {
            Some(failure) => bail!("the journal is not complete: {failure}"),
            None => Ok(()),
        }
    }
}

impl Pages {
    fn note(&mut self, news: &InotifyEvent) {
        if news.mask.contains(AddWatchFlags::IN_Q_OVERFLOW) {
            self.failure = Some("the kernel's queue overflowed".into());
        }
        let Some(name) = news.name.as_deref().map(Path::new) else { return };
        self.ended |= name == Path::new(LAST_NAME);
        let is_event = name.extension().is_some_and(|extension| extension == "json");
        let id: Option<Uuid> =
            name.file_stem().and_then(|stem| stem.to_str()).and_then(|stem| stem.parse().ok());
        self.ids.extend(id.filter(|_| is_event));
    }
}
