//! The driver: the one thread that owns every run in memory and decides what happens next.
//!
//! It takes what has queued up, decides, and hands all transitions to the store in one message; effects wait in
//! `pending` until the store answers. It never touches the disk itself and never runs user code. When nothing is
//! queued and no timer is set it is blocked.

use std::{
    collections::{HashMap, VecDeque},
    sync::{
        Arc,
        atomic::Ordering,
        mpsc::{Receiver, RecvTimeoutError, Sender},
    },
    time::Duration,
};

use cloacina_workflow::{TaskError, Timestamp};
use tokio::sync::{oneshot, watch};

use super::{
    active::{ActiveRun, RunRecord},
    catalog::{Version, Workflow},
    event::{Event, Inspected, Phase, Submission},
    history::{self, AttemptFacts},
    notice::{Notice, NoticeKind},
    runner::{Attempt, AttemptKey, Completion, Ended, Surroundings},
    timer::{Timer, Timers},
};
use crate::{
    Error,
    core::{
        admit::Admission,
        decide::{self, End, Run, decide},
        effect::{Decision, Effect, FailReason, Transition},
        rule::SkipReason,
        task,
    },
    id::{RunId, WorkflowId},
    store::{
        Commit, Committer, Error as StoreError, EventRow, NewRun, Outcome, RunRow, RunUpdate, Store,
        epoch_close_in_txn, event_list,
    },
};

/// Events that are decided before their transitions are handed on. Enough to fill a group, few enough not to keep
/// the first of them waiting.
const BATCH_MAX: usize = 1024;

/// Runs whose histories are read in one go after a restart.
const LOAD_MAX: usize = 256;

/// The owner of all runs in memory.
pub(super) struct Driver {
    pub(super) surroundings: Arc<Surroundings>,
    pub(super) store: Store,
    pub(super) committer: Option<Committer>,
    pub(super) epoch: i64,
    /// Whether the engine before left no attempt without an end.
    pub(super) closed_in_order: bool,
    pub(super) runs: HashMap<RunId, ActiveRun>,
    /// Unfinished runs whose code or history is not there yet.
    pub(super) dormant: HashMap<RunId, Dormant>,
    /// What dormant runs are pinned to.
    pub(super) versions: HashMap<WorkflowId, Arc<Version>>,
    pub(super) admission: Admission,
    pub(super) timers: Timers,
    /// Decided in this batch, not handed on yet.
    pub(super) commits: Vec<Commit>,
    /// What follows from each commit that the store has not answered, in order.
    pub(super) pending: VecDeque<Pending>,
    pub(super) stopping: Stopping,
    /// Whether the history lacks something that happened, so that the next engine must assume the worst.
    pub(super) is_incomplete: bool,
}

/// A run that waits for its code.
#[derive(Debug)]
pub(super) struct Dormant {
    pub(super) row: RunRow,
    pub(super) is_loading: bool,
    pub(super) phase: watch::Sender<Phase>,
}

/// What is to be done when a commit is durable.
pub(super) struct Pending {
    run: RunId,
    answer: Option<oneshot::Sender<Result<watch::Receiver<Phase>, Error>>>,
    decision: Decision,
    at: Timestamp,
}

/// How far shutting down is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stopping {
    No,
    /// Attempts may finish; nothing new starts.
    Draining,
    /// What still runs has been recorded as interrupted.
    Abandoned,
}

impl Driver {
    /// Serves until the engine has stopped.
    pub(super) fn run(mut self, queue: &Receiver<Event>) -> Stopped {
        loop {
            let first = match self.timers.earliest() {
                None => queue.recv().map_err(|_| RecvTimeoutError::Disconnected),
                Some(at) => queue.recv_timeout(until(self.now(), at)),
            };
            let now = self.now();
            match first {
                Ok(event) => self.handle(event, now),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => break,
            }
            for _ in 1..BATCH_MAX {
                match queue.try_recv() {
                    Ok(event) => self.handle(event, now),
                    Err(_) => break,
                }
            }
            while let Some(timer) = self.timers.pop_due(now) {
                match timer {
                    Timer::ShutdownDeadline => self.abandon(now),
                }
            }
            self.admit(now);
            self.flush();
            if self.is_done() {
                break;
            }
        }
        self.close()
    }

    fn now(&self) -> Timestamp {
        self.surroundings.clock.now()
    }

