//! Connections: plain, or encrypted by TLS.
//!
//! A server is trusted if its certificate is of an authority that the system trusts. A file of authorities replaces those of the
//! system: a client that names one trusts no other. No option lets a client trust every certificate.

use std::{error::Error as StdError, path::Path, sync::Arc, time::Duration};

use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::connect::HttpConnector;
use rustls::{
    ClientConfig, RootCertStore,
    crypto::ring::default_provider,
    pki_types::{CertificateDer, pem::PemObject},
};

use crate::{address::Address, error::Error};

/// How long a connection may take. A server in the same building needs a millisecond, one on the other side of the world a third
/// of a second.
const CONNECT_WAIT: Duration = Duration::from_secs(10);

/// What connects to servers.
pub(crate) type Connector = HttpsConnector<HttpConnector>;

/// A connector for the server at that address, which trusts the authorities in the file, else those of the system.
pub(crate) fn connector(address: &Address, ca_file: Option<&Path>) -> Result<Connector, Error> {
    let mut http = HttpConnector::new();
    http.set_connect_timeout(Some(CONNECT_WAIT));
    http.set_nodelay(true);
    http.enforce_http(false);
    let roots = match (address.is_encrypted(), ca_file) {
        (false, _) => RootCertStore::empty(),
        (true, Some(file)) => of_file(file)?,
        (true, None) => of_system()?,
    };
    let config =
        ClientConfig::builder_with_provider(Arc::new(default_provider())).with_safe_default_protocol_versions();
    let config = config.expect("invariant: ring has ciphers for the versions of TLS");
    let config = config.with_root_certificates(roots).with_no_client_auth();
    Ok(HttpsConnectorBuilder::new().with_tls_config(config).https_or_http().enable_http1().wrap_connector(http))
}

/// Why the certificate of a server is not trusted, if that is what an error is about.
pub(crate) fn distrust(error: &(dyn StdError + 'static)) -> Option<String> {
    let mut next = Some(error);
    while let Some(error) = next {
        // What the system passes on hides the error of TLS, and has no source of its own.
        let inner = error.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
        let inner = inner.map(|inner| inner as &(dyn StdError + 'static));
        if let Some(rustls::Error::InvalidCertificate(reason)) = inner.unwrap_or(error).downcast_ref() {
            return Some(reason.to_string());
        }
        next = inner.or_else(|| error.source());
    }
    None
}

fn of_file(file: &Path) -> Result<RootCertStore, Error> {
    let refused = |reason: String| Error::Authorities { place: format!("`{}`", file.display()), reason };
    let certificates = CertificateDer::pem_file_iter(file).map_err(|error| refused(error.to_string()))?;
    let mut roots = RootCertStore::empty();
    for certificate in certificates {
        let added = certificate.map_err(|error| refused(error.to_string()));
        roots.add(added?).map_err(|error| refused(error.to_string()))?;
    }
    if roots.is_empty() { Err(refused("it has no certificate in PEM".to_owned())) } else { Ok(roots) }
}

fn of_system() -> Result<RootCertStore, Error> {
    let found = rustls_native_certs::load_native_certs();
    let mut roots = RootCertStore::empty();
    // A system has certificates that this library cannot read; it takes one to trust a server.
    roots.add_parsable_certificates(found.certs);
    if roots.is_empty() {
        let reasons: Vec<String> = found.errors.iter().map(ToString::to_string).collect();
        let reason = if reasons.is_empty() { "there are none".to_owned() } else { reasons.join("; ") };
        return Err(Error::Authorities { place: "the system".to_owned(), reason });
    }
    Ok(roots)
}
