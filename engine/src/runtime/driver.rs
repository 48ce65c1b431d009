//! The driver: the one thread that owns every run in memory and decides what happens next.
//!
//! It takes what has queued up, decides, and hands all transitions to the store in one message; effects wait in
//! `pending` until the store answers. It never touches the disk itself and never runs user code. When nothing is
//! queued and no timer is set it is blocked.

use std::{
    collections::{BTreeMap, HashMap, VecDeque, hash_map::Entry},
    sync::{
        Arc,
        atomic::Ordering,
        mpsc::{Receiver, RecvTimeoutError, Sender},
    },
    time::Duration,
};

use cloacina_workflow::Timestamp;
use tokio::sync::{oneshot, watch};

use super::{
    active::{ActiveRun, RunRecord},
    attempt::Underway,
    catalog::{Catalog, Version, Workflow, stored_version},
    dormant::{Asked, Dormant},
    event::{Begin, Event, Inspected, NotSubmitted, Origin, Phase, Submission},
    history::{self, AttemptFacts},
    jobs::Jobs,
    notice::{Notice, NoticeKind, told},
    ownership::{Ownership, Step},
    runner::{AttemptKey, Surroundings},
    secret::Secrets,
    stall::Stall,
    timer::{Timer, Timers},
    upkeep::Upkeep,
};
use crate::{
    Error,
    clock::until,
    core::{
        admit::{Admission, Role},
        apply::{Refused, Run},
        decide::{self, decide},
        effect::{Decision, Effect, Transition},
        node::TaskIndex,
        stage::Quarantine,
        task,
    },
    id::{RunId, WorkflowId},
    store::{Commit, Committer, Error as StoreError, NewRun, Orphan, Outcome, TakenOver},
};

/// Events that are decided before their transitions are handed on. Enough to fill a group, few enough not to keep
/// the first of them waiting.
const BATCH_MAX: usize = 1024;

/// The owner of all runs in memory.
pub(super) struct Driver {
    pub(super) surroundings: Arc<Surroundings>,
    pub(super) jobs: Jobs,
    pub(super) committer: Option<Committer>,
    pub(super) ownership: Ownership,
    pub(super) catalog: Arc<Catalog>,
    pub(super) runs: HashMap<RunId, ActiveRun>,
    /// Unfinished runs whose code or history is not there yet.
    pub(super) dormant: HashMap<RunId, Dormant>,
    /// What dormant runs are pinned to.
    pub(super) versions: HashMap<WorkflowId, Arc<Version>>,
    /// Workflows whose package must not be used now.
    pub(super) quarantines: HashMap<WorkflowId, Quarantine>,
    pub(super) admission: Admission,
    pub(super) timers: Timers,
    /// Attempts and callbacks that hold a slot.
    pub(super) underway: HashMap<AttemptKey, Underway>,
    /// How long an attempt that was asked to stop may take to do so.
    pub(super) stop_grace: Duration,
    /// Attempts that were given up and have not ended since.
    pub(super) n_abandoned: usize,
    /// Decided in this batch, not handed on yet.
    pub(super) commits: Vec<Commit>,
    /// What follows from each commit that the store has not answered, in order.
    pub(super) pending: VecDeque<Pending>,
    /// Runs of which the store refused commits, which are kept.
    pub(super) stalls: HashMap<RunId, Stall>,
    pub(super) upkeep: Upkeep,
    pub(super) stopping: Stopping,
    /// Runs that seem to stand still, and since when.
    #[cfg(debug_assertions)]
    pub(super) suspects: HashMap<RunId, Timestamp>,
    /// Whether the history lacks something that happened, so that the next engine must assume the worst.
    pub(super) is_incomplete: bool,
}

/// What is to be done when a commit is durable.
#[derive(Debug)]
pub(super) struct Pending {
    pub(super) run: RunId,
    /// The epoch under which it was decided.
    pub(super) epoch: i64,
    pub(super) answer: Option<Answer>,
    decision: Decision,
    at: Timestamp,
}

