//! The one place where it is decided what happens in a run.
//!
//! `decide` moves the run in memory and says what must be stored and then done. If it refuses an event, nothing has
//! changed. What people ask of a run is in [`super::control`], what is read back after a restart in [`super::replay`].

use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    sync::Arc,
};

use cloacina_workflow::{Timestamp, payload::Delta};

use super::{
    context::{Key, Merge, Value},
    effect::{Actor, Decision, Effect, FailReason, Transition, after},
    explain,
    plan::{Function, Plan},
    retry::Failure,
    rule::{Facts, SkipReason, Standing, Upstream, Verdict, When},
    run, task,
    view::View,
};

/// After so many interruptions in a row a task fails, so that a package which kills its engine cannot do so for ever.
/// The first may be a guess; the later ones are not, as starts are durable after the first.
pub(crate) const INTERRUPTIONS_MAX: u32 = 3;

/// A run in memory.
#[derive(Debug)]
pub(crate) struct Run {
    pub(super) plan: Arc<Plan>,
    pub(super) state: run::State,
    pub(super) tasks: Vec<Task>,
    merge: Merge,
    /// Tasks by those that their rules look at besides their dependencies, where these may end later.
    onlookers: HashMap<u32, Vec<u32>>,
    /// Tasks that are not terminal.
    n_open: u32,
    /// Callbacks that have not ended.
    n_callbacks: u32,
    required_failed: bool,
    optional_failed: bool,
    /// Set when nothing new is to start any more.
    pub(super) closing: Option<Closing>,
    pub(super) paused_by: Option<Actor>,
    /// Why nothing of it starts, though nobody asked anything of the run itself. Not part of its history.
    pub(super) quarantine: Option<Quarantine>,
    /// When a run that was created for later starts.
    pub(super) delayed_until: Option<Timestamp>,
    started_at: Option<Timestamp>,
    finished_at: Option<Timestamp>,
}

/// Why a run ends before its tasks have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Closing {
    Cancelled { by: Actor },
    TimedOut,
}

/// Why the package of a run must not be used now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Quarantine {
    pub(crate) reason: Arc<str>,
    /// When it is tried again; absent if somebody has to say so.
    pub(crate) until: Option<Timestamp>,
    /// Whether only this engine cannot use it, and nobody has quarantined it.
    pub(crate) is_here: bool,
}

/// A task in a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Task {
    pub(crate) state: task::State,
    /// The attempt that is running, or the next one; counts from 1.
    pub(crate) attempt: u32,
    /// Interruptions since the task last ended an attempt by itself.
    pub(crate) n_interruptions: u32,
    /// Attempts that failed by themselves.
    pub(crate) n_failures: u32,
    /// When a waiting task may run again.
    pub(crate) due_at: Option<Timestamp>,
    pub(crate) started_at: Option<Timestamp>,
    pub(crate) finished_at: Option<Timestamp>,
    pub(crate) skip_reason: Option<SkipReason>,
    /// Why the last attempt failed.
    pub(crate) fail_reason: Option<FailReason>,
    /// Whether its callback is still to be called.
    pub(crate) callback_open: bool,
    /// Whether it may run although the run is paused.
    pub(crate) is_released: bool,
    upstream: Upstream,
}

/// What has moved in one decision and was not told to others yet.
#[derive(Default)]
struct Moved {
    /// Tasks that became terminal.
    terminal: VecDeque<u32>,
    /// Tasks that run although dependencies are open.
    early: Vec<u32>,
}

/// Something that happened to a run.
#[derive(Clone, Debug)]
pub(crate) enum Event {
    /// It is to begin later; only before it begins.
    Delay {
        until: Timestamp,
    },
    /// It may begin; by the actor that let it, if it waited for one.
    Start {
        by: Option<Actor>,
    },
    /// The task was given a slot.
    Admit {
        task: u32,
    },
    /// An attempt ended.
    End {
        task: u32,
        attempt: u32,
        end: End,
    },
    /// The engine ended while the attempt could have been running.
    Interrupt {
        task: u32,
    },
    /// The time for another attempt has come.
    Due {
        task: u32,
    },
    /// The callback of a task was called.
    CallbackEnded {
        task: u32,
        failed: bool,
    },
    /// The run has used up its time.
    TimeOut,
    Pause {
        by: Actor,
    },
    Resume {
        by: Actor,
    },
    Cancel {
        by: Actor,
    },
    /// Do not wait for the time of the next attempt.
    RetryNow {
        task: u32,
        by: Actor,
    },
    /// Run that task, and nothing else of a run that waits to be started or is paused.
    Release {
        task: u32,
        by: Actor,
    },
    /// Start nothing of it while its package must not be used, or go on.
    Quarantine(Option<Quarantine>),
}