    fn handle(&mut self, event: Event, now: Timestamp) {
        match event {
            Event::Submit(submission) => self.submit(*submission, now),
            Event::Ended(ended) => self.end(*ended),
            Event::Committed(outcomes) => {
                for outcome in outcomes {
                    self.committed(outcome, now);
                }
            }
            Event::WorkflowAdded(workflow) => self.load(&workflow),
            Event::Loaded { workflow, runs } => self.loaded(&workflow, runs, now),
            Event::Watch { run, answer } => {
                let phase = self.runs.get(&run).map(|active| &active.phase);
                let phase = phase.or_else(|| self.dormant.get(&run).map(|dormant| &dormant.phase));
                // Whoever asked may have stopped waiting, here and below.
                answer.send(phase.map(watch::Sender::subscribe)).ok();
            }
            Event::Inspect { run, answer } => {
                let inspected = match self.runs.get(&run) {
                    Some(active) => Inspected::Live(active.record.picture(Some(&self.admission))),
                    None if self.dormant.contains_key(&run) => Inspected::Dormant,
                    None => Inspected::Elsewhere,
                };
                answer.send(inspected).ok();
            }
            Event::Stop { grace } => self.stop(grace, now),
            Event::WriterGone => self.lose_everything(),
        }
    }

    fn submit(&mut self, submission: Submission, now: Timestamp) {
        let Submission { id, workflow, input, payload, created_at, answer } = submission;
        if self.stopping != Stopping::No {
            answer.send(Err(Error::ShutDown)).ok();
            return;
        }
        let Workflow { version, runner } = workflow;
        let workflow = version.id;
        let mut run = Run::new(version.plan.clone(), &input);
        let decision = match decide(&mut run, decide::Event::Start, now) {
            Ok(decision) => decision,
            Err(refused) => {
                tracing::error!(run.id = %id, %refused, "a new run could not be started");
                return;
            }
        };
        let record = RunRecord { id, version, run, created_at, errors: Default::default() };
        let mut active = ActiveRun { record, runner, next_sequence: 1, phase: watch::Sender::new(Phase::Active) };
        let mut commit = active.commit(self.epoch, &decision, now, None);
        commit.events.insert(0, history::created_row(created_at, payload));
        commit.create = Some(NewRun { workflow, state: active.record.run.state(), created_at, started_at: Some(now) });
        self.runs.insert(id, active);
        self.queue(commit, Pending { run: id, answer: Some(answer), decision, at: now });
    }

    fn end(&mut self, ended: Ended) {
        let Ended { key, result, payload, started_at, finished_at } = ended;
        self.admission.release();
        let Some(active) = self.runs.get_mut(&key.run) else { return };
        let (end, error) = match result {
            Ok(delta) => (End::Completed(delta), None),
            Err(error) => (End::Failed(FailReason::Attempt), Some(error)),
        };
        let event = decide::Event::End { task: key.task, attempt: key.attempt, end };
        match decide(&mut active.record.run, event, finished_at) {
            Ok(decision) => {
                if let Some(error) = error {
                    active.record.errors.insert(key.task, Arc::new(error));
                }
                let facts = AttemptFacts { payload, started_at: Some(started_at) };
                let commit = active.commit(self.epoch, &decision, finished_at, Some(facts));
                self.queue(commit, Pending { run: key.run, answer: None, decision, at: finished_at });
            }
            // A late end of an attempt that was given up changes nothing.
            Err(refused) => tracing::warn!(run.id = %key.run, task = key.task, %refused, "an attempt's end is ignored"),
        }
    }

    /// Gives free slots to those who wait for one.
    fn admit(&mut self, now: Timestamp) {
        if self.stopping != Stopping::No {
            return;
        }
        while let Some(candidate) = self.admission.admit() {
            let Some(active) = self.runs.get_mut(&candidate.run) else {
                self.admission.release();
                continue;
            };
            match decide(&mut active.record.run, decide::Event::Admit { task: candidate.task }, now) {
                Ok(decision) => self.enact(candidate.run, decision, now),
                Err(refused) => {
                    tracing::error!(run.id = %candidate.run, %refused, "a task could not be admitted");
                    self.admission.release();
                }
            }
        }
    }

