//! What goes into the registry and what it tells: plain data for callers.
//!
//! Nothing here has behavior of its own. Names are full names: `tenant::package::workflow`.

use std::path::PathBuf;

use cloacina_packager::{Digest, Warning};
use cloacina_workflow::Timestamp;

use crate::{
    isolation::{Isolation, PackageHost, Sandbox},
    store::{Activation, PackageState, Quarantine},
};

/// An archive to register, and the actor.
#[derive(Clone, Debug)]
pub struct Upload {
    /// The bytes of a `.cloacina` file.
    pub archive: Vec<u8>,
    /// Detached signatures of the archive: the bytes of `.minisig` files. How many are needed, and which keys count, is the
    /// tenant's to say.
    pub signatures: Vec<Vec<u8>>,
    /// The tenant of the upload; without one, the tenant that the package names, else `public`.
    pub tenant: Option<String>,
    /// The actor of the upload, for the history.
    pub actor: String,
    /// Whether new runs get it.
    pub activation: Activation,
    /// Whether it is a build among others of the same version, as an author makes during development. Where the tenant
    /// has other content under that version, it is registered with the first digits of its digest after the version, as in
    /// `1.2.0+3fa2b1c0`; otherwise that would be refused.
    pub is_build: bool,
}

/// The default actor of an upload: the program that the engine is part of.
pub(super) const ACTOR_DEFAULT: &str = "local";

impl Upload {
    /// An upload without signatures by the program itself, active if it is the first version of its package.
    pub fn new(archive: impl Into<Vec<u8>>) -> Self {
        Self {
            archive: archive.into(),
            signatures: Vec::new(),
            tenant: None,
            actor: ACTOR_DEFAULT.to_owned(),
            activation: Activation::default(),
            is_build: false,
        }
    }
}

/// A package that was registered.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Registered {
    /// The tenant that has it now.
    pub tenant: String,
    /// The package's name.
    pub package: String,
    /// Its version, for people.
    pub version: String,
    /// Full names of its workflows.
    pub workflows: Vec<String>,
    /// The content digest: the version's identity.
    pub digest: Digest,
    /// The digest of the archive as it was sent.
    pub archive_digest: Digest,
    /// The library that was unpacked.
    pub library: PathBuf,
    /// Whether new runs get it, some or all.
    pub activated: bool,
    /// False if the tenant had the same content before.
    pub is_new: bool,
    /// What the package declares and this version does not execute.
    pub warnings: Vec<Warning>,
}

/// A package that is registered.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct PackageInfo {
    /// The tenant that has it.
    pub tenant: String,
    /// Its name.
    pub name: String,
    /// Its version, for people.
    pub version: String,
    /// What the author says of it.
    pub description: Option<String>,
    /// The author.
    pub author: Option<String>,
    /// The content digest: the version's identity.
    pub digest: Digest,
    /// The digest of the archive as it was sent.
    pub archive_digest: Digest,
    /// Where it stands.
    pub state: PackageState,
    /// The percentage of new runs that it gets, or would get if it was not quarantined; none if it is not active.
    pub share: Option<u8>,
    /// Why it is quarantined, if it is.
    pub quarantine: Option<Quarantine>,
    /// The actor that registered it.
    pub actor: String,
    /// When it was registered.
    pub registered_at: Timestamp,
    /// Full names of its workflows.
    pub workflows: Vec<String>,
    /// The unpacked library.
    pub library: PathBuf,
    /// Whether this engine has loaded the library.
    pub is_loaded: bool,
    /// Where this engine loads it; none before it was loaded, if that depends on its signers.
    pub isolation: Option<Isolation>,
    /// How tightly its processes are to be kept in; none if it is loaded into the engine's own.
    pub sandbox: Option<Sandbox>,
    /// The processes that run it now, if it is not loaded into the engine's own.
    pub hosts: Vec<PackageHost>,
    /// Calls into the library that have not ended, those of all engines in this process together.
    pub n_open_calls: usize,
    /// How often the library broke the rules of the C ABI since it was loaded: ended a call twice or with garbage,
    /// spoke of calls that are none. Each was ignored or failed its attempt; the log says more.
    pub n_anomalies: u64,
    /// Why it cannot be used, with the code in front; whatever needs it waits.
    pub problem: Option<String>,
}
