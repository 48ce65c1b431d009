//! Lists of versions of packages: which ones, a page at a time.
//!
//! Versions stand in the order of their tenants and names; of one package those registered first come first. A page goes on
//! after the last version of the page before, whatever was added meanwhile.

use cloacina_packager::Digest;

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

/// A part of a list of versions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PackagePage {
    /// How many versions at most.
    pub limit: usize,
    /// The last version of the page before; none for the first page.
    pub after: Option<PackagePlace>,
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

impl PackagePage {
    /// The first versions of a list, so many at most.
    #[must_use]
    pub fn first(limit: usize) -> Self {
        Self { limit, after: None }
    }
}

impl PackageFilter {
    /// What is looked for in the database; nothing if no version can fit.
    fn search(&self, scope: &Scope, page: &PackagePage) -> Option<PackageSearch> {
        let tenant = match (scope, &self.tenant) {
            (Scope::Every, tenant) => tenant.clone(),
            (Scope::Tenant(seen), Some(tenant)) if **seen != **tenant => return None,
            (Scope::Tenant(seen), _) => Some(seen.to_string()),
        };
        // One more, to know whether any follows.
        let n_max = i64::try_from(page.limit).unwrap_or(i64::MAX).saturating_add(1);
        Some(PackageSearch {
            tenant,
            name: self.name.clone(),
            state: self.state,
            digests: self.digests,
            after: page.after.clone(),
            n_max,
        })
    }
}

/// The page of versions that fit and whose tenant is in the scope, as the database has them.
pub(crate) fn list(
    connection: &mut Connection,
    scope: &Scope,
    filter: &PackageFilter,
    page: &PackagePage,
) -> JobResult<(Vec<PackageFound>, Option<PackagePlace>)> {
    let Some(search) = filter.search(scope, page) else { return Ok((Vec::new(), None)) };
    let mut found = store::package_search(connection, &search)?;
    let has_more = found.len() > page.limit;
    found.truncate(page.limit);
    let next = found.last().map(|found| found.row.place()).filter(|_| has_more);
    Ok((found, next))
}
