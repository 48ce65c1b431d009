//! The versions of workflows that a database holds, for those who only look.
//!
//! A version outlives its package, as old runs are pinned to it; what its package is now is looked up with it.

use std::collections::BTreeMap;

use cloacina_packager::{Digest, definition::Definition};

use super::{handle::Engine, records::Records};
use crate::{
    Error,
    api::{self, Page, WorkflowFilter, WorkflowList},
    runtime::stored_workflow,
    store::{self, Connection, Error as StoreError, JobResult, PackageState, WorkflowFound, WorkflowPlace},
    view::{WorkflowRecord, WorkflowReport, WorkflowState},
};

impl Engine {
    /// The versions of workflows that fit, a page of them, as the database has them.
    ///
    /// # Errors
    /// What the store says.
    pub async fn list_workflows(
        &self,
        filter: &WorkflowFilter,
        page: &Page<WorkflowPlace>,
    ) -> Result<WorkflowList, Error> {
        let (scope, filter, page) = (self.caller.scope().clone(), filter.clone(), page.clone());
        let list = move |connection: &mut Connection| api::list_workflows(connection, &scope, &filter, &page);
        WorkflowList::new(self.shared.store().read("listing workflows", list).await?)
    }

    /// The version that new runs get of the one workflow that the name fits, else its newest: `workflow`,
    /// `package::workflow` or `tenant::package::workflow`.
    ///
    /// # Errors
    /// [`Error::UnknownWorkflow`] and [`Error::AmbiguousWorkflow`]. What the store says.
    pub async fn workflow(&self, name: &str) -> Result<WorkflowReport, Error> {
        let report = choose(self.all_workflows(&WorkflowFilter::named(name)).await?, name)?;
        let Some(place) = place_of_package(&report) else { return Ok(report) };
        let find = move |connection: &mut Connection| uses(connection, &place);
        let uses = self.shared.store().read("reading a definition", find).await?;
        Ok(WorkflowReport { uses, ..report })
    }

    /// All versions of workflows that fit, in the order of a list.
    ///
    /// # Errors
    /// What the store says.
    pub async fn all_workflows(&self, filter: &WorkflowFilter) -> Result<Vec<WorkflowRecord>, Error> {
        let next = |page| async move {
            let WorkflowList { workflows, next } = self.list_workflows(filter, &page).await?;
            Ok((workflows, next))
        };
        api::wait_for_all(next).await
    }
}

impl Records {
    /// The versions of workflows that fit, a page of them.
    ///
    /// # Errors
    /// What the store says.
    pub fn list_workflows(
        &mut self,
        filter: &WorkflowFilter,
        page: &Page<WorkflowPlace>,
    ) -> Result<WorkflowList, Error> {
        let scope = self.caller.scope().clone();
        let list = |connection: &mut Connection| api::list_workflows(connection, &scope, filter, page);
        WorkflowList::new(self.read("listing workflows", list)?)
    }

    /// The version that new runs get of the one workflow that the name fits, as [`Engine::workflow`] does it.
    ///
    /// # Errors
    /// As [`Engine::workflow`].
    pub fn workflow(&mut self, name: &str) -> Result<WorkflowReport, Error> {
        let report = choose(self.workflows(&WorkflowFilter::named(name))?, name)?;
        let Some(place) = place_of_package(&report) else { return Ok(report) };
        let uses = self.read("reading a definition", |connection| uses(connection, &place))?;
        Ok(WorkflowReport { uses, ..report })
    }

    /// All versions of workflows that fit, by tenant, package and name; of one workflow the newest in front.
    ///
    /// # Errors
    /// What the store says.
    pub fn workflows(&mut self, filter: &WorkflowFilter) -> Result<Vec<WorkflowRecord>, Error> {
        api::all(|page| self.list_workflows(filter, page).map(|list| (list.workflows, list.next)))
    }
}

impl WorkflowList {
    fn new((found, next): (Vec<WorkflowFound>, Option<WorkflowPlace>)) -> Result<Self, Error> {
        let workflows = found.into_iter().map(record).collect::<Result<_, StoreError>>()?;
        Ok(Self { workflows, next })
    }
}

impl WorkflowRecord {
    /// The version that new runs get, of those of one workflow with the newest in front, as far as the database tells.
    #[must_use]
    pub fn current(versions: &[Self]) -> Option<&Self> {
        let is_active = |version: &&Self| version.state == WorkflowState::Packaged(PackageState::Active);
        versions.iter().find(is_active).or(versions.first())
    }
}

fn choose(versions: Vec<WorkflowRecord>, name: &str) -> Result<WorkflowReport, Error> {
    let of_names: Vec<&[WorkflowRecord]> = versions.chunk_by(|version, next| version.name == next.name).collect();
    if let [_, _, ..] = of_names.as_slice() {
        let candidates = of_names.iter().filter_map(|versions| Some(versions.first()?.name.clone())).collect();
        return Err(Error::AmbiguousWorkflow { name: name.to_owned(), candidates });
    }
    let current = of_names.first().and_then(|versions| WorkflowRecord::current(versions));
    let unknown = || Error::UnknownWorkflow { name: name.to_owned(), suggestions: Vec::new() };
    current.cloned().and_then(WorkflowRecord::into_report).ok_or_else(unknown)
}

/// The tenant and the digest of the package's version, if it is registered.
fn place_of_package(report: &WorkflowReport) -> Option<(String, Digest)> {
    let WorkflowRecord { tenant, digest, state, .. } = &report.record;
    digest.filter(|_| matches!(state, WorkflowState::Packaged(_))).map(|digest| (tenant.clone(), digest))
}

/// What the tasks of a workflow as data use; nothing for a package, and for what has been removed meanwhile.
fn uses(
    connection: &mut Connection,
    (tenant, digest): &(String, Digest),
) -> JobResult<Option<BTreeMap<String, String>>> {
    let Some(found) = store::package_find(connection, tenant, *digest)? else { return Ok(None) };
    let Some(definition) = found.row.definition() else { return Ok(None) };
    let uses = Definition::uses(definition.as_bytes());
    Ok(Some(uses.map_err(|error| StoreError::Corrupt { reason: error.to_string() })?))
}

fn record(found: WorkflowFound) -> Result<WorkflowRecord, StoreError> {
    let WorkflowFound { row, package } = found;
    let (descriptor, digest) = (stored_workflow(&row)?, row.key.content_digest());
    let state = match (digest, &package) {
        (None, _) => WorkflowState::CompiledIn,
        (Some(_), Some((_, state))) => WorkflowState::Packaged(*state),
        (Some(_), None) => WorkflowState::Removed,
    };
    Ok(WorkflowRecord {
        name: row.key.full_name(),
        tenant: row.key.tenant.clone(),
        package: Some(row.key.package.clone()).filter(|package| !package.is_empty()),
        version: package.map(|(version, _)| version),
        digest,
        state,
        tasks: descriptor.tasks.len(),
        description: descriptor.description.clone(),
        known_since: Some(row.id.made_at()),
        descriptor: Some(descriptor),
    })
}
