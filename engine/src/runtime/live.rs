//! The runs in memory: what is decided of them, stored, and performed.
//!
//! ```text
//!   event ─▶ decide ─▶ commit ─▶ store ─▶ committed ─▶ perform ─▶ calls, timers, the next task waits for a slot
//! ```
//! - Transitions are handed to the store first; what follows waits until the store has answered. What the store refuses is
//!   kept and handed over again.
//! - Calls of tasks and callbacks hold slots. What a call sends after it was given up is *fenced*.
//! - What concerns more than runs in memory comes back to the driver as [`Next`].

use std::{collections::HashMap, mem, sync::Arc};

use cloacina_workflow::{TaskError, Timestamp};

#[cfg(debug_assertions)]
use super::watchdog::Watched;
use super::{
    active::{ActiveRun, Unloaded},
    attempt::{Attempts, EndOf, GivenUp},
    call::{Call, Conclusion},
    commits::{Answer, Commits, Pending, WriterGone},
    dormant::Asked,
    driver::{Stopping, Turn},
    event::{Inspected, NotSubmitted, Phase, Submission, SubmissionAnswer},
    history::AttemptFacts,
    notice::{Notice, NoticeKind, told},
    quarantine::Quarantines,
    runner::{AttemptEnv, AttemptKey, Ended},
    snapshot::Slots,
    stall::{self, Stalls, Standing, Then, Verdict},
    timer::RunTimer,
};
use crate::{
    Error,
    core::{
        apply::Refused,
        decide,
        effect::{Decision, Effect, Transition},
        slot::Role,
        stage::Quarantine,
    },
    id::{RunId, WorkflowId},
    loader::Usage,
    store::{Commit, Error as StoreError, Outcome},
    view::GateHolder,
};

/// The runs that are driven from memory.
#[derive(Debug)]
pub(super) struct LiveRuns {
    env: Arc<AttemptEnv>,
    /// Whether other engines may live on the same database.
    is_shared: bool,
    runs: HashMap<RunId, ActiveRun>,
    quarantines: Quarantines,
    attempts: Attempts,
    commits: Commits,
    stalls: Stalls,
    news: News,
}

/// What the driver is to do about other parts.
#[derive(Debug)]
pub(super) enum Next {
    Nothing,
    /// This run was in memory without its code. Everything that was decided of it is durable.
    PutBack(Unloaded),
    /// The database has more of this run than was in memory.
    ReadAnew(Unloaded),
    /// Nothing that was decided under that epoch counts any more.
    EndEpoch {
        epoch: i64,
        phase: Phase,
    },
}

/// What there is since the last batch that need not be kept for ever.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct News {
    /// Runs that ended.
    pub(super) n_ended: u64,
    /// When the first call ended.
    pub(super) written_at: Option<Timestamp>,
}

impl LiveRuns {
    pub(super) fn new(env: Arc<AttemptEnv>, is_shared: bool, attempts: Attempts, commits: Commits) -> Self {
        Self {
            env,
            is_shared,
            runs: HashMap::new(),
            quarantines: Quarantines::default(),
            attempts,
            commits,
            stalls: Stalls::default(),
            news: News::default(),
        }
    }

    pub(super) fn contains(&self, run: RunId) -> bool {
        self.runs.contains_key(&run)
    }

    pub(super) fn get(&self, run: RunId) -> Option<&ActiveRun> {
        self.runs.get(&run)
    }

    pub(super) fn len(&self) -> usize {
        self.runs.len()
    }

    /// How many calls are under way.
    pub(super) fn n_calls(&self) -> usize {
        self.attempts.n_underway()
    }

    /// Whether a slot is held.
    pub(super) fn holds_slots(&self) -> bool {
        self.attempts.n_running() > 0
    }

    /// Whether code of a task may still run, even of one that was given up.
    pub(super) fn may_run(&self) -> bool {
        self.attempts.may_run()
    }

    pub(super) fn quarantines(&self) -> &Quarantines {
        &self.quarantines
    }

    /// Whether something of a run that was begun before has not come to its end.
    pub(super) fn is_busy(&self, run: RunId) -> bool {
        self.attempts.has_any_of(run) || self.commits.has_any_of(run)
    }

    /// Whether no slot is held and the store has answered everything.
    pub(super) fn is_quiet(&self) -> bool {
        !self.holds_slots() && self.commits.is_empty()
    }

    /// Whether the store has taken everything.
    pub(super) fn is_stored(&self) -> bool {
        self.commits.is_empty() && self.stalls.is_empty()
    }

