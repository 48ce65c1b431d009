//! What people ask of runs, as events of the core, which alone says whether they fit.

use cloacina_workflow::Timestamp;

use super::{
    active::{ActiveRun, RunRecord},
    event::Action,
};
use crate::{
    Error,
    core::{
        apply::Refused,
        decide::Event,
        effect::{Actor, Decision},
        explain,
        node::TaskIndex,
    },
    error::Request,
};

impl ActiveRun {
    /// Decides about what somebody asks of the run.
    pub(super) fn control(&mut self, action: &Action, by: &Actor, now: Timestamp) -> Result<Decision, Error> {
        let by = by.clone();
        let (request, event) = match action {
            Action::Start => (Request::Start, Event::Start { by: Some(by) }),
            Action::Pause => (Request::Pause, Event::Pause { by }),
            Action::Resume => (Request::Resume, Event::Resume { by }),
            Action::Cancel => (Request::Cancel, Event::Cancel { by }),
            Action::RetryNow { task } => (Request::Retry, Event::RetryNow { task: number(self.record(), task)?, by }),
            Action::Release { task } => (Request::RunTask, Event::Release { task: number(self.record(), task)?, by }),
        };
        let decided = self.decide(event, now);
        let record = self.record();
        decided.map_err(|refused| match (refused, action) {
            (Refused::Task(refused), Action::RetryNow { task } | Action::Release { task }) => {
                Error::IllegalForTask { task: task.clone(), request, state: refused.from }
            }
            (Refused::Waits, Action::Release { task }) => {
                Error::TaskWaits { task: task.clone(), waits_for: waits_for(record, task) }
            }
            (refused, _) => {
                let is_ending = refused == Refused::Closing;
                Error::Illegal { id: record.id, request, state: record.run.state(), is_ending }
            }
        })
    }
}

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
