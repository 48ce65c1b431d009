//! The packages in memory, as they are in the store, and what new runs get of each.
//!
//! In the order in which they were registered. Pure tables: nothing here blocks, reads or tells anyone.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

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
    pub(super) problems: HashMap<Place, Arc<loader::Error>>,
    /// What new runs were told to take, by tenant and name.
    pub(super) offers: BTreeMap<(String, String), Offer>,
    /// The newest change of packages in the store that is in here; none before the first look.
    pub(super) newest: Option<i64>,
}

/// What makes a package one of its own: its tenant and its content.
pub(super) type Place = (String, Digest);

/// What new runs of a package get.
#[derive(Clone, Debug, Default)]
pub(crate) struct Offer {
    /// The version that they get.
    pub(crate) main: Option<Arc<Package>>,
    /// Another that gets some of them, and the percentage.
    pub(crate) sharing: Option<(Arc<Package>, u8)>,
}

impl State {
    /// The package of the same tenant and content.
    pub(super) fn find(&self, row: &PackageRow) -> Option<&Arc<Package>> {
        self.packages.iter().find(|known| known.row.tenant == row.tenant && known.row.digest == row.digest)
    }

    /// Whether nothing is known to be wrong with it.
    pub(super) fn is_usable(&self, package: &Package) -> bool {
        !self.problems.contains_key(&package.place())
    }

    /// What new runs should get now, by tenant and name; nothing of what cannot be used.
    pub(super) fn offers(&self) -> BTreeMap<(String, String), Offer> {
        let mut offers: BTreeMap<_, Offer> = BTreeMap::new();
        let is_offered = |package: &&Arc<Package>| package.row.state == PackageState::Active && self.is_usable(package);
        for package in self.packages.iter().filter(is_offered) {
            let offer = offers.entry((package.row.tenant.clone(), package.row.name.clone())).or_default();
            match package.row.share {
                None => offer.main = Some(Arc::clone(package)),
                Some(share) => offer.sharing = Some((Arc::clone(package), share)),
            }
        }
        offers
    }

    /// The percentage of new runs that the version gets.
    pub(super) fn share(&self, package: &Package) -> Option<u8> {
        let row = &package.row;
        match (row.state_apart_from_quarantine(), row.share) {
            (PackageState::Active, Some(share)) => Some(share),
            (PackageState::Active, None) => {
                let is_sharing = |other: &&Arc<Package>| other.has_name_of(package) && other.row.share.is_some();
                Some(100 - self.packages.iter().find(is_sharing).and_then(|other| other.row.share).unwrap_or(0))
            }
            _ => None,
        }
    }

    pub(super) fn info(&self, package: &Package) -> PackageInfo {
        let problem = self.problems.get(&package.place());
        let problem = problem.map(|problem| format!("{}: {problem}", problem.code()));
        PackageInfo { share: self.share(package), problem, ..package.info() }
    }
}

impl Offer {
    /// Whether both offer the same.
    pub(super) fn is_like(&self, other: &Self) -> bool {
        let place = |offer: &Self| {
            let sharing = offer.sharing.as_ref().map(|(package, share)| (package.place(), *share));
            (offer.main.as_ref().map(|main| main.place()), sharing)
        };
        place(self) == place(other)
    }
}
