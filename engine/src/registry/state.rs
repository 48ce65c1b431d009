//! The packages in memory, as they are in the store, and what new runs get of each.
//!
//! In the order in which they were registered. Pure tables: nothing here blocks, reads or tells anyone.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use cloacina_packager::Digest;
use cloacina_workflow::Timestamp;

use super::{Package, PackageInfo, package::has_name_of};
use crate::{
    id::Scope,
    isolation,
    store::{PackageRow, PackageState},
};

/// The packages, and what is wrong with some of them.
#[derive(Debug, Default)]
pub(super) struct State {
    pub(super) packages: Vec<Arc<Package>>,
    /// Why a package cannot be used, of those that cannot; by tenant and content.
    pub(super) problems: HashMap<Place, Arc<isolation::Error>>,
    /// What new runs were told to take, by tenant and name.
    pub(super) active: BTreeMap<(String, String), ActiveVersions>,
    /// The newest change of packages in the store that is in here; none before the first read.
    pub(super) newest: Option<i64>,
    /// The newest change of trust with which packages were checked; none before the first time.
    pub(super) newest_trust: Option<i64>,
    /// When the next key expires that a tenant trusts, by tenant.
    pub(super) expiries: BTreeMap<String, Timestamp>,
}

/// What makes a package one of its own: its tenant and its content.
pub(super) type Place = (String, Digest);

/// What new runs of a package get.
#[derive(Clone, Debug, Default)]
pub(crate) struct ActiveVersions {
    /// The version that they get.
    pub(crate) main: Option<Arc<Package>>,
    /// Another that gets some of them, and the percentage.
    pub(crate) sharing: Option<(Arc<Package>, u8)>,
}

/// A package as the tables have it at one moment.
pub(super) struct PackageSnapshot {
    package: Arc<Package>,
    /// The percentage of new runs of the version of the same package that shares them, if one does.
    sharing: Option<u8>,
    problem: Option<Arc<isolation::Error>>,
}

impl State {
    /// The packages of the tenants that a caller sees.
    pub(super) fn seen_by(&self, scope: &Scope) -> Vec<Arc<Package>> {
        self.packages.iter().filter(|package| scope.has(&package.row.tenant)).cloned().collect()
    }

    /// The package of the same tenant and content.
    pub(super) fn find(&self, row: &PackageRow) -> Option<&Arc<Package>> {
        self.packages.iter().find(|known| known.row.tenant == row.tenant && known.row.digest == row.digest)
    }

    /// Whether nothing is known to be wrong with it.
    pub(super) fn is_usable(&self, package: &Package) -> bool {
        !self.problems.contains_key(&package.place())
    }

    /// What new runs should get now, by tenant and name; nothing of what cannot be used. What is quarantined keeps its
    /// place, so that nothing else takes it.
    pub(super) fn active(&self) -> BTreeMap<(String, String), ActiveVersions> {
        let mut active: BTreeMap<_, ActiveVersions> = BTreeMap::new();
        let is_active = |package: &&Arc<Package>| {
            package.row.state_apart_from_quarantine() == PackageState::Active && self.is_usable(package)
        };
        for package in self.packages.iter().filter(is_active) {
            let versions = active.entry((package.row.tenant.clone(), package.row.name.clone())).or_default();
            match package.row.share {
                None => versions.main = Some(Arc::clone(package)),
                Some(share) => versions.sharing = Some((Arc::clone(package), share)),
            }
        }
        active
    }

    pub(super) fn snapshot(&self, package: &Arc<Package>) -> PackageSnapshot {
        let mut rows = self.packages.iter().map(|known| &known.row);
        let sharing = rows.find_map(|other| other.share.filter(|_| has_name_of(other, &package.row)));
        PackageSnapshot { package: Arc::clone(package), sharing, problem: self.problems.get(&package.place()).cloned() }
    }
}

impl PackageSnapshot {
    /// With what only the package itself and the system know. Must not be asked with the lock: the system is asked about
    /// each process.
    pub(super) fn info(self) -> PackageInfo {
        let problem = self.problem.map(|problem| format!("{}: {problem}", problem.code()));
        self.package.info(self.sharing, problem)
    }
}

impl ActiveVersions {
    /// Whether both have the same versions.
    pub(super) fn is_like(&self, other: &Self) -> bool {
        let place = |active: &Self| {
            let sharing = active.sharing.as_ref().map(|(package, share)| (package.place(), *share));
            (active.main.as_ref().map(|main| main.place()), sharing)
        };
        place(self) == place(other)
    }
}
