//! Publishes alerts to an MQTT broker, by rumqttc, at least once each (quality of service 1).
//!
//! The connection is made when there is something to say and kept. When it breaks, whatever the broker has not
//! acknowledged by then has failed, and the outbox tries it again: nothing is kept here, nor sent again by the library
//! of its own accord.

use std::collections::{HashMap, VecDeque};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::Result;
use rumqttc::{
    AsyncClient, Event, EventLoop, MqttOptions, Outgoing, Packet, QoS, TlsConfiguration, Transport,
};
use secrecy::ExposeSecret as _;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use uuid::Uuid;

use super::tls::{self, Authorities};
use super::webhook::Failure;
use crate::config::MqttSettings;

/// How often we say that we are there; a broker that does not answer is given up by the next time.
const KEEP_ALIVE: Duration = Duration::from_secs(10);
/// How long a connection may take to be made.
const CONNECT_TIMEOUT_S: u64 = 5;
/// Messages that wait to be sent, and that wait to be acknowledged.
const MAX_WAITING: usize = 100;

/// Tells whoever published what came of it.
type Done = oneshot::Sender<Result<(), String>>;

/// The one connection to the broker.
pub(super) struct MqttLink {
    options: MqttOptions,
    session: Mutex<Option<Session>>,
}

impl std::fmt::Debug for MqttLink {
    /// Leaves the password out.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("MqttLink").finish_non_exhaustive()
    }
}

/// One connection, from being made until it breaks.
struct Session {
    client: AsyncClient,
    pending: Arc<Mutex<Pending>>,
    task: JoinHandle<()>,
}

impl Drop for Session {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Who waits for an acknowledgement.
#[derive(Default)]
struct Pending {
    /// Nothing is taken any more.
    is_over: bool,
    /// Handed to the library, in this order.
    unsent: VecDeque<Done>,
    /// Sent, by the packet's number.
    sent: HashMap<u16, Done>,
}

impl Pending {
    fn end(&mut self, reason: &str) {
        self.is_over = true;
        let waiting = self.unsent.drain(..).chain(self.sent.drain().map(|(_, done)| done));
        for done in waiting {
            // Whoever is gone does not mind.
            let _ = done.send(Err(reason.to_owned()));
        }
    }

    fn note(&mut self, event: Event) {
        match event {
            Event::Outgoing(Outgoing::Publish(number)) => {
                if let Some(done) = self.unsent.pop_front() {
                    self.sent.insert(number, done);
                }
            }
            Event::Incoming(Packet::PubAck(acknowledged)) => {
                if let Some(done) = self.sent.remove(&acknowledged.pkid) {
                    let _ = done.send(Ok(()));
                }
            }
            _ => {}
        }
    }
}

/// Nothing under these locks panics or waits, so a poisoned one is as good as any.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl MqttLink {
    /// A link to the broker of the settings, which is not asked yet.
    ///
    /// # Errors
    /// When the certificates of who vouches for it cannot be read.
    pub(super) fn open(settings: &MqttSettings) -> Result<Self> {
        // No two clients of a broker may bear one name, or it throws them out in turns.
        let name = format!("vedette-{}", &Uuid::new_v4().simple().to_string()[..12]);
        let mut options = MqttOptions::new(name, settings.host.as_str(), settings.port);
        options.set_keep_alive(KEEP_ALIVE);
        if let Some(user) = &settings.user {
            let password = settings.password.as_ref().map(|password| password.expose_secret().to_owned());
            options.set_credentials(user.as_str(), password.unwrap_or_default());
        }
        if let Some(tls) = &settings.tls {
            let ca_file: Option<&Path> = tls.ca_file.as_deref();
            let authorities =
                Authorities { public: ca_file.is_none(), file: ca_file.map(|file| ("MQTT_CA_FILE", file)) };
            let config = Arc::new(tls::client_config(&authorities)?);
            options.set_transport(Transport::tls_with_config(TlsConfiguration::Rustls(config)));
        }
        Ok(Self { options, session: Mutex::new(None) })
    }

    /// Publishes a message, and waits until the broker has it.
    pub(super) async fn publish(&self, topic: &str, payload: Vec<u8>) -> Result<(), Failure> {
        let done = self.hand_over(topic, payload).map_err(Failure::passing)?;
        match done.await {
            Ok(outcome) => outcome.map_err(Failure::passing),
            // The task that would have told is gone, and the connection with it.
            Err(_) => Err(Failure::passing("the connection to the broker broke")),
        }
    }

    /// Gives a message to the connection, which is made if there is none. What is given in one order is sent in it, by
    /// which `Pending` knows the numbers that the library gives to messages.
    fn hand_over(
        &self,
        topic: &str,
        payload: Vec<u8>,
    ) -> Result<oneshot::Receiver<Result<(), String>>, String> {
        let mut session = lock(&self.session);
        let is_usable = |session: &Session| !lock(&session.pending).is_over && !session.task.is_finished();
        if !session.as_ref().is_some_and(is_usable) {
            *session = None;
        }
        let session = session.get_or_insert_with(|| Session::begin(self.options.clone()));
        let mut pending = lock(&session.pending);
        if pending.is_over {
            return Err("the connection to the broker broke".to_owned());
        }
        session
            .client
            .try_publish(topic, QoS::AtLeastOnce, false, payload)
            .map_err(|_| "the broker takes messages too slowly".to_owned())?;
        let (done, outcome) = oneshot::channel();
        pending.unsent.push_back(done);
        Ok(outcome)
    }
}

impl Session {
    fn begin(options: MqttOptions) -> Self {
        let (client, mut events) = AsyncClient::new(options, MAX_WAITING);
        let mut network = events.network_options();
        network.set_connection_timeout(CONNECT_TIMEOUT_S);
        network.set_tcp_nodelay(true);
        events.set_network_options(network);
        let pending = Arc::new(Mutex::new(Pending::default()));
        let task = tokio::spawn(run(events, Arc::clone(&pending)));
        Self { client, pending, task }
    }
}

/// Keeps the connection going until it breaks.
async fn run(mut events: EventLoop, pending: Arc<Mutex<Pending>>) {
    loop {
        match events.poll().await {
            Ok(event) => lock(&pending).note(event),
            Err(error) => {
                // Our own words about the broker, of which none is secret.
                tracing::debug!(%error, "the connection to the MQTT broker ended");
                return lock(&pending).end(&format!("no broker: {error}"));
            }
        }
    }
}
