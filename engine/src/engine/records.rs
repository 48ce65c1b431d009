//! What a database holds, for those who only look: no engine is started, no run goes on, nothing changes.
//!
//! It works beside a living engine and without one. What is shown is what was durable when each call began; only what
//! an engine keeps in memory, such as who holds the slots, is not there.

use std::{
    collections::{HashMap, HashSet},
    fmt,
    path::Path,
    sync::Arc,
};

use cloacina_packager::Digest;
use cloacina_workflow::{Timestamp, descriptor};
use diesel::QueryResult;

use super::logs::{LogFilter, LogRecord};
use crate::{
    Error,
    core::run::State,
    id::{RunId, WorkflowId},
    runtime::{Gate, RunEvent, RunReport, RunStatus, Secrets, load, pruned_report, records, stored_version},
    store::{
        self, Backup, BackupProgress, Connection, Database, EventRow, PackageRow, PackageState, Quarantine, RunRow,
        RunSearch, View, WorkflowRow,
    },
    trust::{self, Trust, TrustEvent},
};

/// A database as one who looks sees it.
pub struct Records {
    view: View,
}

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

/// A run in brief, with its progress.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RunSummary {
    /// The run.
    pub status: RunStatus,
    /// The tenant of its workflow.
    pub tenant: String,
    /// The content digest of the package's version that it is pinned to; none for a workflow that is compiled in.
    pub digest: Option<Digest>,
    /// How many tasks it has.
    pub n_tasks: usize,
    /// How many of them completed, in it or in the run from which it was derived; none once its history was removed.
    pub n_completed: Option<usize>,
    /// The beginning of its id that is enough to name it in this database.
    pub short_id: String,
    /// Whether an engine drives it now; never one that has ended.
    pub is_driven: bool,
    /// The actor that asked for it, if one was named.
    pub created_by: Option<String>,
    /// Who took it off the list of dead letters.
    pub dismissed_by: Option<String>,
    /// When retention removed its input and what its tasks wrote.
    pub context_removed_at: Option<Timestamp>,
    /// When retention removed its history, and with it everything about its tasks.
    pub history_removed_at: Option<Timestamp>,
}

/// An engine that runs belong to.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RunOwner {
    /// Its machine.
    pub host: Option<String>,
    /// Its process.
    pub pid: Option<u32>,
    /// Until when nobody else may take its runs over; on a file as long as it lives.
    pub lease_until: Option<Timestamp>,
    /// Whether that moment has passed, so that another engine takes the runs over.
    pub is_overdue: bool,
}

/// One version of a workflow that the database knows.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct WorkflowRecord {
    /// Its full name.
    pub name: String,
    /// The tenant.
    pub tenant: String,
    /// The package; empty for a workflow that is compiled into a program.
    pub package: String,
    /// The version of the package, as long as it is registered.
    pub version: Option<String>,
    /// The content digest of the package; none for a workflow that is compiled into a program.
    pub digest: Option<Digest>,
    /// Where the version of the package stands; none once it is not registered any more.
    pub state: Option<PackageState>,
    /// What it consists of.
    pub descriptor: descriptor::Workflow,
}

impl Records {
    /// Opens a database for looking at it: the path of a SQLite file, `sqlite:` and a path, or the address of a
    /// PostgreSQL server.
    ///
    /// # Errors
    /// If there is no such database, or another version of this program wrote it.
    pub fn open(database: &str) -> Result<Self, Error> {
        Self::of(&Database::parse(database)?)
    }

    pub(crate) fn of(database: &Database) -> Result<Self, Error> {
        Ok(Self { view: View::open(database)? })
    }

    /// Writes a SQLite database, as it is at this moment, to a new file, which is checked before it gets its name; beside a
    /// living engine and without one. `told` hears of the progress and says whether to go on.
    ///
    /// # Errors
    /// [`StoreError::Backup`](crate::StoreError::Backup) if the file is there or cannot be written, if `told` ended it,
    /// or if the database is on a server, which has its own tools; else what the store says.
    pub fn backup(self, to: &Path, told: impl FnMut(BackupProgress) -> bool) -> Result<Backup, Error> {
        Ok(self.view.backup(to, told)?)
    }

