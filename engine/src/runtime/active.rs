//! A run in the driver's memory: its record, and where it stands between the core and the store.
//!
//! Only this file changes a run that is driven. Others are given pictures of it, or the record when the run has ended, as
//! nothing changes it any more.

use std::{collections::BTreeMap, mem, sync::Arc};

use cloacina_workflow::{TaskError, Timestamp};
use tokio::sync::watch;

use super::{
    catalog::{Version, Workflow},
    event::{Begin, Derived, Origin, Phase, Submission},
    history::{self, AttemptFacts, Reader, Stored},
    quarantine::Quarantines,
    runner::{AttemptKey, TaskRunner},
    secret::Secrets,
};
use crate::{
    core::{
        apply::{Refused, Run},
        decide::{Event, decide},
        effect::{Decision, Effect, FailReason, Transition},
        node::TaskIndex,
        replay, task,
    },
    id::RunId,
    store::{Commit, EventRow, NewRun, RunRow, RunUpdate},
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
    record: RunRecord,
    /// Absent while something is done to a run whose code is not there; then none of its tasks starts.
    runner: Option<Arc<dyn TaskRunner>>,
    /// The number of the next row in its history.
    next_sequence: i64,
    phase: watch::Sender<Phase>,
    /// When its time is over, if that is being waited for.
    limit: Option<Timestamp>,
    /// Commits of it that the store has not answered.
    n_pending: usize,
    /// Higher each time that commits which the store refused are handed over again.
    term: u32,
}

/// A run that has left the memory and goes on later.
#[derive(Debug)]
pub(super) struct Unloaded {
    /// The run as the store has it.
    pub(super) row: RunRow,
    pub(super) version: Arc<Version>,
    pub(super) phase: watch::Sender<Phase>,
}

impl ActiveRun {
    /// A run that goes on from where its history ends.
    pub(super) fn new(
        record: RunRecord,
        runner: Option<Arc<dyn TaskRunner>>,
        next_sequence: i64,
        phase: watch::Sender<Phase>,
    ) -> Self {
        Self { record, runner, next_sequence, phase, limit: None, n_pending: 0, term: 0 }
    }

    /// Begins a new run. Returns its first commit, too, and what follows from that.
    ///
    /// # Errors
    /// Why the run cannot be begun, which is a mistake of the engine.
    pub(super) fn begin(
        submission: Submission,
        quarantines: &Quarantines,
        epoch: i64,
        now: Timestamp,
    ) -> Result<(Self, Commit, Decision), String> {
        let Submission { id, workflow: Workflow { version, runner }, input, payload, created_at, begin, origin } =
            submission;
        let Origin { key, by, derived } = origin;
        let workflow = version.id;
        let run = Run::new(version.plan.clone(), &input);
        let secrets = Secrets::of(&input);
        let mut record = RunRecord { id, version, run, created_at, errors: BTreeMap::new(), secrets };
        quarantines.close_gate(&mut record, now);
        let mut active = Self::new(record, Some(runner), 1, watch::Sender::new(Phase::Active));
        let begun = match begin {
            Begin::Now => active.decide(Event::Start { by: None }, now),
            Begin::At(until) => active.decide(Event::Delay { until }, now),
            Begin::Held => Ok(Decision::default()),
        };
        let begun = begun.map_err(|refused| refused.to_string())?;
        let (mut commit, decision) = match derived {
            None => (active.commit(epoch, &begun, now, AttemptFacts::default()), begun),
            Some(derived) => active.derive(epoch, derived, begun, now)?,
        };
        commit.events.insert(0, history::created_row(created_at, payload));
        let (state, started_at) = (active.record.run.state(), active.record.run.started_at());
        let by = by.map(|by| by.as_ref().to_owned());
        commit.create = Some(NewRun { workflow, state, created_at, started_at, key, by });
        commit.update = commit.update.filter(|update| update.finished_at.is_some());
        Ok((active, commit, decision))
    }

    pub(super) fn record(&self) -> &RunRecord {
        &self.record
    }

    pub(super) fn version(&self) -> &Arc<Version> {
        &self.record.version
    }

    /// What runs its tasks, if that is there.
    pub(super) fn runner(&self) -> Option<&Arc<dyn TaskRunner>> {
        self.runner.as_ref()
    }

    pub(super) fn is_pipelined(&self) -> bool {
        self.record.version.plan.pipelined
    }

    pub(super) fn priority(&self, task: TaskIndex) -> i32 {
        self.record.version.plan.declared(task).priority
    }

    /// The tasks that run now.
    pub(super) fn running(&self) -> Vec<TaskIndex> {
        let running = self.record.run.numbered().filter(|(_, task)| task.state() == task::State::Running);
        running.map(|(number, _)| number).collect()
    }