    /// Stores a decision if it must be, otherwise performs it at once.
    fn enact(&mut self, run: RunId, decision: Decision, now: Timestamp) {
        if decision.transitions.is_empty() {
            self.perform(run, &decision.effects, now);
            return;
        }
        if let Some(active) = self.runs.get_mut(&run) {
            let commit = active.commit(self.epoch, &decision, now, None);
            self.queue(commit, Pending { run, answer: None, decision, at: now });
        }
    }

    fn queue(&mut self, commit: Commit, pending: Pending) {
        self.commits.push(commit);
        self.pending.push_back(pending);
    }

    fn flush(&mut self) {
        if self.commits.is_empty() {
            return;
        }
        let commits = std::mem::take(&mut self.commits);
        let sent = self.committer.as_ref().is_some_and(|committer| committer.commit(commits).is_ok());
        if !sent {
            self.lose_everything();
        }
    }

    /// Does what was to be done once the oldest commit is durable.
    fn committed(&mut self, outcome: Outcome, now: Timestamp) {
        let Some(Pending { run, answer, decision, at }) = self.pending.pop_front() else {
            tracing::error!("the store answered a commit that was not made");
            return;
        };
        match outcome {
            Outcome::Committed => {
                if let (Some(answer), Some(active)) = (answer, self.runs.get(&run)) {
                    // The run goes on even if whoever submitted it has gone.
                    answer.send(Ok(active.phase.subscribe())).ok();
                }
                self.announce(run, &decision.transitions, at);
                self.perform(run, &decision.effects, now);
            }
            Outcome::Fenced | Outcome::Duplicate => {
                tracing::warn!(run.id = %run, "another engine has taken over the run");
                if let Some(answer) = answer {
                    answer.send(Err(Error::Fenced { id: run })).ok();
                }
                self.lose(run, Phase::Fenced);
            }
            Outcome::Failed(error) => {
                if let Some(answer) = answer {
                    answer.send(Err(Error::RunLost { id: run, source: error.clone() })).ok();
                }
                if self.runs.contains_key(&run) {
                    tracing::error!(run.id = %run, %error, "the store failed, the run stops until the next start");
                }
                self.is_incomplete = true;
                self.lose(run, Phase::Lost(error));
            }
        }
    }

    fn perform(&mut self, run: RunId, effects: &[Effect], now: Timestamp) {
        for effect in effects {
            match *effect {
                Effect::Offer { task } => {
                    if let Some(active) = self.runs.get(&run) {
                        let priority = active.record.version.plan.task(task).priority;
                        self.admission.offer(run, task, priority);
                    }
                }
                Effect::Perform { task, attempt } => self.start(AttemptKey { run, task, attempt }, now),
                Effect::Finish => {
                    if let Some(ActiveRun { record, phase, .. }) = self.runs.remove(&run) {
                        phase.send_replace(Phase::Ended(Arc::new(record)));
                    }
                }
            }
        }
    }

    fn start(&mut self, key: AttemptKey, now: Timestamp) {
        let Some(active) = self.runs.get(&key.run) else {
            self.admission.release();
            return;
        };
        let plan = active.record.version.plan.clone();
        let task = plan.task(key.task).id.clone();
        self.put(key.run, Some((&task, key.attempt)), now, || NoticeKind::Started);
        let started_at = active.record.run.tasks()[key.task as usize].started_at.unwrap_or(now);
        let completion = Completion::new(key, task, started_at, self.surroundings.clone());
        match active.record.run.view(key.task) {
            Some(view) => active.runner.start(Attempt { key, plan, view: view.clone(), completion }),
            None => {
                let message = "the task has no view of the context".to_owned();
                completion.complete(Err(TaskError::Permanent { message }));
            }
        }
    }