    /// As [`Self::open`]; none if there is no such database yet, or nothing of Cloacina in it.
    ///
    /// # Errors
    /// If it is something else, or another version of this program wrote it.
    pub fn find(database: &str) -> Result<Option<Self>, Error> {
        match Self::open(database) {
            Err(Error::Store(store::Error::Absent { .. })) => Ok(None),
            opened => opened.map(Some),
        }
    }

    /// Whether an engine drives the database now, and in which process as far as that is known.
    ///
    /// # Errors
    /// What the store says.
    pub fn engine(&mut self) -> Result<Option<Option<u32>>, Error> {
        Ok(self.view.engine_find()?)
    }

    /// The engine that a run belongs to; none if it belongs to nobody who has not ended.
    ///
    /// # Errors
    /// What the store says.
    pub fn owner(&mut self, id: RunId) -> Result<Option<RunOwner>, Error> {
        let row = self.read("looking for an owner", |connection| Ok(Ok(store::owner_of_run(connection, id)?)))?;
        Ok(row.map(|row| {
            let store::OwnerRow { host, pid, lease_until, is_overdue } = row;
            RunOwner { host, pid: pid.and_then(|pid| u32::try_from(pid).ok()), lease_until, is_overdue }
        }))
    }

    /// The runs that fit, newest first, at most `n_max`.
    ///
    /// # Errors
    /// What the store says.
    pub fn runs(&mut self, filter: &RunFilter, n_max: usize) -> Result<Vec<RunSummary>, Error> {
        let known = self.read("listing workflows", store::workflow_list)?;
        let mut workflows = HashMap::new();
        let mut fitting = Vec::new();
        for row in known {
            if filter.fits(&row) {
                fitting.push(row.id);
            }
            let known = KnownWorkflow {
                name: row.key.full_name(),
                tenant: row.key.tenant.clone(),
                digest: row.key.content_digest(),
                n_tasks: parse(&row)?.tasks.len(),
            };
            workflows.insert(row.id, known);
        }
        let search = RunSearch {
            states: filter.states.clone(),
            workflows: (filter.workflow.is_some() || filter.tenant.is_some()).then_some(fitting),
            created_from: filter.created_from,
            created_before: filter.created_before,
            not_dismissed: filter.not_dismissed,
            ids: filter.ids,
            after: None,
            n_max: i64::try_from(n_max).unwrap_or(i64::MAX),
        };
        let rows = self.read("looking for runs", |connection| store::run_search(connection, &search))?;
        let ids: Vec<RunId> = rows.iter().map(|row| row.id).collect();
        let completed = self.read("counting tasks", |connection| store::run_count_completed(connection, &ids))?;
        let near = self.read("comparing ids", |connection| store::run_list_neighbors(connection, &ids))?;
        let driven = self.driven(rows.iter().filter(|row| !row.state.is_terminal()).map(|row| row.id).collect())?;
        let summaries = rows.into_iter().map(|row| {
            let short_id = row.id.short(near.get(&row.id).map_or(&[], Vec::as_slice));
            let is_driven = driven.contains(&row.id);
            summary(row, &workflows, &completed, short_id, is_driven)
        });
        Ok(summaries.collect())
    }

    /// Whether an engine drives that run now. One that has ended is driven by none.
    ///
    /// # Errors
    /// [`Error::UnknownRun`], or what the store says.
    pub fn is_driven(&mut self, id: RunId) -> Result<bool, Error> {
        Ok(!self.state(id)?.is_terminal() && !self.driven(vec![id])?.is_empty())
    }

    fn driven(&mut self, ids: Vec<RunId>) -> Result<HashSet<RunId>, Error> {
        Ok(self.view.run_list_driven(&ids)?)
    }