    /// Whether the history lacks something that happened.
    pub(super) fn has_gap(&self) -> bool {
        self.commits.has_gap()
    }

    pub(super) fn take_news(&mut self) -> News {
        mem::take(&mut self.news)
    }

    /// Hands over what was decided in this batch.
    pub(super) fn flush(&mut self) -> Result<(), WriterGone> {
        self.commits.flush()
    }

    /// Begins a new run.
    pub(super) fn submit(&mut self, submission: Submission, answer: SubmissionAnswer, turn: &Turn<'_>) {
        // Without an epoch it would have waited, unless the engine ends. The caller may have stopped waiting, here and below.
        let Some(epoch) = turn.epoch.filter(|_| turn.stopping == Stopping::No) else {
            answer.send(Err(NotSubmitted::Failed(Error::ShutDown))).ok();
            return;
        };
        let (run, at) = (submission.id, turn.now);
        match ActiveRun::begin(submission, &self.quarantines, epoch, at) {
            Ok((mut active, commit, decision)) => {
                active.note_queued();
                self.runs.insert(run, active);
                let answer = Some(Answer::Submitted(answer));
                self.commits.queue(commit, Pending { run, epoch, answer, decision, at });
            }
            Err(reason) => {
                tracing::error!(run.id = %run, reason, "a new run could not be started");
                answer.send(Err(NotSubmitted::Failed(StoreError::Corrupt { reason }.into()))).ok();
            }
        }
    }

    /// Goes on with a run that comes into memory.
    pub(super) fn go_on(&mut self, run: RunId, active: ActiveRun, decision: Decision, turn: &mut Turn<'_>) {
        self.runs.insert(run, active);
        self.enact(run, decision, None, turn);
    }

    /// Does what somebody asks of a run, and answers when it is durable.
    pub(super) fn control(&mut self, run: RunId, (action, by, answer): Asked, turn: &mut Turn<'_>) {
        let decided = match self.runs.get_mut(&run) {
            Some(active) => active.control(&action, &by, turn.now),
            None => Err(Error::NotDriven { id: run }),
        };
        match decided {
            Ok(decision) => self.enact(run, decision, Some(Answer::Controlled(answer)), turn),
            // The caller may have stopped waiting.
            Err(error) => drop(answer.send(Err(error))),
        }
    }

    /// How a run stands.
    pub(super) fn inspect(&self, run: RunId) -> Inspected {
        match (self.runs.get(&run), self.stalls.gate(run)) {
            // What is in memory is ahead of what is durable, which is what is shown.
            (Some(_), Some(gate)) => Inspected::Waiting(gate),
            (Some(active), None) => Inspected::Live(active.record().live_snapshot(&self.slots())),
            (None, _) => Inspected::Elsewhere,
        }
    }

    /// The slots as they are shown to those who wait for one.
    fn slots(&self) -> Slots {
        self.attempts.slots(|key| {
            let task = self.runs.get(&key.run)?.version().plan.declared(key.task).id.as_ref().to_owned();
            Some(GateHolder { run: key.run, task })
        })
    }

    /// Nothing of these workflows starts from now on, for that reason; without one, it goes on.
    pub(super) fn quarantine(
        &mut self,
        workflows: &[WorkflowId],
        quarantine: Option<&Quarantine>,
        turn: &mut Turn<'_>,
    ) {
        self.quarantines.set(workflows, quarantine);
        let is_meant = |active: &ActiveRun| workflows.contains(&active.version().id);
        let runs: Vec<RunId> = self.runs.iter().filter(|(_, active)| is_meant(active)).map(|(run, _)| *run).collect();
        for run in runs {
            if let Err(refused) = self.decide(run, decide::Event::Quarantine(quarantine.cloned()), turn) {
                tracing::error!(run.id = %run, %refused, "the gate of a package cannot be moved");
            }
        }
    }

