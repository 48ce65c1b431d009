//! What goes into the registry and what it tells: plain data for callers.
//!
//! Nothing here has behavior of its own. Names are full names: `tenant::package::workflow`.

use std::{ops::Deref, path::PathBuf};

use cloacina_packager::{Digest, Warning};

use crate::{
    api::{PackageRecord, PackageRunning},
    store::Activation,
};

/// An archive to register, and the actor.
#[derive(Clone, Debug)]
pub struct Upload {
    /// The bytes of a `.cloacina` file, or the text of a definition.
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
    /// Whether it is the definition of a workflow as data, in TOML or JSON, in the place of an archive.
    pub is_definition: bool,
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
            is_definition: false,
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
    /// The library that was unpacked; a workflow as data has none, and no file of that name.
    pub library: PathBuf,
    /// Whether new runs get it, some or all.
    pub activated: bool,
    /// False if the tenant had the same content before.
    pub is_new: bool,
    /// What the package declares and this version does not execute.
    pub warnings: Vec<Warning>,
}

/// A package that is registered, as an engine has it.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct PackageInfo {
    /// The version, with the fields that it has wherever one is shown.
    pub record: PackageRecord,
    /// How this engine runs it.
    pub running: PackageRunning,
    /// What the author says of it.
    pub description: Option<String>,
    /// The author.
    pub author: Option<String>,
    /// The unpacked library.
    pub library: PathBuf,
    /// How often the library broke the rules of the C ABI since it was loaded: ended a call twice or with garbage,
    /// spoke of calls that are none. Each was ignored or failed its attempt; the log says more.
    pub n_anomalies: u64,
}

/// What an engine has of a package is read as the version that it is about.
impl Deref for PackageInfo {
    type Target = PackageRecord;

    fn deref(&self) -> &PackageRecord {
        &self.record
    }
}
