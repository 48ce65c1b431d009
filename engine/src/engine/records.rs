//! What a database holds, for those who only look: no engine is started, no run goes on, nothing changes.
//!
//! It works beside a living engine and without one. What is shown is what was durable when each call began; only what
//! an engine keeps in memory, such as who holds the slots, is not there.

use std::{collections::HashMap, fmt, path::Path, sync::Arc};

use cloacina_workflow::Timestamp;

use super::{handle::Engine, logs::LogFilter};
use crate::{
    Error, RegistryError,
    api::{self, Briefs, Caller, Page, RunFilter, RunPage},
    core::run::State,
    id::RunId,
    runtime::{Secrets, load, pruned_report, records, stored_version},
    store::{
        self, Backup, BackupProgress, Connection, Database, EventRow, JobError, Quarantine, RunRow, View, WorkflowRow,
    },
    trust::{self, Trust},
    view::{Gate, LogRecord, RunEvent, RunReport, RunSummary, TrustEvent},
};

/// Ids that are shortened by one statement. SQLite takes 32,766 values.
const SHORT_IDS_MAX: usize = 1_000;

/// A database as one who looks sees it.
pub struct Records {
    view: View,
    pub(super) caller: Caller,
    /// What lists tell of workflows.
    briefs: Briefs,
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

impl Engine {
    /// The records of the engine's database, as the caller sees them. It blocks while it connects to a server.
    ///
    /// # Errors
    /// As [`Records::open`].
    pub fn records(&self) -> Result<Records, Error> {
        Ok(Records::of(self.shared.store().database())?.on_behalf_of(self.caller.clone()))
    }
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
        Ok(Self { view: View::open(database)?, caller: Caller::library(), briefs: Briefs::default() })
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
        self.seen_run(id)?;
        let row = self.read("looking for an owner", |connection| store::owner_of_run(connection, id))?;
        Ok(row.map(|row| {
            let store::OwnerRow { host, pid, lease_until, is_overdue } = row;
            RunOwner { host, pid: pid.and_then(|pid| u32::try_from(pid).ok()), lease_until, is_overdue }
        }))
    }

    /// The same records, as that caller sees them.
    #[must_use]
    pub fn on_behalf_of(self, caller: Caller) -> Self {
        Self { caller, ..self }
    }

    /// The runs that fit, newest first, at most `n_max`.
    ///
    /// # Errors
    /// What the store says.
    pub fn runs(&mut self, filter: &RunFilter, n_max: usize) -> Result<Vec<RunSummary>, Error> {
        Ok(self.list(filter, &Page::first(n_max))?.runs)
    }

    /// The runs that fit, newest first, a page of them.
    ///
    /// # Errors
    /// What the store says.
    pub fn list(&mut self, filter: &RunFilter, page: &Page) -> Result<RunPage, Error> {
        let (scope, briefs) = (self.caller.scope().clone(), self.briefs.clone());
        let page = self.read("listing runs", |connection| api::list(connection, &scope, filter, page, &briefs))?;
        Ok(page.of_file(|| self.view.is_file_driven()))
    }

    /// For each run the beginning of its id that is enough to name it in this database, for people. A run that the
    /// caller does not see is left out.
    ///
    /// # Errors
    /// What the store says.
    pub fn short_ids(&mut self, ids: &[RunId]) -> Result<HashMap<RunId, String>, Error> {
        let scope = self.caller.scope().clone();
        let mut short = HashMap::with_capacity(ids.len());
        for ids in ids.chunks(SHORT_IDS_MAX) {
            let near =
                self.read("looking for similar ids", |connection| store::run_list_neighbors(connection, &scope, ids))?;
            short.extend(near.iter().map(|(id, others)| (*id, id.short(others))));
        }
        Ok(short)
    }

