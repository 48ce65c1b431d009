//! Why a task is not running: the gates that it waits at, from the same data by which it is admitted.

use super::{admit::Admission, decide::Run, run, task};

/// One reason why a task waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Gate {
    /// The run has not started.
    RunPending,
    /// The run is paused.
    RunPaused,
    /// That dependency is not terminal.
    Dependency { task: u32, state: task::State },
    /// All slots are taken, or others are first.
    Slot { running: usize, slots: usize },
}

/// All gates at which the task waits; none for a task that runs or has ended.
pub(crate) fn gates(run: &Run, task: u32, admission: &Admission) -> Vec<Gate> {
    let mut gates = Vec::new();
    let states = run.tasks();
    let state = states[task as usize].state;
    if state.is_terminal() || state == task::State::Running {
        return gates;
    }
    match run.state() {
        run::State::Pending => gates.push(Gate::RunPending),
        run::State::Paused => gates.push(Gate::RunPaused),
        run::State::Running
        | run::State::Completed
        | run::State::PartiallyCompleted
        | run::State::Failed
        | run::State::Cancelled => {}
    }
    let parents = run.plan().graph.parents(task).iter();
    let open =
        parents.map(|parent| (*parent, states[*parent as usize].state)).filter(|(_, state)| !state.is_terminal());
    gates.extend(open.map(|(task, state)| Gate::Dependency { task, state }));
    if state == task::State::Ready {
        gates.push(Gate::Slot { running: admission.n_running(), slots: admission.slots() });
    }
    gates
}
