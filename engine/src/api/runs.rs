//! Lists of runs: which ones, in brief, a page at a time.
//!
//! There is one filter, for lists, for verbs that are asked of many runs, and for the command line. The newest run comes
//! first; a page goes on after the last run of the page before, whatever was added meanwhile.

use cloacina_workflow::Timestamp;

use super::{
    page::Page,
    workflows::{Brief, Briefs},
};
use crate::{
    core::run::State,
    id::{RunId, Scope},
    store::{self, Connection, JobResult, RunFound, RunSearch},
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

/// The runs of a page.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct RunPage {
    /// The runs, newest first.
    pub runs: Vec<RunSummary>,
    /// After which run the next page begins; none if no run follows.
    pub next: Option<RunId>,
}

impl RunPage {
    /// The page with what the lock of its file tells: whether one engine drives all runs that have not ended, and nothing if
    /// the database is on a server. The lock is looked at only if the page has such a run, as that costs as much as ten runs.
    pub(crate) fn of_file(mut self, is_driven: impl FnOnce() -> Option<bool>) -> Self {
        let mut open = self.runs.iter_mut().filter_map(|run| run.driven.as_mut()).peekable();
        if open.peek().is_some()
            && let Some(is_driven) = is_driven()
        {
            open.for_each(|driven| *driven = is_driven);
        }
        self
    }
}

impl RunFilter {
    /// What is looked for in the database; nothing if no run can fit.
    fn search(&self, scope: &Scope, page: &Page) -> Option<RunSearch> {
        let (of_name, package, workflow) = match &self.workflow {
            None => (None, None, None),
            Some(name) => named(name)?,
        };
        let tenant = tenant_of(scope, [self.tenant.as_deref(), of_name])?;
        Some(RunSearch {
            states: self.states.clone(),
            tenant: tenant.map(str::to_owned),
            package: package.map(str::to_owned),
            workflow: workflow.map(str::to_owned),
            created_from: self.created_from,
            created_before: self.created_before,
            not_dismissed: self.not_dismissed,
            ids: self.ids,
            after: page.after,
            n_max: page.n_asked(),
        })
    }
}

/// The one tenant that all of them name, if any does; nothing if they name several.
pub(super) fn tenant_of<'a>(scope: &'a Scope, named: [Option<&'a str>; 2]) -> Option<Option<&'a str>> {
    let of_scope = match scope {
        Scope::Every => None,
        Scope::Tenant(tenant) => Some(&**tenant),
    };
    let mut tenants = [of_scope].into_iter().chain(named).flatten();
    let tenant = tenants.next();
    tenants.all(|other| Some(other) == tenant).then_some(tenant)
}

/// The tenant, the package and the workflow that a name names, as [`crate::id::is_name_of`] reads it; nothing if it is not a name.
pub(super) fn named(name: &str) -> Option<(Option<&str>, Option<&str>, Option<&str>)> {
    let parts: Vec<&str> = name.split("::").collect();
    if parts.contains(&"") {
        return None;
    }
    match parts.as_slice() {
        [workflow] => Some((None, None, Some(workflow))),
        [package, workflow] => Some((None, Some(package), Some(workflow))),
        [tenant, package, workflow] => Some((Some(tenant), Some(package), Some(workflow))),
        _ => None,
    }
}

/// The page of runs that fit and whose tenant is in the scope. What drives the runs of a file is not known to the file:
/// [`RunPage::of_file`].
pub(crate) fn list(
    connection: &mut Connection,
    scope: &Scope,
    filter: &RunFilter,
    page: &Page,
    briefs: &Briefs,
) -> JobResult<RunPage> {
    let Some(search) = filter.search(scope, page) else { return Ok(RunPage::default()) };
    let mut found = store::run_search(connection, &search)?;
    let next = page.cut(&mut found, |run| run.row.id);
    let workflows = briefs.of(connection, &found.iter().map(|run| run.row.workflow).collect())?;
    // A workflow outlives its runs: a run without one was deleted between the two questions.
    let runs = found.into_iter().filter_map(|run| Some((workflows.get(&run.row.workflow)?, run)));
    let summaries = runs.map(|(workflow, run)| summary(run, workflow));
    Ok(RunPage { runs: summaries.collect(), next })
}

/// How many runs whose tenant is in the scope are in each state, for every state.
pub(crate) fn count_by_state(
    connection: &mut Connection,
    scope: &Scope,
    briefs: &Briefs,
) -> JobResult<Vec<(State, u64)>> {
    let counts = store::run_count_by_state(connection)?;
    let workflows = briefs.of(connection, &counts.iter().map(|(workflow, ..)| *workflow).collect())?;
    let is_seen = |workflow| workflows.get(workflow).is_some_and(|workflow| scope.has(&workflow.tenant));
    let n_runs = |state: State| {
        let of_state = counts.iter().filter(|(workflow, of, _)| *of == state && is_seen(workflow));
        of_state.map(|(.., n_runs)| n_runs).sum()
    };
    Ok(State::ALL.into_iter().map(|state| (state, n_runs(state))).collect())
}

fn summary(found: RunFound, workflow: &Brief) -> RunSummary {
    let RunFound { row, n_completed, is_driven } = found;
    let Brief { name, tenant, digest, n_tasks } = workflow.clone();
    RunSummary {
        status: RunStatus {
            id: row.id,
            workflow: name,
            tenant,
            digest,
            state: row.state,
            // A count is never negative.
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
    }
}
