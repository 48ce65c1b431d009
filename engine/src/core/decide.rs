//! The one place where it is decided what happens in a run.
//!
//! `decide` moves the run in memory and says what must be stored and then done. It is called for what happens live
//! and, by `replay`, for what is read back after a restart. If it refuses an event, nothing has changed.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
};

use cloacina_workflow::{Timestamp, payload::Delta};

use super::{
    context::{Key, Merge, Value, View},
    effect::{Decision, Effect, FailReason, Transition},
    plan::Plan,
    rule::{SkipReason, Upstream, Verdict},
    run, task,
};

/// After so many interruptions in a row a task fails, so that a package which kills its engine cannot do so for ever.
/// The first may be a guess; the later ones are not, as starts are durable after the first.
pub(crate) const INTERRUPTIONS_MAX: u32 = 3;

/// A run in memory.
#[derive(Debug)]
pub(crate) struct Run {
    plan: Arc<Plan>,
    state: run::State,
    tasks: Vec<Task>,
    merge: Merge,
    n_open: u32,
    required_failed: bool,
    optional_failed: bool,
    started_at: Option<Timestamp>,
    finished_at: Option<Timestamp>,
}

/// A task in a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Task {
    pub(crate) state: task::State,
    /// The attempt that is running, or the next one; counts from 1.
    pub(crate) attempt: u32,
    /// Interruptions since the task last ended an attempt by itself.
    pub(crate) n_interruptions: u32,
    pub(crate) started_at: Option<Timestamp>,
    pub(crate) finished_at: Option<Timestamp>,
    pub(crate) skip_reason: Option<SkipReason>,
    pub(crate) fail_reason: Option<FailReason>,
    upstream: Upstream,
}

/// Something that happened to a run.
#[derive(Clone, Debug)]
pub(crate) enum Event {
    /// It may begin.
    Start,
    /// The task was given a slot.
    Admit { task: u32 },
    /// An attempt ended.
    End { task: u32, attempt: u32, end: End },
    /// The engine ended while the attempt could have been running.
    Interrupt { task: u32 },
}

/// How an attempt ended, as far as decisions go.
#[derive(Clone, Debug)]
pub(crate) enum End {
    Completed(Arc<Delta>),
    Failed(FailReason),
}

/// Something that happened to a run before this process began.
#[derive(Clone, Debug)]
pub(crate) enum Past {
    Started,
    AttemptStarted { task: u32 },
    AttemptInterrupted { task: u32 },
    Ended { task: u32, attempt: u32, started_at: Option<Timestamp>, end: End },
}

/// An event that cannot have happened.
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
}

/// Decides what follows from an event.
///
/// # Errors
/// [`Refused`] if the event does not fit the run's state; the run is as it was.
pub(crate) fn decide(run: &mut Run, event: Event, now: Timestamp) -> Result<Decision, Refused> {
    let mut decision = Decision::default();
    match event {
        Event::Start => run.start(now, &mut decision)?,
        Event::Admit { task } => run.admit(task, now, &mut decision)?,
        Event::End { task, attempt, end } => run.end(task, attempt, end, now, &mut decision)?,
        Event::Interrupt { task } => run.interrupt(task, now, &mut decision)?,
    }
    Ok(decision)
}

/// Decides again what was decided in the past.
///
/// # Errors
/// [`Refused`] if the history cannot be that of this workflow.
pub(crate) fn replay(run: &mut Run, past: Past, at: Timestamp) -> Result<(), Refused> {
    match past {
        Past::Started => drop(decide(run, Event::Start, at)?),
        Past::AttemptStarted { task } => drop(decide(run, Event::Admit { task }, at)?),
        Past::AttemptInterrupted { task } => drop(decide(run, Event::Interrupt { task }, at)?),
        Past::Ended { task, attempt, started_at, end } => {
            if run.task(task)?.state == task::State::Ready {
                decide(run, Event::Admit { task }, started_at.unwrap_or(at))?;
            }
            decide(run, Event::End { task, attempt, end }, at)?;
        }
    }
    Ok(())
}

