//! The one connection to Redis: commands, messages between instances, and whether the server is there.
//!
//! Redis is never needed: whoever asks it something has an answer of its own when there is none. A server that
//! fails is left alone until [`RedisLink::run`], which tries it once a second, finds it well again, so that a
//! request is held up once and not every time.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use futures_util::StreamExt as _;
use redis::aio::{ConnectionManager, ConnectionManagerConfig, MultiplexedConnection};
use redis::{
    AsyncConnectionConfig, Client, Cmd, ConnectionAddr, FromRedisValue, IntoConnectionInfo as _,
    RedisConnectionInfo, RedisError, ScriptInvocation, TlsCertificates,
};
use secrecy::ExposeSecret as _;
use tokio::sync::{mpsc, watch};
use tokio_rustls::rustls::pki_types::CertificateDer;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use uuid::Uuid;

use crate::config::RedisSettings;

/// A server that does not answer within this time is away; requests wait for it.
const TIMEOUT: Duration = Duration::from_millis(500);
/// How often the server is looked after.
const CHECK_INTERVAL: Duration = Duration::from_secs(1);
/// Messages to other instances that wait to be sent; further ones are dropped.
const OUTBOX: usize = 1024;
/// What all our channels begin with.
const CHANNEL_PREFIX: &str = "vedette:";

/// What a message to the other instances is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Topic {
    /// Accounts or tokens changed: what is remembered of them is void.
    Accounts,
    /// A line for everybody who watches.
    Live,
    /// Alert rules changed: what is remembered of them is void.
    AlertRules,
    /// A picture for those who look at a camera.
    Pictures,
}

impl Topic {
    const ALL: [Self; 4] = [Self::Accounts, Self::Live, Self::AlertRules, Self::Pictures];

    fn channel(self) -> String {
        let name = match self {
            Self::Accounts => "accounts",
            Self::Live => "live",
            Self::AlertRules => "alert_rules",
            Self::Pictures => "pictures",
        };
        format!("{CHANNEL_PREFIX}{name}")
    }
}

/// What comes from the other instances.
#[derive(Debug)]
pub enum News<'a> {
    /// One of them said this.
    Message(Topic, &'a str),
    /// The connection is new: what they said before it may have been missed.
    Connected,
}

/// How the server is.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Health {
    Connected,
    /// Why not; for `GET /api/health`, so without addresses.
    Unreachable(String),
}

/// The connection to one Redis server.
pub struct RedisLink {
    client: Client,
    manager: ConnectionManager,
    health: watch::Sender<Health>,
    /// Tells our own messages from those of other instances.
    instance: String,
    outbox: mpsc::Sender<(Topic, String)>,
    /// Taken by [`RedisLink::run`].
    to_send: tokio::sync::Mutex<mpsc::Receiver<(Topic, String)>>,
}

impl std::fmt::Debug for RedisLink {
    /// Leaves the address and the password out.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RedisLink").field("health", &*self.health.borrow()).finish_non_exhaustive()
    }
}

impl RedisLink {
    /// Tries the server once and goes on without it if it is not there.
    ///
    /// # Errors
    /// When the settings name no server at all.
    pub async fn open(settings: &RedisSettings) -> Result<Arc<Self>> {
        let client = client(settings)?;
        let config = ConnectionManagerConfig::new()
            .set_connection_timeout(Some(TIMEOUT))
            .set_response_timeout(Some(TIMEOUT))
            // One try: the checks every second are the further ones.
            .set_number_of_retries(0);
        let manager = ConnectionManager::new_lazy_with_config(client.clone(), config)
            .context("the connection to Redis cannot be prepared")?;
        let (outbox, to_send) = mpsc::channel(OUTBOX);
        let link = Self {
            client,
            manager,
            health: watch::Sender::new(Health::Unreachable("not tried yet".to_owned())),
            instance: Uuid::new_v4().simple().to_string(),
            outbox,
            to_send: tokio::sync::Mutex::new(to_send),
        };
        link.check().await;
        Ok(Arc::new(link))
    }

    /// Whether the server answered last time.
    pub fn is_connected(&self) -> bool {
        *self.health.borrow() == Health::Connected
    }

    /// How the server is, in words for everybody.
    pub fn status(&self) -> String {
        match &*self.health.borrow() {
            Health::Connected => "redis: connected".to_owned(),
            Health::Unreachable(reason) => format!("redis: unreachable, {reason}; working in memory"),
        }
    }

    /// A name no other instance has.
    pub fn instance(&self) -> &str {
        &self.instance
    }

    /// The answer to a command; `None` when there is none to be had.
    pub async fn query<T: FromRedisValue>(&self, command: &Cmd) -> Option<T> {
        let mut connection = self.connection()?;
        let answer = command.query_async(&mut connection).await;
        self.answered(answer)
    }

    /// The answer to a script; `None` when there is none to be had.
    pub async fn invoke<T: FromRedisValue>(&self, script: &ScriptInvocation<'_>) -> Option<T> {
        let mut connection = self.connection()?;
        let answer = script.invoke_async(&mut connection).await;
        self.answered(answer)
    }

