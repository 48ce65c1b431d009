//! The one place where it is decided what happens in a run.
//!
//! What an event leads to depends on the run after its first consequence: a completion lets dependents run or skips them,
//! and a skip skips others. So deciding goes step by step. [`Deciding`] has the run, and its one way to change it is
//! [`Deciding::change`], which applies a transition and notes it. If an event is refused, nothing has changed.
//!
//! What people ask of a run is in [`super::control`], what happens after a restart in [`super::replay`].

use std::{collections::VecDeque, sync::Arc};

use cloacina_workflow::{Timestamp, payload::Delta};

use super::{
    apply::{Refused, Run},
    effect::{Actor, Decision, Effect, FailReason, Transition, after},
    explain,
    node::{NodeId, TaskIndex},
    retry::Failure,
    rule::{Facts, Verdict, When},
    stage::{Closing, Quarantine, TaskStage},
    task,
};

/// After so many interruptions in a row a task fails, so that a package which kills its engine cannot do so for ever.
/// The first may be a guess; the later ones are not, as starts are durable after the first.
pub(crate) const INTERRUPTIONS_MAX: u32 = 3;

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
    StartAttempt {
        task: TaskIndex,
    },
    /// An attempt ended.
    End {
        task: TaskIndex,
        attempt: u32,
        end: End,
    },
    /// The task completed in the run from which this one is derived.
    Reuse {
        task: TaskIndex,
        attempt: u32,
        started_at: Timestamp,
        finished_at: Timestamp,
        delta: Arc<Delta>,
    },
    /// The engine ended while the attempt could have been running.
    Interrupt {
        task: TaskIndex,
    },
    /// The time for another attempt has come.
    Due {
        task: TaskIndex,
    },
    /// The callback of a task was called.
    CallbackEnded {
        task: TaskIndex,
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
        task: TaskIndex,
        by: Actor,
    },
    /// Run that task, and nothing else of a run that waits to be started or is paused.
    Release {
        task: TaskIndex,
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

/// A decision that is being made.
#[derive(Debug)]
pub(super) struct Deciding<'a> {
    run: &'a mut Run,
    pub(super) now: Timestamp,
    decision: Decision,
}

/// Tasks of which others have not been told yet.
#[derive(Default)]
struct Moved {
    /// Those that became terminal.
    terminal: VecDeque<TaskIndex>,
    /// Those that run although dependencies are open.
    early: Vec<TaskIndex>,
}

/// Decides what follows from an event, and applies it.
///
/// # Errors
/// [`Refused`] if the event does not fit the run's state; the run is as it was.
pub(crate) fn decide(run: &mut Run, event: Event, now: Timestamp) -> Result<Decision, Refused> {
    let mut deciding = Deciding::new(run, now);
    match event {
        Event::Delay { until } => deciding.delay(until)?,
        Event::Start { by } => deciding.start(by)?,
        Event::StartAttempt { task } => deciding.start_attempt(task)?,
        Event::End { task, attempt, end } => deciding.end(task, attempt, end)?,
        Event::Reuse { task, attempt, started_at, finished_at, delta } => {
            let reused = Transition::TaskReused { task, attempt, started_at, finished_at, delta: Arc::clone(&delta) };
            deciding.complete(task, reused, &delta)?;
        }
        Event::Interrupt { task } => deciding.interrupt(task)?,
        Event::Due { task } => deciding.due(task)?,
        Event::CallbackEnded { task, failed } => deciding.end_callback(task, failed)?,
        Event::TimeOut => deciding.time_out()?,
        Event::Pause { by } => deciding.pause(by)?,
        Event::Resume { by } => deciding.resume(by)?,
        Event::Cancel { by } => deciding.cancel(by)?,
        Event::RetryNow { task, by } => deciding.retry_now(task, by)?,
        Event::Release { task, by } => deciding.release(task, by)?,
        Event::Quarantine(quarantine) => deciding.quarantine(quarantine)?,
    }
    Ok(deciding.decision)
}

impl<'a> Deciding<'a> {
    pub(super) fn new(run: &'a mut Run, now: Timestamp) -> Self {
        Self { run, now, decision: Decision::default() }
    }

    pub(super) fn run(&self) -> &Run {
        self.run
    }

    pub(super) fn decision(self) -> Decision {
        self.decision
    }

    /// Changes the run, and notes how.
    pub(super) fn change(&mut self, transition: Transition) -> Result<(), Refused> {
        self.run.apply(&transition, self.now)?;
        self.decision.transitions.push(transition);
        Ok(())
    }

    pub(super) fn ask(&mut self, effect: Effect) {
        self.decision.effects.push(effect);
    }

    /// The gate of the run's package is not part of its history.
    pub(super) fn set_quarantine(&mut self, quarantine: Option<Quarantine>) {
        self.run.set_quarantine(quarantine);
    }