impl Pending {
    /// Nothing follows but that the order is kept.
    pub(super) fn nothing(run: RunId, epoch: i64, at: Timestamp) -> Self {
        Self { run, epoch, answer: None, decision: Decision::default(), at }
    }

    /// How many slots are held for attempts that are to start when it is durable.
    pub(super) fn n_slots(&self) -> usize {
        self.decision.effects.iter().filter(|effect| matches!(effect, Effect::Perform { .. })).count()
    }
}

/// Who waits for a commit.
#[derive(Debug)]
pub(super) enum Answer {
    Submitted(oneshot::Sender<Result<watch::Receiver<Phase>, NotSubmitted>>),
    Controlled(oneshot::Sender<Result<(), Error>>),
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
    /// Serves until the engine has stopped. Returns whether an attempt may still be running.
    pub(super) fn run(mut self, queue: &Receiver<Event>) -> bool {
        loop {
            let first = match queue.try_recv() {
                Ok(event) => Ok(event),
                Err(_) => self.sleep(queue),
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
                self.ring(timer, now);
            }
            self.admit(now);
            self.flush(now);
            if self.is_done() {
                break;
            }
        }
        self.close()
    }

    /// Waits for the next event, or until the earliest timer is due.
    fn sleep(&mut self, queue: &Receiver<Event>) -> Result<Event, RecvTimeoutError> {
        #[cfg(debug_assertions)]
        self.check_that_nothing_stands_still(self.now());
        match self.timers.earliest() {
            None => queue.recv().map_err(|_| RecvTimeoutError::Disconnected),
            Some(at) => queue.recv_timeout(until(self.now(), at)),
        }
    }

    fn now(&self) -> Timestamp {
        self.surroundings.clock.now()
    }

    pub(super) fn handle(&mut self, event: Event, now: Timestamp) {
        if self.ownership.must_wait(&event, |run| self.has(run)) {
            return self.ownership.defer(event);
        }
        match event {
            Event::Submit(submission) => self.submit(*submission, now),
            Event::Ended(ended) => self.end(*ended),
            Event::Control { run, action, by, answer } if self.ownership.is_idle() && !self.has(run) => {
                self.claim(run, (action, by, answer));
            }
            Event::Control { run, action, by, answer } => self.control(run, action, by, answer, now),
            Event::Claimed { run, claimed, asked } => self.claimed(run, claimed, *asked, now),
            Event::Committed(outcomes) => {
                for outcome in outcomes {
                    self.committed(outcome, now);
                }
            }
            Event::WorkflowAdded(workflow) => {
                self.load(&workflow);
                let step = self.ownership.workflow_added();
                self.follow(step, now);
            }
            Event::Quarantine { workflows, quarantine } => self.quarantine(workflows, quarantine.as_ref(), now),
            Event::Seek { answer } => {
                let step = self.ownership.seek(answer);
                self.follow(step, now);
            }
            Event::Orphaned { epochs } => {
                let step = self.ownership.orphaned(&epochs);
                self.follow(step, now);
            }
            Event::TakenOver { epoch, taken } => {
                let steps = self.ownership.taken_over(epoch, taken, now, &mut self.timers);
                self.follow(steps, now);
            }
            Event::EpochEnded { epoch } => self.end_epoch(epoch, Phase::Fenced, now),
            Event::EpochBegun { before, begun } => {
                let steps = self.ownership.epoch_begun(before, begun, now, &mut self.timers);
                self.follow(steps, now);
            }
            // Of runs that were taken over from this engine, and perhaps are its own again.
            Event::Loaded { epoch, .. } if epoch != self.ownership.epoch() => {}
            Event::Loaded { version, runner, runs, .. } => self.loaded(&version, runner.as_ref(), runs, now),
            Event::Watch { run, answer } => {
                let phase = self.runs.get(&run).map(|active| &active.phase);
                let phase = phase.or_else(|| self.dormant.get(&run).map(|dormant| &dormant.phase));
                // The caller may have stopped waiting, here and below.
                answer.send(phase.map(watch::Sender::subscribe)).ok();
            }
            Event::Inspect { run, answer } => self.inspect(run, answer),
            Event::Stop { grace } => self.stop(grace, now),
            Event::FinishedCounted(counted) => self.finished_counted(counted, now),
            Event::Pruned(step) => self.pruned(step, now),
            Event::WriterGone => self.lose_everything(now),
        }
    }