    pub(super) fn decide(&mut self, event: Event, now: Timestamp) -> Result<Decision, Refused> {
        decide(&mut self.record.run, event, now)
    }

    /// Keeps why the last attempt of a task failed; nothing if it did not.
    pub(super) fn note_error(&mut self, task: TaskIndex, error: Option<Arc<TaskError>>) {
        match error {
            Some(error) => drop(self.record.errors.insert(task, error)),
            None => drop(self.record.errors.remove(&task)),
        }
    }

    pub(super) fn note_secrets(&mut self, secrets: Arc<Secrets>) {
        self.record.secrets = secrets;
    }

    /// Its time is over then.
    pub(super) fn note_limit(&mut self, at: Timestamp) {
        self.limit = Some(at);
    }

    /// A commit of it is on its way to the store.
    pub(super) fn note_queued(&mut self) {
        self.n_pending += 1;
    }

    /// The store has answered a commit of it.
    pub(super) fn note_answered(&mut self) {
        self.n_pending = self.n_pending.saturating_sub(1);
    }

    /// Whether the store has answered every commit of it.
    pub(super) fn is_answered(&self) -> bool {
        self.n_pending == 0
    }

    /// The term under which commits of it that the store refused are handed over again.
    pub(super) fn begin_term(&mut self) -> u32 {
        self.term += 1;
        self.term
    }

    /// The phase as the callers see it that wait for the run.
    pub(super) fn subscribe(&self) -> watch::Receiver<Phase> {
        self.phase.subscribe()
    }

    /// Tells the callers that wait for the run.
    pub(super) fn tell(&self, phase: Phase) {
        self.phase.send_replace(phase);
    }

    /// The trouble is over that the callers which wait for the run were told of.
    pub(super) fn tell_active(&self) {
        be_active(&self.phase);
    }

    /// The run has ended, durably. Returns when its time would have been over, if that was waited for.
    pub(super) fn end(self) -> Option<Timestamp> {
        self.phase.send_replace(Phase::Ended(Arc::new(self.record)));
        self.limit
    }

    /// Takes the run out of memory, where it has not ended.
    pub(super) fn unload(self) -> Unloaded {
        Unloaded { row: self.record.row(), version: self.record.version, phase: self.phase }
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

    /// The commit of a note that an attempt ended after it had been given up; none once the run has ended, as nothing
    /// follows its end.
    pub(super) fn commit_fenced(
        &mut self,
        epoch: i64,
        key: AttemptKey,
        at: Timestamp,
        completed: bool,
    ) -> Option<Commit> {
        if self.record.run.state().is_terminal() {
            return None;
        }
        let row = history::fenced_row(self.next_sequence, key.task, key.attempt, at, completed);
        self.next_sequence += 1;
        Some(Commit { run: key.run, epoch, term: self.term, create: None, events: vec![row], update: None })
    }

    /// Gives a run that has just begun what completed in the run from which it is derived. Returns the commit of all that
    /// together, and what follows from it.
    fn derive(
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
            self.record.secrets = mem::take(&mut self.record.secrets).with_row(&row);
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
        // What is reused takes the place of what the start has begun.
        let recovered = replay::recover(&mut self.record.run, true, now).map_err(|refused| refused.to_string())?;
        debug_assert!(
            recovered.transitions.is_empty(),
            "invariant: nothing of a run that has just begun was interrupted"
        );
        Ok((commit, Decision { transitions, effects: recovered.effects }))
    }

    /// Decides about the result of a task in the run from which this one is derived; nothing if it is of no use, because
    /// the rules decided otherwise with another input.
    fn reuse(&mut self, row: &EventRow, now: Timestamp) -> Result<Option<Decision>, String> {
        let read = Reader::new(&self.record.version.plan).read(row).map_err(|damage| damage.to_string())?;
        let Some(Stored {
            transition: Transition::TaskReused { task, attempt, started_at, finished_at, delta }, ..
        }) = read
        else {
            return Err(format!("row {} has no result", row.sequence));
        };
        match self.decide(Event::Reuse { task, attempt, started_at, finished_at, delta }, now) {
            Ok(decision) => Ok(Some(decision)),
            Err(Refused::Task(_)) => Ok(None),
            Err(refused) => Err(refused.to_string()),
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
            // Nothing that is decided depends on the actor.
            created_by: None,
            dismissed_by: None,
        }
    }
}

/// Tells the callers that wait for a run that its trouble is over, if they were told of one.
pub(super) fn be_active(phase: &watch::Sender<Phase>) {
    phase.send_if_modified(|phase| {
        let was_lost = matches!(phase, Phase::Lost(_));
        if was_lost {
            *phase = Phase::Active;
        }
        was_lost
    });
}