    pub(super) fn start(&mut self, by: Option<Actor>) -> Result<(), Refused> {
        self.change(Transition::RunStarted { by })?;
        self.limit();
        let plan = Arc::clone(self.run.plan());
        let mut moved = Moved::default();
        for node in plan.graph.order() {
            // Rules that hold from the beginning do not wait.
            if plan.graph.parents(*node).is_empty() || plan.task(*node).when == When::Decided {
                self.evaluate(node.task(), &mut moved)?;
            }
        }
        self.settle_all(moved)
    }

    /// Asks for a sign when the run's time is over.
    pub(super) fn limit(&mut self) {
        if let (Some(started_at), Some(timeout), None) =
            (self.run.started_at(), self.run.plan().timeout, self.run.closing())
        {
            self.ask(Effect::LimitRun { at: after(started_at, timeout) });
        }
    }

    fn start_attempt(&mut self, task: TaskIndex) -> Result<(), Refused> {
        task::next(self.run.task(task)?.state(), task::Event::Started)?;
        if !explain::gates(self.run, task).is_empty() {
            return Err(Refused::Gated);
        }
        let (attempt, is_durable) = (self.run.task(task)?.attempt, starts_durably(self.run, task));
        self.change(Transition::AttemptStarted { task, attempt, is_durable })?;
        self.ask(Effect::Perform { task, attempt });
        Ok(())
    }

    fn end(&mut self, task: TaskIndex, attempt: u32, end: End) -> Result<(), Refused> {
        self.run.check_attempt(task, attempt)?;
        let entry = self.run.task(task)?;
        let TaskStage::Running { started_at } = entry.stage else {
            return Err(task::IllegalTransition { from: entry.state(), to: task::State::Completed }.into());
        };
        let n_failures = entry.n_failures + 1;
        let failure = match end {
            End::Completed(delta) => {
                let completed = Transition::TaskCompleted { task, attempt, started_at, delta: Arc::clone(&delta) };
                return self.complete(task, completed, &delta);
            }
            End::Failed(failure) => failure,
            End::Lost => return self.end_lost(task, started_at, self.run.plan().declared(task).at_most_once),
            End::NotBegun => return self.end_lost(task, started_at, false),
        };
        match self.run.closing() {
            // Whatever it said, it was asked to stop.
            Some(Closing::Cancelled { .. }) => return self.stopped(task, Some(started_at), failure.abandoned),
            Some(Closing::TimedOut) => return self.fail(task, Some(started_at), FailReason::TimedOut),
            None => {}
        }
        let reason = FailReason::of_kind(&failure.kind);
        let declared = self.run.plan().declared(task);
        match declared.retry.wait(n_failures, &failure) {
            Some(wait) if !declared.at_most_once => {
                let due_at = after(self.now, wait);
                self.change(Transition::AttemptFailed { task, attempt, started_at, reason, due_at })?;
                self.ask(Effect::WakeTask { task, at: due_at });
                Ok(())
            }
            _ => self.fail(task, Some(started_at), reason),
        }
    }

    /// Decides about an attempt that ended without its own fault. There is no limit to how often that happens: the runner that runs
    /// packages sees to it that none brings down the processes of others for ever, and that nothing of one starts again
    /// before its code may be there.
    fn end_lost(&mut self, task: TaskIndex, started_at: Timestamp, is_last: bool) -> Result<(), Refused> {
        match self.run.closing() {
            Some(Closing::Cancelled { .. }) => self.stopped(task, Some(started_at), false),
            Some(Closing::TimedOut) => self.fail(task, Some(started_at), FailReason::TimedOut),
            None if is_last => self.fail(task, Some(started_at), FailReason::Lost),
            None => {
                let attempt = self.run.task(task)?.attempt;
                self.change(Transition::AttemptLost { task, attempt, started_at })?;
                self.ask(Effect::Enqueue { task });
                Ok(())
            }
        }
    }

    /// Ends a task by that transition, which says that it completed.
    fn complete(&mut self, task: TaskIndex, completed: Transition, delta: &Delta) -> Result<(), Refused> {
        self.run.task(task)?;
        // Those that it is in conflict with are those that completed before it.
        let conflicts = self.run.conflicts(task, delta);
        self.change(completed)?;
        for conflict in conflicts {
            self.change(Transition::ContextConflict(conflict))?;
        }
        self.enqueue_callback(task)?;
        self.settle(task)
    }

    pub(super) fn due(&mut self, task: TaskIndex) -> Result<(), Refused> {
        self.change(Transition::TaskDue { task })?;
        self.ask(Effect::Enqueue { task });
        Ok(())
    }