    /// Whether an engine drives that run now. One that has ended is driven by none.
    ///
    /// # Errors
    /// [`Error::UnknownRun`], or what the store says.
    pub fn is_driven(&mut self, id: RunId) -> Result<bool, Error> {
        if self.state(id)?.is_terminal() {
            return Ok(false);
        }
        match self.view.is_file_driven() {
            Some(is_driven) => Ok(is_driven),
            None => self.read("looking for engines", |connection| store::run_is_driven(connection, id)),
        }
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
        let mut report = RunReport::new(record.snapshot_with_gates())?;
        if let Some(gate) = self.quarantine_gate(&report, &workflow)? {
            report.add_gate(&gate);
        }
        if let Some(gate) = self.owner_gate(&report)? {
            report.add_gate(&gate);
        }
        Ok(report)
    }

    /// Why the package of the run must not be used now, if it must not.
    fn quarantine_gate(&mut self, report: &RunReport, workflow: &WorkflowRow) -> Result<Option<Gate>, Error> {
        let Some(digest) = workflow.key.content_digest() else { return Ok(None) };
        if report.state.is_terminal() {
            return Ok(None);
        }
        let tenant = &workflow.key.tenant;
        let package = self.read("reading a package", |connection| store::package_find(connection, tenant, digest))?;
        Ok(package
            .and_then(|found| found.row.quarantine)
            .map(|Quarantine { reason, until, .. }| Gate::Quarantined { reason, until }))
    }

    /// Whose the run is, if several engines may share the database.
    fn owner_gate(&mut self, report: &RunReport) -> Result<Option<Gate>, Error> {
        if report.state.is_terminal() || self.view.is_file() {
            return Ok(None);
        }
        Ok(self.owner(report.id)?.map(|owner| {
            let RunOwner { pid, host, lease_until, is_overdue } = owner;
            if is_overdue { Gate::OwnerDead { pid, host, lease_until } } else { Gate::Owner { pid, host, lease_until } }
        }))
    }

    /// Where a run stands.
    ///
    /// # Errors
    /// [`Error::UnknownRun`], or what the store says.
    pub fn state(&mut self, id: RunId) -> Result<State, Error> {
        Ok(self.seen_run(id)?.0.state)
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

    /// What the run's attempts wrote to their logs, in order; at most 10,000 lines at once. Lines that a living engine
    /// has not stored yet, which takes it less than a second, are not there.
    ///
    /// # Errors
    /// As [`Self::report`]; [`Error::UnknownTask`].
    pub fn logs(&mut self, id: RunId, filter: &LogFilter) -> Result<Vec<LogRecord>, Error> {
        let (_, workflow) = self.seen_run(id)?;
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
        RegistryError::check_tenant(&self.caller, tenant)?;
        self.read("reading the trusted keys of a tenant", |connection| {
            trust::read(connection, tenant, trust::REQUIRED_DEFAULT)
        })
    }

    /// What happened to a tenant's trust, newest first, at most `n_max` events.
    ///
    /// # Errors
    /// What the store says.
    pub fn trust_events(&mut self, tenant: &str, n_max: u32) -> Result<Vec<TrustEvent>, Error> {
        RegistryError::check_tenant(&self.caller, tenant)?;
        self.read("reading events of trust", |connection| trust::events(connection, tenant, n_max.into()))
    }

    fn stored(&mut self, id: RunId) -> Result<(RunRow, WorkflowRow, Vec<EventRow>), Error> {
        let (run, workflow) = self.seen_run(id)?;
        let rows = self.read("reading a run", |connection| store::event_list(connection, id))?;
        Ok((run, workflow, rows))
    }

    /// The run with its workflow, unless it is of a tenant that the caller does not see.
    pub(super) fn seen_run(&mut self, id: RunId) -> Result<(RunRow, WorkflowRow), Error> {
        let scope = self.caller.scope().clone();
        let found = self.read("reading a run", |connection| store::run_find(connection, &scope, id))?;
        found.ok_or(Error::UnknownRun { id })
    }

    pub(crate) fn read<T, E: Into<JobError>>(
        &mut self,
        doing: &'static str,
        query: impl FnMut(&mut Connection) -> Result<T, E>,
    ) -> Result<T, Error> {
        Ok(self.view.read(doing, query)?)
    }
}

impl fmt::Debug for Records {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Records").field("view", &self.view).finish_non_exhaustive()
    }
}
