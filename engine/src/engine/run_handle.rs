//! The handle of one run: wait for its end, read its state and its history.
//!
//! A handle reads the driver's memory while the engine drives the run, and the store otherwise;
//! it is the same either way, because a stored run is rebuilt by the decisions that made it.

use std::sync::{Arc, Weak};

use cloacina_workflow::{Context, Value, payload::SECRET_MARK};
use tokio::sync::{oneshot, watch};

use super::handle::{Shared, alive};
use crate::{
    Error,
    api::Caller,
    core::run,
    id::RunId,
    runtime::{Event, Inspected, Phase, RunRecord, Secrets, load, pruned_report, records, stored_version},
    store::{self, EventRow, JobResult, RunRow, WorkflowRow},
    view::{Gate, RunEvent, RunReport, RunStatus, TaskReport},
};

/// The run and all its tasks as its rows tell.
pub(super) fn report_of_stored(run: &RunRow, workflow: &WorkflowRow, rows: Vec<EventRow>) -> Result<RunReport, Error> {
    let version = Arc::new(stored_version(workflow)?);
    if let Some(report) = pruned_report(&version, run, &rows) {
        return Ok(report);
    }
    let (record, _) = load(version, run, rows)?;
    Ok(RunReport::new(record.snapshot_with_gates())?)
}

/// A handle of one run. It does not keep the engine alive.
#[derive(Clone, Debug)]
pub struct RunHandle {
    id: RunId,
    pub(super) shared: Weak<Shared>,
    pub(super) caller: Caller,
    /// Known from the start for a run that was submitted through this handle.
    phase: Option<watch::Receiver<Phase>>,
    /// With which it is run again; its own if none is named.
    version: Option<String>,
}

impl RunHandle {
    pub(crate) fn new(id: RunId, shared: Weak<Shared>, caller: Caller, phase: Option<watch::Receiver<Phase>>) -> Self {
        Self { id, shared, caller, phase, version: None }
    }

    /// A handle that runs the run again with another version of its package: the name of the version, or
    /// `sha256:` and the first digits of its digest. A result is taken over only if its task exists there and depends on
    /// the same tasks.
    #[must_use]
    pub fn on_version(self, version: impl Into<String>) -> Self {
        Self { version: Some(version.into()), ..self }
    }

    pub(super) fn version(&self) -> Option<&str> {
        self.version.as_deref()
    }

    /// The run's id.
    #[must_use]
    pub fn id(&self) -> RunId {
        self.id
    }

    /// Waits until the run has ended, in any state.
    ///
    /// # Errors
    /// [`Error::ShutDown`] if the engine stops before; the run continues at the next start. [`Error::NotDriven`] if
    /// another engine drives the run, [`Error::Registry`] if this one cannot use its package and leaves it to others,
    /// [`Error::Undriven`] if no engine drives it.
    /// [`Error::RunLost`] if the store has failed for a while; the engine tries again, and so may the caller.
    pub async fn wait(&self) -> Result<RunReport, Error> {
        let Some(mut phase) = self.phase().await? else {
            let report = self.report().await?;
            if report.state.is_terminal() {
                return Ok(report);
            }
            let shared = alive(&self.shared)?;
            return Err(self.not_driven(&shared).await?);
        };
        let ended = phase.wait_for(|phase| !matches!(phase, Phase::Active)).await;
        let ended = ended.map_err(|_| Error::ShutDown)?.clone();
        match ended {
            Phase::Ended(record) => Ok(RunReport::new(record.snapshot())?),
            Phase::Lost(source) => Err(Error::RunLost { id: self.id, source }),
            Phase::Fenced => Err(Error::Fenced { id: self.id }),
            Phase::Active => Err(Error::ShutDown),
        }
    }

    /// The run and all its tasks as they are now.
    ///
    /// # Errors
    /// [`Error::ShutDown`], or the error of the store.
    pub async fn report(&self) -> Result<RunReport, Error> {
        if let Some(record) = self.ended() {
            return Ok(RunReport::new(record.snapshot())?);
        }
        let shared = alive(&self.shared)?;
        let (answer, answered) = oneshot::channel();
        shared.engine.send(Event::Inspect { run: self.id, answer })?;
        match answered.await.map_err(|_| Error::ShutDown)? {
            Inspected::Live(snapshot) => Ok(RunReport::new(snapshot)?),
            Inspected::Elsewhere => self.stored_report(&shared).await,
            Inspected::Dormant => {
                let mut report = self.stored_report(&shared).await?;
                let tenant = report.workflow.split("::").next().unwrap_or_default();
                let problem = report.digest.and_then(|digest| shared.registry().problem_of(tenant, digest));
                let missing = match problem {
                    Some(problem) => Gate::Withheld { reason: problem.advice() },
                    None => Gate::PackageMissing { workflow: report.workflow.clone() },
                };
                report.close(&missing);
                Ok(report)
            }
            Inspected::Waiting(gate) => {
                let mut report = self.stored_report(&shared).await?;
                report.close(&gate);
                Ok(report)
            }
        }
    }

    /// The status of the run.
    ///
    /// # Errors
    /// As [`Self::report`].
    pub async fn state(&self) -> Result<run::State, Error> {
        Ok(self.status().await?.state)
    }

