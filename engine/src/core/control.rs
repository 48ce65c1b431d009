//! What people ask of a run: start it later, pause, resume, cancel, do not wait for a retry, run one task of it; and
//! the end of its time.
//!
//! Cancelling is a request: what does not run yet is cancelled at once, what runs is asked to stop and may finish. The
//! run has ended when all of it has. Nothing here moves what has ended: a finished run is run again as a new one.

use cloacina_workflow::Timestamp;

use super::{
    decide::{Closing, Quarantine, Refused, Run},
    effect::{Actor, Decision, Effect, Transition},
    run, task,
};

impl Run {
    pub(super) fn delay(&mut self, until: Timestamp, decision: &mut Decision) -> Result<(), Refused> {
        run::next(self.state, run::Event::Started)?;
        self.delayed_until = Some(until);
        decision.transitions.push(Transition::RunDelayed { until });
        decision.effects.push(Effect::WakeRun { at: until });
        Ok(())
    }

    pub(super) fn pause(&mut self, by: Actor, decision: &mut Decision) -> Result<(), Refused> {
        let state = run::next(self.state, run::Event::Paused)?;
        self.check_not_closing()?;
        self.state = state;
        self.paused_by = Some(by.clone());
        for task in &mut self.tasks {
            task.is_released = false;
        }
        decision.transitions.push(Transition::RunPaused { by });
        Ok(())
    }

    pub(super) fn resume(&mut self, by: Actor, decision: &mut Decision) -> Result<(), Refused> {
        let state = run::next(self.state, run::Event::Resumed)?;
        self.check_not_closing()?;
        self.state = state;
        self.paused_by = None;
        decision.transitions.push(Transition::RunResumed { by });
        self.offer_ready(decision);
        Ok(())
    }

    /// Those who were turned away at a gate.
    fn offer_ready(&self, decision: &mut Decision) {
        let ready = |task: &u32| self.tasks[*task as usize].state == task::State::Ready;
        let offers = self.plan.graph.order().iter().copied().filter(ready).map(|task| Effect::Offer { task });
        decision.effects.extend(offers);
    }

    /// Closes or opens the gate of the run's package. Nothing of it is stored: packages have a history of their own.
    pub(super) fn quarantine(
        &mut self,
        quarantine: Option<Quarantine>,
        now: Timestamp,
        decision: &mut Decision,
    ) -> Result<(), Refused> {
        let is_lifted = self.quarantine.is_some() && quarantine.is_none();
        self.quarantine = quarantine;
        if is_lifted {
            self.offer_ready(decision);
            decision.effects.extend(self.open_callbacks().into_iter().map(|task| Effect::OfferCallback { task }));
        }
        if self.closing.is_some() {
            self.drop_callbacks(decision);
            self.finish_if_done(now, decision)?;
        }
        Ok(())
    }

    fn open_callbacks(&self) -> Vec<u32> {
        let is_open = |task: &u32| self.tasks[*task as usize].callback_open;
        self.plan.graph.order().iter().copied().filter(is_open).collect()
    }

    /// A run that is being ended does not wait for callbacks that must not be called.
    fn drop_callbacks(&mut self, decision: &mut Decision) {
        if self.quarantine.is_none() {
            return;
        }
        for task in self.open_callbacks() {
            self.drop_callback(task);
            decision.transitions.push(Transition::CallbackEnded { task, failed: true });
        }
    }

    pub(super) fn cancel(&mut self, by: Actor, now: Timestamp, decision: &mut Decision) -> Result<(), Refused> {
        run::next(self.state, run::Event::Cancelled)?;
        self.check_not_closing()?;
        decision.transitions.push(Transition::RunCancelRequested { by: by.clone() });
        self.close(Closing::Cancelled { by }, now, decision)
    }

    pub(super) fn time_out(&mut self, now: Timestamp, decision: &mut Decision) -> Result<(), Refused> {
        run::next(self.state, run::Event::RequiredFailed)?;
        self.check_not_closing()?;
        decision.transitions.push(Transition::RunTimedOut);
        self.close(Closing::TimedOut, now, decision)
    }

    pub(super) fn retry_now(&mut self, task: u32, by: Actor, decision: &mut Decision) -> Result<(), Refused> {
        task::next(self.task(task)?.state, task::Event::Due)?;
        decision.transitions.push(Transition::RetryRequested { task, by });
        self.due(task, decision)
    }

    /// Lets one task of a run go on that otherwise stays where it is. A run that waits to be started has been started and
    /// is paused after that.
    pub(super) fn release(
        &mut self,
        task: u32,
        by: Actor,
        now: Timestamp,
        decision: &mut Decision,
    ) -> Result<(), Refused> {
        if self.state == run::State::Pending {
            self.check_not_closing()?;
            self.task(task)?;
            if !self.plan.graph.parents(task).is_empty() {
                return Err(Refused::Waits);
            }
            self.start(Some(by.clone()), now, decision)?;
            if !self.state.is_terminal() {
                self.pause(by.clone(), decision)?;
            }
            // Its rule may have kept it from running, which is an end too.
            if self.tasks[task as usize].state != task::State::Ready {
                return Ok(());
            }
        } else {
            // A run that goes on by itself has no need for it, and one that has ended cannot.
            run::next(self.state, run::Event::Resumed)?;
            self.check_not_closing()?;
            match self.task(task)?.state {
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
        decision.transitions.push(Transition::TaskReleased { task, by });
        self.let_go(task, decision)
    }

    pub(super) fn let_go(&mut self, task: u32, decision: &mut Decision) -> Result<(), Refused> {
        self.task(task)?;
        self.tasks[task as usize].is_released = true;
        decision.effects.push(Effect::Offer { task });
        Ok(())
    }

    fn check_not_closing(&self) -> Result<(), Refused> {
        if self.closing.is_some() { Err(Refused::Closing) } else { Ok(()) }
    }

    /// Cancels whatever does not run, and asks what runs to stop.
    fn close(&mut self, closing: Closing, now: Timestamp, decision: &mut Decision) -> Result<(), Refused> {
        self.closing = Some(closing);
        self.drop_callbacks(decision);
        let plan = self.plan.clone();
        for task in plan.graph.order() {
            let entry = &self.tasks[*task as usize];
            match entry.state {
                task::State::Running => {
                    decision.effects.push(Effect::Stop { task: *task, attempt: entry.attempt });
                }
                task::State::Pending | task::State::Ready | task::State::Waiting => {
                    self.cancel_task(*task, None, false, now, decision)?;
                }
                task::State::Completed | task::State::Failed | task::State::Skipped | task::State::Cancelled => {}
            }
        }
        self.finish_if_done(now, decision)
    }
}
