//! A run in memory, and the one function that changes it.
//!
//! `decide` applies each transition in the moment in which it is decided, and a replay applies those that were stored: both
//! call [`Run::apply`]. The fields are private to this file, so nothing else can change a run. The one exception is the
//! gate of the run's package, which is not part of the run's history.
//!
//! A transition that does not fit is refused and changes nothing. Everything that follows from a transition alone is done
//! here: counters, the views of the context, and what dependents know of their dependencies. Whatever needs a decision (a
//! rule, a policy) comes as a transition of its own.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::Arc,
};

use cloacina_workflow::{Timestamp, payload::Delta};

use super::{
    context::{Key, Merge, Value},
    effect::{Actor, Conflict, FailReason, Transition},
    node::{NodeId, TaskIndex},
    plan::{Function, Plan},
    rule::When,
    run,
    stage::{Closing, Open, Quarantine, RunStage, Task, TaskStage},
    task,
    view::View,
};

/// A run in memory.
#[derive(Debug)]
pub(crate) struct Run {
    plan: Arc<Plan>,
    stage: RunStage,
    tasks: Vec<Task>,
    merge: Merge,
    /// Nodes by the tasks that their rules name besides their dependencies, where these may end later.
    onlookers: HashMap<NodeId, Vec<NodeId>>,
    /// Nodes with tasks that need not be ready, or skipped, at the moment in which their last dependency ends.
    untied: BTreeSet<NodeId>,
    /// Tasks that are not terminal.
    n_open: u32,
    /// Callbacks that have not ended.
    n_callbacks: u32,
    required_failed: bool,
    optional_failed: bool,
    /// Why no task of it starts, although there was no request about the run itself. Not part of its history.
    quarantine: Option<Quarantine>,
}

