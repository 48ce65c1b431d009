//! What people ask of a run: start it later, pause, resume, cancel, do not wait for a retry, run one task of it; and
//! the end of its time.
//!
//! Cancelling is a request: what does not run yet is cancelled at once, what runs is asked to stop and may finish. The
//! run has ended when all of it has. Nothing here moves what has ended: a finished run is run again as a new one.

use std::sync::Arc;

use cloacina_workflow::Timestamp;

use super::{
    apply::Refused,
    decide::Deciding,
    effect::{Actor, Effect, Transition},
    node::TaskIndex,
    run,
    stage::{Quarantine, Task, TaskStage},
    task,
};

impl Deciding<'_> {
    pub(super) fn delay(&mut self, until: Timestamp) -> Result<(), Refused> {
        self.change(Transition::RunDelayed { until })?;
        self.ask(Effect::WakeRun { at: until });
        Ok(())
    }

    pub(super) fn pause(&mut self, by: Actor) -> Result<(), Refused> {
        self.change(Transition::RunPaused { by })
    }

    pub(super) fn resume(&mut self, by: Actor) -> Result<(), Refused> {
        self.change(Transition::RunResumed { by })?;
        self.enqueue_ready();
        Ok(())
    }

    /// Those that were turned away at a gate.
    fn enqueue_ready(&mut self) {
        for task in self.in_order(|entry| entry.stage == TaskStage::Ready) {
            self.ask(Effect::Enqueue { task });
        }
    }

    /// The tasks for which that holds, in the workflow's order.
    fn in_order(&self, holds: impl Fn(&Task) -> bool) -> Vec<TaskIndex> {
        self.run().in_order().filter(|task| holds(&self.run().tasks()[task.place()])).collect()
    }

    /// Closes or opens the gate of the run's package. Nothing of it is stored: packages have a history of their own.
    pub(super) fn quarantine(&mut self, quarantine: Option<Quarantine>) -> Result<(), Refused> {
        let is_lifted = self.run().quarantine().is_some() && quarantine.is_none();
        self.set_quarantine(quarantine);
        if is_lifted {
            self.enqueue_ready();
            for task in self.open_callbacks() {
                self.ask(Effect::EnqueueCallback { task });
            }
        }
        if self.run().closing().is_some() {
            self.drop_callbacks()?;
            self.finish_if_done()?;
        }
        Ok(())
    }

    fn open_callbacks(&self) -> Vec<TaskIndex> {
        self.in_order(Task::has_open_callback)
    }

    /// A run that is being ended does not wait for callbacks that must not be called.
    fn drop_callbacks(&mut self) -> Result<(), Refused> {
        if self.run().quarantine().is_none() {
            return Ok(());
        }
        for task in self.open_callbacks() {
            self.change(Transition::CallbackEnded { task, failed: true })?;
        }
        Ok(())
    }

    pub(super) fn cancel(&mut self, by: Actor) -> Result<(), Refused> {
        self.close(Transition::RunCancelRequested { by })
    }

    pub(super) fn time_out(&mut self) -> Result<(), Refused> {
        self.close(Transition::RunTimedOut)
    }

    pub(super) fn retry_now(&mut self, task: TaskIndex, by: Actor) -> Result<(), Refused> {
        self.change(Transition::RetryRequested { task, by })?;
        self.ask(Effect::Enqueue { task });
        Ok(())
    }

    /// Lets one task of a run go on that otherwise stays where it is. A run that waits to be started has been started and
    /// is paused after that.
    pub(super) fn release(&mut self, task: TaskIndex, by: Actor) -> Result<(), Refused> {
        if self.run().state() == run::State::Pending {
            self.run().check_not_closing()?;
            self.run().task(task)?;
            if !self.run().plan().graph.parents(task.node()).is_empty() {
                return Err(Refused::Waits);
            }
            self.start(Some(Arc::clone(&by)))?;
            if !self.run().state().is_terminal() {
                self.pause(Arc::clone(&by))?;
            }
            // Its rule may have kept it from running, which is an end too.
            if self.run().task(task)?.stage != TaskStage::Ready {
                return Ok(());
            }
        } else {
            // A run that goes on by itself has no need for it, and one that has ended cannot.
            run::next(self.run().state(), run::Event::Resumed)?;
            self.run().check_not_closing()?;
            match self.run().task(task)?.state() {
                task::State::Ready => {}
                task::State::Pending | task::State::Waiting => return Err(Refused::Waits),
                from @ (task::State::Running
                | task::State::Completed
                | task::State::Failed
                | task::State::Skipped
                | task::State::Cancelled) => {
                    return Err(task::IllegalTransition { from, to: task::State::Running }.into());
                }
            }
        }
        self.change(Transition::TaskReleased { task, by })?;
        self.ask(Effect::Enqueue { task });
        Ok(())
    }

    /// Cancels whatever does not run, and asks what runs to stop.
    fn close(&mut self, asked: Transition) -> Result<(), Refused> {
        self.change(asked)?;
        self.drop_callbacks()?;
        let tasks: Vec<TaskIndex> = self.run().in_order().collect();
        for task in tasks {
            let entry = self.run().task(task)?;
            match entry.state() {
                task::State::Running => {
                    let attempt = entry.attempt;
                    self.ask(Effect::Stop { task, attempt });
                }
                task::State::Pending | task::State::Ready | task::State::Waiting => self.cancel_task(task)?,
                task::State::Completed | task::State::Failed | task::State::Skipped | task::State::Cancelled => {}
            }
        }
        self.finish_if_done()
    }
}
