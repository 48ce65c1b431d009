//! Runs that wait for their code or for their history, and what can be done with them all the same.
//!
//! A workflow that is compiled into a program is there only while the program runs, a package may be gone. A caller that
//! asks something of such a run has it done: the run is read with the description that the store keeps, changed, and
//! put back. None of its tasks starts meanwhile.

use tokio::sync::{oneshot, watch};

use super::{
    active::{ActiveRun, RunRecord},
    catalog::{Catalog, Version, Workflow},
    driver::Driver,
    event::{Action, Inspected, Phase},
    stall::Trouble,
};
use crate::{Error, core::effect::Actor, id::RunId, store::RunRow};

/// A run that waits for its code, or for its history.
#[derive(Debug)]
pub(super) struct Dormant {
    pub(super) row: RunRow,
    /// Whether no attempt was left without an end.
    pub(super) closed_in_order: bool,
    pub(super) is_loading: bool,
    /// Why its history could not be read, and when that is tried again.
    pub(super) trouble: Option<Trouble>,
    pub(super) phase: watch::Sender<Phase>,
    /// What was asked while its history is being read.
    pub(super) asked: Vec<Asked>,
    /// Who wants to know how it stands, as soon as its history has been read.
    pub(super) inspectors: Vec<oneshot::Sender<Inspected>>,
}

/// A request, who it comes from, and who waits for the answer.
pub(super) type Asked = (Action, Actor, oneshot::Sender<Result<(), Error>>);

impl Dormant {
    pub(super) fn new(row: RunRow, closed_in_order: bool) -> Self {
        Self::told(row, closed_in_order, watch::Sender::new(Phase::Active))
    }

    /// The same, for whose end somebody waits.
    pub(super) fn told(row: RunRow, closed_in_order: bool, phase: watch::Sender<Phase>) -> Self {
        let (asked, inspectors) = (Vec::new(), Vec::new());
        Self { row, closed_in_order, is_loading: false, trouble: None, phase, asked, inspectors }
    }
}

impl Driver {
    /// Reads a run without its code, to do what is asked of it.
    pub(super) fn wake_for(&mut self, asked: Asked, run: RunId) {
        let Some(dormant) = self.dormant.get_mut(&run) else { return };
        let Some(version) = self.versions.get(&dormant.row.workflow).cloned() else {
            // Its description is damaged. The caller may have stopped waiting.
            asked.2.send(Err(Error::CodeMissing { id: run })).ok();
            return;
        };
        dormant.is_loading = true;
        dormant.asked.push(asked);
        let row = dormant.row.clone();
        self.read_histories(vec![row], version, None);
    }

    /// Says how a run stands. One whose history is being read has its code: it is answered when it has been read.
    pub(super) fn inspect(&mut self, run: RunId, answer: oneshot::Sender<Inspected>) {
        let inspected = match (self.runs.get(&run), self.dormant.get_mut(&run)) {
            (Some(active), _) => match self.stall_gate(run) {
                // What is in memory is ahead of what is durable, which is what is shown.
                Some(gate) => Inspected::Waiting(gate),
                None => Inspected::Live(active.record.picture_live(&self.slots())),
            },
            (None, Some(dormant)) => match &dormant.trouble {
                Some(trouble) => Inspected::Waiting(trouble.gate(true)),
                None if dormant.is_loading => return dormant.inspectors.push(answer),
                None => Inspected::Dormant,
            },
            (None, None) => Inspected::Elsewhere,
        };
        // The caller may have stopped waiting.
        answer.send(inspected).ok();
    }

    /// Puts a run without code back, once everything that was decided of it is durable.
    pub(super) fn put_back(&mut self, run: RunId) {
        let is_ready = |active: &ActiveRun| active.runner.is_none() && active.n_pending == 0;
        if !self.runs.get(&run).is_some_and(is_ready) || self.stalls.contains_key(&run) {
            return;
        }
        let Some(ActiveRun { record, phase, .. }) = self.runs.remove(&run) else { return };
        let version = record.version.clone();
        // What may have been running has been recorded as interrupted.
        self.dormant.insert(run, Dormant::told(record.row(), true, phase));
        if let Some(workflow) = self.catalog.code_for(&version) {
            self.load(&workflow);
        }
    }
}

impl RunRecord {
    /// The run as the store has it.
    pub(super) fn row(&self) -> RunRow {
        RunRow {
            id: self.id,
            workflow: self.version.id,
            state: self.run.state(),
            created_at: self.created_at,
            started_at: self.run.started_at(),
            finished_at: self.run.finished_at(),
            // Nothing is removed of a run that has not ended.
            context_pruned_at: None,
            events_pruned_at: None,
            // Nothing that is decided depends on the actor.
            created_by: None,
            dismissed_by: None,
        }
    }
}

impl Catalog {
    /// What can go on with runs of that version.
    pub(super) fn code_for(&self, version: &Version) -> Option<Workflow> {
        self.version(version.id).or_else(|| self.continuing(version))
    }

    /// The active version of the workflow, if it can go on with runs of that one.
    pub(super) fn continuing(&self, version: &Version) -> Option<Workflow> {
        let active = self.resolve(&version.key.full_name()).ok()?;
        active.version.continues(version).then_some(active)
    }
}
