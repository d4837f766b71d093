//! HTTPS: certificate and key from PEM files, read again on SIGHUP and when they change.

use std::fs;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, SystemTime};

use anyhow::{Context as _, Result, ensure};
use tokio::net::TcpStream;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::Mutex;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::crypto::ring::default_provider;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::server::{ClientHello, ResolvesServerCert};
use tokio_rustls::rustls::sign::CertifiedKey;
use tokio_rustls::rustls::{Error as TlsError, ServerConfig};
use tokio_rustls::server::TlsStream;

use crate::config::TlsConfig;

/// How often the files are looked at.
const CHECK_INTERVAL: Duration = Duration::from_secs(30);

/// Turns connections into encrypted ones.
#[derive(Clone)]
pub struct Tls {
    acceptor: TlsAcceptor,
    identity: Arc<Identity>,
    /// Handled from the start, lest an early one end the server.
    hangup: Arc<Mutex<Signal>>,
}

impl std::fmt::Debug for Tls {
    /// Leaves the key out.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tls").field("files", &self.identity.files).finish_non_exhaustive()
    }
}

/// Whom we say we are.
#[derive(Debug)]
struct Identity {
    files: TlsConfig,
    present: RwLock<Arc<CertifiedKey>>,
}

impl ResolvesServerCert for Identity {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.present.read().unwrap_or_else(PoisonError::into_inner)))
    }
}

impl Tls {
    /// Reads the files.
    ///
    /// # Errors
    /// When one cannot be read, holds something else, or the two do not belong together.
    pub fn open(files: &TlsConfig) -> Result<Self> {
        let hangup = signal(SignalKind::hangup()).context("SIGHUP cannot be handled")?;
        let present = RwLock::new(read(files)?);
        let identity = Arc::new(Identity { files: files.clone(), present });
        let mut config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
            .with_safe_default_protocol_versions()
            .context("TLS cannot be set up")?
            .with_no_client_auth()
            .with_cert_resolver(Arc::clone(&identity) as Arc<dyn ResolvesServerCert>);
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(Self {
            acceptor: TlsAcceptor::from(Arc::new(config)),
            identity,
            hangup: Arc::new(Mutex::new(hangup)),
        })
    }

    pub(super) async fn accept(&self, stream: TcpStream) -> std::io::Result<TlsStream<TcpStream>> {
        self.acceptor.accept(stream).await
    }

    /// Reads the files again whenever they change, for ever. Files that do not hold change nothing.
    pub async fn keep_fresh(&self) {
        let mut hangup = self.hangup.lock().await;
        let mut read_at = changed_at(&self.identity.files);
        loop {
            let is_asked = tokio::select! {
                _ = hangup.recv() => true,
                () = tokio::time::sleep(CHECK_INTERVAL) => false,
            };
            let now = changed_at(&self.identity.files);
            if is_asked || now != read_at {
                read_at = now;
                self.read_again();
            }
        }
    }

    fn read_again(&self) {
        match read(&self.identity.files) {
            Ok(fresh) => {
                *self.identity.present.write().unwrap_or_else(PoisonError::into_inner) = fresh;
                tracing::info!("the TLS certificate was read again");
            }
            Err(error) => {
                tracing::error!("the new TLS certificate is not used, the old one stays: {error:#}");
            }
        }
    }
}

fn changed_at(files: &TlsConfig) -> [Option<SystemTime>; 2] {
    [&files.certificate, &files.key].map(|file| fs::metadata(file).and_then(|data| data.modified()).ok())
}

fn read(files: &TlsConfig) -> Result<Arc<CertifiedKey>> {
    let TlsConfig { certificate, key } = files;
    let chain = CertificateDer::pem_file_iter(certificate)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .with_context(|| {
        format!("server.tls.certificate: cannot read `{}` as PEM", certificate.display())
    })?;
    ensure!(!chain.is_empty(), "server.tls.certificate: `{}` holds no certificate", certificate.display());
    let secret = PrivateKeyDer::from_pem_file(key)
        .with_context(|| format!("server.tls.key: cannot read a private key from `{}`", key.display()))?;
    match CertifiedKey::from_der(chain, secret, &default_provider()) {
        Ok(identity) => Ok(Arc::new(identity)),
        Err(TlsError::InconsistentKeys(_)) => anyhow::bail!(
            "server.tls: the key in `{}` is not that of the certificate in `{}`",
            key.display(),
            certificate.display()
        ),
        Err(error) => Err(error).with_context(|| {
            format!("server.tls: `{}` and `{}` cannot be used", certificate.display(), key.display())
        }),
    }
}