    /// A summary of the run.
    ///
    /// # Errors
    /// As [`Self::report`].
    pub async fn status(&self) -> Result<RunStatus, Error> {
        Ok(self.report().await?.status)
    }

    /// The tasks in the order of the source.
    ///
    /// # Errors
    /// As [`Self::report`].
    pub async fn tasks(&self) -> Result<Vec<TaskReport>, Error> {
        Ok(self.report().await?.tasks)
    }

    /// The input overlaid with the values of the tasks that have completed so far.
    ///
    /// # Errors
    /// As [`Self::report`].
    pub async fn context(&self) -> Result<Context<Value>, Error> {
        Ok(self.report().await?.context)
    }

    /// The stored history of the run.
    ///
    /// # Errors
    /// As [`Self::report`].
    pub async fn events(&self) -> Result<Vec<RunEvent>, Error> {
        let (_, workflow, rows) = self.stored(&*alive(&self.shared)?).await?;
        let secrets = Secrets::of_rows(&rows);
        Ok(records(&stored_version(&workflow)?, rows, &secrets))
    }

    /// Where the run's end is told; nowhere if this engine does not drive it.
    pub(super) async fn phase(&self) -> Result<Option<watch::Receiver<Phase>>, Error> {
        match &self.phase {
            // Once this engine has let it go, it may have got it back since.
            Some(phase) if !matches!(*phase.borrow(), Phase::Fenced | Phase::Lost(_)) => Ok(Some(phase.clone())),
            Some(_) | None => self.watch().await,
        }
    }

    /// The same handle, which hears of the run's end even if the engine stops right after it.
    pub(crate) async fn watched(self) -> Result<Self, Error> {
        let phase = self.phase().await?;
        Ok(Self { phase, ..self })
    }

    /// At most so many events of the history, from that sequence on; read row by row of the workflow's names, not rebuilt.
    pub(super) async fn events_from(&self, first: i64, n_max: i64) -> Result<Vec<RunEvent>, Error> {
        let (id, shared) = (self.id, alive(&self.shared)?);
        let read = shared.store().read("reading a history", move |connection| {
            let Some(run) = store::run_get(connection, id)? else { return Ok(None) };
            let workflow = store::workflow_get(connection, run.workflow)?;
            let created = store::event_payload_first(connection, id)?;
            let marked = store::event_payload_list_with(connection, id, SECRET_MARK)?;
            let rows = store::event_list_from(connection, id, first, n_max)?;
            JobResult::Ok(Some((workflow, (created, marked), rows)))
        });
        let (workflow, (created, marked), rows) = read.await?.ok_or(Error::UnknownRun { id })?;
        let input = Secrets::of_payload(created.as_deref());
        let secrets = marked.iter().fold(input, |secrets, payload| secrets.with_payload(payload));
        let secrets = rows.iter().fold(secrets, Secrets::with_row);
        Ok(records(&stored_version(&workflow)?, rows, &secrets))
    }

    async fn watch(&self) -> Result<Option<watch::Receiver<Phase>>, Error> {
        let (answer, answered) = oneshot::channel();
        alive(&self.shared)?.engine.send(Event::Watch { run: self.id, answer })?;
        answered.await.map_err(|_| Error::ShutDown)
    }

    fn ended(&self) -> Option<Arc<RunRecord>> {
        match &*self.phase.as_ref()?.borrow() {
            Phase::Ended(record) => Some(record.clone()),
            Phase::Active | Phase::Lost(_) | Phase::Fenced => None,
        }
    }

    async fn stored_report(&self, shared: &Shared) -> Result<RunReport, Error> {
        let (run, workflow, rows) = self.stored(shared).await?;
        report_of_stored(&run, &workflow, rows)
    }

    /// Why this engine does not drive the run, which has not ended: another one does, or it cannot use the package and
    /// leaves the run to one that can.
    pub(super) async fn not_driven(&self, shared: &Shared) -> Result<Error, Error> {
        let id = self.id;
        let read = shared.store().read("looking for an owner", move |connection| store::owner_of_run(connection, id));
        let has_owner = read.await?.is_some_and(|owner| !owner.is_overdue);
        let workflow = self.stored_workflow(shared).await?;
        if has_owner {
            return Ok(Error::NotDriven { id });
        }
        let refusal = shared.registry().refusal_of(&workflow.key);
        Ok(refusal.map_or(Error::Undriven { id }, Error::Registry))
    }

    /// The workflow that the run is pinned to.
    pub(super) async fn stored_workflow(&self, shared: &Shared) -> Result<WorkflowRow, Error> {
        let id = self.id;
        let read = shared.store().read("reading a run", move |connection| {
            let Some(run) = store::run_get(connection, id)? else { return Ok(None) };
            store::workflow_get(connection, run.workflow).map(Some)
        });
        read.await?.ok_or(Error::UnknownRun { id })
    }

    pub(super) async fn stored(&self, shared: &Shared) -> Result<(RunRow, WorkflowRow, Vec<EventRow>), Error> {
        let id = self.id;
        let read = shared.store().read("reading a run", move |connection| {
            let Some(run) = store::run_get(connection, id)? else { return Ok(None) };
            let workflow = store::workflow_get(connection, run.workflow)?;
            store::event_list(connection, id).map(|rows| Some((run, workflow, rows)))
        });
        read.await?.ok_or(Error::UnknownRun { id })
    }
}
