//! Why a task is not running: the gates that it waits at.
//!
//! [`gates`] is what the scheduler itself uses, so the answer cannot differ from what is done. Slots are the one gate that
//! lies outside of a run; those who are turned away there stay in the queue of [`super::slot`].

use std::sync::Arc;

use cloacina_workflow::Timestamp;

use super::{
    apply::Run,
    effect::Actor,
    node::{NodeId, TaskIndex},
    rule::{Condition, Rule, When},
    stage::{Open, Quarantine, RunStage, TaskStage},
    task,
};

/// One reason why a task waits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Gate {
    /// The run has not been started.
    RunPending,
    /// The run starts later.
    RunDelayed { until: Timestamp },
    /// The run is paused.
    RunPaused { by: Actor },
    /// The run is being cancelled, or its time is over.
    RunClosing,
    /// The package of the run must not be used now.
    Quarantined { reason: Arc<str>, until: Option<Timestamp> },
    /// This engine cannot use the package of the run.
    Withheld { reason: Arc<str> },
    /// That dependency is not terminal.
    Dependency { task: NodeId, state: task::State },
    /// The trigger rule is evaluated when all dependencies are terminal, or whenever one has become so; the tasks and keys that it names.
    Rule { text: String, tasks: Vec<NodeId>, keys: Vec<String>, when: When },
    /// The last attempt failed and the next one comes then.
    RetryAt { at: Timestamp },
}

/// All gates within the run at which the task waits; none for a task that runs, has ended, or only lacks a slot.
pub(crate) fn gates(run: &Run, task: TaskIndex) -> Vec<Gate> {
    let mut gates = Vec::new();
    let tasks = run.tasks();
    let entry = &tasks[task.place()];
    if entry.state().is_terminal() || entry.state() == task::State::Running {
        return gates;
    }
    match run.stage() {
        RunStage::Open(open) | RunStage::Closing { before: open @ Open::Paused { .. }, .. } => {
            gates.extend(open_gate(open, task));
        }
        RunStage::Closing { .. } => gates.push(Gate::RunClosing),
        RunStage::Ended { .. } => {}
    }
    if let Some(Quarantine { reason, until, is_here }) = run.quarantine() {
        gates.push(match is_here {
            true => Gate::Withheld { reason: reason.clone() },
            false => Gate::Quarantined { reason: reason.clone(), until: *until },
        });
    }
    match &entry.stage {
        TaskStage::Pending => {
            let parents = run.plan().graph.parents(task.node()).iter();
            let open = parents.map(|parent| (*parent, tasks[parent.task().place()].state()));
            let open = open.filter(|(_, state)| !state.is_terminal());
            gates.extend(open.map(|(task, state)| Gate::Dependency { task, state }));
            if let Rule::When(condition) = &run.plan().declared(task).rule {
                gates.push(rule_gate(run, condition, run.plan().declared(task).when));
            }
        }
        TaskStage::Waiting { due_at } => gates.push(Gate::RetryAt { at: *due_at }),
        TaskStage::Ready
        | TaskStage::Running { .. }
        | TaskStage::Completed { .. }
        | TaskStage::Failed { .. }
        | TaskStage::Skipped { .. }
        | TaskStage::Cancelled { .. } => {}
    }
    gates
}

/// The gate of a run that has not begun or does not go on.
fn open_gate(open: &Open, task: TaskIndex) -> Option<Gate> {
    match open {
        Open::Pending { delayed_until: Some(until) } => Some(Gate::RunDelayed { until: *until }),
        Open::Pending { delayed_until: None } => Some(Gate::RunPending),
        Open::Paused { released, .. } if released.contains(&task) => None,
        Open::Paused { by, .. } => Some(Gate::RunPaused { by: Arc::clone(by) }),
        Open::Running { .. } => None,
    }
}

fn rule_gate(run: &Run, condition: &Condition, when: When) -> Gate {
    let (mut tasks, mut keys) = (Vec::new(), Vec::new());
    condition.inputs(&mut tasks, &mut keys);
    let text = condition.text(&|task| &run.plan().task(task).id).to_string();
    Gate::Rule { text, tasks, keys: keys.into_iter().map(|key| key.as_ref().to_owned()).collect(), when }
}