    /// Whether the run is this engine's, as far as it knows.
    fn has(&self, run: RunId) -> bool {
        self.runs.contains_key(&run) || self.dormant.contains_key(&run)
    }

    pub(super) fn submit(&mut self, submission: Submission, now: Timestamp) {
        // It would have waited for an epoch.
        let Some(epoch) = self.ownership.epoch().filter(|_| self.stopping == Stopping::No) else {
            // The caller may have stopped waiting.
            submission.answer.send(Err(NotSubmitted::Failed(Error::ShutDown))).ok();
            return;
        };
        let Submission { id, workflow, input, payload, created_at, begin, origin, answer } = submission;
        let Origin { key, by, derived } = origin;
        let by = by.map(|by| by.as_ref().to_owned());
        let Workflow { version, runner } = workflow;
        let workflow = version.id;
        let run = Run::new(version.plan.clone(), &input);
        let secrets = Secrets::of(&input);
        let record = RunRecord { id, version, run, created_at, errors: BTreeMap::new(), secrets };
        let mut active = ActiveRun {
            record,
            runner: Some(runner),
            next_sequence: 1,
            phase: watch::Sender::new(Phase::Active),
            limit: None,
            n_pending: 0,
            term: 0,
        };
        self.close_gate(&mut active.record, now);
        let begun = match begin {
            Begin::Now => decide(&mut active.record.run, decide::Event::Start { by: None }, now),
            Begin::At(until) => decide(&mut active.record.run, decide::Event::Delay { until }, now),
            Begin::Held => Ok(Decision::default()),
        };
        let begun = begun.map_err(|refused| refused.to_string()).and_then(|decision| match derived {
            None => Ok((active.commit(epoch, &decision, now, AttemptFacts::default()), decision)),
            Some(derived) => active.derive(epoch, derived, decision, now),
        });
        let (mut commit, decision) = match begun {
            Ok(begun) => begun,
            Err(reason) => {
                tracing::error!(run.id = %id, reason, "a new run could not be started");
                answer.send(Err(NotSubmitted::Failed(StoreError::Corrupt { reason }.into()))).ok();
                return;
            }
        };
        commit.events.insert(0, history::created_row(created_at, payload));
        let (state, started_at) = (active.record.run.state(), active.record.run.started_at());
        commit.create = Some(NewRun { workflow, state, created_at, started_at, key, by });
        commit.update = commit.update.filter(|update| update.finished_at.is_some());
        self.runs.insert(id, active);
        self.queue(commit, Pending { run: id, epoch, answer: Some(Answer::Submitted(answer)), decision, at: now });
    }

    /// Gives free slots to those who wait for one.
    fn admit(&mut self, now: Timestamp) {
        if self.stopping != Stopping::No {
            return;
        }
        while let Some(candidate) = self.admission.admit() {
            let (run, task) = (candidate.run, candidate.task);
            // Without its code a run goes back to those who wait for it, and offers its tasks again after that.
            let Some(active) = self.runs.get_mut(&run).filter(|active| active.runner.is_some()) else {
                self.admission.release();
                continue;
            };
            if candidate.role == Role::Callback {
                self.start_callback(run, task, now);
                continue;
            }
            match decide(&mut active.record.run, decide::Event::Admit { task }, now) {
                Ok(decision) => self.enact(run, decision, now, None),
                // It is offered again when its gate opens. Who was cancelled, or offered twice, waits no more.
                Err(Refused::Gated | Refused::Task(_)) => self.admission.release(),
                Err(refused) => {
                    tracing::error!(run.id = %run, %refused, "a task could not be admitted");
                    self.admission.release();
                }
            }
        }
    }

