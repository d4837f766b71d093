//! From settings to a running server, step by step, and down again.

use std::fs::DirBuilder;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result};
use sea_orm::DatabaseConnection;
use secrecy::{ExposeSecret as _, SecretString};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinSet;
use uuid::Uuid;
use vedette_events::capture::Captured;
use vedette_migrations::{Migrator, MigratorTrait as _};
use vedette_models::pack::Packs;

use crate::alerts::Alerts;
use crate::auth::{LoginThrottle, Sessions, TokenSigner, TokenTerms};
use crate::config::{Config, EnvironmentSettings, Stage};
use crate::crypto::{self, Keys};
use crate::database::Probe;
use crate::filters::Route;
use crate::gallery::LiveGallery;
use crate::limits::RateLimits;
use crate::live::Hub;
use crate::metrics::{Metrics, StatementFigures};
use crate::persons::reembed::{self, Reembedding};
use crate::redis_link::{News, RedisLink, Topic};
use crate::server::{Door, Listener, Tls};
use crate::state::{AppState, State};
use crate::storage::Storage;
use crate::supervisor::{self, LocalWorker, LocalWorkerStatus};
use crate::vision::Vision;
use crate::workers::WorkerRegistry;
use crate::{
    alerts, cameras, database, ingest, live, logs, retention, routes, secrets, server, sessions, users,
    viewing, workers,
};

/// The first password of the first user while developing; it must be changed before anything else.
const FIRST_PASSWORD: &str = "admin123";
/// Id of the worker this server starts itself.
const LOCAL_WORKER_ID: &str = "local";

/// A server that listens but does not answer yet.
pub struct App {
    listener: Listener,
    /// Where the worker of this host reaches us when everybody else has to speak HTTPS, whose certificate is for a
    /// name and not for this.
    local_listener: Option<Listener>,
    address: SocketAddr,
    routes: Route,
    state: State,
    local_worker_status: watch::Sender<LocalWorkerStatus>,
    /// Of the pack the settings name, if another one is in use until everybody has been embedded with it.
    next_vision: Option<Vision>,
    /// Warnings and errors to be written into the database.
    captured: Option<Captured>,
}

/// Why a server ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// It was told to.
    Told,
    /// The pack that the settings name can be used now: another start uses it.
    PackIsReady,
}

impl App {
    /// Does everything that can go wrong: folder, database, migrations, first user, cameras, port.
    ///
    /// # Errors
    /// When one of them fails; the message says which and what to do.
    pub async fn start(mut config: Config) -> Result<Self> {
        let mut db = open_database(&config.environment).await?;
        let statements = StatementFigures::default();
        let counted = statements.clone();
        db.set_metric_callback(move |done| counted.count(&done.statement.sql, done.elapsed, done.failed));
        let tokens = token_signer(&config)?;
        let keys = Arc::new(open_keys(&config, &db).await?);
        make_first_admin(&config, &db).await?;
        cameras::apply_configured(&db, &keys, &config.file.cameras.sources)
            .await
            .context("cannot make the cameras of cameras.sources")?;
        let storage = Storage::open(&config.environment).await?;
        let (vision, next_vision) = choose_pack(&mut config, &db).await?;
        let gallery = LiveGallery::new(vision.pack().name.clone(), vision.dimension(), Arc::clone(&keys));

        let address = SocketAddr::new(config.file.server.host, config.file.server.port);
        let listener = TcpListener::bind(address).await.with_context(|| {
            format!("cannot listen on {address}: is another server there already? choose another with --port")
        })?;
        let address = listener.local_addr().context("the socket has no address")?;
        let tls = config.file.server.tls.as_ref().map(Tls::open).transpose()?;
        let local_listener = match &tls {
            Some(_) if config.file.workers.local => Some(Listener {
                tcp: TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
                    .await
                    .context("cannot listen on this host for its worker")?,
                tls: None,
            }),
            _ => None,
        };
        let listener = Listener { tcp: listener, tls };
        let redis = match &config.environment.redis {
            Some(settings) => Some(RedisLink::open(settings).await?),
            None => None,
        };

        let (local_worker_status, local_worker) = watch::channel(LocalWorkerStatus::Off);
        let worker_token = config.environment.worker_token.clone().unwrap_or_else(secrets::random);
        let state = Arc::new(AppState {
            sessions: Sessions::new(redis.clone()),
            login_throttle: LoginThrottle::new(redis.clone()),
            limits: RateLimits::new(config.file.security.rate_limit, redis.clone()),
            live: Hub::new(redis.clone()),
            views: Arc::default(),
            alerts: Alerts::open(&config, redis.clone())?,
            redis,
            metrics: Metrics::new(vision.figures(), &statements),
            config,
            db,
            database_probe: Probe::default(),
            storage,
            keys,
            vision,
            gallery,
            tokens,
            workers: WorkerRegistry::default(),
            worker_token,
            local_worker,
            reembedding: watch::Sender::new(None),
        });
        let routes = routes::all(&state);
        Ok(Self {
            listener,
            local_listener,
            address,
            routes,
            state,
            local_worker_status,
            next_vision,
            captured: None,
        })
    }