    /// A run and all its tasks as they are stored. The gates of a task leave out those of a living engine.
    ///
    /// # Errors
    /// [`Error::UnknownRun`], or what the store says.
    pub fn report(&mut self, id: RunId) -> Result<RunReport, Error> {
        let (run, workflow, rows) = self.stored(id)?;
        if let Some(report) = pruned_report(&stored_version(&workflow)?, &run, &rows) {
            return Ok(report);
        }
        let (record, _) = load(Arc::new(stored_version(&workflow)?), &run, rows)?;
        let mut report = RunReport::new(record.picture_at_gates())?;
        if let Some(gate) = self.quarantine_gate(&report, &workflow)? {
            let open = report.tasks.iter_mut().filter(|task| !task.state.is_terminal());
            open.for_each(|task| task.gates.push(gate.clone()));
        }
        if let Some(gate) = self.owner_gate(&report)? {
            let open = report.tasks.iter_mut().filter(|task| !task.state.is_terminal());
            open.for_each(|task| task.gates.push(gate.clone()));
        }
        Ok(report)
    }

    /// Why the package of the run must not be used now, if it must not.
    fn quarantine_gate(&mut self, report: &RunReport, workflow: &WorkflowRow) -> Result<Option<Gate>, Error> {
        let Ok(digest) = workflow.key.digest.as_slice().try_into().map(Digest::from_bytes) else { return Ok(None) };
        if report.state.is_terminal() {
            return Ok(None);
        }
        let packages = self.read("listing packages", store::package_list)?;
        let is_its = |row: &PackageRow| row.digest == digest && row.tenant == workflow.key.tenant;
        let quarantine = packages.into_iter().find(is_its).and_then(|row| row.quarantine);
        Ok(quarantine.map(|Quarantine { reason, until, .. }| Gate::Quarantined { reason, until }))
    }

    /// Whose the run is, if several engines may share the database.
    fn owner_gate(&mut self, report: &RunReport) -> Result<Option<Gate>, Error> {
        if report.state.is_terminal() || self.view.is_file() {
            return Ok(None);
        }
        Ok(self.owner(report.id)?.map(|owner| {
            let RunOwner { pid, host, lease_until, is_overdue: is_dead } = owner;
            Gate::Owner { pid, host, lease_until, is_dead }
        }))
    }

    /// Where a run stands.
    ///
    /// # Errors
    /// [`Error::UnknownRun`], or what the store says.
    pub fn state(&mut self, id: RunId) -> Result<State, Error> {
        let run = self.read("reading a run", |connection| store::run_get(connection, id))?;
        Ok(run.ok_or(Error::UnknownRun { id })?.state)
    }

    /// A run's history, from its beginning.
    ///
    /// # Errors
    /// As [`Self::report`].
    pub fn events(&mut self, id: RunId) -> Result<Vec<RunEvent>, Error> {
        let (_, workflow, rows) = self.stored(id)?;
        let secrets = Secrets::of_rows(&rows);
        Ok(records(&stored_version(&workflow)?, rows, &secrets))
    }

    /// Every version of every workflow that the database knows, by name, and the newest version first.
    ///
    /// # Errors
    /// What the store says.
    pub fn workflows(&mut self) -> Result<Vec<WorkflowRecord>, Error> {
        let mut rows = self.read("listing workflows", store::workflow_list)?;
        let packages = self.read("listing packages", store::package_list)?;
        rows.sort_by_cached_key(|row| (row.key.full_name(), std::cmp::Reverse(row.id)));
        let workflows = rows.into_iter().map(|row| {
            let digest = <[u8; 32]>::try_from(row.key.digest.as_slice()).ok().map(Digest::from_bytes);
            let package =
                packages.iter().find(|package| package.tenant == row.key.tenant && Some(package.digest) == digest);
            Ok(WorkflowRecord {
                name: row.key.full_name(),
                tenant: row.key.tenant.clone(),
                package: row.key.package.clone(),
                version: package.map(|package| package.version.clone()),
                digest,
                state: package.map(|package| package.state),
                descriptor: parse(&row)?,
            })
        });
        workflows.collect()
    }

