//! Lists of versions of packages: which ones, a page at a time.
//!
//! Versions stand in the order of their tenants and names; of one package those registered first come first. A page goes on
//! after the last version of the page before, whatever was added meanwhile.

use cloacina_packager::Digest;

use super::{page::Page, runs::tenant_of};
use crate::{
    id::Scope,
    store::{self, Connection, JobResult, PackageFound, PackagePlace, PackageSearch, PackageState},
    view::PackageRecord,
};

/// Which versions of packages are looked for; an absent part excludes none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PackageFilter {
    /// Only packages of this tenant.
    pub tenant: Option<String>,
    /// Only packages of this name.
    pub name: Option<String>,
    /// Only versions in this state.
    pub state: Option<PackageState>,
    /// Only versions whose content digest is in this range, both ends included.
    pub digests: Option<(Digest, Digest)>,
}

/// The versions of a page.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct PackageList {
    /// The versions.
    pub packages: Vec<PackageRecord>,
    /// After which version the next page begins; none if no version follows.
    pub next: Option<PackagePlace>,
}

impl PackageFilter {
    /// What is looked for in the database; nothing if no version can fit.
    fn search(&self, scope: &Scope, page: &Page<PackagePlace>) -> Option<PackageSearch> {
        let tenant = tenant_of(scope, [self.tenant.as_deref(), None])?.map(str::to_owned);
        Some(PackageSearch {
            tenant,
            name: self.name.clone(),
            state: self.state,
            digests: self.digests,
            after: page.after.clone(),
            n_max: page.n_asked(),
        })
    }
}

/// The page of versions that fit and whose tenant is in the scope, as the database has them.
pub(crate) fn list(
    connection: &mut Connection,
    scope: &Scope,
    filter: &PackageFilter,
    page: &Page<PackagePlace>,
) -> JobResult<(Vec<PackageFound>, Option<PackagePlace>)> {
    let Some(search) = filter.search(scope, page) else { return Ok((Vec::new(), None)) };
    let mut found = store::package_search(connection, &search)?;
    let next = page.cut(&mut found, |found| found.row.place());
    Ok((found, next))
}