    /// Does what a timer of a run was set for.
    pub(super) fn ring(&mut self, timer: RunTimer, turn: &mut Turn<'_>) {
        let (run, event) = match timer {
            RunTimer::CommitsDue { run } => return self.hand_over(run, turn),
            RunTimer::AttemptDeadline(key) => return self.attempts.overdue(key, turn.now, turn.timers),
            RunTimer::AttemptGrace(key) => return self.give_up(key, turn),
            RunTimer::TaskDue { run, task } => {
                let due_at = |active: &ActiveRun| active.record().run.tasks()[task.place()].due_at();
                if self.runs.get(&run).and_then(due_at).is_none_or(|at| at > turn.now) {
                    // Somebody did not want to wait for it, and the task is elsewhere by now.
                    return;
                }
                (run, decide::Event::Due { task })
            }
            RunTimer::RunDue { run } => (run, decide::Event::Start { by: None }),
            RunTimer::RunLimit { run } => (run, decide::Event::TimeOut),
        };
        if let Err(refused) = self.decide(run, event, turn) {
            // Somebody was faster: the run was started, or is being ended.
            tracing::debug!(run.id = %run, ?timer, %refused, "a timer fired too late");
        }
    }
}

/// Calls of tasks and callbacks.
impl LiveRuns {
    /// Gives free slots to what waits for one.
    pub(super) fn grant_slots(&mut self, turn: &mut Turn<'_>) {
        while let Some(candidate) = self.attempts.grant_slot() {
            let (run, task) = (candidate.run, candidate.task);
            // Without its code a run is put back to those that wait for it, and its tasks wait for slots again after that.
            let Some(active) = self.runs.get_mut(&run).filter(|active| active.runner().is_some()) else {
                self.attempts.release_slot();
                continue;
            };
            if candidate.role == Role::Callback {
                // One that was enqueued again when a gate opened may be under way already.
                let call = active.call_of_callback(task, turn.now);
                match call.filter(|call| !self.attempts.is_underway(&call.key)) {
                    Some(call) => self.make(call, turn),
                    None => self.attempts.release_slot(),
                }
                continue;
            }
            match active.decide(decide::Event::StartAttempt { task }, turn.now) {
                Ok(decision) => self.enact(run, decision, None, turn),
                // It is enqueued again when its gate opens. One that was cancelled, or enqueued twice, waits no longer.
                Err(Refused::Gated | Refused::Task(_)) => self.attempts.release_slot(),
                Err(refused) => {
                    tracing::error!(run.id = %run, %refused, "a task could not be given a slot");
                    self.attempts.release_slot();
                }
            }
        }
    }

    /// Starts an attempt that has a slot.
    fn start(&mut self, key: AttemptKey, turn: &mut Turn<'_>) {
        let Some(call) = self.runs.get(&key.run).and_then(|active| active.call(key, turn.now)) else {
            return self.attempts.release_slot();
        };
        self.put(key.run, Some((call.task(), key.attempt)), turn.now, || NoticeKind::Started);
        self.make(call, turn);
    }

    fn make(&mut self, call: Call, turn: &mut Turn<'_>) {
        let Call { key, started_at, deadline, is_cancelled, .. } = call;
        call.make(Arc::clone(&self.env), |stop| {
            self.attempts.begin(key, stop, started_at, deadline, turn.timers);
            if is_cancelled {
                self.attempts.ask_to_stop(key, turn.now, turn.timers);
            }
        });
    }

    /// Takes note of the end that a call sent.
    pub(super) fn end(&mut self, mut ended: Ended, turn: &mut Turn<'_>) {
        let key = ended.key;
        match self.attempts.end(&key, turn.timers) {
            EndOf::Holder => {}
            EndOf::Overdue => {
                if let Some(active) = self.runs.get(&key.run) {
                    (ended.result, ended.loss) = (Err(active.timed_out(key.task, false)), None);
                }
            }
            EndOf::Abandoned => return self.fence(key, ended.finished_at, ended.result.is_ok(), turn),
        }
        self.news.written_at.get_or_insert(ended.finished_at);
        self.conclude(ended, false, turn);
    }

    /// Decides what follows from the end of a call.
    fn conclude(&mut self, ended: Ended, abandoned: bool, turn: &mut Turn<'_>) {
        let (AttemptKey { run, task, attempt, role }, at) = (ended.key, ended.finished_at);
        let Some(active) = self.runs.get_mut(&run) else { return };
        match active.conclude(ended, abandoned) {
            Ok(Conclusion::Decided(decision, facts)) => {
                if role == Role::Callback && self.env.board.is_watched() {
                    let id = Arc::clone(&active.version().plan.declared(task).id);
                    let error = facts.error.as_ref().map(|error| (**error).clone());
                    self.put(run, Some((&id, attempt)), at, || NoticeKind::CallbackEnded { error });
                }
                self.enact_with(run, decision, None, facts, &mut turn.at(at));
            }
            Ok(Conclusion::CallAgain { task }) => {
                self.perform(run, &[Effect::EnqueueCallback { task }], &mut turn.at(at));
            }
            Err(refused) => tracing::warn!(run.id = %run, %task, %refused, "an attempt's end is ignored"),
        }
    }