/// An event that cannot have happened, or must not happen now; or a transition that does not fit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Refused {
    #[error(transparent)]
    Run(#[from] run::IllegalTransition),
    #[error(transparent)]
    Task(#[from] task::IllegalTransition),
    #[error("attempt {attempt} has ended, attempt {current} is the present one")]
    Stale { attempt: u32, current: u32 },
    #[error("the workflow has no task {task}")]
    NoSuchTask { task: TaskIndex },
    #[error("the task waits at a gate")]
    Gated,
    #[error("the task waits for something else than its run")]
    Waits,
    #[error("the run is being ended")]
    Closing,
    #[error("the task has no open callback")]
    NoCallback,
    #[error("{n_open} tasks and {n_callbacks} callbacks of the run have not ended")]
    Unfinished { n_open: u32, n_callbacks: u32 },
}

impl Run {
    pub(crate) fn new(plan: Arc<Plan>, input: &BTreeMap<Key, Value>) -> Self {
        let n_dependencies = |node| u32::try_from(plan.graph.parents(node).len()).unwrap_or(u32::MAX);
        let tasks = plan.nodes().map(|(node, _)| Task::new(n_dependencies(node)));
        let mut merge = Merge::new(&plan.graph, input);
        for (node, task) in plan.nodes() {
            if task.has_callbacks() {
                merge.hold(node);
            }
        }
        let onlookers = plan.onlookers();
        let early = plan.nodes().filter(|(_, task)| task.when == When::Decided).map(|(node, _)| node);
        Self {
            stage: RunStage::Open(Open::Pending { delayed_until: None }),
            tasks: tasks.collect(),
            merge,
            untied: early.chain(onlookers.values().flatten().copied()).collect(),
            onlookers,
            n_open: u32::try_from(plan.n_tasks()).unwrap_or(u32::MAX),
            n_callbacks: 0,
            required_failed: false,
            optional_failed: false,
            quarantine: None,
            plan,
        }
    }

    pub(crate) fn plan(&self) -> &Arc<Plan> {
        &self.plan
    }

    pub(crate) fn stage(&self) -> &RunStage {
        &self.stage
    }

    pub(crate) fn state(&self) -> run::State {
        self.stage.state()
    }

    /// Why the run ends before its tasks have, if it does.
    pub(crate) fn closing(&self) -> Option<&Closing> {
        self.stage.closing()
    }

    /// Why no task of it starts, although there was no request about the run itself.
    pub(crate) fn quarantine(&self) -> Option<&Quarantine> {
        self.quarantine.as_ref()
    }

    /// By number.
    pub(crate) fn tasks(&self) -> &[Task] {
        &self.tasks
    }

    /// All tasks with their numbers.
    pub(crate) fn numbered(&self) -> impl Iterator<Item = (TaskIndex, &Task)> {
        (0..).map(TaskIndex::at).zip(&self.tasks)
    }

    /// The tasks in the order of the workflow.
    pub(super) fn in_order(&self) -> impl Iterator<Item = TaskIndex> {
        self.plan.graph.order().iter().map(|node| node.task())
    }

    pub(crate) fn started_at(&self) -> Option<Timestamp> {
        self.stage.started_at()
    }

    pub(crate) fn finished_at(&self) -> Option<Timestamp> {
        self.stage.finished_at()
    }

    /// What the task sees, while it may run.
    pub(crate) fn view(&self, task: TaskIndex) -> Option<&View> {
        self.merge.view(task.node())
    }

    /// What the open callback of a task sees: the task's view with what it wrote, if it completed.
    pub(crate) fn callback_view(&self, task: TaskIndex) -> View {
        self.merge.after_task(&self.plan.graph, task.node())
    }

    /// The function of the open callback of a task, if it may be called.
    pub(crate) fn callback(&self, task: TaskIndex) -> Option<Function> {
        let declared = self.plan.declared(task);
        let entry = &self.tasks[task.place()];
        match entry.stage {
            _ if !entry.has_open_callback() || self.quarantine.is_some() => None,
            TaskStage::Completed { .. } => declared.on_success,
            _ => declared.on_failure,
        }
    }

    /// The context over all tasks that completed so far, with each value's writer.
    pub(crate) fn context(&self) -> BTreeMap<Key, (Option<NodeId>, Value)> {
        self.merge.result(&self.plan.graph)
    }

    /// What each task that completed wrote and removed, by number.
    pub(crate) fn deltas(&self) -> BTreeMap<NodeId, BTreeMap<Key, Option<Value>>> {
        self.merge.deltas(&self.plan.graph)
    }

    pub(super) fn task(&self, task: TaskIndex) -> Result<&Task, Refused> {
        self.tasks.get(task.place()).ok_or(Refused::NoSuchTask { task })
    }

    /// Tasks further down than its children with rules that name the task, and that may be evaluated before the children have ended.
    pub(super) fn onlookers(&self, task: TaskIndex) -> &[NodeId] {
        self.onlookers.get(&task.node()).map_or(&[], Vec::as_slice)
    }

    /// Whether the task is ready, or skipped, in the moment in which its last dependency ends.
    pub(super) fn is_ready_implied(&self, task: TaskIndex) -> bool {
        !self.untied.contains(&task.node())
    }

    /// What a completion with that delta is in conflict with.
    pub(super) fn conflicts(&self, task: TaskIndex, delta: &Delta) -> Vec<Conflict> {
        self.merge.conflicts(&self.plan.graph, task.node(), delta)
    }

    pub(super) fn check_attempt(&self, task: TaskIndex, attempt: u32) -> Result<(), Refused> {
        let current = self.task(task)?.attempt;
        if attempt == current { Ok(()) } else { Err(Refused::Stale { attempt, current }) }
    }

    pub(super) fn check_not_closing(&self) -> Result<(), Refused> {
        if self.closing().is_some() { Err(Refused::Closing) } else { Ok(()) }
    }

    /// The end of a run all of which has ended.
    pub(super) fn end(&self) -> Option<run::End> {
        if self.n_open > 0 || self.n_callbacks > 0 || self.state().is_terminal() {
            return None;
        }
        Some(match (self.closing(), self.required_failed, self.optional_failed) {
            (Some(Closing::Cancelled { .. }), ..) => run::End::Cancelled,
            (Some(Closing::TimedOut), ..) | (None, true, _) => run::End::Failed,
            (None, false, true) => run::End::PartiallyCompleted,
            (None, false, false) => run::End::Completed,
        })
    }

    /// Closes or opens the gate of the run's package. Packages have their own history, so this is not a transition.
    pub(super) fn set_quarantine(&mut self, quarantine: Option<Quarantine>) {
        self.quarantine = quarantine;
    }

    /// Changes the run.
    ///
    /// # Errors
    /// [`Refused`] if the transition does not fit the run; then nothing has changed.
    pub(crate) fn apply(&mut self, transition: &Transition, at: Timestamp) -> Result<(), Refused> {
        match transition {
            Transition::RunDelayed { until } => self.delay(*until),
            Transition::RunStarted { by: _ } => self.start(at),
            Transition::RunPaused { by } => self.pause(by.clone()),
            Transition::RunResumed { by: _ } => self.resume(),
            Transition::TaskReleased { task, by: _ } => self.release(*task),
            Transition::RunCancelRequested { by } => {
                self.close(run::Event::Cancelled, Closing::Cancelled { by: by.clone() })
            }
            Transition::RunTimedOut => self.close(run::Event::RequiredFailed, Closing::TimedOut),
            Transition::RunFinished { end } => self.finish(*end, at),
            Transition::TaskReady { task, is_implied: _ } => self.make_ready(*task),
            Transition::AttemptStarted { task, attempt, is_durable: _ } => {
                self.check_attempt(*task, *attempt)?;
                self.check(*task, task::Event::Started)?.stage = TaskStage::Running { started_at: at };
                Ok(())
            }
            Transition::AttemptInterrupted { task, attempt } => {
                self.check_attempt(*task, *attempt)?;
                let entry = self.check(*task, task::Event::Interrupted)?;
                entry.stage = TaskStage::Ready;
                entry.n_interruptions += 1;
                entry.attempt += 1;
                Ok(())
            }
            Transition::AttemptLost { task, attempt, started_at: _ } => {
                self.check_attempt(*task, *attempt)?;
                let entry = self.check(*task, task::Event::Interrupted)?;
                entry.stage = TaskStage::Ready;
                entry.last_failure = Some(FailReason::Lost);
                entry.attempt += 1;
                Ok(())
            }
            Transition::AttemptFailed { task, attempt, started_at: _, reason, due_at } => {
                self.check_attempt(*task, *attempt)?;
                let entry = self.check(*task, task::Event::Postponed)?;
                entry.stage = TaskStage::Waiting { due_at: *due_at };
                entry.last_failure = Some(*reason);
                entry.n_failures += 1;
                entry.n_interruptions = 0;
                entry.attempt += 1;
                Ok(())
            }
            Transition::TaskDue { task } | Transition::RetryRequested { task, by: _ } => {
                self.check(*task, task::Event::Due)?.stage = TaskStage::Ready;
                Ok(())
            }
            Transition::TaskCompleted { task, attempt, started_at, delta } => {
                self.check_attempt(*task, *attempt)?;
                self.check(*task, task::Event::Succeeded)?;
                let has_callback = self.plan.declared(*task).on_success.is_some();
                self.complete(
                    *task,
                    delta,
                    TaskStage::Completed { started_at: *started_at, finished_at: at, has_callback },
                );
                Ok(())
            }
            Transition::TaskReused { task, attempt, started_at, finished_at, delta } => {
                self.check(*task, task::Event::Reused)?.attempt = *attempt;
                let (started_at, finished_at) = (*started_at, *finished_at);
                // Its callback was called in the run in which the task completed.
                self.complete(*task, delta, TaskStage::Completed { started_at, finished_at, has_callback: false });
                Ok(())
            }
            Transition::TaskFailed { task, attempt, started_at: _, reason } => self.fail(*task, *attempt, *reason, at),
            Transition::TaskSkipped { task, reason } => {
                self.check(*task, task::Event::Ruled)?.stage = TaskStage::Skipped { reason: *reason, finished_at: at };
                self.leave_out(*task);
                self.settle(*task);
                Ok(())
            }
            Transition::TaskCancelled { task, attempt, started_at: _, abandoned: _ } => {
                attempt.map_or(Ok(()), |attempt| self.check_attempt(*task, attempt))?;
                let started_at = self.task(*task)?.started_at();
                self.check(*task, task::Event::Cancelled)?.stage = TaskStage::Cancelled { started_at, finished_at: at };
                // No task of a run that is being ended reads its context any longer, or waits for the task.
                self.n_open -= 1;
                Ok(())
            }
            Transition::CallbackEnded { task, failed: _ } => self.end_callback(*task),
            Transition::ContextConflict(_) => Ok(()),
        }
    }

    /// The task, if the event may happen to it.
    fn check(&mut self, task: TaskIndex, event: task::Event) -> Result<&mut Task, Refused> {
        let entry = self.tasks.get_mut(task.place()).ok_or(Refused::NoSuchTask { task })?;
        task::next(entry.state(), event)?;
        Ok(entry)
    }

    fn delay(&mut self, until: Timestamp) -> Result<(), Refused> {
        run::next(self.state(), run::Event::Started)?;
        self.check_not_closing()?;
        self.stage = RunStage::Open(Open::Pending { delayed_until: Some(until) });
        Ok(())
    }

    fn start(&mut self, at: Timestamp) -> Result<(), Refused> {
        run::next(self.state(), run::Event::Started)?;
        self.check_not_closing()?;
        self.stage = RunStage::Open(Open::Running { started_at: at });
        for task in (0..self.tasks.len()).map(TaskIndex::at) {
            if self.tasks[task.place()].upstream.open == 0 {
                self.open_for_rule(task);
            }
        }
        Ok(())
    }

    fn pause(&mut self, by: Actor) -> Result<(), Refused> {
        match &self.stage {
            RunStage::Open(Open::Running { started_at }) => {
                self.stage = RunStage::Open(Open::Paused { started_at: *started_at, by, released: BTreeSet::new() });
                Ok(())
            }
            stage => Err(refusal(stage, run::Event::Paused)),
        }
    }

    fn resume(&mut self) -> Result<(), Refused> {
        match &self.stage {
            RunStage::Open(Open::Paused { started_at, .. }) => {
                self.stage = RunStage::Open(Open::Running { started_at: *started_at });
                Ok(())
            }
            stage => Err(refusal(stage, run::Event::Resumed)),
        }
    }

    fn release(&mut self, task: TaskIndex) -> Result<(), Refused> {
        task::next(self.task(task)?.state(), task::Event::Started)?;
        match &mut self.stage {
            RunStage::Open(Open::Paused { released, .. }) => {
                released.insert(task);
                Ok(())
            }
            stage => Err(refusal(stage, run::Event::Resumed)),
        }
    }

    fn close(&mut self, event: run::Event, why: Closing) -> Result<(), Refused> {
        run::next(self.state(), event)?;
        match &self.stage {
            RunStage::Open(open) => {
                self.stage = RunStage::Closing { before: open.clone(), why };
                Ok(())
            }
            RunStage::Closing { .. } | RunStage::Ended { .. } => Err(Refused::Closing),
        }
    }

    fn finish(&mut self, end: run::End, at: Timestamp) -> Result<(), Refused> {
        run::next(self.state(), end.event())?;
        let (n_open, n_callbacks) = (self.n_open, self.n_callbacks);
        if n_open > 0 || n_callbacks > 0 {
            return Err(Refused::Unfinished { n_open, n_callbacks });
        }
        self.stage = RunStage::Ended { end, started_at: self.started_at(), finished_at: at };
        Ok(())
    }

    fn make_ready(&mut self, task: TaskIndex) -> Result<(), Refused> {
        self.check(task, task::Event::Released)?.stage = TaskStage::Ready;
        if self.merge.view(task.node()).is_none() {
            self.merge.open(&self.plan.graph, task.node());
        }
        Ok(())
    }

    /// Ends a task as completed that may be.
    fn complete(&mut self, task: TaskIndex, delta: &Arc<Delta>, stage: TaskStage) {
        let entry = &mut self.tasks[task.place()];
        entry.stage = stage;
        entry.n_interruptions = 0;
        entry.last_failure = None;
        self.merge.complete(&self.plan.graph, task.node(), delta);
        self.note_callback(task);
        self.settle(task);
    }

    fn fail(&mut self, task: TaskIndex, attempt: u32, reason: FailReason, at: Timestamp) -> Result<(), Refused> {
        self.check_attempt(task, attempt)?;
        let started_at = self.task(task)?.started_at();
        let has_callback = self.plan.declared(task).on_failure.is_some();
        let entry = self.check(task, task::Event::GaveUp)?;
        entry.stage = TaskStage::Failed { reason, started_at, finished_at: at, has_callback };
        entry.last_failure = None;
        entry.n_interruptions += u32::from(reason == FailReason::Interrupted);
        self.merge.fail(task.node());
        if self.plan.declared(task).optional {
            self.optional_failed = true;
        } else {
            self.required_failed = true;
        }
        self.note_callback(task);
        self.settle(task);
        Ok(())
    }

    /// Counts the callback of a task that has ended, or drops what was kept for one.
    fn note_callback(&mut self, task: TaskIndex) {
        if self.tasks[task.place()].has_open_callback() {
            self.n_callbacks += 1;
        } else if self.plan.declared(task).has_callbacks() {
            self.merge.release_hold(task.node());
        }
    }

    fn end_callback(&mut self, task: TaskIndex) -> Result<(), Refused> {
        let entry = self.tasks.get_mut(task.place()).ok_or(Refused::NoSuchTask { task })?;
        match &mut entry.stage {
            TaskStage::Completed { has_callback, .. } | TaskStage::Failed { has_callback, .. } if *has_callback => {
                *has_callback = false;
            }
            _ => return Err(Refused::NoCallback),
        }
        self.n_callbacks -= 1;
        self.merge.release_hold(task.node());
        Ok(())
    }

    /// The context goes on without a task that will not run.
    fn leave_out(&mut self, task: TaskIndex) {
        if self.plan.declared(task).has_callbacks() {
            self.merge.release_hold(task.node());
        }
        if self.merge.view(task.node()).is_some() {
            self.merge.fail(task.node());
        } else {
            self.merge.skip(&self.plan.graph, task.node());
        }
    }

    /// Lets the dependents of a task know that it has ended. In a run that is being ended nothing waits for it.
    fn settle(&mut self, task: TaskIndex) {
        self.n_open -= 1;
        if self.closing().is_some() {
            return;
        }
        let plan = Arc::clone(&self.plan);
        let standing = self.tasks[task.place()].standing();
        for child in plan.graph.children(task.node()) {
            let upstream = &mut self.tasks[child.task().place()].upstream;
            upstream.note(task.node(), standing);
            if upstream.open == 0 {
                self.open_for_rule(child.task());
            }
        }
    }

    /// Creates the view of a task with dependencies that have all ended, if its rule reads the context.
    fn open_for_rule(&mut self, task: TaskIndex) {
        let is_wanted = self.plan.declared(task).rule.needs_context() && self.merge.view(task.node()).is_none();
        if is_wanted && self.tasks[task.place()].stage == TaskStage::Pending {
            self.merge.open(&self.plan.graph, task.node());
        }
    }
}

/// Why the event must not happen at a stage. Where the table of states has it, the run is being ended.
fn refusal(stage: &RunStage, event: run::Event) -> Refused {
    match run::next(stage.state(), event) {
        Err(illegal) => illegal.into(),
        Ok(_) => Refused::Closing,
    }
}

/// Everything that there is in memory of a run, except for the gate of its package, which is not history.
#[cfg(test)]
#[derive(Debug, PartialEq)]
pub(super) struct Content {
    pub(super) stage: RunStage,
    pub(super) tasks: Vec<Task>,
    /// Open tasks and callbacks, and whether a required and an optional task failed.
    pub(super) counters: (u32, u32, bool, bool),
    pub(super) merge: (Vec<super::context::TaskContent>, String),
}

#[cfg(test)]
impl Run {
    pub(super) fn content(&self) -> Content {
        let Self { plan: _, stage, tasks, merge, onlookers: _, untied: _, n_open, n_callbacks, quarantine: _, .. } =
            self;
        let counters = (*n_open, *n_callbacks, self.required_failed, self.optional_failed);
        Content { stage: stage.clone(), tasks: tasks.clone(), counters, merge: merge.content() }
    }
}