    /// Stores a decision if it must be, otherwise performs it at once.
    pub(super) fn enact(&mut self, run: RunId, decision: Decision, now: Timestamp, answer: Option<Answer>) {
        self.enact_with(run, decision, now, answer, AttemptFacts::default());
    }

    /// As [`Self::enact`], with what the attempt left that the decision ends.
    pub(super) fn enact_with(
        &mut self,
        run: RunId,
        decision: Decision,
        at: Timestamp,
        answer: Option<Answer>,
        facts: AttemptFacts,
    ) {
        if !decision.is_stored() && answer.is_none() {
            self.perform(run, &decision.effects, at);
            return;
        }
        let mut decision = decision;
        if self.runs.get(&run).is_some_and(|active| active.record.version.plan.pipelined) {
            self.perform(run, &decision.take_early(), at);
        }
        if let (Some(active), Some(epoch)) = (self.runs.get_mut(&run), self.ownership.epoch()) {
            let commit = active.commit(epoch, &decision, at, facts);
            self.queue(commit, Pending { run, epoch, answer, decision, at });
        }
    }

    pub(super) fn queue(&mut self, commit: Commit, pending: Pending) {
        if let Some(active) = self.runs.get_mut(&pending.run) {
            active.n_pending += 1;
        }
        self.commits.push(commit);
        self.pending.push_back(pending);
    }

    fn flush(&mut self, now: Timestamp) {
        if self.commits.is_empty() {
            return;
        }
        let commits = std::mem::take(&mut self.commits);
        let sent = self.committer.as_ref().is_some_and(|committer| committer.commit(commits).is_ok());
        if !sent {
            self.lose_everything(now);
        }
    }

    /// Does what was to be done once the oldest commit is durable.
    fn committed(&mut self, outcome: Outcome, now: Timestamp) {
        let Some(pending) = self.pending.pop_front() else {
            tracing::error!("the store answered a commit that was not made");
            return;
        };
        let (run, epoch) = (pending.run, pending.epoch);
        // What was decided under an epoch that has ended concerns nobody here any more but those who wait for it.
        let is_current = self.ownership.epoch() == Some(epoch);
        if let Some(active) = self.runs.get_mut(&run).filter(|_| is_current) {
            active.n_pending = active.n_pending.saturating_sub(1);
        }
        match outcome {
            Outcome::Committed => {
                if let Some(answer) = pending.answer {
                    answer.done(self.runs.get(&run).filter(|_| is_current));
                }
                if is_current {
                    self.announce(run, &pending.decision.transitions, pending.at);
                    self.perform(run, &pending.decision.effects, now);
                    self.unstall(run);
                    self.put_back(run);
                }
            }
            Outcome::Duplicate => {
                let is_new = matches!(pending.answer, Some(Answer::Submitted(_)));
                self.discard(pending, || (NotSubmitted::KeyTaken, Error::Fenced { id: run }));
                if is_new {
                    self.lose(run, Phase::Fenced, now);
                } else if is_current {
                    // The database has more of the run than the engine thought.
                    self.reread(run, now);
                }
            }
            Outcome::Fenced => {
                self.discard(pending, || (NotSubmitted::EpochEnded, Error::Fenced { id: run }));
                if self.ownership.is_shared() {
                    self.end_epoch(epoch, Phase::Fenced, now);
                } else if is_current {
                    tracing::error!(run.id = %run, "the database says that another engine owns the run");
                    self.lose(run, Phase::Fenced, now);
                }
            }
            Outcome::Failed(error, commit) => self.refused(pending, commit, &error, now),
        }
    }

    /// Forgets what was to follow from a commit that is not in the database.
    pub(super) fn discard(&mut self, pending: Pending, why: impl FnOnce() -> (NotSubmitted, Error)) {
        (0..pending.n_slots()).for_each(|_| self.admission.release());
        if let Some(answer) = pending.answer {
            let (submission, error) = why();
            answer.refuse(submission, error);
        }
    }