    /// Records that an attempt ended after it had been given up.
    fn fence(&mut self, key: AttemptKey, at: Timestamp, completed: bool, turn: &Turn<'_>) {
        tracing::warn!(run.id = %key.run, task = %key.task, attempt = key.attempt, "a late end of an attempt is fenced");
        if turn.stopping != Stopping::No || key.role == Role::Callback {
            return;
        }
        let (Some(active), Some(epoch)) = (self.runs.get_mut(&key.run), turn.epoch) else { return };
        let Some(commit) = active.commit_fenced(epoch, key, at, completed) else { return };
        active.note_queued();
        self.commits.queue(commit, Pending::nothing(key.run, epoch, at));
    }

    /// A call did not stop when it was asked to: gives it up.
    fn give_up(&mut self, key: AttemptKey, turn: &mut Turn<'_>) {
        let Some(GivenUp { started_at, timed_out }) = self.attempts.give_up(&key) else { return };
        tracing::warn!(run.id = %key.run, task = %key.task, attempt = key.attempt, "an attempt did not stop and is abandoned");
        let Some(active) = self.runs.get(&key.run) else { return };
        let error = if timed_out {
            active.timed_out(key.task, true)
        } else {
            let message = "the attempt did not stop when it was asked to, and was abandoned".to_owned();
            TaskError::Cancelled { message }
        };
        let (result, loss, payload, retry_after, usage) = (Err(error), None, None, None, Usage::default());
        let ended = Ended { key, result, loss, payload, retry_after, usage, started_at, finished_at: turn.now };
        self.conclude(ended, true, turn);
    }
}

/// Decisions: stored first, performed second.
impl LiveRuns {
    /// Decides about an event of a run, if the run is here.
    fn decide(&mut self, run: RunId, event: decide::Event, turn: &mut Turn<'_>) -> Result<(), Refused> {
        let Some(active) = self.runs.get_mut(&run) else { return Ok(()) };
        let decision = active.decide(event, turn.now)?;
        self.enact(run, decision, None, turn);
        Ok(())
    }

    /// Stores a decision if it must be, otherwise performs it at once.
    fn enact(&mut self, run: RunId, decision: Decision, answer: Option<Answer>, turn: &mut Turn<'_>) {
        self.enact_with(run, decision, answer, AttemptFacts::default(), turn);
    }

    /// As [`Self::enact`], with what the attempt left that the decision ends.
    fn enact_with(
        &mut self,
        run: RunId,
        mut decision: Decision,
        answer: Option<Answer>,
        facts: AttemptFacts,
        turn: &mut Turn<'_>,
    ) {
        if !decision.is_stored() && answer.is_none() {
            return self.perform(run, &decision.effects, turn);
        }
        if self.runs.get(&run).is_some_and(ActiveRun::is_pipelined) {
            self.perform(run, &decision.take_early(), turn);
        }
        if let (Some(active), Some(epoch)) = (self.runs.get_mut(&run), turn.epoch) {
            let commit = active.commit(epoch, &decision, turn.now, facts);
            active.note_queued();
            self.commits.queue(commit, Pending { run, epoch, answer, decision, at: turn.now });
        }
    }

    /// Does what was to be done once the oldest commit is durable.
    pub(super) fn committed(&mut self, outcome: Outcome, turn: &mut Turn<'_>) -> Next {
        let Some(pending) = self.commits.answered() else {
            tracing::error!("the store answered a commit that was not made");
            return Next::Nothing;
        };
        let (run, epoch) = (pending.run, pending.epoch);
        // What was decided under an epoch that has ended concerns nobody here any more but those who wait for it.
        let is_current = turn.epoch == Some(epoch);
        if let Some(active) = self.runs.get_mut(&run).filter(|_| is_current) {
            active.note_answered();
        }
        match outcome {
            Outcome::Committed => {
                self.env.board.more_of(run);
                if let Some(answer) = pending.answer {
                    answer.done(self.runs.get(&run).filter(|_| is_current));
                }
                if !is_current {
                    return Next::Nothing;
                }
                self.announce(run, &pending.decision.transitions, pending.at);
                self.perform(run, &pending.decision.effects, turn);
                if self.stalls.taken(run)
                    && let Some(active) = self.runs.get(&run)
                {
                    active.tell_active();
                }
                self.put_back(run).map_or(Next::Nothing, Next::PutBack)
            }
            Outcome::Duplicate => {
                let is_new = matches!(pending.answer, Some(Answer::Submitted(_)));
                self.discard(pending, || (NotSubmitted::KeyTaken, Error::Fenced { id: run }));
                if is_new {
                    self.lose(run, Phase::Fenced, turn);
                } else if is_current {
                    // The database has more of the run than the engine thought.
                    return self.unload(run, turn).map_or(Next::Nothing, Next::ReadAnew);
                }
                Next::Nothing
            }
            Outcome::Fenced => {
                self.discard(pending, || (NotSubmitted::EpochEnded, Error::Fenced { id: run }));
                if self.is_shared {
                    return Next::EndEpoch { epoch, phase: Phase::Fenced };
                }
                if is_current {
                    tracing::error!(run.id = %run, "the database says that another engine owns the run");
                    self.lose(run, Phase::Fenced, turn);
                }
                Next::Nothing
            }
            Outcome::Failed(error, commit) => self.refused(stall::Refused { pending, commit, error }, turn),
        }
    }

