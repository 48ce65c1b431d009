//! The driver's part about what people ask of runs, and about timers that ring.
//!
//! A request becomes an event of the core, which alone says whether it fits; it is answered when its transition is
//! durable. One for a run whose history is still being read waits for that.

use cloacina_workflow::Timestamp;
use tokio::sync::oneshot;

use super::{
    active::RunRecord,
    driver::{Answer, Driver, Stopping},
    event::Action,
    timer::Timer,
};
use crate::{
    Error,
    core::{
        apply::Refused,
        decide::{self, decide},
        effect::Actor,
        explain,
        node::TaskIndex,
    },
    error::Request,
    id::RunId,
};

/// The number of the task of that id.
fn number(record: &RunRecord, task: &str) -> Result<TaskIndex, Error> {
    let mut nodes = record.version.plan.nodes();
    let found = nodes.find(|(_, declared)| *declared.id == *task).map(|(node, _)| node.task());
    found.ok_or_else(|| Error::UnknownTask { id: record.id, task: task.to_owned() })
}

/// What a task waits for besides its run, for people.
fn waits_for(record: &RunRecord, task: &str) -> Vec<String> {
    let gates = number(record, task).map(|task| explain::gates(&record.run, task)).unwrap_or_default();
    let texts = gates.into_iter().filter_map(|gate| match gate {
        explain::Gate::Dependency { task, state } => Some(format!("{} is {state}", record.version.plan.task(task).id)),
        explain::Gate::RetryAt { at } => Some(format!("its next attempt comes at {at}")),
        explain::Gate::RunPending
        | explain::Gate::RunDelayed { .. }
        | explain::Gate::RunPaused { .. }
        | explain::Gate::RunClosing
        | explain::Gate::Quarantined { .. }
        | explain::Gate::Withheld { .. }
        | explain::Gate::Rule { .. } => None,
    });
    texts.collect()
}

impl Driver {
    /// Does what somebody asks of a run that this engine drives, and answers when it is durable.
    pub(super) fn control(
        &mut self,
        run: RunId,
        action: Action,
        by: Actor,
        answer: oneshot::Sender<Result<(), Error>>,
        now: Timestamp,
    ) {
        if let Some(dormant) = self.dormant.get_mut(&run).filter(|dormant| dormant.is_loading) {
            dormant.asked.push((action, by, answer));
            return;
        }
        if self.dormant.contains_key(&run) && self.stopping == Stopping::No {
            self.wake_for((action, by, answer), run);
            return;
        }
        match self.decide_control(run, &action, &by, now) {
            Ok(decision) => self.enact(run, decision, now, Some(Answer::Controlled(answer))),
            // The caller may have stopped waiting.
            Err(error) => drop(answer.send(Err(error))),
        }
    }

    fn decide_control(
        &mut self,
        id: RunId,
        action: &Action,
        by: &Actor,
        now: Timestamp,
    ) -> Result<crate::core::effect::Decision, Error> {
        if self.stopping != Stopping::No {
            return Err(Error::ShutDown);
        }
        let Some(active) = self.runs.get_mut(&id) else {
            return Err(Error::NotDriven { id });
        };
        let (request, event) = match action {
            Action::Start => (Request::Start, decide::Event::Start { by: Some(by.clone()) }),
            Action::Pause => (Request::Pause, decide::Event::Pause { by: by.clone() }),
            Action::Resume => (Request::Resume, decide::Event::Resume { by: by.clone() }),
            Action::Cancel => (Request::Cancel, decide::Event::Cancel { by: by.clone() }),
            Action::RetryNow { task } => {
                let task = number(&active.record, task)?;
                (Request::Retry, decide::Event::RetryNow { task, by: by.clone() })
            }
            Action::Release { task } => {
                let task = number(&active.record, task)?;
                (Request::RunTask, decide::Event::Release { task, by: by.clone() })
            }
        };
        let decided = decide(&mut active.record.run, event, now);
        let record = &active.record;
        decided.map_err(|refused| match (refused, action) {
            (Refused::Task(refused), Action::RetryNow { task } | Action::Release { task }) => {
                Error::IllegalForTask { task: task.clone(), request, state: refused.from }
            }
            (Refused::Waits, Action::Release { task }) => {
                Error::TaskWaits { task: task.clone(), waits_for: waits_for(record, task) }
            }
            (refused, _) => {
                Error::Illegal { id, request, state: record.run.state(), is_ending: refused == Refused::Closing }
            }
        })
    }

    /// Does what a timer was set for.
    pub(super) fn ring(&mut self, timer: Timer, now: Timestamp) {
        let (run, event) = match timer {
            Timer::ShutdownDeadline => return self.abandon(now),
            Timer::EpochDue { before } => {
                let step = self.ownership.begin_epoch(before);
                return self.follow(step, now);
            }
            Timer::Upkeep => return self.keep_up(now),
            Timer::CommitsDue { run } => return self.commit_again(run, now),
            Timer::HistoriesDue => return self.read_again(now),
            Timer::TakeoverDue => {
                let step = self.ownership.take_over_again();
                return self.follow(step, now);
            }
            Timer::AttemptDeadline(key) => return self.overdue(key, now),
            Timer::AttemptGrace(key) => return self.give_up(key, now),
            Timer::TaskDue { run, task } => (run, decide::Event::Due { task }),
            Timer::RunDue { run } => (run, decide::Event::Start { by: None }),
            Timer::RunLimit { run } => (run, decide::Event::TimeOut),
        };
        let Some(active) = self.runs.get_mut(&run) else { return };
        if let Timer::TaskDue { task, .. } = timer
            && active.record.run.tasks()[task.place()].due_at().is_none_or(|at| at > now)
        {
            // Somebody did not want to wait for it, and the task is elsewhere by now.
            return;
        }
        match decide(&mut active.record.run, event, now) {
            Ok(decision) => self.enact(run, decision, now, None),
            // Somebody was faster: the run was started, or is being ended.
            Err(refused) => tracing::debug!(run.id = %run, ?timer, %refused, "a timer came too late"),
        }
    }
}
