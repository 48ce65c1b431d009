//! Why a package was not registered, found or removed.
//!
//! What is wrong with an archive, a library or the store keeps its own code; this layer adds what only the registry
//! can know: names, tenants, existing packages and the runs that need them.

use std::{io, path::PathBuf, sync::Arc};

use cloacina_packager::{
    Class, Digest,
    sign::{SignError, Untrusted},
};
use cloacina_workflow::Timestamp;

use super::{Package, selector::DIGITS_MIN};
use crate::{
    api::{Caller, Denied},
    id::RunId,
    isolation,
    limit::TextRefused,
    loader,
    store::{Error as StoreError, PackageAct, PackageRefusal, PackageState},
    trust,
};

/// Why the registry could not do what it was asked. Nothing was changed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The trust of a tenant was not changed.
    #[error(transparent)]
    Trust(#[from] trust::Error),
    /// A text that was given cannot be used.
    #[error(transparent)]
    Text(#[from] TextRefused),
    /// The caller's role does not allow the request.
    #[error(transparent)]
    Denied(#[from] Denied),
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
    /// The package cannot be run in a process of its own.
    #[error(transparent)]
    Isolation(#[from] isolation::Error),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// That name and version has other content already.
    #[error("{package} {version} is registered with other content: {registered} is there, {given} was given")]
    Conflict {
        /// The package with its tenant.
        package: String,
        /// The version of both.
        version: String,
        /// The content digest of the registered one.
        registered: Digest,
        /// The content digest of the one that was refused.
        given: Digest,
    },
    /// The package is meant for another tenant.
    #[error("the package is for the tenant {package:?} and was uploaded for {upload:?}")]
    Tenant {
        /// The tenant that the package names.
        package: String,
        /// The tenant that the upload names.
        upload: String,
    },
    /// The caller acts for another tenant.
    #[error("the caller acts for the tenant {own:?}, but the request names the tenant {asked:?}")]
    OtherTenant {
        /// The tenant that was asked for.
        asked: String,
        /// The tenant of the caller.
        own: String,
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
    /// Workflows as data use functions of the package.
    #[error("{package} is used by {} workflow(s) as data: {}", by.len(), by.join(", "))]
    Used {
        /// The package.
        package: String,
        /// The versions that use it.
        by: Vec<String>,
    },
    /// The package is registered, but its file is not as it should be; whatever needs it waits.
    #[error("the package {package} is registered, but cannot be loaded")]
    Missing {
        /// The package.
        package: String,
        /// What is wrong.
        source: Arc<isolation::Error>,
    },
    /// The version is not used for the time being.
    #[error("{package} is quarantined: {reason}")]
    Quarantined {
        /// The package.
        package: String,
        /// What it did.
        reason: String,
        /// When the quarantine ends; without it, when the version is released.
        until: Option<Timestamp>,
    },
    /// What was asked for is not allowed for a version in that state.
    #[error("{package} is {state}, so `{act}` is not possible")]
    NotAllowed {
        /// The package.
        package: String,
        /// What it is.
        state: PackageState,
        /// What was asked for.
        act: PackageAct,
    },
    /// Another version has a share of the new runs that the version gets.
    #[error("{package} gets the new runs that version {with} does not get, so it cannot be retired or removed")]
    Shared {
        /// The package.
        package: String,
        /// The other version.
        with: String,
    },
    /// A share is a share of something.
    #[error("{package} cannot get a share of the new runs, as no other version is active that gets the rest")]
    NoRest {
        /// The package.
        package: String,
    },
    /// No version was active before.
    #[error("no version of {package} that is registered was active before")]
    NoEarlier {
        /// The package.
        package: String,
    },
    /// A run cannot go over to another version of its workflow.
    #[error(
        "the result of task {task:?} cannot be taken over, as it depends on other tasks in this version of {workflow}"
    )]
    DoesNotFit {
        /// The workflow.
        workflow: String,
        /// The task.
        task: String,
    },
    /// The archive that the database keeps is not what was registered.
    #[error("the archive of {package} in the database is damaged: {reason}")]
    Damaged {
        /// The package.
        package: String,
        /// How that shows.
        reason: String,
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
    /// A caller of one tenant asks about no other.
    ///
    /// # Errors
    /// [`Self::OtherTenant`].
    pub(crate) fn check_tenant(caller: &Caller, tenant: &str) -> Result<(), Self> {
        match caller.tenant() {
            Some(own) if own != tenant => Err(Self::OtherTenant { asked: tenant.to_owned(), own: own.to_owned() }),
            _ => Ok(()),
        }
    }

    /// That a version is quarantined, if it is.
    pub(super) fn quarantined(package: &Package) -> Option<Self> {
        let quarantine = package.row.quarantine.clone()?;
        Some(Self::Quarantined { package: package.label(), reason: quarantine.reason, until: quarantine.until })
    }

    /// Why the store did not change a version of that package.
    pub(super) fn refused(package: String, refusal: PackageRefusal) -> Self {
        match refusal {
            PackageRefusal::State { state, act, .. } => Self::NotAllowed { package, state, act },
            PackageRefusal::Shared { with, .. } => Self::Shared { package, with },
            PackageRefusal::NoRest { .. } => Self::NoRest { package },
            PackageRefusal::NoEarlier => {
                // It is about the package and none of its versions.
                let package = package.split_once('@').map_or(package.as_str(), |(package, _)| package).to_owned();
                Self::NoEarlier { package }
            }
            PackageRefusal::Needed { runs } => Self::Needed { package, runs },
            PackageRefusal::Used { by } => Self::Used { package, by },
        }
    }

    /// Whether nothing was done because the engine is about to end.
    pub(crate) fn is_ending(&self) -> bool {
        match self {
            Self::Closed => true,
            Self::Store(source) => source.is_closed(),
            _ => false,
        }
    }

    /// Whether a library must not be loaded until a user corrects the cause, although nothing is wrong with the
    /// package: it is not trusted, or what was registered has been changed since.
    pub(super) fn is_withheld(&self) -> bool {
        match self {
            Self::Untrusted(_) | Self::Sign(_) | Self::Damaged { .. } => true,
            Self::Load(source) => source.is_withheld(),
            Self::Isolation(source) => source.is_withheld(),
            _ => false,
        }
    }

    /// What kind of trouble it is.
    #[must_use]
    pub fn class(&self) -> Class {
        match self {
            Self::Trust(source) => source.class(),
            Self::Untrusted(source) => source.class(),
            Self::Sign(source) => source.class(),
            Self::Archive(source) => source.class(),
            Self::Load(source) => source.class(),
            Self::Isolation(source) => source.class(),
            Self::Store(source) => source.class(),
            Self::Text(_) | Self::Tenant { .. } | Self::AmbiguousPackage { .. } => Class::Invalid,
            Self::UnknownPackage { .. } => Class::NotFound,
            Self::Conflict { .. }
            | Self::Needed { .. }
            | Self::Used { .. }
            | Self::NotAllowed { .. }
            | Self::Shared { .. }
            | Self::NoRest { .. }
            | Self::NoEarlier { .. }
            | Self::DoesNotFit { .. } => Class::Conflict,
            Self::Denied(_) | Self::OtherTenant { .. } | Self::Quarantined { .. } => Class::Denied,
            Self::Missing { .. } | Self::Disk { .. } | Self::Closed => Class::Unavailable,
            Self::Damaged { .. } => Class::Internal,
        }
    }

    /// The stable code; each has a page under `docs/errors/`.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Trust(source) => source.code(),
            Self::Text(_) => TextRefused::CODE,
            Self::Denied(_) => Denied::CODE,
            Self::Untrusted(source) => source.code(),
            Self::Sign(source) => source.code(),
            Self::Archive(source) => source.code(),
            Self::Load(source) => source.code(),
            Self::Isolation(source) => source.code(),
            Self::Store(source) => source.code(),
            Self::Conflict { .. } => "REG0001",
            Self::Tenant { .. } => "REG0002",
            Self::OtherTenant { .. } => "REG0017",
            Self::UnknownPackage { .. } => "REG0004",
            Self::AmbiguousPackage { .. } => "REG0005",
            Self::Needed { .. } => "REG0006",
            Self::Missing { .. } => "REG0007",
            Self::Disk { .. } => "REG0008",
            Self::Closed => "REG0009",
            Self::Quarantined { .. } => "REG0010",
            Self::NotAllowed { .. } => "REG0011",
            Self::Shared { .. } => "REG0012",
            Self::NoRest { .. } => "REG0013",
            Self::NoEarlier { .. } => "REG0014",
            Self::Damaged { .. } => "REG0015",
            Self::DoesNotFit { .. } => "REG0016",
            Self::Used { .. } => "REG0018",
        }
    }

    /// What the reader can do about it.
    #[must_use]
    pub fn hints(&self) -> Vec<String> {
        let hint = match self {
            Self::Trust(source) => return source.hints(),
            Self::Text(refused) => return vec![refused.hint()],
            Self::Denied(denied) => return vec![denied.hint()],
            Self::Untrusted(source) => return source.hints(),
            Self::Sign(source) => return source.hints(),
            Self::Archive(source) => return source.hints(),
            Self::Load(source) => return source.hints(),
            Self::Isolation(source) => return source.hints(),
            Self::Store(source) => return source.hints(),
            Self::Conflict { .. } => {
                "give the new content a new version, or remove the old one first: cloacina-ctl package remove"
                    .to_owned()
            }
            Self::Tenant { .. } => "upload it for the tenant that it names, or build it without one".to_owned(),
            Self::OtherTenant { .. } => "name the tenant of the caller, or make the request as a caller of the other tenant".to_owned(),
            Self::UnknownPackage { known, .. } if known.is_empty() => "no package is registered".to_owned(),
            Self::UnknownPackage { name, .. }
                if name.strip_prefix("sha256:").is_some_and(|digits| digits.len() < DIGITS_MIN) =>
            {
                format!("a digest needs its first {DIGITS_MIN} digits, as in sha256:01234567")
            }
            Self::UnknownPackage { known, .. } => format!("registered are {}", known.join(", ")),
            Self::AmbiguousPackage { candidates, .. } => format!("use one of {}", candidates.join(", ")),
            Self::Needed { runs, .. } => {
                let runs: Vec<_> = runs.iter().map(ToString::to_string).collect();
                format!("wait for, or cancel, {}", runs.join(", "))
            }
            Self::Used { by, .. } => format!("remove these versions first: {}", by.join(", ")),
            Self::Missing { source, .. } => return source.hints(),
            Self::Disk { .. } => "the engine needs to write to its data folder".to_owned(),
            Self::Quarantined { until: Some(until), .. } => {
                format!("the quarantine ends at {until}: find out what the version did, and `activate` another version or wait")
            }
            Self::Quarantined { until: None, .. } => {
                "correct the cause and release the version, or activate another version".to_owned()
            }
            Self::NotAllowed { state: PackageState::Quarantined, .. } => {
                "`package show` tells the reason; correct the cause and release the version, or activate another version".to_owned()
            }
            Self::NotAllowed { .. } => "check the state of the version, and what that state allows".to_owned(),
            Self::Shared { with, .. } => format!("first retire version {with}, or activate it for all new runs"),
            Self::NoRest { .. } => "activate it without a percentage, or activate another version first".to_owned(),
            Self::DoesNotFit { .. } => {
                "run everything again with that version, or fork from an earlier task".to_owned()
            }
            Self::Damaged { .. } => "restore the database, or remove the version and register it again".to_owned(),
            Self::NoEarlier { .. } => "name the version that is to be active: `activate` it".to_owned(),
            Self::Closed => return Vec::new(),
        };
        vec![hint]
    }
}