/// Decides what a restart means for a run whose past was replayed. `closed_in_order` says that the engine before left
/// no attempt without an end; otherwise every task that was ready may have been running.
///
/// # Errors
/// [`Refused`] never happens to a run that was only moved by `decide`.
pub(crate) fn recover(run: &mut Run, closed_in_order: bool, now: Timestamp) -> Result<Decision, Refused> {
    let mut decision = Decision::default();
    if run.state == run::State::Pending {
        run.start(now, &mut decision)?;
        return Ok(decision);
    }
    for place in 0..run.plan.n_tasks() {
        let task = run.plan.graph.order()[place];
        let could_have_run = match run.tasks[task as usize].state {
            task::State::Running => true,
            task::State::Ready => !closed_in_order && !run.starts_durably(task),
            task::State::Pending
            | task::State::Waiting
            | task::State::Completed
            | task::State::Failed
            | task::State::Skipped
            | task::State::Cancelled => false,
        };
        if could_have_run {
            run.interrupt(task, now, &mut decision)?;
        } else if run.tasks[task as usize].state == task::State::Ready {
            decision.effects.push(Effect::Offer { task });
        }
    }
    Ok(decision)
}

impl Run {
    pub(crate) fn new(plan: Arc<Plan>, input: &BTreeMap<Key, Value>) -> Self {
        let tasks = (0..).take(plan.n_tasks()).map(|task| Task {
            state: task::State::Pending,
            attempt: 1,
            n_interruptions: 0,
            started_at: None,
            finished_at: None,
            skip_reason: None,
            fail_reason: None,
            upstream: Upstream {
                open: u32::try_from(plan.graph.parents(task).len()).unwrap_or(u32::MAX),
                unsuccessful: None,
            },
        });
        Self {
            state: run::State::Pending,
            tasks: tasks.collect(),
            merge: Merge::new(&plan.graph, input),
            n_open: u32::try_from(plan.n_tasks()).unwrap_or(u32::MAX),
            required_failed: false,
            optional_failed: false,
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

    /// The context over all tasks that completed so far, with each value's writer.
    pub(crate) fn context(&self) -> BTreeMap<Key, (Option<u32>, Value)> {
        self.merge.result(&self.plan.graph)
    }

    /// What each task that completed wrote and removed, by number.
    pub(crate) fn deltas(&self) -> BTreeMap<u32, BTreeMap<Key, Option<Value>>> {
        self.merge.deltas(&self.plan.graph)
    }

    fn task(&self, task: u32) -> Result<&Task, Refused> {
        self.tasks.get(task as usize).ok_or(Refused::NoSuchTask { task })
    }

    /// Whether the next start of the task must be stored before it happens.
    fn starts_durably(&self, task: u32) -> bool {
        self.plan.task(task).at_most_once || self.tasks[task as usize].n_interruptions > 0
    }

    fn start(&mut self, now: Timestamp, decision: &mut Decision) -> Result<(), Refused> {
        self.state = run::next(self.state, run::Event::Started)?;
        self.started_at = Some(now);
        decision.transitions.push(Transition::RunStarted);
        let plan = self.plan.clone();
        for task in plan.graph.order() {
            if plan.graph.parents(*task).is_empty() {
                self.release(*task, decision)?;
            }
        }
        self.finish_if_done(now, decision)
    }

    fn admit(&mut self, task: u32, now: Timestamp, decision: &mut Decision) -> Result<(), Refused> {
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
        let current = self.task(task)?.attempt;
        if attempt != current {
            return Err(Refused::Stale { attempt, current });
        }
        match end {
            End::Completed(delta) => {
                let state = task::next(self.tasks[task as usize].state, task::Event::Succeeded)?;
                self.tasks[task as usize].state = state;
                decision.transitions.push(Transition::TaskCompleted { task, attempt });
                let conflicts = self.merge.complete(&self.plan.graph, task, delta);
                decision.transitions.extend(conflicts.into_iter().map(Transition::ContextConflict));
            }
            End::Failed(reason) => self.give_up(task, reason, decision)?,
        }
        self.tasks[task as usize].finished_at = Some(now);
        self.settle(task, now, decision)
    }

    fn interrupt(&mut self, task: u32, now: Timestamp, decision: &mut Decision) -> Result<(), Refused> {
        let state = task::next(self.task(task)?.state, task::Event::Interrupted)?;
        let entry = &mut self.tasks[task as usize];
        entry.n_interruptions += 1;
        if entry.n_interruptions >= INTERRUPTIONS_MAX || self.plan.task(task).at_most_once {
            entry.finished_at = Some(now);
            self.give_up(task, FailReason::Interrupted, decision)?;
            return self.settle(task, now, decision);
        }
        entry.state = state;
        entry.started_at = None;
        decision.transitions.push(Transition::AttemptInterrupted { task, attempt: entry.attempt });
        entry.attempt += 1;
        decision.effects.push(Effect::Offer { task });
        Ok(())
    }

    fn give_up(&mut self, task: u32, reason: FailReason, decision: &mut Decision) -> Result<(), Refused> {
        let entry = &mut self.tasks[task as usize];
        entry.state = task::next(entry.state, task::Event::GaveUp)?;
        entry.fail_reason = Some(reason);
        decision.transitions.push(Transition::TaskFailed { task, attempt: entry.attempt, reason });
        self.merge.fail(task);
        if self.plan.task(task).optional {
            self.optional_failed = true;
        } else {
            self.required_failed = true;
        }
        Ok(())
    }

    /// Tells the dependents of a task that it is terminal, and theirs if they are skipped, and so on.
    fn settle(&mut self, task: u32, now: Timestamp, decision: &mut Decision) -> Result<(), Refused> {
        let plan = self.plan.clone();
        let mut terminal = VecDeque::from([task]);
        while let Some(task) = terminal.pop_front() {
            self.n_open -= 1;
            let completed = self.tasks[task as usize].state == task::State::Completed;
            for child in plan.graph.children(task) {
                let upstream = &mut self.tasks[*child as usize].upstream;
                upstream.open -= 1;
                if !completed {
                    upstream.unsuccessful.get_or_insert(task);
                }
                match plan.task(*child).rule.judge(*upstream) {
                    Verdict::Wait => {}
                    Verdict::Run => self.release(*child, decision)?,
                    Verdict::Skip(reason) => {
                        self.skip(*child, reason, now, decision)?;
                        terminal.push_back(*child);
                    }
                }
            }
        }
        self.finish_if_done(now, decision)
    }

    fn release(&mut self, task: u32, decision: &mut Decision) -> Result<(), Refused> {
        let entry = &mut self.tasks[task as usize];
        entry.state = task::next(entry.state, task::Event::Released)?;
        self.merge.open(&self.plan.graph, task);
        decision.effects.push(Effect::Offer { task });
        Ok(())
    }

    fn skip(&mut self, task: u32, reason: SkipReason, now: Timestamp, decision: &mut Decision) -> Result<(), Refused> {
        let entry = &mut self.tasks[task as usize];
        entry.state = task::next(entry.state, task::Event::Ruled)?;
        entry.skip_reason = Some(reason);
        entry.finished_at = Some(now);
        self.merge.skip(&self.plan.graph, task);
        decision.transitions.push(Transition::TaskSkipped { task, reason });
        Ok(())
    }

    fn finish_if_done(&mut self, now: Timestamp, decision: &mut Decision) -> Result<(), Refused> {
        if self.n_open > 0 {
            return Ok(());
        }
        let event = match (self.required_failed, self.optional_failed) {
            (true, _) => run::Event::RequiredFailed,
            (false, true) => run::Event::OptionalFailed,
            (false, false) => run::Event::AllCompleted,
        };
        self.state = run::next(self.state, event)?;
        self.finished_at = Some(now);
        decision.transitions.push(Transition::RunFinished { state: self.state });
        decision.effects.push(Effect::Finish);
        Ok(())
    }
}
