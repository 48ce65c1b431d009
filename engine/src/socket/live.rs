//! What only the engine knows of packages: where each is loaded, which processes run it, and what keeps these in.
//!
//! What the database says of a package is not here; a reader of both puts them together by tenant and digest.

use serde::{Deserialize, Serialize};

use crate::{Engine, Isolation, PackageHost, PackageInfo};

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
    pub digest: String,
    /// `inline` or `process`; none before it was loaded, if that depends on who signed it.
    pub isolation: Option<String>,
    /// How tightly its processes are to be kept in, `dev` or `server`; none if it has none.
    pub sandbox: Option<String>,
    /// Whether its library is loaded, here or in a process of its own.
    pub is_loaded: bool,
    /// Calls under way.
    pub n_open_calls: u64,
    /// Its processes, that are alive.
    pub hosts: Vec<LiveHost>,
    /// Why it cannot be used, with the code in front.
    pub problem: Option<String>,
}

/// A process of a package.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct LiveHost {
    /// Its number.
    pub pid: u32,
    /// Calls under way in it.
    pub n_open_calls: u64,
    /// Calls that it was given so far.
    pub n_calls: u64,
    /// Whether it gets no more calls, and ends when those that it has are done.
    pub is_leaving: bool,
    /// The memory that it holds now, if the system tells.
    pub resident_bytes: Option<u64>,
    /// The processor time that it has used up so far in microseconds, if the system tells.
    pub cpu_us: Option<u64>,
    /// What keeps the package in.
    pub in_force: Vec<String>,
    /// What should and does not, with the reason.
    pub missing: Vec<String>,
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
        let isolation = info.isolation.map(Isolation::as_str);
        Self {
            tenant: info.tenant,
            name: info.name,
            version: info.version,
            digest: info.digest.to_string(),
            isolation: isolation.map(str::to_owned),
            sandbox: info.sandbox.map(|sandbox| sandbox.as_str().to_owned()),
            is_loaded: info.is_loaded,
            n_open_calls: info.n_open_calls as u64,
            hosts: info.hosts.into_iter().map(LiveHost::new).collect(),
            problem: info.problem,
        }
    }
}

impl LiveHost {
    fn new(host: PackageHost) -> Self {
        Self {
            pid: host.pid,
            n_open_calls: host.n_open_calls as u64,
            n_calls: host.n_calls,
            is_leaving: host.is_leaving,
            resident_bytes: host.resident_bytes,
            cpu_us: host.cpu.map(|cpu| u64::try_from(cpu.as_micros()).unwrap_or(u64::MAX)),
            in_force: host.confinement.in_force,
            missing: host.confinement.missing,
        }
    }
}
