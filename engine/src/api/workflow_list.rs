//! Lists of versions of workflows: which ones, a page at a time.
//!
//! Versions stand in the order of their tenants, packages and names; of one workflow the newest comes first. A page goes on
//! after the last version of the page before, whatever was added meanwhile.

use super::runs::{named, tenant_of};
use crate::{
    id::Scope,
    store::{self, Connection, JobResult, WorkflowFound, WorkflowPlace, WorkflowSearch},
    view::WorkflowRecord,
};

/// Which versions of workflows are looked for; an absent part excludes none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WorkflowFilter {
    /// Only workflows of this tenant.
    pub tenant: Option<String>,
    /// Only workflows that this name fits: `workflow`, `package::workflow` or `tenant::package::workflow`.
    pub name: Option<String>,
    /// Only workflows of the package of this name.
    pub package: Option<String>,
    /// Only the versions that new runs get: those of active packages, and the newest of each workflow that is compiled in.
    pub current: bool,
}

/// A part of a list of versions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WorkflowPage {
    /// How many versions at most.
    pub limit: usize,
    /// The last version of the page before; none for the first page.
    pub after: Option<WorkflowPlace>,
}

/// The versions of a page.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct WorkflowList {
    /// The versions.
    pub workflows: Vec<WorkflowRecord>,
    /// After which version the next page begins; none if no version follows.
    pub next: Option<WorkflowPlace>,
}

impl WorkflowPage {
    /// The first versions of a list, so many at most.
    #[must_use]
    pub fn first(limit: usize) -> Self {
        Self { limit, after: None }
    }
}

impl WorkflowFilter {
    /// Those versions of the workflows that this name fits.
    #[must_use]
    pub fn named(name: &str) -> Self {
        Self { name: Some(name.to_owned()), ..Self::default() }
    }

    /// What is looked for in the database; nothing if no version can fit.
    fn search(&self, scope: &Scope, page: &WorkflowPage) -> Option<WorkflowSearch> {
        let (of_name, package, name) = self.name.as_deref().map_or(Some((None, None, None)), named)?;
        let tenant = tenant_of(scope, [self.tenant.as_deref(), of_name])?;
        let packages = [package, self.package.as_deref()];
        let package = packages.into_iter().flatten().next();
        if packages.into_iter().flatten().any(|other| Some(other) != package) {
            return None;
        }
        // One more, to know whether any follows.
        let n_max = i64::try_from(page.limit).unwrap_or(i64::MAX).saturating_add(1);
        Some(WorkflowSearch {
            tenant: tenant.map(str::to_owned),
            package: package.map(str::to_owned),
            name: name.map(str::to_owned),
            is_current: self.current,
            after: page.after.clone(),
            n_max,
        })
    }
}

/// The page of versions that fit and whose tenant is in the scope, as the database has them.
pub(crate) fn list(
    connection: &mut Connection,
    scope: &Scope,
    filter: &WorkflowFilter,
    page: &WorkflowPage,
) -> JobResult<(Vec<WorkflowFound>, Option<WorkflowPlace>)> {
    let Some(search) = filter.search(scope, page) else { return Ok((Vec::new(), None)) };
    let mut found = store::workflow_search(connection, &search)?;
    let has_more = found.len() > page.limit;
    found.truncate(page.limit);
    let next = found.last().map(WorkflowFound::place).filter(|_| has_more);
    Ok((found, next))
}
