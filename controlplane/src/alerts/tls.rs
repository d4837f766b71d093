//! How receivers and brokers prove who they are.

use std::path::Path;
use std::sync::Arc;

use anyhow::{Context as _, Result, ensure};
use tokio_rustls::rustls::crypto::ring::default_provider;
use tokio_rustls::rustls::pki_types::CertificateDer;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

/// Who vouches for them.
pub(super) struct Authorities<'a> {
    /// Whether the public ones may.
    pub(super) public: bool,
    /// PEM certificates of those that may, too, and the setting that names the file.
    pub(super) file: Option<(&'static str, &'a Path)>,
}

/// What connections are made with.
///
/// # Errors
/// When the file cannot be read or holds no certificate.
pub(super) fn client_config(authorities: &Authorities<'_>) -> Result<ClientConfig> {
    let mut roots = RootCertStore::empty();
    if authorities.public {
        roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
    }
    if let Some((setting, file)) = authorities.file {
        let certificates = CertificateDer::pem_file_iter(file)
            .and_then(Iterator::collect::<Result<Vec<_>, _>>)
            .with_context(|| format!("{setting}: cannot read `{}` as PEM", file.display()))?;
        let (added, _) = roots.add_parsable_certificates(certificates);
        ensure!(added > 0, "{setting}: `{}` holds no certificate that can be used", file.display());
    }
    let config = ClientConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()
        .context("TLS cannot be set up")?;
    Ok(config.with_root_certificates(roots).with_no_client_auth())
}