    /// The same, which writes what is caught of this process's log into the database.
    #[must_use]
    pub fn with_log(self, captured: Captured) -> Self {
        Self { captured: Some(captured), ..self }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What its requests share.
    pub fn state(&self) -> &State {
        &self.state
    }

    /// Serves until `shutdown` completes or the pack that the settings name can be used, then ends requests and worker and
    /// closes the database.
    ///
    /// # Errors
    /// When the database does not close.
    pub async fn run(mut self, shutdown: impl Future<Output = ()>) -> Result<Ending> {
        let (stop, stopped) = watch::channel(false);
        let (stop_recording, recording_stopped) = watch::channel(false);
        let recorder = self.captured.take().map(|captured| {
            tokio::spawn(logs::record(State::clone(&self.state), captured, recording_stopped))
        });
        let sweep = tokio::spawn(sessions::sweep(State::clone(&self.state), stopped.clone()));
        let deliveries = tokio::spawn(alerts::deliver(State::clone(&self.state), stopped.clone()));
        let local_worker = self.local_worker()?;
        let background = self.background();
        let supervisor = self.state.config.file.workers.local.then(|| {
            tokio::spawn(supervisor::supervise(local_worker, self.local_worker_status, stopped.clone()))
        });
        self.state.vision.preload();
        let scheme = if self.listener.tls.is_some() { "https" } else { "http" };
        tracing::info!("listening on {scheme}://{}", self.address);
        let (mut ending, next_vision) = (Ending::Told, self.next_vision.take());
        let shutdown = async {
            tokio::select! {
                () = shutdown => {}
                () = reembed(&self.state, next_vision) => ending = Ending::PackIsReady,
            }
            tracing::info!("stopping");
            self.state.views.close();
            // The worker ends while requests do: it has events to hand in until the last moment.
            stop.send_replace(true);
        };
        let door = Arc::new(Door::new(self.routes, State::clone(&self.state)));
        let serve_worker = async {
            if let Some(listener) = self.local_listener {
                let mut stopped = stopped;
                let shutdown = async move { drop(stopped.wait_for(|is_stopped| *is_stopped).await) };
                server::serve(listener, Arc::clone(&door), shutdown).await;
            }
        };
        tokio::join!(server::serve(self.listener, Arc::clone(&door), shutdown), serve_worker);
        if let Some(supervisor) = supervisor {
            supervisor.await.context("the supervisor of the local worker broke down")?;
        }
        drop(background);
        sweep.await.context("the sweep of visits broke down")?;
        deliveries.await.context("the delivery of alerts broke down")?;
        // What was logged up to here is to be found.
        stop_recording.send_replace(true);
        if let Some(recorder) = recorder {
            recorder.await.context("the recorder of the log broke down")?;
        }
        self.state.db.close_by_ref().await.context("the database did not close")?;
        Ok(ending)
    }

    /// What goes on beside requests, until it is dropped.
    fn background(&self) -> JoinSet<()> {
        let mut tasks = JoinSet::new();
        tasks.spawn(workers::keep_fresh(State::clone(&self.state)));
        tasks.spawn(live::watch_cameras(State::clone(&self.state)));
        tasks.spawn(viewing::keep_shared(State::clone(&self.state)));
        tasks.spawn(database::keep_log_short(self.state.db.clone()));
        tasks.spawn(retention::keep(State::clone(&self.state)));
        tasks.spawn(alerts::watch_offline(State::clone(&self.state)));
        if let Some(tls) = self.listener.tls.clone() {
            tasks.spawn(async move { tls.keep_fresh().await });
        }
        if let Some(redis) = self.state.redis.clone() {
            let state = State::clone(&self.state);
            if let Some(stream) = state.config.file.events.redis_stream.clone() {
                tasks.spawn(ingest::consume_stream(State::clone(&state), Arc::clone(&redis), stream));
            }
            tasks.spawn(async move {
                redis.run(|news| take_news(&state, &news)).await;
            });
        }
        tasks
    }

    fn local_worker(&self) -> Result<LocalWorker> {
        let environment = &self.state.config.environment;
        let address = match &self.local_listener {
            Some(listener) => listener.tcp.local_addr().context("the socket has no address")?,
            None => reachable(self.address),
        };
        Ok(LocalWorker {
            binary: environment.worker_binary.clone(),
            id: LOCAL_WORKER_ID.to_owned(),
            url: format!("http://{address}"),
            token: self.state.worker_token.clone(),
            data_dir: environment.data_dir.clone(),
            patience: supervisor::Patience::default(),
        })
    }
}

/// Does what another instance says is to be done.
fn take_news(state: &State, news: &News<'_>) {
    match news {
        News::Connected => {
            state.sessions.forget();
            state.alerts.forget_rules();
        }
        News::Message(Topic::Accounts, _) => state.sessions.forget(),
        News::Message(Topic::AlertRules, _) => state.alerts.forget_rules(),
        News::Message(Topic::Live, line) => state.live.relay(line),
        News::Message(Topic::Pictures, picture) => viewing::relay(&state.views, picture),
    }
}

/// The address to reach a server at from its own host.
pub(crate) fn reachable(address: SocketAddr) -> SocketAddr {
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, address.port())
}