    /// Forgets what was to follow from a commit that is not in the database.
    fn discard(&mut self, pending: Pending, why: impl FnOnce() -> (NotSubmitted, Error)) {
        (0..pending.n_slots()).for_each(|_| self.attempts.release_slot());
        if let Some(answer) = pending.answer {
            let (submission, error) = why();
            answer.refuse(submission, error);
        }
    }

    /// The store refused a commit.
    fn refused(&mut self, refused: stall::Refused, turn: &mut Turn<'_>) -> Next {
        let (run, epoch, error) = (refused.pending.run, refused.pending.epoch, Arc::clone(&refused.error));
        let standing = Standing {
            is_driven: turn.epoch == Some(epoch) && self.runs.contains_key(&run),
            is_shared: self.is_shared,
            is_ending: turn.stopping == Stopping::Abandoned,
        };
        let (pending, then) = match self.stalls.refused(refused, standing, turn.now, turn.timers) {
            Verdict::Kept(to_tell) => {
                if let (Some(error), Some(active)) = (to_tell, self.runs.get(&run)) {
                    active.tell(Phase::Lost(error));
                }
                return Next::Nothing;
            }
            Verdict::Dropped(pending, then) => (pending, then),
        };
        self.discard(pending, || {
            let not_created = Error::NotCreated { id: run, source: Arc::clone(&error) };
            (NotSubmitted::Failed(not_created), Error::RunLost { id: run, source: Arc::clone(&error) })
        });
        let phase = Phase::Lost(error);
        match then {
            Then::Nothing => {}
            Then::LoseNewRun => self.lose(run, phase, turn),
            Then::LoseRun => {
                self.commits.note_gap();
                self.lose(run, phase, turn);
            }
            Then::EndEpoch => return Next::EndEpoch { epoch, phase },
        }
        Next::Nothing
    }

    /// Hands over again what the store refused of a run.
    fn hand_over(&mut self, run: RunId, turn: &mut Turn<'_>) {
        let Some(active) = self.runs.get_mut(&run) else { return self.drop_stall(run) };
        let is_last = turn.stopping == Stopping::Abandoned;
        let again = self.stalls.hand_over(run, active.is_answered(), is_last, turn.now, turn.timers);
        if again.is_empty() {
            return;
        }
        let term = active.begin_term();
        for (commit, pending) in again {
            active.note_queued();
            self.commits.queue(Commit { term, ..commit }, pending);
        }
    }

    /// Forgets what the store refused of a run that is not driven any more.
    fn drop_stall(&mut self, run: RunId) {
        let Some((kept, error)) = self.stalls.remove(run) else { return };
        for pending in kept {
            self.discard(pending, || stall::lost(run, &error));
        }
    }