    /// What the run's attempts wrote to their logs, in order; at most 10,000 lines at once. Lines that a living engine
    /// has not stored yet, which takes it less than a second, are not there.
    ///
    /// # Errors
    /// As [`Self::report`]; [`Error::UnknownTask`].
    pub fn logs(&mut self, id: RunId, filter: &LogFilter) -> Result<Vec<LogRecord>, Error> {
        let run = self.read("reading a run", |connection| store::run_get(connection, id))?;
        let run = run.ok_or(Error::UnknownRun { id })?;
        let workflow = self.read("reading a run", |connection| store::workflow_get(connection, run.workflow))?;
        let plan = stored_version(&workflow)?.plan;
        let search = filter.search(id, &plan)?;
        let rows = self.read("reading logs", |connection| store::log_list(connection, &search))?;
        Ok(rows.into_iter().map(|row| LogRecord::new(row, &plan)).collect())
    }

    /// Whom a tenant trusts to sign packages. Where it never said how many signatures it requires, an engine may require
    /// more than is shown here.
    ///
    /// # Errors
    /// What the store says.
    pub fn trust(&mut self, tenant: &str) -> Result<Trust, Error> {
        self.read("reading whom a tenant trusts", |connection| trust::read(connection, tenant, trust::REQUIRED_DEFAULT))
    }

    /// What happened to a tenant's trust, newest first, at most `n_max` events.
    ///
    /// # Errors
    /// What the store says.
    pub fn trust_events(&mut self, tenant: &str, n_max: u32) -> Result<Vec<TrustEvent>, Error> {
        self.read("reading events of trust", |connection| trust::events(connection, tenant, n_max.into()))
    }

    fn stored(&mut self, id: RunId) -> Result<(RunRow, WorkflowRow, Vec<EventRow>), Error> {
        let run = self.read("reading a run", |connection| store::run_get(connection, id))?;
        let run = run.ok_or(Error::UnknownRun { id })?;
        let rows = self.read("reading a run", |connection| store::event_list(connection, id))?;
        let workflow = self.read("reading a run", |connection| store::workflow_get(connection, run.workflow))?;
        Ok((run, workflow, rows))
    }

    pub(super) fn read<T>(
        &mut self,
        doing: &'static str,
        query: impl FnMut(&mut Connection) -> QueryResult<Result<T, store::Error>>,
    ) -> Result<T, Error> {
        Ok(self.view.read(doing, query)??)
    }
}

impl RunFilter {
    fn fits(&self, row: &WorkflowRow) -> bool {
        let full = row.key.full_name();
        let named = |name: &String| full == *name || full.ends_with(&format!("::{name}"));
        self.workflow.as_ref().is_none_or(named) && self.tenant.as_ref().is_none_or(|tenant| row.key.tenant == *tenant)
    }
}

/// What a summary says of its workflow.
#[derive(Clone, Default)]
struct KnownWorkflow {
    name: String,
    tenant: String,
    digest: Option<Digest>,
    n_tasks: usize,
}

fn summary(
    row: RunRow,
    workflows: &HashMap<WorkflowId, KnownWorkflow>,
    completed: &HashMap<RunId, i64>,
    short_id: String,
    is_driven: bool,
) -> RunSummary {
    let KnownWorkflow { name, tenant, digest, n_tasks } = workflows.get(&row.workflow).cloned().unwrap_or_default();
    let RunRow { id, state, created_at, started_at, finished_at, .. } = row;
    let counted = completed.get(&id).and_then(|count| usize::try_from(*count).ok()).unwrap_or_default();
    let n_completed = row.events_pruned_at.is_none().then_some(counted);
    RunSummary {
        status: RunStatus { id, workflow: name, state, created_at, started_at, finished_at },
        tenant,
        digest,
        n_tasks,
        n_completed,
        short_id,
        is_driven,
        created_by: row.created_by,
        dismissed_by: row.dismissed_by,
        context_removed_at: row.context_pruned_at,
        history_removed_at: row.events_pruned_at,
    }
}

fn parse(row: &WorkflowRow) -> Result<descriptor::Workflow, Error> {
    serde_json::from_str(&row.descriptor).map_err(|error| {
        let reason = format!("workflow {}: {error}", row.key.full_name());
        Error::Store(store::Error::Corrupt { reason })
    })
}

impl fmt::Debug for Records {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Records").field("view", &self.view).finish_non_exhaustive()
    }
}