/// Makes the folder for everything written; nobody else may look into it.
///
/// # Errors
/// When it cannot be made or written.
pub fn prepare_data_dir(data_dir: &Path) -> Result<()> {
    let advice = || {
        format!(
            "cannot write to the data folder `{}`: make it writable for this user or name another in VEDETTE_DATA_DIR",
            data_dir.display()
        )
    };
    if !data_dir.is_dir() {
        DirBuilder::new().recursive(true).mode(0o700).create(data_dir).with_context(advice)?;
    }
    // Permission bits do not tell about read-only file systems; writing does.
    let probe = data_dir.join(format!(".probe-{}", Uuid::new_v4()));
    std::fs::write(&probe, []).and_then(|()| std::fs::remove_file(&probe)).with_context(advice)
}

/// Makes the data folder and connects to the database, with its tables up to date.
///
/// # Errors
/// When one of them fails.
pub(crate) async fn open_database(settings: &EnvironmentSettings) -> Result<DatabaseConnection> {
    prepare_data_dir(&settings.data_dir)?;
    let bring_up = async |db: &DatabaseConnection| {
        Migrator::up(db, None).await.context("cannot bring the database's tables up to date")
    };
    database::migrate(settings, bring_up).await?;
    database::connect(settings).await
}

/// Inference with the pack to use now, and with the one the settings name if that is not yet possible.
async fn choose_pack(config: &mut Config, db: &DatabaseConnection) -> Result<(Arc<Vision>, Option<Vision>)> {
    let wanted = Vision::from_config(&config.file)?;
    let pack = reembed::pack_to_serve(db, &wanted.pack().name).await;
    let pack = pack.context("the database does not say which packs the templates are of")?;
    if pack == wanted.pack().name {
        return Ok((Arc::new(wanted), None));
    }
    tracing::info!(pack, next = wanted.pack().name, "the former pack is used until photos are embedded anew");
    let recognition = &mut config.file.face_recognition;
    recognition.detection_model = pack.parse().map_err(anyhow::Error::msg)?;
    // The threshold was chosen for the other one.
    recognition.recognition_threshold = None;
    // A pack of one's own may have no model for it.
    recognition.attributes &= Packs::get(&pack).is_ok_and(|former| former.attributes.is_some());
    Ok((Arc::new(Vision::from_config(&config.file)?), Some(wanted)))
}

/// Embeds everybody anew, if that is to be done; else it never ends.
async fn reembed(state: &State, next_vision: Option<Vision>) {
    let Some(vision) = next_vision else { return std::future::pending().await };
    let reembedding =
        Reembedding { db: &state.db, storage: &state.storage, keys: &state.keys, vision: &vision };
    reembedding.run_to_the_end(|progress| drop(state.reembedding.send_replace(Some(progress.clone())))).await;
}

pub(crate) async fn open_keys(config: &Config, db: &DatabaseConnection) -> Result<Keys> {
    let environment = &config.environment;
    let keys = Keys::of(environment.key.as_ref(), &environment.previous_keys, &environment.data_dir)?;
    match crypto::check(db, &keys).await {
        Ok(()) => Ok(keys),
        Err(error) => {
            Err(anyhow::Error::new(error)).context("the database cannot be read with the key at hand")
        }
    }
}

fn token_signer(config: &Config) -> Result<TokenSigner> {
    let jwt = &config.environment.jwt;
    let secret = match &jwt.secret {
        Some(secret) => secret.clone(),
        // Production has refused to start without one already.
        None => secrets::kept_in(&config.environment.data_dir.join("jwt.secret"))?,
    };
    let lifetime = Duration::from_secs(u64::from(jwt.lifetime_minutes) * 60);
    let terms = TokenTerms {
        algorithm: jwt.algorithm,
        lifetime,
        issuer: jwt.issuer.clone(),
        audience: jwt.audience.clone(),
    };
    Ok(TokenSigner::new(&secret, terms))
}

async fn make_first_admin(config: &Config, db: &DatabaseConnection) -> Result<()> {
    let given = config.environment.admin_password.clone();
    let is_production = config.stage == Stage::Production;
    let made_up = (given.is_none() && is_production).then(secrets::random_password);
    let password: SecretString = given
        .or_else(|| made_up.clone().map(SecretString::from))
        .unwrap_or_else(|| SecretString::from(FIRST_PASSWORD));
    let must_change = config.file.security.force_password_change;
    let is_new = users::ensure_first_admin(db, &password, must_change).await?;
    if !is_new {
        return Ok(());
    }
    if let Some(made_up) = made_up {
        // To the terminal and never to the log, which is kept.
        eprintln!("The first user is `admin`, the password is `{made_up}`. It is shown only now; change it.");
    } else if password.expose_secret() == FIRST_PASSWORD {
        tracing::warn!("the first user is `admin` with the well-known password; sign in and change it");
    } else {
        tracing::info!("the first user is `admin` with the password from ADMIN_PASSWORD");
    }
    Ok(())
}
