//! A run after a restart: the fold of what was stored, then what the restart means for the run.
//!
//! No rule, policy or chance is asked again: the stored transitions say what was decided. Three kinds of transitions are
//! not stored, because others imply them, and [`Replay`] applies them in front of those:
//!
//! - A start that need not be durable. The end of an attempt says when it began.
//! - That the time for another attempt has come. An attempt that begins, or what presumes a task that may run, implies it.
//! - That a task may run when its dependencies have all ended. If its rule had kept it from running, the same decision would
//!   have skipped it; so it is ready when the next decision begins, and at the end of the history. For a task whose rule
//!   may let it run earlier or later it is stored.
//!
//! So what a replay does not know is: whether an attempt is under way whose start was not stored (the task counts as
//! ready), when such an attempt began if an interruption ended the task, and whether the time of a waiting task has come.

use cloacina_workflow::Timestamp;

use super::{
    apply::{Refused, Run},
    decide::{Deciding, starts_durably},
    effect::{Decision, Effect, Transition},
    node::TaskIndex,
    stage::{Open, RunStage, TaskStage},
    task,
};

/// A history that is being folded.
#[derive(Debug)]
pub(crate) struct Replay {
    run: Run,
    /// Tasks with dependencies that have ended since the last decision began.
    settled: Vec<TaskIndex>,
}

impl Replay {
    /// `run` is as it was created.
    pub(crate) fn new(run: Run) -> Self {
        Self { run, settled: Vec::new() }
    }

    /// Applies the next transition of the history.
    ///
    /// # Errors
    /// [`Refused`] if the history cannot be that of this workflow.
    pub(crate) fn apply(&mut self, transition: &Transition, at: Timestamp) -> Result<(), Refused> {
        if !transition.is_consequence() {
            self.release_settled(at)?;
        }
        while let Some((implied, at)) = self.implied(transition, at) {
            self.run.apply(&implied, at)?;
        }
        self.run.apply(transition, at)?;
        self.note_settled(transition);
        Ok(())
    }

    /// The run at the end of the history, at that time.
    ///
    /// # Errors
    /// [`Refused`] if the history cannot be that of this workflow.
    pub(crate) fn end(mut self, at: Timestamp) -> Result<Run, Refused> {
        self.release_settled(at)?;
        Ok(self.run)
    }

    /// Lets those tasks run that the last decision did not skip.
    fn release_settled(&mut self, at: Timestamp) -> Result<(), Refused> {
        for task in std::mem::take(&mut self.settled) {
            if self.run.task(task)?.stage == TaskStage::Pending {
                self.run.apply(&Transition::TaskReady { task, is_implied: true }, at)?;
            }
        }
        Ok(())
    }

    fn note_settled(&mut self, transition: &Transition) {
        let run = &self.run;
        let is_settled = |task: &TaskIndex| {
            let entry = &run.tasks()[task.place()];
            entry.stage == TaskStage::Pending && entry.upstream.open == 0 && run.is_ready_implied(*task)
        };
        match transition {
            Transition::RunStarted { .. } => {
                self.settled.extend(run.numbered().map(|(task, _)| task).filter(is_settled))
            }
            Transition::TaskCompleted { task, .. }
            | Transition::TaskReused { task, .. }
            | Transition::TaskFailed { task, .. }
            | Transition::TaskSkipped { task, .. } => {
                self.settled
                    .extend(run.plan().graph.children(task.node()).iter().map(|node| node.task()).filter(is_settled));
            }
            _ => {}
        }
    }

    /// What must have happened before the transition, and when.
    fn implied(&self, transition: &Transition, at: Timestamp) -> Option<(Transition, Timestamp)> {
        let (task, began) = match transition {
            Transition::TaskReleased { task, .. }
            | Transition::AttemptStarted { task, .. }
            | Transition::AttemptInterrupted { task, .. } => (*task, None),
            Transition::AttemptLost { task, attempt, started_at }
            | Transition::AttemptFailed { task, attempt, started_at, .. }
            | Transition::TaskCompleted { task, attempt, started_at, .. } => (*task, Some((*attempt, *started_at))),
            Transition::TaskFailed { task, attempt, started_at, .. } => {
                (*task, started_at.map(|started_at| (*attempt, started_at)))
            }
            Transition::TaskCancelled { task, attempt: Some(attempt), started_at, .. } => {
                (*task, started_at.map(|started_at| (*attempt, started_at)))
            }
            _ => return None,
        };
        match (self.run.task(task).ok()?.state(), began) {
            (task::State::Waiting, _) => Some((Transition::TaskDue { task }, at)),
            (task::State::Ready, Some((attempt, started_at))) => {
                Some((Transition::AttemptStarted { task, attempt, is_durable: false }, started_at))
            }
            _ => None,
        }
    }
}

/// Decides what a restart means for a run whose history was replayed. `closed_in_order` says that the engine before left
/// no attempt without an end; otherwise every task that was ready may have been running.
///
/// # Errors
/// [`Refused`] never happens to a run that was only moved by `decide`.
pub(crate) fn recover(run: &mut Run, closed_in_order: bool, now: Timestamp) -> Result<Decision, Refused> {
    let mut deciding = Deciding::new(run, now);
    if let RunStage::Open(Open::Pending { delayed_until }) = deciding.run().stage() {
        if let Some(at) = *delayed_until {
            deciding.ask(Effect::WakeRun { at });
        }
        return Ok(deciding.decision());
    }
    deciding.limit();
    for place in 0..deciding.run().plan().n_tasks() {
        let task = deciding.run().plan().graph.order()[place].task();
        let entry = deciding.run().task(task)?;
        let stage = entry.stage.clone();
        if entry.has_open_callback() {
            deciding.ask(Effect::EnqueueCallback { task });
        }
        let is_closing = deciding.run().closing().is_some();
        match stage {
            TaskStage::Running { .. } => deciding.interrupt(task)?,
            TaskStage::Ready if !closed_in_order && !starts_durably(deciding.run(), task) => {
                deciding.interrupt(task)?
            }
            // It was to be cancelled when the engine ended.
            TaskStage::Ready | TaskStage::Pending | TaskStage::Waiting { .. } if is_closing => {
                deciding.cancel_task(task)?
            }
            TaskStage::Ready => deciding.ask(Effect::Enqueue { task }),
            TaskStage::Waiting { due_at } => deciding.ask(Effect::WakeTask { task, at: due_at }),
            TaskStage::Pending
            | TaskStage::Completed { .. }
            | TaskStage::Failed { .. }
            | TaskStage::Skipped { .. }
            | TaskStage::Cancelled { .. } => {}
        }
    }
    deciding.finish_if_done()?;
    Ok(deciding.decision())
}