/// How an attempt ended, as far as decisions go.
#[derive(Clone, Debug)]
pub(crate) enum End {
    Completed(Arc<Delta>),
    Failed(Failure),
    /// The process in which it ran ended by no fault of it.
    Lost,
    /// The code of the task was not there, and nothing of it ran.
    NotBegun,
}

/// An event that cannot have happened, or must not happen now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Refused {
    #[error(transparent)]
    Run(#[from] run::IllegalTransition),
    #[error(transparent)]
    Task(#[from] task::IllegalTransition),
    #[error("attempt {attempt} has ended, attempt {current} is the present one")]
    Stale { attempt: u32, current: u32 },
    #[error("the workflow has no task {task}")]
    NoSuchTask { task: u32 },
    #[error("the task waits at a gate")]
    Gated,
    #[error("the task waits for something else than its run")]
    Waits,
    #[error("the run is being ended")]
    Closing,
    #[error("the task has no open callback")]
    NoCallback,
}

/// Decides what follows from an event.
///
/// # Errors
/// [`Refused`] if the event does not fit the run's state; the run is as it was.
pub(crate) fn decide(run: &mut Run, event: Event, now: Timestamp) -> Result<Decision, Refused> {
    let mut decision = Decision::default();
    match event {
        Event::Delay { until } => run.delay(until, &mut decision)?,
        Event::Start { by } => run.start(by, now, &mut decision)?,
        Event::Admit { task } => run.admit(task, now, &mut decision)?,
        Event::End { task, attempt, end } => run.end(task, attempt, end, now, &mut decision)?,
        Event::Interrupt { task } => run.interrupt(task, now, &mut decision)?,
        Event::Due { task } => run.due(task, &mut decision)?,
        Event::CallbackEnded { task, failed } => run.end_callback(task, failed, now, &mut decision)?,
        Event::TimeOut => run.time_out(now, &mut decision)?,
        Event::Pause { by } => run.pause(by, &mut decision)?,
        Event::Resume { by } => run.resume(by, &mut decision)?,
        Event::Cancel { by } => run.cancel(by, now, &mut decision)?,
        Event::RetryNow { task, by } => run.retry_now(task, by, &mut decision)?,
        Event::Release { task, by } => run.release(task, by, now, &mut decision)?,
        Event::Quarantine(quarantine) => run.quarantine(quarantine, now, &mut decision)?,
    }
    Ok(decision)
}

impl Task {
    /// What trigger rules see of the task.
    fn standing(&self) -> Standing {
        let after_failure = matches!(self.skip_reason, Some(SkipReason::UpstreamFailed { .. }));
        match self.state {
            // Nothing is asked in a run that is being cancelled.
            task::State::Pending
            | task::State::Ready
            | task::State::Running
            | task::State::Waiting
            | task::State::Cancelled => Standing::Open,
            task::State::Completed => Standing::Completed,
            task::State::Failed => Standing::Failed,
            task::State::Skipped => Standing::Skipped { after_failure },
        }
    }
}

impl Run {
    pub(crate) fn new(plan: Arc<Plan>, input: &BTreeMap<Key, Value>) -> Self {
        let tasks = (0..).take(plan.n_tasks()).map(|task| Task {
            state: task::State::Pending,
            attempt: 1,
            n_interruptions: 0,
            n_failures: 0,
            due_at: None,
            started_at: None,
            finished_at: None,
            skip_reason: None,
            fail_reason: None,
            callback_open: false,
            is_released: false,
            upstream: Upstream {
                open: u32::try_from(plan.graph.parents(task).len()).unwrap_or(u32::MAX),
                ..Upstream::default()
            },
        });
        let mut merge = Merge::new(&plan.graph, input);
        for (task, number) in plan.tasks.iter().zip(0..) {
            if task.has_callbacks() {
                merge.hold(number);
            }
        }
        Self {
            state: run::State::Pending,
            tasks: tasks.collect(),
            merge,
            onlookers: plan.onlookers(),
            n_open: u32::try_from(plan.n_tasks()).unwrap_or(u32::MAX),
            n_callbacks: 0,
            required_failed: false,
            optional_failed: false,
            closing: None,
            paused_by: None,
            quarantine: None,
            delayed_until: None,
            started_at: None,
            finished_at: None,
            plan,
        }
    }

    pub(crate) fn plan(&self) -> &Arc<Plan> {
        &self.plan
    }

    pub(crate) fn state(&self) -> run::State {
        self.state
    }

    /// Why the run ends before its tasks have, if it does.
    pub(crate) fn closing(&self) -> Option<&Closing> {
        self.closing.as_ref()
    }

    /// Whether its package must not be used now.
    #[cfg(debug_assertions)]
    pub(crate) fn is_quarantined(&self) -> bool {
        self.quarantine.is_some()
    }

    pub(crate) fn tasks(&self) -> &[Task] {
        &self.tasks
    }

    pub(crate) fn started_at(&self) -> Option<Timestamp> {
        self.started_at
    }

    pub(crate) fn finished_at(&self) -> Option<Timestamp> {
        self.finished_at
    }

    /// What the task sees, while it may run.
    pub(crate) fn view(&self, task: u32) -> Option<&View> {
        self.merge.view(task)
    }

    /// What the open callback of a task sees: the task's view with what it wrote, if it completed.
    pub(crate) fn callback_view(&mut self, task: u32) -> View {
        self.merge.after_task(&self.plan.graph, task)
    }

    /// The function of the open callback of a task, if it may be called.
    pub(crate) fn callback(&self, task: u32) -> Option<Function> {
        let declared = self.plan.task(task);
        match self.tasks[task as usize].state {
            _ if !self.tasks[task as usize].callback_open || self.quarantine.is_some() => None,
            task::State::Completed => declared.on_success,
            _ => declared.on_failure,
        }
    }

    /// The context over all tasks that completed so far, with each value's writer.
    pub(crate) fn context(&self) -> BTreeMap<Key, (Option<u32>, Value)> {
        self.merge.result(&self.plan.graph)
    }

    /// What each task that completed wrote and removed, by number.
    pub(crate) fn deltas(&self) -> BTreeMap<u32, BTreeMap<Key, Option<Value>>> {
        self.merge.deltas(&self.plan.graph)
    }

    pub(super) fn task(&self, task: u32) -> Result<&Task, Refused> {
        self.tasks.get(task as usize).ok_or(Refused::NoSuchTask { task })
    }

    /// Whether the next start of the task must be stored before it happens. Only first starts are not.
    pub(super) fn starts_durably(&self, task: u32) -> bool {
        let entry = &self.tasks[task as usize];
        self.plan.task(task).at_most_once || entry.n_interruptions > 0 || entry.n_failures > 0
    }

    pub(super) fn check_attempt(&self, task: u32, attempt: u32) -> Result<(), Refused> {
        let current = self.task(task)?.attempt;
        if attempt == current { Ok(()) } else { Err(Refused::Stale { attempt, current }) }
    }

    pub(super) fn start(&mut self, by: Option<Actor>, now: Timestamp, decision: &mut Decision) -> Result<(), Refused> {
        self.state = run::next(self.state, run::Event::Started)?;
        self.started_at = Some(now);
        self.delayed_until = None;
        decision.transitions.push(Transition::RunStarted { by });
        self.limit(decision);
        let plan = self.plan.clone();
        let mut moved = Moved::default();
        for task in plan.graph.order() {
            // Rules that hold from the beginning do not wait.
            if plan.graph.parents(*task).is_empty() || plan.task(*task).when == When::Decided {
                self.judge(*task, &mut moved, now, decision)?;
            }
        }
        self.settle_all(moved, now, decision)
    }

    /// Asks for a sign when the run's time is over.
    pub(super) fn limit(&self, decision: &mut Decision) {
        if let (Some(started_at), Some(timeout), None) = (self.started_at, self.plan.timeout, &self.closing) {
            decision.effects.push(Effect::LimitRun { at: after(started_at, timeout) });
        }
    }

    fn admit(&mut self, task: u32, now: Timestamp, decision: &mut Decision) -> Result<(), Refused> {
        task::next(self.task(task)?.state, task::Event::Admitted)?;
        if !explain::gates(self, task).is_empty() {
            return Err(Refused::Gated);
        }
        self.begin(task, now, decision)
    }

    /// Begins the present attempt.
    pub(super) fn begin(&mut self, task: u32, now: Timestamp, decision: &mut Decision) -> Result<(), Refused> {
        if self.task(task)?.state == task::State::Waiting {
            self.due(task, decision)?;
        }
        let state = task::next(self.task(task)?.state, task::Event::Admitted)?;
        let is_durable = self.starts_durably(task);
        let entry = &mut self.tasks[task as usize];
        entry.state = state;
        entry.started_at = Some(now);
        let attempt = entry.attempt;
        if is_durable {
            decision.transitions.push(Transition::AttemptStarted { task, attempt });
        }
        decision.effects.push(Effect::Perform { task, attempt });
        Ok(())
    }

    fn end(
        &mut self,
        task: u32,
        attempt: u32,
        end: End,
        now: Timestamp,
        decision: &mut Decision,
    ) -> Result<(), Refused> {
        self.check_attempt(task, attempt)?;
        task::next(self.tasks[task as usize].state, task::Event::Succeeded)?;
        let failure = match end {
            End::Completed(delta) => return self.complete(task, delta, now, decision),
            End::Failed(failure) => failure,
            End::Lost => return self.end_lost(task, self.plan.task(task).at_most_once, now, decision),
            End::NotBegun => return self.end_lost(task, false, now, decision),
        };
        match self.closing {
            // Whatever it said, it was asked to stop.
            Some(Closing::Cancelled { .. }) => return self.stopped(task, failure.abandoned, now, decision),
            Some(Closing::TimedOut) => return self.fail(task, FailReason::TimedOut, now, decision),
            None => {}
        }
        let reason = FailReason::of_kind(&failure.kind);
        let n_failures = self.tasks[task as usize].n_failures + 1;
        match self.plan.task(task).retry.wait(n_failures, &failure) {
            Some(wait) if !self.plan.task(task).at_most_once => self.postpone(task, reason, after(now, wait), decision),
            _ => self.fail(task, reason, now, decision),
        }
    }

    /// Decides about an attempt that ended by no fault of it. There is no limit to how often that happens: the runner that runs
    /// packages sees to it that none brings down the processes of others for ever, and that nothing of one starts again
    /// before its code may be there.
    fn end_lost(&mut self, task: u32, is_last: bool, now: Timestamp, decision: &mut Decision) -> Result<(), Refused> {
        match self.closing {
            Some(Closing::Cancelled { .. }) => self.stopped(task, false, now, decision),
            Some(Closing::TimedOut) => self.fail(task, FailReason::TimedOut, now, decision),
            None if is_last => self.fail(task, FailReason::Lost, now, decision),
            None => self.lose(task, decision),
        }
    }

    /// Lets the task run again at once.
    pub(super) fn lose(&mut self, task: u32, decision: &mut Decision) -> Result<(), Refused> {
        let entry = &mut self.tasks[task as usize];
        entry.state = task::next(entry.state, task::Event::Interrupted)?;
        entry.fail_reason = Some(FailReason::Lost);
        entry.started_at = None;
        decision.transitions.push(Transition::AttemptLost { task, attempt: entry.attempt });
        entry.attempt += 1;
        decision.effects.push(Effect::Offer { task });
        Ok(())
    }

    pub(super) fn complete(
        &mut self,
        task: u32,
        delta: Arc<Delta>,
        now: Timestamp,
        decision: &mut Decision,
    ) -> Result<(), Refused> {
        let entry = &mut self.tasks[task as usize];
        entry.state = task::next(entry.state, task::Event::Succeeded)?;
        entry.finished_at = Some(now);
        entry.n_interruptions = 0;
        entry.fail_reason = None;
        decision.transitions.push(Transition::TaskCompleted { task, attempt: entry.attempt });
        let conflicts = self.merge.complete(&self.plan.graph, task, delta);
        decision.transitions.extend(conflicts.into_iter().map(Transition::ContextConflict));
        self.open_callback(task, decision);
        self.settle(task, now, decision)
    }

    /// Lets the task wait for another attempt.
    pub(super) fn postpone(
        &mut self,
        task: u32,
        reason: FailReason,
        due_at: Timestamp,
        decision: &mut Decision,
    ) -> Result<(), Refused> {
        let entry = &mut self.tasks[task as usize];
        entry.state = task::next(entry.state, task::Event::Postponed)?;
        entry.fail_reason = Some(reason);
        entry.due_at = Some(due_at);
        entry.started_at = None;
        entry.n_failures += 1;
        entry.n_interruptions = 0;
        decision.transitions.push(Transition::AttemptFailed { task, attempt: entry.attempt, reason, due_at });
        entry.attempt += 1;
        decision.effects.push(Effect::WakeTask { task, at: due_at });
        Ok(())
    }

    pub(super) fn due(&mut self, task: u32, decision: &mut Decision) -> Result<(), Refused> {
        let state = task::next(self.task(task)?.state, task::Event::Due)?;
        let entry = &mut self.tasks[task as usize];
        entry.state = state;
        entry.due_at = None;
        decision.effects.push(Effect::Offer { task });
        Ok(())
    }

    pub(super) fn interrupt(&mut self, task: u32, now: Timestamp, decision: &mut Decision) -> Result<(), Refused> {
        let state = task::next(self.task(task)?.state, task::Event::Interrupted)?;
        if matches!(self.closing, Some(Closing::Cancelled { .. })) {
            return self.stopped(task, false, now, decision);
        }
        let entry = &mut self.tasks[task as usize];
        entry.n_interruptions += 1;
        let is_last = entry.n_interruptions >= INTERRUPTIONS_MAX || self.plan.task(task).at_most_once;
        if is_last || self.closing.is_some() {
            return self.fail(task, FailReason::Interrupted, now, decision);
        }
        entry.state = state;
        entry.started_at = None;
        decision.transitions.push(Transition::AttemptInterrupted { task, attempt: entry.attempt });
        entry.attempt += 1;
        decision.effects.push(Effect::Offer { task });
        Ok(())
    }

    /// Ends the task as failed.
    pub(super) fn fail(
        &mut self,
        task: u32,
        reason: FailReason,
        now: Timestamp,
        decision: &mut Decision,
    ) -> Result<(), Refused> {
        let entry = &mut self.tasks[task as usize];
        entry.state = task::next(entry.state, task::Event::GaveUp)?;
        entry.fail_reason = Some(reason);
        entry.finished_at = Some(now);
        decision.transitions.push(Transition::TaskFailed { task, attempt: entry.attempt, reason });
        self.merge.fail(task);
        if self.plan.task(task).optional {
            self.optional_failed = true;
        } else {
            self.required_failed = true;
        }
        self.open_callback(task, decision);
        self.settle(task, now, decision)
    }

    /// Ends a task as cancelled whose attempt was under way.
    fn stopped(&mut self, task: u32, abandoned: bool, now: Timestamp, decision: &mut Decision) -> Result<(), Refused> {
        let attempt = self.tasks[task as usize].attempt;
        self.cancel_task(task, Some(attempt), abandoned, now, decision)?;
        self.finish_if_done(now, decision)
    }

    /// Ends a task as cancelled. The caller must see whether the run is done.
    pub(super) fn cancel_task(
        &mut self,
        task: u32,
        attempt: Option<u32>,
        abandoned: bool,
        now: Timestamp,
        decision: &mut Decision,
    ) -> Result<(), Refused> {
        let state = task::next(self.task(task)?.state, task::Event::Cancelled)?;
        let entry = &mut self.tasks[task as usize];
        entry.state = state;
        entry.finished_at = Some(now);
        entry.due_at = None;
        // Nothing of a run that is being ended looks at its context any more.
        decision.transitions.push(Transition::TaskCancelled { task, attempt, abandoned });
        self.n_open -= 1;
        Ok(())
    }

    fn open_callback(&mut self, task: u32, decision: &mut Decision) {
        let declared = self.plan.task(task);
        let entry = &mut self.tasks[task as usize];
        let is_wanted = match entry.state {
            task::State::Completed => declared.on_success.is_some(),
            _ => declared.on_failure.is_some(),
        };
        if is_wanted {
            entry.callback_open = true;
            self.n_callbacks += 1;
            decision.effects.push(Effect::OfferCallback { task });
        } else if declared.has_callbacks() {
            self.merge.let_go(task);
        }
    }

    /// Whether there was one.
    pub(super) fn drop_callback(&mut self, task: u32) -> bool {
        let was_open = std::mem::replace(&mut self.tasks[task as usize].callback_open, false);
        if was_open {
            self.n_callbacks -= 1;
            self.merge.let_go(task);
        }
        was_open
    }

    pub(super) fn end_callback(
        &mut self,
        task: u32,
        failed: bool,
        now: Timestamp,
        decision: &mut Decision,
    ) -> Result<(), Refused> {
        self.task(task)?;
        if !self.drop_callback(task) {
            return Err(Refused::NoCallback);
        }
        decision.transitions.push(Transition::CallbackEnded { task, failed });
        self.finish_if_done(now, decision)
    }

    /// Tells the dependents of a task that it is terminal, and theirs if they are skipped, and so on.
    fn settle(&mut self, task: u32, now: Timestamp, decision: &mut Decision) -> Result<(), Refused> {
        self.settle_all(Moved { terminal: [task].into(), ..Moved::default() }, now, decision)
    }

    fn settle_all(&mut self, mut moved: Moved, now: Timestamp, decision: &mut Decision) -> Result<(), Refused> {
        let plan = self.plan.clone();
        while let Some(task) = moved.terminal.pop_front() {
            self.n_open -= 1;
            if self.closing.is_some() {
                continue;
            }
            let standing = self.tasks[task as usize].standing();
            for child in plan.graph.children(task) {
                let upstream = &mut self.tasks[*child as usize].upstream;
                upstream.open -= 1;
                if standing != Standing::Completed {
                    upstream.unsuccessful.get_or_insert(task);
                }
                if standing.is_after_failure() {
                    upstream.failed.get_or_insert(task);
                }
                if upstream.open == 0 || plan.task(*child).when == When::Decided {
                    self.judge(*child, &mut moved, now, decision)?;
                }
            }
            for onlooker in self.onlookers.get(&task).cloned().unwrap_or_default() {
                self.judge(onlooker, &mut moved, now, decision)?;
            }
        }
        // What has ended by then is seen, in whatever order it was told.
        for task in moved.early {
            if self.tasks[task as usize].state == task::State::Pending {
                self.make_ready(task, decision)?;
            }
        }
        self.finish_if_done(now, decision)
    }

    /// Asks the rule of a task, if it is still open whether the task runs.
    fn judge(&mut self, task: u32, moved: &mut Moved, now: Timestamp, decision: &mut Decision) -> Result<(), Refused> {
        if self.tasks[task as usize].state != task::State::Pending {
            return Ok(());
        }
        let plan = self.plan.clone();
        let declared = plan.task(task);
        let upstream = self.tasks[task as usize].upstream;
        if declared.rule.needs_context() && upstream.open == 0 && self.merge.view(task).is_none() {
            self.merge.open(&plan.graph, task);
        }
        let states = &self.tasks;
        let standing = |other: u32| states[other as usize].standing();
        let facts = Facts::new(&standing, self.merge.view(task));
        match declared.rule.judge(declared.when, upstream, &facts) {
            Verdict::Wait => {}
            Verdict::Run if upstream.open > 0 => moved.early.push(task),
            Verdict::Run => self.make_ready(task, decision)?,
            Verdict::Skip(reason) => {
                let entry = &mut self.tasks[task as usize];
                entry.state = task::next(entry.state, task::Event::Ruled)?;
                entry.skip_reason = Some(reason);
                entry.finished_at = Some(now);
                if declared.has_callbacks() {
                    self.merge.let_go(task);
                }
                if self.merge.view(task).is_some() {
                    self.merge.fail(task);
                } else {
                    self.merge.skip(&plan.graph, task);
                }
                decision.transitions.push(Transition::TaskSkipped { task, reason });
                moved.terminal.push_back(task);
            }
        }
        Ok(())
    }

    /// Lets a task run.
    fn make_ready(&mut self, task: u32, decision: &mut Decision) -> Result<(), Refused> {
        let entry = &mut self.tasks[task as usize];
        entry.state = task::next(entry.state, task::Event::Released)?;
        if self.merge.view(task).is_none() {
            self.merge.open(&self.plan.graph, task);
        }
        decision.effects.push(Effect::Offer { task });
        Ok(())
    }

    pub(super) fn finish_if_done(&mut self, now: Timestamp, decision: &mut Decision) -> Result<(), Refused> {
        if self.n_open > 0 || self.n_callbacks > 0 || self.state.is_terminal() {
            return Ok(());
        }
        let event = match (&self.closing, self.required_failed, self.optional_failed) {
            (Some(Closing::Cancelled { .. }), ..) => run::Event::Cancelled,
            (Some(Closing::TimedOut), ..) | (None, true, _) => run::Event::RequiredFailed,
            (None, false, true) => run::Event::OptionalFailed,
            (None, false, false) => run::Event::AllCompleted,
        };
        self.state = run::next(self.state, event)?;
        self.finished_at = Some(now);
        decision.transitions.push(Transition::RunFinished { state: self.state });
        decision.effects.push(Effect::Finish);
        Ok(())
    }
}
