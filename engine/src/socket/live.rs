//! What only the engine knows of packages: where each is loaded, which processes run it, and what keeps these in.
//!
//! What the database says of a package is not here; a reader of both puts them together by tenant and digest.

use cloacina_packager::Digest;
use serde::{Deserialize, Serialize};

use crate::{Engine, PackageInfo, view::PackageRunning};

/// A package as the engine that may run it sees it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct LivePackage {
    /// The tenant that has it.
    pub tenant: String,
    /// The package's name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// Its content digest.
    pub digest: Digest,
    /// How the engine runs it.
    pub running: PackageRunning,
}

impl Engine {
    /// All packages as this engine runs them, those registered first in front.
    #[must_use]
    pub fn live_packages(&self) -> Vec<LivePackage> {
        self.registry().list().into_iter().map(LivePackage::new).collect()
    }
}

impl LivePackage {
    fn new(info: PackageInfo) -> Self {
        let PackageInfo { record, running, .. } = info;
        Self { tenant: record.tenant, name: record.name, version: record.version, digest: record.digest, running }
    }
}
