//! The worker's conversation with the control plane: once a second, and at once when something changed, it reports its
//! cameras and is told which to run.
//!
//! While the control plane is away the cameras keep running on their last assignment, and their events wait on disk.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use sd_notify::NotifyState;
use thiserror::Error;
use ureq::http::StatusCode;
use url::{Host, Url};
use vedette_events::{Errand, Heartbeat, HeartbeatReply};

use crate::errand::Job;
use crate::journal::Journal;
use crate::launch::ControlPlane;
use crate::live::{Screen, Shows};
use crate::signal::{News, Woken};
use crate::worker::Worker;

/// The time between two heartbeats when nothing changes.
const INTERVAL: Duration = Duration::from_secs(1);
/// The least time between two, so that many changes at once make few heartbeats.
const SHORTEST_INTERVAL: Duration = Duration::from_millis(100);
/// A control plane that takes longer counts as away.
const TIMEOUT: Duration = Duration::from_secs(5);
/// A refusal or an absence is told again after this long.
const REMINDER: Duration = Duration::from_secs(60);

/// A control plane's address that is none.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum AddressError {
    /// The URL cannot be read or is of another kind.
    #[error("--url must be the control plane's address, such as http://192.168.1.10:8000")]
    Url,
    /// The id would not fit into an address.
    #[error("--id must be up to 64 letters, digits, `-`, `_` and `.`, not `{0}`")]
    Id(String),
}

/// A heartbeat that was not answered as it should be.
#[derive(Debug, Error)]
pub enum HeartbeatError {
    /// The token is not the control plane's.
    #[error(
        "the control plane at {url} refuses this worker's token ({status}): pass the right one in VEDETTE_WORKER_TOKEN"
    )]
    Refused {
        /// The control plane.
        url: String,
        /// Its answer.
        status: StatusCode,
    },
    /// Something else answers there.
    #[error(
        "{url} answers {status} to a worker's heartbeat: is --url the address of a Vedette control plane?"
    )]
    Status {
        /// The control plane.
        url: String,
        /// Its answer.
        status: StatusCode,
    },
    /// Nobody answers, or not in time, or nothing that can be read.
    #[error(
        "the control plane at {url} is away ({error}); the cameras keep running, their events wait on disk"
    )]
    Away {
        /// The control plane.
        url: String,
        /// What is known about it.
        error: Box<ureq::Error>,
    },
}

/// Why the heartbeats ended.
#[derive(Debug, PartialEq, Eq)]
pub enum End {
    /// The program was asked to end.
    Asked,
    /// Something hangs that only the end of the process can end: what.
    Hang(String),
}

/// Whether the control plane answered last time; what the log needs to know to say things once.
#[derive(Debug, Default)]
struct Contact {
    answered: bool,
    ever_answered: bool,
    told_at: Option<Instant>,
}

/// Sends the heartbeats of one worker.
pub struct Pulse {
    agent: ureq::Agent,
    endpoint: Url,
    control_plane: ControlPlane,
}

impl fmt::Debug for Pulse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pulse").field("endpoint", &self.endpoint.as_str()).finish_non_exhaustive()
    }
}

/// Reads the control plane's address as given; without a slash at its end.
///
/// # Errors
/// When it is no HTTP address.
pub fn control_plane_url(text: &str) -> Result<String, AddressError> {
    let url = Url::parse(text).map_err(|_| AddressError::Url)?;
    let plain = url.query().is_none() && url.fragment().is_none() && url.username().is_empty();
    if !matches!(url.scheme(), "http" | "https") || !plain {
        return Err(AddressError::Url);
    }
    Ok(url.as_str().trim_end_matches('/').to_owned())
}

/// Who asks the control plane at `endpoint`.
pub(crate) fn agent(endpoint: &Url) -> ureq::Agent {
    let mut config = ureq::Agent::config_builder()
        .http_status_as_error(false)
        .timeout_global(Some(TIMEOUT))
        .max_redirects(0)
        .user_agent(concat!("vedette-worker/", env!("CARGO_PKG_VERSION")));
    if is_this_machine(endpoint) {
        // A proxy set for the outside world does not know this machine's ports.
        config = config.proxy(None);
    }
    config.build().into()
}

impl Pulse {
    /// Heartbeats of the worker `id` to `control_plane`.
    ///
    /// # Errors
    /// When the address or the id cannot be used.
    pub fn new(control_plane: ControlPlane, id: &str) -> Result<Self, AddressError> {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
        if id.is_empty() || id.len() > 64 || id.starts_with('.') || !id.bytes().all(allowed) {
            return Err(AddressError::Id(id.chars().take(64).collect()));
        }
        let endpoint = format!("{}/api/workers/{id}/heartbeat", control_plane.url);
        let endpoint = Url::parse(&endpoint).map_err(|_| AddressError::Url)?;
        Ok(Self { agent: agent(&endpoint), endpoint, control_plane })
    }