    /// Tells listeners what has become durable.
    fn announce(&self, run: RunId, transitions: &[Transition], at: Timestamp) {
        if !self.surroundings.board.is_watched() {
            return;
        }
        let Some(active) = self.runs.get(&run) else { return };
        let name = |task: u32| active.record.version.plan.task(task).id.clone();
        for transition in transitions {
            let (about, kind) = match transition {
                Transition::RunStarted => (None, NoticeKind::RunStarted),
                Transition::RunFinished { state } => (None, NoticeKind::RunFinished { state: *state }),
                Transition::AttemptStarted { .. } => continue,
                Transition::AttemptInterrupted { task, attempt } => (Some((*task, *attempt)), NoticeKind::Interrupted),
                Transition::TaskCompleted { task, attempt } => (Some((*task, *attempt)), NoticeKind::Completed),
                Transition::TaskFailed { task, attempt, .. } => {
                    let Some(error) = active.record.errors.get(task) else { continue };
                    (Some((*task, *attempt)), NoticeKind::Failed { error: (**error).clone() })
                }
                Transition::TaskSkipped { task, reason: SkipReason::UpstreamFailed { dependency } } => {
                    (Some((*task, 0)), NoticeKind::Skipped { because_of: name(*dependency) })
                }
                Transition::ContextConflict(conflict) => {
                    let (winner, loser) = (name(conflict.winner), name(conflict.loser));
                    (None, NoticeKind::ContextConflict { key: conflict.key.clone(), winner, loser })
                }
            };
            let about = about.map(|(task, attempt)| (name(task), attempt));
            self.put(run, about.as_ref().map(|(task, attempt)| (task, *attempt)), at, || kind);
        }
    }

    fn put(&self, run: RunId, about: Option<(&Arc<str>, u32)>, at: Timestamp, kind: impl FnOnce() -> NoticeKind) {
        let board = &self.surroundings.board;
        if board.is_watched() {
            let (task, attempt) = about.map_or((None, 0), |(task, attempt)| (Some(task.clone()), attempt));
            board.put(Notice { run, task, attempt, at, kind: kind() });
        }
    }

    /// Reads the histories of those who waited for that workflow.
    fn load(&mut self, workflow: &Workflow) {
        if self.stopping != Stopping::No {
            return;
        }
        let versions = &self.versions;
        let mut rows = Vec::new();
        for dormant in self.dormant.values_mut().filter(|dormant| !dormant.is_loading) {
            let version = versions.get(&dormant.row.workflow);
            if version.is_some_and(|version| workflow.version.continues(version)) {
                dormant.is_loading = true;
                rows.push(dormant.row.clone());
            }
        }
        rows.sort_by_key(|row| row.id);
        for rows in rows.chunks(LOAD_MAX) {
            let (rows, workflow, events) = (rows.to_vec(), workflow.clone(), self.surroundings.events.clone());
            let queued = self.store.read_detached(move |connection| {
                let load = |row: RunRow| Ok(event_list(connection, row.id)?.map(|events| (row, events)));
                let runs: diesel::QueryResult<Vec<_>> = rows.into_iter().map(load).collect();
                let runs = runs.map_err(|error| StoreError::from_diesel("reading histories", error));
                let runs = runs.and_then(|runs| runs.into_iter().collect());
                // Without a driver nobody waits for the histories.
                events.send(Event::Loaded { workflow, runs }).ok();
            });
            if let Err(error) = queued {
                tracing::error!(%error, "histories cannot be read");
            }
        }
    }

    /// Goes on with runs from where their histories end.
    fn loaded(&mut self, workflow: &Workflow, runs: Result<Vec<(RunRow, Vec<EventRow>)>, StoreError>, now: Timestamp) {
        let runs = match runs {
            Ok(runs) => runs,
            Err(error) => {
                tracing::error!(%error, "histories cannot be read, their runs wait until the next start");
                return;
            }
        };
        if self.stopping != Stopping::No {
            return;
        }
        for (row, events) in runs {
            let Some(Dormant { phase, .. }) = self.dormant.remove(&row.id) else { continue };
            let (record, next_sequence) = match history::load(workflow.version.clone(), &row, events) {
                Ok(loaded) => loaded,
                Err(error) => {
                    tracing::error!(run.id = %row.id, %error, "the run cannot go on");
                    phase.send_replace(Phase::Lost(Arc::new(error)));
                    continue;
                }
            };
            let runner = workflow.runner.clone();
            let mut active = ActiveRun { record, runner, next_sequence, phase };
            match decide::recover(&mut active.record.run, self.closed_in_order, now) {
                Ok(decision) => {
                    self.runs.insert(row.id, active);
                    self.enact(row.id, decision, now);
                }
                Err(refused) => tracing::error!(run.id = %row.id, %refused, "the run cannot go on"),
            }
        }
    }

    fn stop(&mut self, grace: Duration, now: Timestamp) {
        if self.stopping == Stopping::Abandoned {
            return;
        }
        self.stopping = Stopping::Draining;
        if grace.is_zero() {
            self.abandon(now);
        } else {
            let grace = u64::try_from(grace.as_micros()).unwrap_or(u64::MAX);
            let deadline = Timestamp::from_unix_micros(now.unix_micros().saturating_add(grace));
            self.timers.set(deadline, Timer::ShutdownDeadline);
        }
    }

