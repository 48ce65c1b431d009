//! TLS from files, which are read again when their content changes.
//!
//! New connections get the new certificate, and those that are open keep theirs. A pair that cannot be used is logged, and new
//! connections go on with the pair before. The files are compared by their content every second: events of a file system are
//! missing on some of them, and where a link leads to another folder. Clients speak HTTP/1.1, as without TLS.

use std::{convert::Infallible, fs, io, path::PathBuf, sync::Arc, time::Duration};

use axum_server::tls_rustls::RustlsConfig;
use rustls::{
    ServerConfig,
    crypto::ring,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
};
use tokio::time::{MissedTickBehavior, interval};

use crate::serve::TLS_CODE;

/// How often the files are compared.
const EVERY: Duration = Duration::from_secs(1);

/// The files of a certificate, in PEM.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsFiles {
    /// The certificate, and those that lead to its root.
    pub certificate: PathBuf,
    /// The private key of the certificate.
    pub key: PathBuf,
}

/// Why connections cannot be encrypted with these files.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TlsError {
    /// One file was named, and TLS needs two.
    #[error("TLS needs a certificate and its private key, and there is no {missing}")]
    Half {
        /// What was not named.
        missing: &'static str,
    },
    /// A file cannot be read.
    #[error("cannot read the {what} for TLS in {path}")]
    Unread {
        /// `certificate` or `private key`.
        what: &'static str,
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// A file has something else.
    #[error("{path} has no {what} in PEM")]
    NotPem {
        /// `certificate` or `private key`.
        what: &'static str,
        /// The file.
        path: PathBuf,
    },
    /// The certificate and the key do not belong together, or are of a kind that cannot be used.
    #[error("the certificate in {certificate} and the private key in {key} cannot be used")]
    Unfit {
        /// The file of the certificate.
        certificate: PathBuf,
        /// The file of the key.
        key: PathBuf,
        /// What is wrong with them.
        source: rustls::Error,
    },
}

/// What connections are encrypted with.
#[derive(Debug)]
pub(crate) struct Tls {
    files: TlsFiles,
    config: RustlsConfig,
    /// The content that was used or refused last.
    decided: Content,
    /// The content that was seen last: files that are being written are left alone until they stay as they are.
    seen: Content,
}

/// The content of both files; none of a file that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Content {
    certificate: Option<Vec<u8>>,
    key: Option<Vec<u8>>,
}

impl TlsFiles {
    /// The files, if both are named; none if neither is.
    ///
    /// # Errors
    /// [`TlsError::Half`].
    pub fn of(certificate: Option<PathBuf>, key: Option<PathBuf>) -> Result<Option<Self>, TlsError> {
        match (certificate, key) {
            (Some(certificate), Some(key)) => Ok(Some(Self { certificate, key })),
            (None, None) => Ok(None),
            (Some(_), None) => Err(TlsError::Half { missing: "private key" }),
            (None, Some(_)) => Err(TlsError::Half { missing: "certificate" }),
        }
    }

    fn content(&self) -> Content {
        Content { certificate: fs::read(&self.certificate).ok(), key: fs::read(&self.key).ok() }
    }

    fn read(&self) -> Result<Arc<ServerConfig>, TlsError> {
        let bytes = |what, path: &PathBuf| {
            fs::read(path).map_err(|source| TlsError::Unread { what, path: path.clone(), source })
        };
        let not_pem = |what, path: &PathBuf| TlsError::NotPem { what, path: path.clone() };
        let (certificate, key) = (bytes("certificate", &self.certificate)?, bytes("private key", &self.key)?);
        let chain = CertificateDer::pem_slice_iter(&certificate).collect::<Result<Vec<_>, _>>();
        let chain = chain.ok().filter(|chain| !chain.is_empty());
        let chain = chain.ok_or_else(|| not_pem("certificate", &self.certificate))?;
        let key = PrivateKeyDer::from_pem_slice(&key).map_err(|_| not_pem("private key", &self.key))?;
        let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .and_then(|builder| builder.with_no_client_auth().with_single_cert(chain, key))
            .map_err(|source| TlsError::Unfit {
                certificate: self.certificate.clone(),
                key: self.key.clone(),
                source,
            })?;
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Arc::new(config))
    }
}

