//! Lists of runs: which ones, in brief, a page at a time.
//!
//! There is one filter, for lists, for verbs that are asked of many runs, and for the command line. The newest run comes
//! first; a page goes on after the last run of the page before, whatever was added meanwhile.

use std::collections::{HashMap, HashSet};

use cloacina_packager::Digest;
use cloacina_workflow::Timestamp;
use diesel::QueryResult;

use crate::{
    core::run::State,
    id::{RunId, Scope, WorkflowId, is_name_of},
    runtime::stored_workflow,
    store::{self, Connection, Error, JobResult, RunRow, RunSearch, WorkflowName},
    view::{RunStatus, RunSummary},
};

/// Which runs are looked for; an absent part excludes none.
#[derive(Clone, Debug, Default)]
pub struct RunFilter {
    /// Only runs in one of these states; all if there are none.
    pub states: Vec<State>,
    /// Only runs of workflows that this name fits: `workflow`, `package::workflow` or `tenant::package::workflow`.
    pub workflow: Option<String>,
    /// Only runs of this tenant's workflows.
    pub tenant: Option<String>,
    /// Only runs that were submitted at this moment or later.
    pub created_from: Option<Timestamp>,
    /// Only runs that were submitted before this moment.
    pub created_before: Option<Timestamp>,
    /// Only runs that nobody dismissed.
    pub not_dismissed: bool,
    /// Only runs whose id is in this range, both ends included.
    pub ids: Option<(RunId, RunId)>,
}

/// A part of a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Page {
    /// How many runs at most.
    pub limit: usize,
    /// The last run of the page before; none for the first page.
    pub after: Option<RunId>,
}

/// The runs of a page.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct RunPage {
    /// The runs, newest first.
    pub runs: Vec<RunSummary>,
    /// After which run the next page begins; none if no run follows.
    pub next: Option<RunId>,
}

impl Page {
    /// The first runs of a list, so many at most.
    #[must_use]
    pub fn first(limit: usize) -> Self {
        Self { limit, after: None }
    }
}

impl RunFilter {
    fn fits(&self, scope: &Scope, workflow: &WorkflowName) -> bool {
        let full = workflow.full_name();
        let named = |name: &String| is_name_of(name, &full);
        scope.has(&workflow.tenant)
            && self.workflow.as_ref().is_none_or(named)
            && self.tenant.as_ref().is_none_or(|tenant| workflow.tenant == *tenant)
    }

    /// Whether every workflow fits, so that none need be named.
    fn is_of_any_workflow(&self, scope: &Scope) -> bool {
        *scope == Scope::Every && self.workflow.is_none() && self.tenant.is_none()
    }

    fn search(&self, connection: &mut Connection, scope: &Scope, page: &Page) -> QueryResult<RunSearch> {
        let workflows = match self.is_of_any_workflow(scope) {
            true => None,
            false => {
                let known = store::workflow_list_names(connection)?;
                Some(known.into_iter().filter(|known| self.fits(scope, known)).map(|known| known.id).collect())
            }
        };
        Ok(RunSearch {
            states: self.states.clone(),
            workflows,
            created_from: self.created_from,
            created_before: self.created_before,
            not_dismissed: self.not_dismissed,
            ids: self.ids,
            after: page.after,
            // One more, to know whether any follows.
            n_max: i64::try_from(page.limit).unwrap_or(i64::MAX).saturating_add(1),
        })
    }
}

/// The page of runs that fit and whose tenant is in the scope. `is_file_driven` says of a file whether an engine has it.
pub(crate) fn list(
    connection: &mut Connection,
    scope: &Scope,
    filter: &RunFilter,
    page: &Page,
    is_file_driven: Option<bool>,
) -> JobResult<RunPage> {
    let search = filter.search(connection, scope, page)?;
    let mut rows = store::run_search(connection, &search)?;
    let has_more = rows.len() > page.limit;
    rows.truncate(page.limit);
    let next = rows.last().map(|row| row.id).filter(|_| has_more);
    let ids: Vec<RunId> = rows.iter().map(|row| row.id).collect();
    let open: Vec<RunId> = rows.iter().filter(|row| !row.state.is_terminal()).map(|row| row.id).collect();
    let of_rows = rows.iter().map(|row| row.workflow).collect::<HashSet<_>>();
    let workflows = store::workflow_list_some(connection, of_rows.iter().map(|id| id.as_bytes().to_vec()))?;
    let completed = store::run_count_completed(connection, &ids)?;
    let near = store::run_list_neighbors(connection, &ids)?;
    let driven: HashSet<RunId> = match is_file_driven {
        Some(is_driven) => open.into_iter().filter(|_| is_driven).collect(),
        None => store::run_list_driven(connection, &open)?,
    };
    let known = workflows.iter().map(|row| Ok((row.id, Known::new(row)?))).collect::<Result<_, Error>>()?;
    let summaries = rows.into_iter().map(|row| {
        let short_id = row.id.short(near.get(&row.id).map_or(&[], Vec::as_slice));
        let is_driven = driven.contains(&row.id);
        let n_completed = completed.get(&row.id).copied().unwrap_or_default();
        summary(row, &known, n_completed, short_id, is_driven)
    });
    Ok(RunPage { runs: summaries.collect(), next })
}

/// What a list tells of a workflow.
#[derive(Clone, Debug, Default)]
struct Known {
    name: String,
    tenant: String,
    digest: Option<Digest>,
    n_tasks: usize,
}

impl Known {
    fn new(row: &store::WorkflowRow) -> Result<Self, Error> {
        Ok(Self {
            name: row.key.full_name(),
            tenant: row.key.tenant.clone(),
            digest: row.key.content_digest(),
            n_tasks: stored_workflow(row)?.tasks.len(),
        })
    }
}

fn summary(
    row: RunRow,
    workflows: &HashMap<WorkflowId, Known>,
    n_completed: i64,
    short_id: String,
    is_driven: bool,
) -> RunSummary {
    let Known { name, tenant, digest, n_tasks } = workflows.get(&row.workflow).cloned().unwrap_or_default();
    RunSummary {
        status: RunStatus {
            id: row.id,
            workflow: name,
            tenant,
            digest,
            state: row.state,
            completed_tasks: row.events_pruned_at.is_none().then(|| usize::try_from(n_completed).unwrap_or_default()),
            total_tasks: n_tasks,
            created_at: row.created_at,
            started_at: row.started_at,
            finished_at: row.finished_at,
            context_removed_at: row.context_pruned_at,
            history_removed_at: row.events_pruned_at,
        },
        driven: (!row.state.is_terminal()).then_some(is_driven),
        created_by: row.created_by,
        dismissed_by: row.dismissed_by,
        short_id,
    }
}
