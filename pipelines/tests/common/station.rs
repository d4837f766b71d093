//! A worker in this process, talking to a [`Plane`].

use std::path::Path;
use std::sync::Arc;
use std::thread::JoinHandle;

use vedette_pipelines::camera::Patience;
use vedette_pipelines::crashes::Crashes;
use vedette_pipelines::elements;
use vedette_pipelines::heartbeat::{End, HeartbeatError, Pulse};
use vedette_pipelines::journal::Journal;
use vedette_pipelines::signal::News;
use vedette_pipelines::worker::Worker;

use super::plane::Plane;
use super::{LONG, surroundings};

/// Ends its worker when dropped.
pub struct Station {
    news: Arc<News>,
    thread: Option<JoinHandle<Result<End, HeartbeatError>>>,
    data: tempfile::TempDir,
}

impl Station {
    pub fn open(plane: &Plane) -> Self {
        Self::open_with(plane, Patience::default())
    }

    pub fn open_with(plane: &Plane, patience: Patience) -> Self {
        elements::init().unwrap();
        let data = tempfile::tempdir().unwrap();
        let news = Arc::new(News::default());
        let mut surroundings = surroundings(&plane.url(), data.path(), &news);
        surroundings.patience = patience;
        let pulse = Pulse::new(surroundings.control_plane.clone(), "test-worker").unwrap();
        let until = Arc::clone(&news);
        let thread = std::thread::spawn(move || {
            let mut worker = Worker::new(surroundings, Crashes::default());
            let outcome = pulse.keep_beating(&mut worker, &mut Journal::default(), &until);
            assert_eq!(worker.shut_down(LONG), 0, "every camera ends");
            outcome
        });
        Self { news, thread: Some(thread), data }
    }

    pub fn data_dir(&self) -> &Path {
        self.data.path()
    }
}

impl Drop for Station {
    fn drop(&mut self) {
        self.news.end();
        let outcome = self.thread.take().unwrap().join();
        if !std::thread::panicking() {
            assert_eq!(outcome.unwrap().unwrap(), End::Asked);
        }
    }
}