impl TlsError {
    /// What the reader can do about it.
    pub(crate) fn hint(&self) -> &'static str {
        match self {
            Self::Half { .. } => {
                "name both files: --tls-certificate and --tls-key, or `server.tls_certificate` and `server.tls_key`"
            }
            Self::Unread { .. } => "name files that the user of the server can read",
            Self::NotPem { .. } => {
                "PEM is text with a line such as `-----BEGIN CERTIFICATE-----` or `-----BEGIN PRIVATE KEY-----`"
            }
            Self::Unfit { .. } => {
                "name the key of the certificate; the certificate of the server is the first one in its file"
            }
        }
    }
}

impl Tls {
    /// Reads the files.
    pub(crate) fn open(files: TlsFiles) -> Result<Self, TlsError> {
        let decided = files.content();
        let config = RustlsConfig::from_config(files.read()?);
        Ok(Self { files, config, seen: decided.clone(), decided })
    }

    /// What connections are encrypted with, now and after the files have changed.
    pub(crate) fn config(&self) -> RustlsConfig {
        self.config.clone()
    }

    /// Takes what the files have, whenever that has changed.
    pub(crate) async fn follow(mut self) -> Infallible {
        let mut ticks = interval(EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            let compared = tokio::task::spawn_blocking(move || {
                self.compare();
                self
            });
            self = match compared.await {
                Ok(compared) => compared,
                Err(panicked) => std::panic::resume_unwind(panicked.into_panic()),
            };
        }
    }

    fn compare(&mut self) {
        let content = self.files.content();
        let is_settled = content == self.seen;
        self.seen = content;
        if is_settled && self.seen != self.decided {
            self.decided = self.seen.clone();
            match self.files.read() {
                Ok(new) => self.config.reload_from_config(new),
                Err(error) => tracing::warn!(
                    code = TLS_CODE,
                    %error,
                    hint = error.hint(),
                    "the changed certificate is not used; new connections get the one before"
                ),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(certificate: &str, key: &str) -> TlsError {
        let folder = tempfile::tempdir().unwrap();
        let place = |name: &str| folder.path().join(name);
        fs::write(place("certificate"), certificate).unwrap();
        fs::write(place("key"), key).unwrap();
        TlsFiles { certificate: place("certificate"), key: place("key") }.read().unwrap_err()
    }

    #[test]
    fn files_that_cannot_be_used_are_told_apart() {
        const NO_CERTIFICATE: &str = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        const NO_KEY: &str = "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n";
        assert!(matches!(read("", NO_KEY), TlsError::NotPem { what: "certificate", .. }));
        assert!(matches!(read("x", NO_KEY), TlsError::NotPem { what: "certificate", .. }));
        assert!(matches!(read(NO_CERTIFICATE, ""), TlsError::NotPem { what: "private key", .. }));
        assert!(matches!(read(NO_CERTIFICATE, NO_CERTIFICATE), TlsError::NotPem { what: "private key", .. }));
        assert!(matches!(read(NO_CERTIFICATE, NO_KEY), TlsError::Unfit { .. }));
        let missing = TlsFiles { certificate: "/nothing/there".into(), key: "/nothing/there".into() };
        assert!(matches!(missing.read().unwrap_err(), TlsError::Unread { what: "certificate", .. }));
    }

    #[test]
    fn one_file_alone_is_refused() {
        let file = || Some(PathBuf::from("x.pem"));
        assert!(matches!(TlsFiles::of(file(), None), Err(TlsError::Half { missing: "private key" })));
        assert!(matches!(TlsFiles::of(None, file()), Err(TlsError::Half { missing: "certificate" })));
        assert!(matches!((TlsFiles::of(None, None), TlsFiles::of(file(), file())), (Ok(None), Ok(Some(_)))));
    }
}