    fn perform(&mut self, run: RunId, effects: &[Effect], turn: &mut Turn<'_>) {
        for effect in effects {
            match *effect {
                Effect::Enqueue { task } => {
                    if let Some(active) = self.runs.get(&run) {
                        self.attempts.enqueue(run, task, Role::Task, active.priority(task));
                    }
                }
                Effect::EnqueueCallback { task } => {
                    if let Some(active) = self.runs.get(&run) {
                        self.attempts.enqueue(run, task, Role::Callback, active.priority(task));
                    }
                }
                Effect::Perform { task, attempt } => {
                    self.start(AttemptKey { run, task, attempt, role: Role::Task }, turn);
                }
                Effect::Stop { task, attempt } => {
                    let key = AttemptKey { run, task, attempt, role: Role::Task };
                    self.attempts.ask_to_stop(key, turn.now, turn.timers);
                }
                Effect::WakeTask { task, at } => turn.timers.set(at, RunTimer::TaskDue { run, task }),
                Effect::WakeRun { at } => turn.timers.set(at, RunTimer::RunDue { run }),
                Effect::LimitRun { at } => {
                    if let Some(active) = self.runs.get_mut(&run) {
                        active.note_limit(at);
                        turn.timers.set(at, RunTimer::RunLimit { run });
                    }
                }
                Effect::Finish => {
                    if let Some(active) = self.runs.remove(&run) {
                        if let Some(at) = active.end() {
                            turn.timers.unset(at, RunTimer::RunLimit { run });
                        }
                        self.news.n_ended += 1;
                    }
                }
            }
        }
    }

    /// Tells listeners what has become durable.
    fn announce(&self, run: RunId, transitions: &[Transition], at: Timestamp) {
        if !self.env.board.is_watched() {
            return;
        }
        let Some(active) = self.runs.get(&run) else { return };
        for transition in transitions {
            if let Some((about, kind)) = told(transition, active.record()) {
                let about = about.map(|(task, attempt)| (&active.version().plan.declared(task).id, attempt));
                self.put(run, about, at, || kind);
            }
        }
    }

    fn put(&self, run: RunId, about: Option<(&Arc<str>, u32)>, at: Timestamp, kind: impl FnOnce() -> NoticeKind) {
        let board = &self.env.board;
        if board.is_watched() {
            let (task, attempt) = about.map_or((None, 0), |(task, attempt)| (Some(task.clone()), attempt));
            let version = self.runs.get(&run).map(|active| Arc::clone(active.version()));
            board.put(Notice { run, task, attempt, at, kind: kind(), version });
        }
    }
}

/// Runs that leave memory.
impl LiveRuns {
    /// Takes out a run without code, once everything that was decided of it is durable.
    pub(super) fn put_back(&mut self, run: RunId) -> Option<Unloaded> {
        let is_ready = |active: &ActiveRun| active.runner().is_none() && active.is_answered();
        if !self.runs.get(&run).is_some_and(is_ready) || self.stalls.contains(run) {
            return None;
        }
        self.runs.remove(&run).map(ActiveRun::unload)
    }

    /// Takes out a run whose history must be read again. What its attempts still send is discarded.
    fn unload(&mut self, run: RunId, turn: &mut Turn<'_>) -> Option<Unloaded> {
        self.drop_stall(run);
        let active = self.runs.remove(&run)?;
        self.attempts.ask_run_to_stop(run, turn.now, turn.timers);
        Some(active.unload())
    }

    /// Drives a run no longer. What its attempts still send is discarded.
    fn lose(&mut self, run: RunId, phase: Phase, turn: &mut Turn<'_>) {
        self.drop_stall(run);
        if let Some(active) = self.runs.remove(&run) {
            active.tell(phase);
            self.attempts.ask_run_to_stop(run, turn.now, turn.timers);
        }
    }

    /// Drives no run any longer. Slots are free again; what attempts still send is discarded.
    pub(super) fn release_all(&mut self, phase: &Phase) {
        self.stalls.runs().into_iter().for_each(|run| self.drop_stall(run));
        for (_, active) in self.runs.drain() {
            active.tell(phase.clone());
        }
        self.attempts.give_up_all();
    }

    /// Records what still runs as interrupted; whatever it does from now on counts no more.
    pub(super) fn abandon(&mut self, turn: &mut Turn<'_>) {
        let running: Vec<_> = self.runs.iter().map(|(run, active)| (*run, active.running())).collect();
        for (run, tasks) in running {
            for task in tasks {
                if let Err(refused) = self.decide(run, decide::Event::Interrupt { task }, turn) {
                    tracing::error!(run.id = %run, %task, %refused, "an attempt cannot be abandoned");
                }
            }
        }
        self.stalls.hurry(turn.now, turn.timers);
    }

    /// The store is gone: nothing that happens now can be recorded. Returns whether it was there until now.
    pub(super) fn lose_everything(&mut self) -> bool {
        if !self.commits.lose_writer() {
            return false;
        }
        self.stalls.clear();
        self.runs.clear();
        true
    }

    #[cfg(debug_assertions)]
    pub(super) fn watched(&self) -> Watched<'_> {
        let Self { runs, attempts, stalls, .. } = self;
        Watched { runs, attempts, stalls }
    }
}
