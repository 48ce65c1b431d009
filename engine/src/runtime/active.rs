//! A run in the driver's memory, and what is shown of it to others.
//!
//! Only the driver changes a run. Others are given pictures: copies of handles and states of one moment, which are
//! decoded where they are wanted. A run that has ended is shared as it is, as nothing changes it any more.

use std::{collections::BTreeMap, sync::Arc};

use cloacina_workflow::{TaskError, Timestamp};
use tokio::sync::watch;

use super::{
    catalog::Version,
    event::{Derived, Phase},
    history::{self, AttemptFacts, Reader, Stored},
    runner::TaskRunner,
    secret::Secrets,
};
use crate::{
    core::{
        admit::Admission,
        apply::{Refused, Run},
        context::{Key, Value},
        decide::{Event, decide},
        effect::{Decision, Effect, FailReason, Transition},
        explain::{self, gates},
        node::{NodeId, TaskIndex},
        replay, run,
        stage::Task,
        task,
    },
    id::RunId,
    store::{Commit, EventRow, RunUpdate},
    view::GateHolder,
};

/// A run with what the core does not need to know of it.
#[derive(Debug)]
pub(crate) struct RunRecord {
    pub(crate) id: RunId,
    pub(crate) version: Arc<Version>,
    pub(crate) run: Run,
    pub(crate) created_at: Timestamp,
    /// Why tasks failed, by number.
    pub(crate) errors: BTreeMap<TaskIndex, Arc<TaskError>>,
    /// What must not be told of it.
    pub(crate) secrets: Arc<Secrets>,
}

/// A run that this engine drives now.
#[derive(Debug)]
pub(super) struct ActiveRun {
    pub(super) record: RunRecord,
    /// Absent while something is done to a run whose code is not there; then none of its tasks starts.
    pub(super) runner: Option<Arc<dyn TaskRunner>>,
    /// The number of the next row in its history.
    pub(super) next_sequence: i64,
    pub(super) phase: watch::Sender<Phase>,
    /// When its time is over, if that is being waited for.
    pub(super) limit: Option<Timestamp>,
    /// Commits of it that the store has not answered.
    pub(super) n_pending: usize,
    /// Higher each time that commits which the store refused are handed over again.
    pub(super) term: u32,
}

/// A gate in the run, or the one outside of it.
#[derive(Clone, Debug)]
pub(crate) enum PictureGate {
    Core(explain::Gate),
    Slot { running: usize, slots: usize, held_by: Vec<GateHolder> },
}

/// The slots of an engine as a picture shows them.
#[derive(Debug)]
pub(super) struct Slots<'a> {
    pub(super) admission: &'a Admission,
    /// Some of those who hold a slot.
    pub(super) held_by: Vec<GateHolder>,
}

/// A run as it was at one moment; only handles are copied to make one.
#[derive(Debug)]
pub(crate) struct Picture {
    pub(crate) id: RunId,
    pub(crate) version: Arc<Version>,
    pub(crate) state: run::State,
    pub(crate) created_at: Timestamp,
    pub(crate) started_at: Option<Timestamp>,
    pub(crate) finished_at: Option<Timestamp>,
    /// By number, each with the gates that it waits at.
    pub(crate) tasks: Vec<(Task, Vec<PictureGate>)>,
    pub(crate) errors: BTreeMap<TaskIndex, Arc<TaskError>>,
    pub(crate) deltas: BTreeMap<NodeId, BTreeMap<Key, Option<Value>>>,
    pub(crate) context: BTreeMap<Key, (Option<NodeId>, Value)>,
    /// What is not to be shown of it.
    pub(crate) secrets: Arc<Secrets>,
}

impl ActiveRun {
    /// The run, if its tasks can be started.
    pub(super) fn with_code(&self) -> Option<(&Self, Arc<dyn TaskRunner>)> {
        self.runner.clone().map(|runner| (self, runner))
    }

    /// The commit of a decision about this run. `facts` are what the attempt left that the decision ends.
    pub(super) fn commit(&mut self, epoch: i64, decision: &Decision, at: Timestamp, facts: AttemptFacts) -> Commit {
        let plan = Arc::clone(&self.record.version.plan);
        let events = history::to_rows(&plan, &mut self.next_sequence, &decision.transitions, at, facts);
        for transition in &decision.transitions {
            if let Transition::TaskFailed { task, reason: FailReason::Interrupted, .. } = transition {
                self.record.errors.insert(*task, Arc::new(history::interrupted_error(&plan, *task)));
            }
        }
        let run = &self.record.run;
        let (started_at, finished_at) = (run.started_at(), run.finished_at());
        let is_moved = decision.transitions.iter().any(Transition::moves_run);
        let update = is_moved.then(|| RunUpdate { state: run.state(), started_at, finished_at });
        Commit { run: self.record.id, epoch, term: self.term, create: None, events, update }
    }

