//! Lists of versions of workflows: which ones, a page at a time.
//!
//! Versions stand in the order of their tenants, packages and names; of one workflow the newest comes first. A page goes on
//! after the last version of the page before, whatever was added meanwhile.

use super::{
    page::Page,
    runs::{named, tenant_of},
};
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

/// The versions of a page.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct WorkflowList {
    /// The versions.
    pub workflows: Vec<WorkflowRecord>,
    /// After which version the next page begins; none if no version follows.
    pub next: Option<WorkflowPlace>,
}

impl WorkflowFilter {
    /// Those versions of the workflows that this name fits.
    #[must_use]
    pub fn named(name: &str) -> Self {
        Self { name: Some(name.to_owned()), ..Self::default() }
    }

    /// What is looked for in the database; nothing if no version can fit.
    fn search(&self, scope: &Scope, page: &Page<WorkflowPlace>) -> Option<WorkflowSearch> {
        let (of_name, package, name) = self.name.as_deref().map_or(Some((None, None, None)), named)?;
        let tenant = tenant_of(scope, [self.tenant.as_deref(), of_name])?;
        let packages = [package, self.package.as_deref()];
        let package = packages.into_iter().flatten().next();
        if packages.into_iter().flatten().any(|other| Some(other) != package) {
            return None;
        }
        Some(WorkflowSearch {
            tenant: tenant.map(str::to_owned),
            package: package.map(str::to_owned),
            name: name.map(str::to_owned),
            is_current: self.current,
            after: page.after.clone(),
            n_max: page.n_asked(),
        })
    }
}

/// The page of versions that fit and whose tenant is in the scope, as the database has them.
pub(crate) fn list(
    connection: &mut Connection,
    scope: &Scope,
    filter: &WorkflowFilter,
    page: &Page<WorkflowPlace>,
) -> JobResult<(Vec<WorkflowFound>, Option<WorkflowPlace>)> {
    let Some(search) = filter.search(scope, page) else { return Ok((Vec::new(), None)) };
    let mut found = store::workflow_search(connection, &search)?;
    let next = page.cut(&mut found, WorkflowFound::place);
    Ok((found, next))
}