    pub(super) fn perform(&mut self, run: RunId, effects: &[Effect], now: Timestamp) {
        for effect in effects {
            match *effect {
                Effect::Offer { task } => {
                    if let Some(active) = self.runs.get(&run) {
                        let priority = active.record.version.plan.declared(task).priority;
                        self.admission.offer(run, task, Role::Task, priority);
                    }
                }
                Effect::OfferCallback { task } => {
                    if let Some(active) = self.runs.get(&run) {
                        let priority = active.record.version.plan.declared(task).priority;
                        self.admission.offer(run, task, Role::Callback, priority);
                    }
                }
                Effect::Perform { task, attempt } => {
                    self.start(AttemptKey { run, task, attempt, role: Role::Task }, now);
                }
                Effect::Stop { task, attempt } => {
                    self.ask_to_stop(AttemptKey { run, task, attempt, role: Role::Task }, now);
                }
                Effect::WakeTask { task, at } => self.timers.set(at, Timer::TaskDue { run, task }),
                Effect::WakeRun { at } => self.timers.set(at, Timer::RunDue { run }),
                Effect::LimitRun { at } => {
                    if let Some(active) = self.runs.get_mut(&run) {
                        active.limit = Some(at);
                        self.timers.set(at, Timer::RunLimit { run });
                    }
                }
                Effect::Finish => {
                    if let Some(ActiveRun { record, phase, limit, .. }) = self.runs.remove(&run) {
                        if let Some(at) = limit {
                            self.timers.unset(at, Timer::RunLimit { run });
                        }
                        phase.send_replace(Phase::Ended(Arc::new(record)));
                        self.note_finished(now);
                    }
                }
            }
        }
    }

    /// Tells listeners what has become durable.
    fn announce(&self, run: RunId, transitions: &[Transition], at: Timestamp) {
        if !self.surroundings.board.is_watched() {
            return;
        }
        let Some(active) = self.runs.get(&run) else { return };
        for transition in transitions {
            if let Some((about, kind)) = told(transition, &active.record) {
                let about = about.map(|(task, attempt)| (&active.record.version.plan.declared(task).id, attempt));
                self.put(run, about, at, || kind);
            }
        }
    }

    pub(super) fn put(
        &self,
        run: RunId,
        about: Option<(&Arc<str>, u32)>,
        at: Timestamp,
        kind: impl FnOnce() -> NoticeKind,
    ) {
        let board = &self.surroundings.board;
        if board.is_watched() {
            let (task, attempt) = about.map_or((None, 0), |(task, attempt)| (Some(task.clone()), attempt));
            let version = self.runs.get(&run).map(|active| Arc::clone(&active.record.version));
            board.put(Notice { run, task, attempt, at, kind: kind(), version });
        }
    }

    fn stop(&mut self, grace: Duration, now: Timestamp) {
        if self.stopping == Stopping::Abandoned {
            return;
        }
        self.stopping = Stopping::Draining;
        let steps = self.ownership.stop();
        self.follow(steps, now);
        if grace.is_zero() {
            self.abandon(now);
        } else {
            let grace = u64::try_from(grace.as_micros()).unwrap_or(u64::MAX);
            let deadline = Timestamp::from_unix_micros(now.unix_micros().saturating_add(grace));
            self.timers.set(deadline, Timer::ShutdownDeadline);
        }
    }