    /// A connection of one's own, for commands that wait at the server for up to `wait`.
    ///
    /// # Errors
    /// When the server is not there.
    pub async fn own_connection(&self, wait: Duration) -> Result<MultiplexedConnection, RedisError> {
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(TIMEOUT))
            .set_response_timeout(Some(wait + TIMEOUT));
        self.client.get_multiplexed_async_connection_with_config(&config).await
    }

    /// Tells the other instances. Never waits: while the server is away, or slow, it is not said.
    pub fn tell(&self, topic: Topic, message: String) {
        if self.is_connected() && self.outbox.try_send((topic, message)).is_err() {
            tracing::warn!(?topic, "Redis takes messages to other instances too slowly, one is dropped");
        }
    }

    /// Tells the other instances now, past what waits to be said: for what is large and soon worth nothing.
    pub async fn publish(&self, topic: Topic, message: &str) {
        let message = format!("{} {message}", self.instance);
        let command = redis::cmd("PUBLISH").arg(topic.channel()).arg(message).take();
        self.query::<i64>(&command).await;
    }

    /// Looks after the server, and sends and receives messages, for ever.
    pub async fn run(&self, on_news: impl Fn(News<'_>)) {
        let look_after = async {
            loop {
                tokio::time::sleep(CHECK_INTERVAL).await;
                self.check().await;
            }
        };
        tokio::join!(look_after, self.send_messages(), self.receive_messages(on_news));
    }

    fn connection(&self) -> Option<ConnectionManager> {
        self.is_connected().then(|| self.manager.clone())
    }

    fn answered<T>(&self, answer: Result<T, RedisError>) -> Option<T> {
        answer.inspect_err(|error| self.note(Health::Unreachable(reason(error)))).ok()
    }

    async fn check(&self) {
        let mut connection = self.manager.clone();
        let answer = redis::cmd("PING").query_async::<String>(&mut connection).await;
        self.note(match answer {
            Ok(_) => Health::Connected,
            Err(error) => Health::Unreachable(reason(&error)),
        });
    }

    fn note(&self, now: Health) {
        self.health.send_if_modified(|health| {
            if *health == now {
                return false;
            }
            match &now {
                Health::Connected => tracing::info!("Redis is there"),
                Health::Unreachable(reason) if *health == Health::Connected => {
                    tracing::warn!(reason, "Redis cannot be used; going on in memory");
                }
                Health::Unreachable(reason) => tracing::debug!(reason, "Redis cannot be used"),
            }
            *health = now;
            true
        });
    }

    async fn send_messages(&self) {
        let mut to_send = self.to_send.lock().await;
        while let Some((topic, message)) = to_send.recv().await {
            self.publish(topic, &message).await;
        }
    }

    async fn receive_messages(&self, on_news: impl Fn(News<'_>)) {
        let mut health = self.health.subscribe();
        loop {
            // The sender lives as long as `self`.
            let _ = health.wait_for(|health| *health == Health::Connected).await;
            let received = async {
                if let Err(error) = self.receive_until_broken(&on_news).await {
                    tracing::debug!(%error, "messages of other instances cannot be received");
                }
            };
            tokio::select! {
                () = received => {}
                _ = health.wait_for(|health| *health != Health::Connected) => {}
            }
            tokio::time::sleep(TIMEOUT).await;
        }
    }

    async fn receive_until_broken(&self, on_news: &impl Fn(News<'_>)) -> Result<()> {
        let subscribe = async {
            let mut subscription = self.client.get_async_pubsub().await?;
            for topic in Topic::ALL {
                subscription.subscribe(topic.channel()).await?;
            }
            Ok::<_, RedisError>(subscription)
        };
        let subscription = tokio::time::timeout(TIMEOUT, subscribe).await??;
        on_news(News::Connected);
        let mut messages = subscription.into_on_message();
        while let Some(message) = messages.next().await {
            let topic = Topic::ALL.into_iter().find(|topic| topic.channel() == message.get_channel_name());
            let text = std::str::from_utf8(message.get_payload_bytes()).ok();
            let sent = text.and_then(|text| text.split_once(' '));
            if let (Some(topic), Some((instance, text))) = (topic, sent)
                && instance != self.instance
            {
                on_news(News::Message(topic, text));
            }
        }
        anyhow::bail!("the server closed the connection")
    }
}

fn client(settings: &RedisSettings) -> Result<Client> {
    let mut login = RedisConnectionInfo::default();
    if let Some(password) = &settings.password {
        login = login.set_password(password.expose_secret());
    }
    if let Some(user) = &settings.user {
        login = login.set_username(user);
    }
    let (host, port) = (settings.host.clone(), settings.port);
    let address = match settings.tls {
        Some(_) => ConnectionAddr::TcpTls { host, port, insecure: false, tls_params: None },
        None => ConnectionAddr::Tcp(host, port),
    };
    let server = address.into_connection_info()?.set_redis_settings(login);
    let ca_file = settings.tls.as_ref().and_then(|tls| tls.ca_file.as_deref());
    let client = match ca_file {
        Some(file) => {
            let root_cert = Some(certificates(file)?);
            Client::build_with_tls(server, TlsCertificates { client_tls: None, root_cert })
        }
        None => Client::open(server),
    };
    client.context("REDIS_HOST, REDIS_PORT, REDIS_USER, REDIS_PASSWORD or REDIS_CA_FILE cannot be used")
}

/// A PEM file that holds a certificate: with none, every server would be refused.
fn certificates(file: &Path) -> Result<Vec<u8>> {
    let pem =
        std::fs::read(file).with_context(|| format!("REDIS_CA_FILE: cannot read `{}`", file.display()))?;
    let first = CertificateDer::pem_slice_iter(&pem).next().transpose();
    let holds_some = first.is_ok_and(|first| first.is_some());
    ensure!(holds_some, "REDIS_CA_FILE: `{}` holds no certificate in PEM form", file.display());
    Ok(pem)
}

/// What is wrong, without addresses.
fn reason(error: &RedisError) -> String {
    if error.is_timeout() {
        "no answer in time".to_owned()
    } else if error.is_connection_refusal() {
        "connection refused".to_owned()
    } else {
        error.category().to_owned()
    }
}