    /// Records what still runs as interrupted; whatever it does from now on counts no more.
    fn abandon(&mut self, now: Timestamp) {
        if self.stopping == Stopping::Abandoned {
            return;
        }
        self.stopping = Stopping::Abandoned;
        self.surroundings.is_stopping.store(true, Ordering::Relaxed);
        let running = |active: &ActiveRun| {
            let tasks = active.record.run.tasks().iter().zip(0..);
            let running = tasks.filter(|(task, _)| task.state == task::State::Running).map(|(_, number)| number);
            running.collect::<Vec<u32>>()
        };
        let attempts: Vec<(RunId, Vec<u32>)> = self.runs.iter().map(|(id, active)| (*id, running(active))).collect();
        for (run, tasks) in attempts {
            for task in tasks {
                let Some(active) = self.runs.get_mut(&run) else { break };
                match decide(&mut active.record.run, decide::Event::Interrupt { task }, now) {
                    Ok(decision) => self.enact(run, decision, now),
                    Err(refused) => tracing::error!(run.id = %run, task, %refused, "an attempt cannot be abandoned"),
                }
            }
        }
    }

    fn lose(&mut self, run: RunId, phase: Phase) {
        if let Some(active) = self.runs.remove(&run) {
            active.phase.send_replace(phase);
        }
    }

    /// The store is gone: nothing that happens now can be recorded.
    fn lose_everything(&mut self) {
        if self.committer.take().is_none() {
            return;
        }
        tracing::error!("the store's writer is gone, the engine stops");
        self.is_incomplete = true;
        self.stopping = Stopping::Abandoned;
        self.surroundings.is_stopping.store(true, Ordering::Relaxed);
        self.commits.clear();
        self.pending.clear();
        self.runs.clear();
    }

    fn is_done(&self) -> bool {
        let nothing_runs = match self.stopping {
            Stopping::No => false,
            Stopping::Draining => self.admission.n_running() == 0,
            Stopping::Abandoned => true,
        };
        nothing_runs && self.pending.is_empty() && self.commits.is_empty()
    }

    /// Notes that everything is recorded, and closes the store.
    fn close(mut self) -> Stopped {
        let epoch = self.epoch;
        if !self.is_incomplete {
            let noted = self.store.write_blocking("closing", move |connection| epoch_close_in_txn(connection, epoch));
            if let Err(error) = noted {
                tracing::warn!(%error, "the next start will assume that attempts were interrupted");
            }
        }
        self.committer = None;
        Stopped { store: self.store, has_abandoned: self.admission.n_running() > 0 }
    }
}

/// What is left to be closed after the driver has ended.
pub(super) struct Stopped {
    pub(super) store: Store,
    /// Whether an attempt may still be running.
    pub(super) has_abandoned: bool,
}

impl ActiveRun {
    /// The commit of a decision about this run.
    fn commit(&mut self, epoch: i64, decision: &Decision, at: Timestamp, attempt: Option<AttemptFacts>) -> Commit {
        let plan = self.record.version.plan.clone();
        let events = history::rows(&plan, &mut self.next_sequence, &decision.transitions, at, attempt);
        let mut update = None;
        for transition in &decision.transitions {
            match transition {
                Transition::RunFinished { state } => {
                    update = Some(RunUpdate { state: *state, started_at: None, finished_at: Some(at) });
                }
                Transition::TaskFailed { task, reason: FailReason::Interrupted, .. } => {
                    let error = history::interrupted_error(&plan, *task);
                    self.record.errors.insert(*task, Arc::new(error));
                }
                _ => {}
            }
        }
        Commit { run: self.record.id, epoch, create: None, events, update }
    }
}

fn until(now: Timestamp, at: Timestamp) -> Duration {
    Duration::from_micros(at.unix_micros().saturating_sub(now.unix_micros()))
}

/// Sends the store's outcomes to the driver, and tells it if the writer goes away.
pub(super) struct Answering {
    pub(super) events: Sender<Event>,
}

impl Drop for Answering {
    fn drop(&mut self) {
        // Without a driver the writer has ended in order.
        self.events.send(Event::WriterGone).ok();
    }
}