    /// Records what still runs as interrupted; whatever it does from now on counts no more.
    pub(super) fn abandon(&mut self, now: Timestamp) {
        if self.stopping == Stopping::Abandoned {
            return;
        }
        self.stopping = Stopping::Abandoned;
        self.surroundings.is_stopping.store(true, Ordering::Relaxed);
        let running = |active: &ActiveRun| {
            let tasks = active.record.run.numbered();
            let running = tasks.filter(|(_, task)| task.state() == task::State::Running).map(|(number, _)| number);
            running.collect::<Vec<TaskIndex>>()
        };
        let attempts: Vec<(RunId, Vec<TaskIndex>)> =
            self.runs.iter().map(|(id, active)| (*id, running(active))).collect();
        for (run, tasks) in attempts {
            for task in tasks {
                let Some(active) = self.runs.get_mut(&run) else { break };
                match decide(&mut active.record.run, decide::Event::Interrupt { task }, now) {
                    Ok(decision) => self.enact(run, decision, now, None),
                    Err(refused) => tracing::error!(run.id = %run, %task, %refused, "an attempt cannot be abandoned"),
                }
            }
        }
        self.try_a_last_time(now);
    }

    /// Drives a run no longer. What its attempts still send is discarded.
    pub(super) fn lose(&mut self, run: RunId, phase: Phase, now: Timestamp) {
        self.drop_stall(run);
        if let Some(active) = self.runs.remove(&run) {
            active.phase.send_replace(phase);
            self.stop_attempts(run, now);
        }
    }

    /// The store is gone: nothing that happens now can be recorded.
    fn lose_everything(&mut self, now: Timestamp) {
        if self.committer.take().is_none() {
            return;
        }
        tracing::error!("the store's writer is gone, the engine stops");
        self.is_incomplete = true;
        self.stopping = Stopping::Abandoned;
        self.surroundings.is_stopping.store(true, Ordering::Relaxed);
        self.commits.clear();
        self.pending.clear();
        self.stalls.clear();
        self.runs.clear();
        let steps = self.ownership.stop();
        self.follow(steps, now);
    }

    /// Does what the part about ownership has decided.
    pub(super) fn follow(&mut self, steps: impl IntoIterator<Item = Step>, now: Timestamp) {
        for step in steps {
            match step {
                Step::TakeOver { epoch, with_own } => self.jobs.take_over(epoch, with_own),
                Step::Adopt(taken) => self.adopt(taken),
                Step::ReleaseRuns { epoch, phase } => self.release_runs(epoch, &phase),
                Step::BeginEpoch { before } => self.jobs.begin_epoch(before),
                Step::KeepLease { epoch } => self.jobs.keep_lease(Some(epoch)),
                Step::Redo(event) => self.handle(event, now),
            }
        }
    }

    /// Drives nothing any longer that was decided under that epoch.
    pub(super) fn end_epoch(&mut self, epoch: i64, phase: Phase, now: Timestamp) {
        let steps = self.ownership.epoch_ended(epoch, phase);
        self.follow(steps, now);
    }

    /// Takes over one run, as something is asked of it, unless its engine lives.
    fn claim(&mut self, run: RunId, asked: Asked) {
        let Some(epoch) = self.ownership.epoch().filter(|_| self.stopping == Stopping::No) else {
            // The caller may have stopped waiting.
            asked.2.send(Err(Error::ShutDown)).ok();
            return;
        };
        match self.jobs.claim(epoch, run, asked) {
            Ok(()) => self.ownership.claim_begun(),
            Err(error) => tracing::error!(%error, "a run cannot be taken over"),
        }
    }

    /// A run that was asked about is this engine's now, if it is to be had.
    fn claimed(&mut self, run: RunId, claimed: Result<TakenOver, StoreError>, asked: Asked, now: Timestamp) {
        self.ownership.claim_ended();
        let (action, by, answer) = asked;
        match claimed {
            Ok(taken) => {
                self.adopt(taken);
                self.control(run, action, by, answer, now);
            }
            // The caller may have stopped waiting.
            Err(error) => drop(answer.send(Err(error.into()))),
        }
    }