    pub(super) fn interrupt(&mut self, task: TaskIndex) -> Result<(), Refused> {
        let entry = self.run.task(task)?;
        task::next(entry.state(), task::Event::Interrupted)?;
        let attempt = entry.attempt;
        let n_interruptions = entry.n_interruptions + 1;
        let is_last = n_interruptions >= INTERRUPTIONS_MAX || self.run.plan().declared(task).at_most_once;
        match self.run.closing() {
            Some(Closing::Cancelled { .. }) => self.stopped(task, None, false),
            Some(Closing::TimedOut) => self.fail(task, None, FailReason::Interrupted),
            None if is_last => self.fail(task, None, FailReason::Interrupted),
            None => {
                self.change(Transition::AttemptInterrupted { task, attempt })?;
                self.ask(Effect::Enqueue { task });
                Ok(())
            }
        }
    }

    /// Ends the task as failed.
    fn fail(&mut self, task: TaskIndex, started_at: Option<Timestamp>, reason: FailReason) -> Result<(), Refused> {
        let attempt = self.run.task(task)?.attempt;
        self.change(Transition::TaskFailed { task, attempt, started_at, reason })?;
        self.enqueue_callback(task)?;
        self.settle(task)
    }

    /// Ends a task as cancelled whose attempt was under way.
    fn stopped(&mut self, task: TaskIndex, started_at: Option<Timestamp>, abandoned: bool) -> Result<(), Refused> {
        let attempt = Some(self.run.task(task)?.attempt);
        self.change(Transition::TaskCancelled { task, attempt, started_at, abandoned })?;
        self.finish_if_done()
    }

    /// Ends a task as cancelled that does not run. The caller must see whether the run is done.
    pub(super) fn cancel_task(&mut self, task: TaskIndex) -> Result<(), Refused> {
        self.change(Transition::TaskCancelled { task, attempt: None, started_at: None, abandoned: false })
    }

    fn enqueue_callback(&mut self, task: TaskIndex) -> Result<(), Refused> {
        if self.run.task(task)?.has_open_callback() {
            self.ask(Effect::EnqueueCallback { task });
        }
        Ok(())
    }

    fn end_callback(&mut self, task: TaskIndex, failed: bool) -> Result<(), Refused> {
        self.change(Transition::CallbackEnded { task, failed })?;
        self.finish_if_done()
    }

    /// Asks the rules of those that depend on a task which has ended, and of those that depend on these if they are
    /// skipped, and so on.
    fn settle(&mut self, task: TaskIndex) -> Result<(), Refused> {
        self.settle_all(Moved { terminal: [task].into(), ..Moved::default() })
    }

    fn settle_all(&mut self, mut moved: Moved) -> Result<(), Refused> {
        let plan = Arc::clone(self.run.plan());
        while let Some(task) = moved.terminal.pop_front() {
            if self.run.closing().is_some() {
                continue;
            }
            for child in plan.graph.children(task.node()) {
                if self.run.task(child.task())?.upstream.open == 0 || plan.task(*child).when == When::Decided {
                    self.evaluate(child.task(), &mut moved)?;
                }
            }
            for place in 0..self.run.onlookers(task).len() {
                let onlooker = self.run.onlookers(task)[place];
                self.evaluate(onlooker.task(), &mut moved)?;
            }
        }
        // What has ended by then is seen, in whatever order it was told.
        for task in moved.early {
            if self.run.task(task)?.stage == TaskStage::Pending {
                self.make_ready(task)?;
            }
        }
        self.finish_if_done()
    }

    /// Asks the rule of a task, if it is still open whether the task runs.
    fn evaluate(&mut self, task: TaskIndex, moved: &mut Moved) -> Result<(), Refused> {
        let entry = self.run.task(task)?;
        if entry.stage != TaskStage::Pending {
            return Ok(());
        }
        let (declared, upstream) = (self.run.plan().declared(task), entry.upstream);
        let tasks = self.run.tasks();
        let standing = |node: NodeId| tasks[node.task().place()].standing();
        let facts = Facts::new(&standing, self.run.view(task));
        match declared.rule.evaluate(declared.when, upstream, &facts) {
            Verdict::Wait => {}
            Verdict::Run if upstream.open > 0 => moved.early.push(task),
            Verdict::Run => self.make_ready(task)?,
            Verdict::Skip(reason) => {
                self.change(Transition::TaskSkipped { task, reason })?;
                moved.terminal.push_back(task);
            }
        }
        Ok(())
    }

    /// Lets a task run.
    fn make_ready(&mut self, task: TaskIndex) -> Result<(), Refused> {
        let is_implied = self.run.is_ready_implied(task);
        self.change(Transition::TaskReady { task, is_implied })?;
        self.ask(Effect::Enqueue { task });
        Ok(())
    }

    pub(super) fn finish_if_done(&mut self) -> Result<(), Refused> {
        if let Some(end) = self.run.end() {
            self.change(Transition::RunFinished { end })?;
            self.ask(Effect::Finish);
        }
        Ok(())
    }
}

/// Whether the next start of the task must be stored before it happens. Only first starts are not.
pub(super) fn starts_durably(run: &Run, task: TaskIndex) -> bool {
    let entry = &run.tasks()[task.place()];
    run.plan().declared(task).at_most_once || entry.n_interruptions > 0 || entry.n_failures > 0
}
