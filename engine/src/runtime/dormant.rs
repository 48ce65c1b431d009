//! Runs that wait for their code, and what can be done with them all the same.
//!
//! A workflow that is compiled into a program is there only while the program runs, a package may be gone. Whoever
//! asks something of such a run gets it done: the run is read with the description that the store keeps, changed, and
//! put back. None of its tasks starts meanwhile.

use std::{mem, sync::Arc};

use tokio::sync::{oneshot, watch};

use super::{
    active::{ActiveRun, RunRecord},
    catalog::{Catalog, Version, Workflow},
    driver::Driver,
    event::{Action, Inspected, Phase},
};
use crate::{
    Error,
    core::effect::Actor,
    id::RunId,
    store::{Error as StoreError, RunRow},
};

/// A run that waits for its code.
#[derive(Debug)]
pub(super) struct Dormant {
    pub(super) row: RunRow,
    /// Whether no attempt was left without an end.
    pub(super) closed_in_order: bool,
    pub(super) is_loading: bool,
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
        let phase = watch::Sender::new(Phase::Active);
        Self { row, closed_in_order, is_loading: false, phase, asked: Vec::new(), inspectors: Vec::new() }
    }
}

impl Driver {
    /// Reads a run without its code, to do what is asked of it.
    pub(super) fn wake_for(&mut self, asked: Asked, run: RunId) {
        let Some(dormant) = self.dormant.get_mut(&run) else { return };
        let Some(version) = self.versions.get(&dormant.row.workflow).cloned() else {
            // Its description is damaged. Whoever asked may have stopped waiting.
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
            (Some(active), _) => Inspected::Live(active.record.picture_live(&self.slots())),
            (None, Some(dormant)) if dormant.is_loading => return dormant.inspectors.push(answer),
            (None, Some(_)) => Inspected::Dormant,
            (None, None) => Inspected::Elsewhere,
        };
        // Whoever asked may have stopped waiting.
        answer.send(inspected).ok();
    }

    /// Histories could not be read: tells those who asked.
    pub(super) fn stay_dormant(&mut self, runs: &[RunId], error: StoreError) {
        tracing::error!(%error, "histories cannot be read, their runs wait until their package or the engine comes anew");
        let source = Arc::new(error);
        for run in runs {
            let Some(dormant) = self.dormant.get_mut(run) else { continue };
            dormant.is_loading = false;
            let (asked, inspectors) = (mem::take(&mut dormant.asked), mem::take(&mut dormant.inspectors));
            for (.., answer) in asked {
                // Whoever asked may have stopped waiting.
                answer.send(Err(Error::RunLost { id: *run, source: source.clone() })).ok();
            }
            for answer in inspectors {
                self.inspect(*run, answer);
            }
        }
    }

    /// Puts a run without code back, once everything that was decided of it is durable.
    pub(super) fn put_back(&mut self, run: RunId) {
        let has_no_code = |active: &ActiveRun| active.runner.is_none();
        if !self.runs.get(&run).is_some_and(has_no_code) || self.pending.iter().any(|pending| pending.run == run) {
            return;
        }
        let Some(ActiveRun { record, phase, .. }) = self.runs.remove(&run) else { return };
        let version = record.version.clone();
        let dormant = Dormant {
            row: record.row(),
            // What may have been running has been recorded as interrupted.
            closed_in_order: true,
            is_loading: false,
            phase,
            asked: Vec::new(),
            inspectors: Vec::new(),
        };
        self.dormant.insert(run, dormant);
        let arrived = self.catalog.version(version.id).or_else(|| self.catalog.continuing(&version));
        if let Some(workflow) = arrived {
            self.load(&workflow);
        }
    }
}

impl RunRecord {
    /// The run as the store has it.
    fn row(&self) -> RunRow {
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
            // Nothing that is decided depends on who asked.
            created_by: None,
            dismissed_by: None,
        }
    }
}

impl Catalog {
    /// The active version of the workflow, if it can go on with runs of that one.
    pub(super) fn continuing(&self, version: &Version) -> Option<Workflow> {
        let active = self.resolve(&version.key.full_name()).ok()?;
        active.version.continues(version).then_some(active)
    }
}