    /// Runs are this engine's from now on: reads their histories, as far as it has the code.
    fn adopt(&mut self, taken: TakenOver) {
        let TakenOver { runs, workflows, .. } = taken;
        let new: Vec<Orphan> = runs.into_iter().filter(|orphan| !self.has(orphan.row.id)).collect();
        if !new.is_empty() {
            let n_runs = new.len();
            if self.ownership.is_idle() {
                tracing::debug!(n_runs, "took over a run to do what is asked of it");
            } else {
                tracing::warn!(n_runs, "took over runs of engines that are there no more");
            }
        }
        for Orphan { row, closed_in_order } in new {
            self.dormant.insert(row.id, Dormant::new(row, closed_in_order));
        }
        for row in workflows {
            if let (Entry::Vacant(entry), Ok(version)) = (self.versions.entry(row.id), stored_version(&row)) {
                entry.insert(Arc::new(version));
            }
            if let Some(workflow) = self.catalog.find(&row) {
                self.load(&workflow);
            }
        }
    }

    /// Drives no run any longer, as they are not this engine's. What their attempts still send is discarded.
    fn release_runs(&mut self, epoch: i64, phase: &Phase) {
        let (n_runs, n_attempts) = (self.runs.len() + self.dormant.len(), self.underway.len());
        match phase {
            Phase::Lost(error) => tracing::error!(
                epoch,
                %error,
                "the engine lets go of its runs, and goes on with them when the database is back"
            ),
            Phase::Fenced | Phase::Active | Phase::Ended(_) => tracing::error!(
                epoch,
                n_runs,
                n_attempts,
                "this engine was not heard of for longer than its lease, and another one has taken over its runs; it stops \
                 them and goes on with new ones. If the machine was not stopped on purpose, see whether it, the network or \
                 the database is overloaded, or give the engine a longer lease"
            ),
        }
        self.jobs.keep_lease(None);
        let stalled: Vec<RunId> = self.stalls.keys().copied().collect();
        stalled.into_iter().for_each(|run| self.drop_stall(run));
        for (_, active) in self.runs.drain() {
            active.phase.send_replace(phase.clone());
        }
        for (id, dormant) in self.dormant.drain() {
            dormant.phase.send_replace(phase.clone());
            for (.., answer) in dormant.asked {
                answer.send(Err(Error::Fenced { id })).ok();
            }
            for answer in dormant.inspectors {
                answer.send(Inspected::Elsewhere).ok();
            }
        }
        self.timers.unset_runs();
        // Their slots are free; whatever they send is discarded, as for one that was given up.
        for (_, underway) in self.underway.drain() {
            underway.stop.ask();
            self.admission.release();
            self.n_abandoned += 1;
        }
    }

    fn is_done(&self) -> bool {
        let nothing_runs = match self.stopping {
            Stopping::No => false,
            Stopping::Draining => self.admission.n_running() == 0,
            Stopping::Abandoned => true,
        };
        let is_stored = self.pending.is_empty() && self.commits.is_empty() && self.stalls.is_empty();
        nothing_runs && is_stored && !self.ownership.is_taking_over()
    }

    /// Notes that everything is recorded. The store can be closed after that.
    fn close(self) -> bool {
        // Runs that were never gone on with are as unsure as they were.
        let in_order = !self.is_incomplete && self.dormant.values().all(|dormant| dormant.closed_in_order);
        if let Some(epoch) = self.ownership.epoch() {
            self.jobs.end_epoch(epoch, in_order);
        }
        self.admission.n_running() > 0 || self.n_abandoned > 0
    }
}

impl Answer {
    /// The commit is durable. The run goes on even if the caller has gone.
    fn done(self, active: Option<&ActiveRun>) {
        match self {
            // Without the run another engine has it by now.
            Self::Submitted(answer) => {
                let phase = active.map_or_else(|| watch::channel(Phase::Fenced).1, |active| active.phase.subscribe());
                drop(answer.send(Ok(phase)));
            }
            Self::Controlled(answer) => drop(answer.send(Ok(()))),
        }
    }

    pub(super) fn refuse(self, submission: NotSubmitted, error: Error) {
        match self {
            Self::Submitted(answer) => drop(answer.send(Err(submission))),
            Self::Controlled(answer) => drop(answer.send(Err(error))),
        }
    }
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
