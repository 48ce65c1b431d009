//! The packages in memory, as they are in the store.
//!
//! In the order in which they were registered. At most one version of a package is active in a tenant. Pure tables:
//! nothing here blocks, reads or tells anyone.

use std::{collections::HashMap, sync::Arc};

use cloacina_packager::Digest;

use super::{Package, PackageInfo};
use crate::{
    loader,
    store::{PackageRow, PackageState},
};

/// The packages, and what is wrong with some of them.
#[derive(Debug, Default)]
pub(super) struct State {
    pub(super) packages: Vec<Arc<Package>>,
    /// Why a package cannot be used, of those that cannot; by tenant and content.
    pub(super) problems: HashMap<(String, Digest), Arc<loader::Error>>,
}

impl State {
    pub(super) fn new(packages: Vec<Arc<Package>>) -> Self {
        Self { packages, problems: HashMap::new() }
    }

    /// The package of the same tenant and content.
    pub(super) fn find(&self, row: &PackageRow) -> Option<&Arc<Package>> {
        self.packages.iter().find(|known| known.row.tenant == row.tenant && known.row.digest == row.digest)
    }

    /// Whether nothing is known to be wrong with it.
    pub(super) fn is_usable(&self, package: &Package) -> bool {
        !self.problems.contains_key(&package.place())
    }

    /// Puts an active package where it belongs, and says what was active under its name before.
    pub(super) fn put(&mut self, package: Arc<Package>) -> Option<Arc<Package>> {
        let place = package.place();
        self.problems.remove(&place);
        let mut before = None;
        for known in self.packages.iter_mut().filter(|known| known.is_active() && known.has_name_of(&package)) {
            before = Some(Arc::clone(known));
            if known.place() == place {
                // It was the active one; its row did not change.
                *known = package;
                return before;
            }
            *known = Arc::new(known.with_state(PackageState::Retired));
        }
        self.packages.retain(|known| known.place() != place);
        self.packages.push(package);
        before
    }

    /// Takes a package away and makes another active in its place, if there is one to be.
    pub(super) fn remove(&mut self, package: &Package, promoted: Option<Digest>) -> Option<Arc<Package>> {
        self.packages.retain(|known| known.place() != package.place());
        self.problems.remove(&package.place());
        let is_next =
            |known: &&mut Arc<Package>| known.row.tenant == package.row.tenant && Some(known.row.digest) == promoted;
        let next = self.packages.iter_mut().find(is_next)?;
        *next = Arc::new(next.with_state(PackageState::Active));
        Some(Arc::clone(next))
    }

    pub(super) fn info(&self, package: &Package) -> PackageInfo {
        let problem = self.problems.get(&package.place());
        package.info(problem.map(|problem| format!("{}: {problem}", problem.code())))
    }
}