    /// Gives a run that has just begun what completed in the run from which it is derived. Returns the commit of all that
    /// together, and what follows from it.
    pub(super) fn derive(
        &mut self,
        epoch: i64,
        derived: Derived,
        begun: Decision,
        now: Timestamp,
    ) -> Result<(Commit, Decision), String> {
        let derived_row = history::derived_row(self.next_sequence, now, &derived);
        self.next_sequence += 1;
        let mut commit = self.commit(epoch, &begun, now, AttemptFacts::default());
        commit.events.insert(0, derived_row);
        let mut transitions = begun.transitions;
        for row in derived.reused {
            let Some(decision) = self.reuse(&row, now)? else { continue };
            self.record.secrets = std::mem::take(&mut self.record.secrets).with_row(&row);
            let usage = history::usage(&row);
            let facts = AttemptFacts { payload: row.payload, usage, ..AttemptFacts::default() };
            let next = self.commit(epoch, &decision, now, facts);
            commit.events.extend(next.events);
            commit.update = next.update.or(commit.update);
            transitions.extend(decision.transitions);
        }
        if self.record.run.state().is_terminal() {
            // The rules let nothing run, with the other input.
            return Ok((commit, Decision { transitions, effects: vec![Effect::Finish] }));
        }
        // What is reused takes the place of what the start has offered.
        let offered = replay::recover(&mut self.record.run, true, now).map_err(|refused| refused.to_string())?;
        debug_assert!(
            offered.transitions.is_empty(),
            "invariant: nothing of a run that has just begun was interrupted"
        );
        Ok((commit, Decision { transitions, effects: offered.effects }))
    }

    /// Decides about the result of a task in the run from which this one is derived; nothing if it is of no use, because
    /// the rules decided otherwise with another input.
    fn reuse(&mut self, row: &EventRow, now: Timestamp) -> Result<Option<Decision>, String> {
        let read = Reader::new(&self.record.version.plan).read(row).map_err(|damage| damage.to_string())?;
        let Some(Stored {
            transition: Transition::TaskReused { task, attempt, started_at, finished_at, delta }, ..
        }) = read
        else {
            return Err(format!("row {} tells of no result", row.sequence));
        };
        match decide(&mut self.record.run, Event::Reuse { task, attempt, started_at, finished_at, delta }, now) {
            Ok(decision) => Ok(Some(decision)),
            Err(Refused::Task(_)) => Ok(None),
            Err(refused) => Err(refused.to_string()),
        }
    }
}

impl RunRecord {
    /// What can be seen of a run that nobody drives.
    pub(crate) fn picture(&self) -> Picture {
        self.picture_with(|_| Vec::new())
    }

    /// The same, with the gates of the run itself. There is no engine here whose slots a task could wait for.
    pub(crate) fn picture_at_gates(&self) -> Picture {
        self.picture_with(|task| gates(&self.run, task).into_iter().map(PictureGate::Core).collect())
    }

    /// What can be seen of a run that is being driven.
    pub(super) fn picture_live(&self, slots: &Slots<'_>) -> Picture {
        self.picture_with(|task| {
            let mut waits_at: Vec<_> = gates(&self.run, task).into_iter().map(PictureGate::Core).collect();
            if self.run.tasks()[task.place()].state() == task::State::Ready && waits_at.is_empty() {
                let Slots { admission, held_by } = slots;
                let (running, slots) = (admission.n_running(), admission.slots());
                waits_at.push(PictureGate::Slot { running, slots, held_by: held_by.clone() });
            }
            waits_at
        })
    }

    fn picture_with(&self, gates: impl Fn(TaskIndex) -> Vec<PictureGate>) -> Picture {
        let tasks = self.run.numbered().map(|(number, task)| (task.clone(), gates(number)));
        Picture {
            id: self.id,
            version: self.version.clone(),
            state: self.run.state(),
            created_at: self.created_at,
            started_at: self.run.started_at(),
            finished_at: self.run.finished_at(),
            tasks: tasks.collect(),
            errors: self.errors.clone(),
            deltas: self.run.deltas(),
            context: self.run.context(),
            secrets: Arc::clone(&self.secrets),
        }
    }
}
