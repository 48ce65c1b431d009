//! Why a package was not registered, found or removed.
//!
//! What is wrong with an archive, a library or the store keeps its own code; this layer adds what only the registry
//! can know: names, tenants, what is there already and who needs it.

use std::{io, path::PathBuf, sync::Arc};

use cloacina_packager::{
    Digest,
    sign::{SignError, Untrusted},
};

use crate::{id::RunId, loader, store::Error as StoreError, trust};

/// Why the registry could not do what it was asked. Nothing was changed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Whom a tenant trusts was not changed.
    #[error(transparent)]
    Trust(#[from] trust::Error),
    /// The package is not trusted.
    #[error(transparent)]
    Untrusted(#[from] Untrusted),
    /// A signature cannot be read.
    #[error(transparent)]
    Sign(#[from] SignError),
    /// The archive is not what a package should be.
    #[error(transparent)]
    Archive(#[from] cloacina_packager::Error),
    /// The package's library cannot be used here.
    #[error(transparent)]
    Load(#[from] loader::Error),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// That name and version has other content already.
    #[error("{package} {version} is registered with other content: {registered} is there, {offered} was offered")]
    Conflict {
        /// The package with its tenant.
        package: String,
        /// The version of both.
        version: String,
        /// The content digest of the registered one.
        registered: Digest,
        /// The content digest of the one that was refused.
        offered: Digest,
    },
    /// The package is meant for another tenant.
    #[error("the package is for the tenant {package:?} and was uploaded for {upload:?}")]
    Tenant {
        /// The tenant that the package names.
        package: String,
        /// The tenant that the upload names.
        upload: String,
    },
    /// There is no such package.
    #[error("there is no package {name:?}")]
    UnknownPackage {
        /// What was asked for.
        name: String,
        /// Some of those that are there.
        known: Vec<String>,
    },
    /// Several packages fit the name.
    #[error("the name {name:?} fits several packages")]
    AmbiguousPackage {
        /// What was asked for.
        name: String,
        /// Those that fit.
        candidates: Vec<String>,
    },
    /// Unfinished runs need the package.
    #[error("{} unfinished run(s) need {package}", runs.len())]
    Needed {
        /// The package.
        package: String,
        /// The oldest of the runs.
        runs: Vec<RunId>,
    },
    /// The package is registered, but its file is not as it should be; whatever needs it waits.
    #[error("the package {package} is registered, but cannot be loaded")]
    Missing {
        /// The package.
        package: String,
        /// What is wrong.
        source: Arc<loader::Error>,
    },
    /// A folder or file of a package could not be changed.
    #[error("cannot {action} {}", path.display())]
    Disk {
        /// What was tried.
        action: &'static str,
        /// With what.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The engine has shut down.
    #[error("the registry is closed, as its engine has shut down")]
    Closed,
}

impl Error {
    /// The stable code; each has a page under `docs/errors/`.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Trust(source) => source.code(),
            Self::Untrusted(source) => source.code(),
            Self::Sign(source) => source.code(),
            Self::Archive(source) => source.code(),
            Self::Load(source) => source.code(),
            Self::Store(source) => source.code(),
            Self::Conflict { .. } => "REG0001",
            Self::Tenant { .. } => "REG0002",
            Self::UnknownPackage { .. } => "REG0004",
            Self::AmbiguousPackage { .. } => "REG0005",
            Self::Needed { .. } => "REG0006",
            Self::Missing { .. } => "REG0007",
            Self::Disk { .. } => "REG0008",
            Self::Closed => "REG0009",
        }
    }

    /// What the reader can do about it.
    #[must_use]
    pub fn hints(&self) -> Vec<String> {
        let hint = match self {
            Self::Trust(source) => return source.hints(),
            Self::Untrusted(source) => return source.hints(),
            Self::Sign(source) => return source.hints(),
            Self::Archive(source) => return source.hints(),
            Self::Load(source) => return source.hints(),
            Self::Store(source) => return source.hints(),
            Self::Conflict { .. } => "give the new content a new version, or unregister the old one first".to_owned(),
            Self::Tenant { .. } => "upload it for the tenant that it names, or build it without one".to_owned(),
            Self::UnknownPackage { known, .. } if known.is_empty() => "no package is registered".to_owned(),
            Self::UnknownPackage { known, .. } => format!("registered are {}", known.join(", ")),
            Self::AmbiguousPackage { candidates, .. } => format!("use one of {}", candidates.join(", ")),
            Self::Needed { runs, .. } => {
                let runs: Vec<_> = runs.iter().map(ToString::to_string).collect();
                format!("wait for, or cancel, {}", runs.join(", "))
            }
            Self::Missing { source, .. } => return source.hints(),
            Self::Disk { .. } => "the engine needs to write to its data folder".to_owned(),
            Self::Closed => return Vec::new(),
        };
        vec![hint]
    }
}