    /// Sends one heartbeat.
    ///
    /// # Errors
    /// When it is not answered as it should be.
    pub fn beat(&self, heartbeat: &Heartbeat) -> Result<HeartbeatReply, HeartbeatError> {
        let url = || self.control_plane.url.clone();
        let away = |error| HeartbeatError::Away { url: url(), error: Box::new(error) };
        let mut response = self
            .agent
            .post(self.endpoint.as_str())
            .header("Authorization", format!("Bearer {}", self.control_plane.token))
            .send_json(heartbeat)
            .map_err(away)?;
        match response.status() {
            StatusCode::OK => response.body_mut().read_json().map_err(away),
            status @ (StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN) => {
                Err(HeartbeatError::Refused { url: url(), status })
            }
            // A control plane that starts up, is overloaded or has lost its database is away for now.
            status if status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS => {
                Err(away(ureq::Error::StatusCode(status.as_u16())))
            }
            status => Err(HeartbeatError::Status { url: url(), status }),
        }
    }

    /// Reports and obeys until the program is to end, or has to. Then the worker's cameras are still running.
    ///
    /// # Errors
    /// When the control plane refuses the very first heartbeat: then nothing this worker could do makes sense.
    pub fn keep_beating(
        &self,
        worker: &mut Worker,
        journal: &mut Journal,
        news: &Arc<News>,
    ) -> Result<End, HeartbeatError> {
        let mut contact = Contact::default();
        let mut shows = Shows::on(Screen::new(self.agent.clone(), &self.endpoint, &self.control_plane.token));
        while !news.is_ending() {
            let began = Instant::now();
            give_sign_of_life();
            // Before the report, which says whose camera it is.
            let hang = worker.find_hang();
            let heartbeat = Heartbeat {
                host: gst::glib::host_name().to_string(),
                version: vedette_events::release::VERSION.into(),
                pid: std::process::id(),
                cameras: worker.reports(),
                spooled_events: worker.spooled_events(),
                log: journal.next_lines(),
            };
            let answer = self.beat(&heartbeat);
            if let Some(hang) = hang {
                return Ok(End::Hang(hang));
            }
            // What the control plane refuses once it refuses again: the cameras matter more than these lines.
            if matches!(answer, Ok(_) | Err(HeartbeatError::Status { .. })) {
                journal.settled();
            }
            match answer {
                Ok(reply) => {
                    contact.answered(&self.control_plane.url);
                    worker.reconcile(reply.cameras);
                    shows.reconcile(reply.live, worker);
                    for errand in reply.errands {
                        self.run_errand(errand, worker);
                    }
                }
                Err(error @ (HeartbeatError::Refused { .. } | HeartbeatError::Status { .. }))
                    if !contact.ever_answered =>
                {
                    return Err(error);
                }
                Err(error) => contact.failed(&error),
            }
            news.wait_for_end(SHORTEST_INTERVAL.saturating_sub(began.elapsed()));
            if news.wait(INTERVAL.saturating_sub(began.elapsed())) == Woken::Ending {
                break;
            }
        }
        Ok(End::Asked)
    }
}

impl Pulse {
    /// Does an errand on a thread of its own, since it takes seconds, and reports how it ended.
    fn run_errand(&self, errand: Errand, worker: &Worker) {
        let job = Job::new(errand.task, worker);
        let (agent, token) = (self.agent.clone(), self.control_plane.token.clone());
        let endpoint = self.endpoint.join(&format!("errands/{}", errand.id));
        let report = move || {
            let outcome = job.run();
            let Ok(endpoint) = endpoint else { return };
            let sent = agent.post(endpoint.as_str()).header("Authorization", format!("Bearer {token}"));
            if let Err(error) = sent.send_json(&outcome) {
                tracing::warn!(%error, "the outcome of an errand cannot be reported");
            }
        };
        if let Err(error) = std::thread::Builder::new().name("errand".into()).spawn(report) {
            tracing::warn!(%error, "no thread could be started for an errand");
        }
    }
}

impl Contact {
    fn answered(&mut self, url: &str) {
        if !self.answered {
            tracing::info!(url, "connected to the control plane");
        }
        *self = Self { answered: true, ever_answered: true, told_at: None };
    }

    fn failed(&mut self, error: &HeartbeatError) {
        self.answered = false;
        if self.told_at.is_none_or(|told_at| told_at.elapsed() >= REMINDER) {
            tracing::warn!("{error}");
            self.told_at = Some(Instant::now());
        }
    }
}

/// Tells whoever started this process, if they wait for it, that it runs and goes round its loop: systemd, or the
/// supervisor of the control plane.
fn give_sign_of_life() {
    if let Err(error) = sd_notify::notify(&[NotifyState::Ready, NotifyState::Watchdog]) {
        tracing::debug!(%error, "nobody takes signs of life");
    }
}

fn is_this_machine(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_checked() {
        assert_eq!(control_plane_url("http://127.0.0.1:8000/"), Ok("http://127.0.0.1:8000".into()));
        assert_eq!(
            control_plane_url("https://cams.example/vedette/"),
            Ok("https://cams.example/vedette".into())
        );
        for wrong in ["", "127.0.0.1:8000", "ftp://x", "http://x/?a=b", "http://user:pw@x"] {
            assert_eq!(control_plane_url(wrong), Err(AddressError::Url), "{wrong}");
        }
        let plane = ControlPlane { url: "http://127.0.0.1:1".into(), token: String::new(), events_uri: None };
        assert!(Pulse::new(plane.clone(), "host-1.example").is_ok());
        for wrong in ["", "..", "a/b", "größe"] {
            assert!(Pulse::new(plane.clone(), wrong).is_err(), "{wrong}");
        }
    }
}
